//! Exact amounts and the codes they are counted in.

use rust_decimal::Decimal;

/// The largest amount: sums of them, with all their decimals, fit what is added exactly.
const MAX: i64 = 1_000_000_000_000_000;
/// Digits before the point that an amount may have.
const WHOLE_DIGITS_MAX: usize = 16;
/// Digits behind the point that an amount may have.
const DECIMALS_MAX: usize = 12;
/// The unit of things that are counted, where a currency would stand.
pub const COUNT: &str = "count";

/// A text that is not an amount.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an amount: digits up to {MAX}, and behind a point up to {DECIMALS_MAX} more, such as `1099.10`")]
pub struct BadAmount(pub String);

/// Reads a decimal number exactly: digits with at most one point, no sign, no exponent, no spaces.
///
/// # Errors
/// When it is anything else, or has more digits than are counted exactly.
pub fn parse(text: &str) -> Result<Decimal, BadAmount> {
    let bad = || BadAmount(text.chars().take(64).collect());
    let (whole, decimals) = match text.split_once('.') {
        Some((_, "")) => return Err(bad()),
        Some(parts) => parts,
        None => (text, ""),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || !digits(whole)
        || !digits(decimals)
        || whole.len() > WHOLE_DIGITS_MAX
        || decimals.len() > DECIMALS_MAX
    {
        return Err(bad());
    }
    let amount = Decimal::from_str_exact(text).map_err(|_| bad())?;
    if amount > Decimal::from(MAX) { Err(bad()) } else { Ok(amount) }
}

/// The sum; none where it is so large that decimals would be lost.
#[must_use]
pub fn add(a: Decimal, b: Decimal) -> Option<Decimal> {
    a.checked_add(b).filter(|sum| *sum <= Decimal::from(MAX) * Decimal::TEN)
}

/// An amount as people write it: with the currency's own decimals, and more where there are more.
#[must_use]
pub fn show(amount: Decimal, unit: &str) -> String {
    let decimals = iso_currency::Currency::from_code(unit).and_then(|currency| currency.exponent()).unwrap_or(0);
    let mut shown = amount.normalize();
    if shown.scale() < u32::from(decimals) {
        shown.rescale(u32::from(decimals));
    }
    shown.to_string()
}

/// Whether charges can be in this: `count`, or an upper-case code of ISO 4217.
#[must_use]
pub fn is_unit(code: &str) -> bool {
    code == COUNT
        || (code.bytes().all(|byte| byte.is_ascii_uppercase()) && iso_currency::Currency::from_code(code).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_or_refused() {
        for good in ["0", "0.10", "1099.10", "1000000000000000", "0.000000000001", "10.005"] {
            assert_eq!(parse(good).map(|amount| amount.to_string()), Ok(good.to_owned()));
        }
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1e400",
            "NaN",
            "inf",
            " 1",
            "1 ",
            "1,5",
            "1_000",
            "0x10",
            "1.2.3",
            "1000000000000001",
            "1000000000000000.01",
            "0.0000000000001",
            "١",
        ] {
            assert_eq!(parse(bad), Err(BadAmount(bad.to_owned())), "{bad}");
        }
    }

    #[test]
    fn amounts_have_their_currencys_decimals() {
        for (amount, unit, shown) in [
            ("500", "EUR", "500.00"),
            ("12.50", "EUR", "12.50"),
            ("0", "EUR", "0.00"),
            ("10.005", "EUR", "10.005"),
            ("10.5", "BHD", "10.500"),
            ("500", "JPY", "500"),
            ("3", "count", "3"),
        ] {
            assert_eq!(show(parse(amount).unwrap(), unit), shown);
        }
    }

    #[test]
    fn a_sum_is_exact_or_none() {
        let large = Decimal::from(MAX);
        let fine = parse("0.000000000001").unwrap();
        assert_eq!(add(large, fine).map(|sum| sum.to_string()), Some("1000000000000000.000000000001".into()));
        assert_eq!(add(large * Decimal::TEN, fine), None);
    }

    #[test]
    fn only_upper_case_codes_and_count_are_units() {
        assert!(["EUR", "USD", "JPY", "count"].into_iter().all(is_unit));
        assert!(!["eur", "Eur", "EURO", "ZZZ", "", "COUNT", "€"].into_iter().any(is_unit));
    }
}
