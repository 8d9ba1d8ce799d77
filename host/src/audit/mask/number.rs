//! Numbers that are secrets, and how they are told from other numbers.

/// Digits of a card number (ISO/IEC 7812-1).
pub(super) const CARD_DIGITS_MIN: usize = 13;
/// Digits of a card number (ISO/IEC 7812-1).
pub(super) const CARD_DIGITS_MAX: usize = 19;

/// Whether these digits are a card number: the length, a first digit that goes with it, and the check digit.
///
/// A check digit lets one number in ten through. So the first digit has to fit as well: 13 digits are only given out
/// beginning with 4, a leading 1 only goes with 15, a leading 0 with none. This keeps times in milliseconds and
/// microseconds what they are.
pub(super) fn is_card(digits: &str) -> bool {
    let Some(first) = digits.bytes().next() else { return false };
    let fits =
        matches!((first, digits.len()), (b'4', CARD_DIGITS_MIN) | (b'1', 15) | (b'2'..=b'9', 14..=CARD_DIGITS_MAX));
    fits && digits.bytes().all(|byte| byte.is_ascii_digit()) && luhn(digits)
}

/// The check digit of ISO/IEC 7812-1, annex B.
fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte.saturating_sub(b'0'));
            let doubled = if place % 2 == 1 { digit * 2 } else { digit };
            doubled / 10 + doubled % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether these letters and digits are an IBAN (ISO 13616-1): a country, its length, and the check digits.
pub(super) fn is_iban(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    let Some((head, tail)) = upper.split_at_checked(4) else { return false };
    if iban_chars(&upper) != Some(upper.len()) {
        return false;
    }
    let mut rest = 0;
    for byte in tail.bytes().chain(head.bytes()) {
        rest = match byte {
            b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
            b'A'..=b'Z' => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
            _ => return false,
        };
    }
    rest == 1
}

/// How long the IBANs of the country are that the text begins with (the register of ISO 13616-2).
pub(super) fn iban_chars(text: &str) -> Option<usize> {
    let country = text.get(..2)?.to_ascii_uppercase();
    Some(match country.as_str() {
        "NO" => 15,
        "BE" => 16,
        "DK" | "FI" | "FK" | "FO" | "GL" | "NL" | "SD" => 18,
        "MK" | "SI" => 19,
        "AT" | "BA" | "EE" | "KZ" | "LT" | "LU" | "MN" | "XK" => 20,
        "CH" | "HR" | "LI" | "LV" => 21,
        "BG" | "BH" | "CR" | "DE" | "GB" | "GE" | "IE" | "ME" | "RS" | "VA" => 22,
        "AE" | "GI" | "IL" | "IQ" | "OM" | "SO" | "TL" => 23,
        "AD" | "CZ" | "ES" | "MD" | "PK" | "RO" | "SA" | "SE" | "SK" | "TN" | "VG" => 24,
        "LY" | "PT" | "ST" => 25,
        "IS" | "TR" => 26,
        "BI" | "DJ" | "FR" | "GR" | "IT" | "MC" | "MR" | "SM" => 27,
        "AL" | "AZ" | "BY" | "CY" | "DO" | "GT" | "HN" | "HU" | "LB" | "NI" | "PL" | "SV" => 28,
        "BR" | "EG" | "PS" | "QA" | "UA" => 29,
        "JO" | "KW" | "MU" | "YE" => 30,
        "MT" | "SC" => 31,
        "LC" => 32,
        "RU" => 33,
        _ => return None,
    })
}
