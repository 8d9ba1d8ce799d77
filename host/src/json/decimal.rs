//! The canonical text of an exact decimal number.

/// Digits that a number may be written out with; beyond them it has an exponent (ECMA-262, `Number::toString`).
const PLAIN_DIGITS_MAX: i128 = 21;
/// Zeros after the point that are written out before an exponent is used (ECMA-262, `Number::toString`).
const LEADING_ZEROS_MAX: i128 = 6;

/// Writes the exact value of a JSON number as ECMA-262 `Number::toString` writes a double of that value, which is what
/// RFC 8785 asks for. The digits are the number's own, never a double's.
pub(super) fn write_canonical(text: &str, out: &mut String) {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));

    let digits: String = [whole, fraction].concat();
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let digits = digits.trim_matches('0');
    if digits.is_empty() {
        out.push('0');
        return;
    }
    // INVARIANT: value = 0.DIGITS × 10^point. An exponent that no i64 holds stays what it was written as: such numbers
    // are equal only when their digits and exponents are written alike, which can refuse a replay but never confuse two.
    let Ok(exponent) = exponent.strip_prefix('+').unwrap_or(exponent).parse::<i64>() else {
        out.push_str(text);
        return;
    };
    let point = i128::from(exponent) + whole.len() as i128 - leading as i128;
    if negative {
        out.push('-');
    }
    let count = digits.len() as i128;
    if count <= point && point <= PLAIN_DIGITS_MAX {
        out.push_str(digits);
        zeros(point - count, out);
    } else if 0 < point && point <= PLAIN_DIGITS_MAX {
        let (before, after) = digits.split_at(usize::try_from(point).unwrap_or(digits.len()));
        out.push_str(before);
        out.push('.');
        out.push_str(after);
    } else if -LEADING_ZEROS_MAX < point && point <= 0 {
        out.push_str("0.");
        zeros(-point, out);
        out.push_str(digits);
    } else {
        let (first, others) = digits.split_at(1);
        out.push_str(first);
        if !others.is_empty() {
            out.push('.');
            out.push_str(others);
        }
        out.push('e');
        out.push(if point > 0 { '+' } else { '-' });
        out.push_str(&(point - 1).unsigned_abs().to_string());
    }
}

fn zeros(count: i128, out: &mut String) {
    for _ in 0..count {
        out.push('0');
    }
}
