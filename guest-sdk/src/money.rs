//! Money that is exact.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, de};

use crate::{Money, Pointer, quoted};

/// The largest amount of one call: 10^15.
const AMOUNT_MAX: i128 = 1_000_000_000_000_000;
/// Decimals that count; zeros behind them do not.
const DECIMALS_MAX: i64 = 12;
/// Characters of an amount's text. No amount within the other bounds needs more, except for padding.
const TEXT_CHARS_MAX: usize = 64;

/// An exact amount of money: not negative, at most 10^15, at most 12 decimals.
///
/// It is read from a decimal string such as `"1099.10"` (digits, at most one point between digits, no sign, no
/// exponent, no spaces, no leading zeros) or from a JSON number by its exact text, which may have an exponent. Whatever
/// would have to be rounded is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(Decimal);

/// A text that is no amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadAmount {
    text: String,
    why: &'static str,
}

impl fmt::Display for BadAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}; send an amount such as `1099.10`", quoted(&self.text), self.why)
    }
}

impl std::error::Error for BadAmount {}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// Takes a decimal string.
    ///
    /// # Errors
    /// When it is none, or out of bounds.
    pub fn parse(text: &str) -> Result<Self, BadAmount> {
        read(text, false).map(Self).map_err(|why| BadAmount { text: text.to_owned(), why })
    }

    /// Takes the exact text of a JSON number.
    ///
    /// # Errors
    /// When it is none, or out of bounds.
    pub fn from_number(text: &str) -> Result<Self, BadAmount> {
        read(text, true).map(Self).map_err(|why| BadAmount { text: text.to_owned(), why })
    }

    /// Takes a sum of amounts, which may be larger than one amount.
    pub(crate) fn sum(text: &str) -> Result<Self, BadAmount> {
        let bad = |why| BadAmount { text: text.to_owned(), why };
        let sum = Decimal::from_str_exact(text).map_err(|_| bad("is not a decimal number"))?;
        if sum.is_sign_negative() && !sum.is_zero() { Err(bad("is negative")) } else { Ok(Self(sum)) }
    }

    /// The sum, or none where it cannot be exact.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let sum = self.0.checked_add(other.0)?;
        // `Decimal` gives decimals up to make room for digits: taking one part away must leave the other.
        (sum.checked_sub(other.0)? == self.0 && sum.checked_sub(self.0)? == other.0).then_some(Self(sum))
    }

    /// Whether it has no decimals.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.0.is_integer()
    }

    /// As the contract writes it, with its currency.
    #[must_use]
    pub fn of(self, currency: &Currency) -> Money {
        Money { amount: self.to_string(), currency: currency.to_string() }
    }
}

impl fmt::Display for Amount {
    /// Digits and at most one point, without zeros at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.normalize().fmt(f)
    }
}

impl<'de> Deserialize<'de> for Amount {
    /// From a string only: a TOML or JSON number of a settings file may have gone through a double.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

fn read(text: &str, exponent_allowed: bool) -> Result<Decimal, &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    if text.len() > TEXT_CHARS_MAX {
        return Err("is too long");
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        None => (text, 0),
        Some((mantissa, exponent)) if exponent_allowed => (mantissa, read_exponent(exponent)?),
        Some(_) => return Err("is not a decimal number"),
    };
    if mantissa.starts_with('-') {
        return Err("is negative");
    }
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err("is not a decimal number"),
        None => (mantissa, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return Err("is not a decimal number");
    }
    if whole.len() > 1 && whole.starts_with('0') {
        return Err("has leading zeros");
    }
    exact(&[whole, fraction].concat(), exponent - i64::try_from(fraction.len()).map_err(|_| "is too long")?)
}

fn read_exponent(text: &str) -> Result<i64, &'static str> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("is not a decimal number");
    }
    // Three digits are far beyond both bounds already; a zero with a larger exponent is nobody's amount.
    if digits.len() > 3 {
        return Err("has an exponent that is too large");
    }
    text.parse().map_err(|_| "is not a decimal number")
}

/// digits × 10^power, as long as that is exact and in bounds.
fn exact(digits: &str, power: i64) -> Result<Decimal, &'static str> {
    let significant = digits.trim_end_matches('0');
    let zeros = i64::try_from(digits.len() - significant.len()).map_err(|_| "is too long")?;
    if significant.is_empty() {
        return Ok(Decimal::ZERO);
    }
    let power = power + zeros;
    if power < -DECIMALS_MAX {
        return Err("has more than 12 decimals");
    }
    let too_large = "is more than 1000000000000000";
    let mut number: i128 = significant.parse().map_err(|_| too_large)?;
    for _ in 0..power.max(0) {
        number = number.checked_mul(10).filter(|number| *number <= AMOUNT_MAX).ok_or(too_large)?;
    }
    let scale = u32::try_from(power.min(0).unsigned_abs()).map_err(|_| "has more than 12 decimals")?;
    let amount = Decimal::try_from_i128_with_scale(number, scale).map_err(|_| too_large)?;
    if amount > Decimal::from_i128_with_scale(AMOUNT_MAX, 0) { Err(too_large) } else { Ok(amount) }
}

/// A currency code: exactly three upper-case ASCII letters, as in ISO 4217. Whether the code is in the standard's list
/// is the gate's to check.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Currency(String);

/// A text that is no currency code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCurrency(String);

impl fmt::Display for BadCurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a currency code; use three upper-case letters such as `EUR`", quoted(&self.0))
    }
}

impl std::error::Error for BadCurrency {}

impl Currency {
    /// Takes a code.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, BadCurrency> {
        if text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadCurrency(text.to_owned()))
        }
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Where a charge's currency stands, as settings say it: a pointer such as `"/currency"`, or `{"const": "EUR"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CurrencyFrom {
    /// In this argument.
    Pointer(Pointer),
    /// It is always this one.
    Const(Currency),
}

impl<'de> Deserialize<'de> for CurrencyFrom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CurrencyFromVisitor)
    }
}

/// Not an untagged enum: that would forget which part was wrong.
struct CurrencyFromVisitor;

impl<'de> de::Visitor<'de> for CurrencyFromVisitor {
    type Value = CurrencyFrom;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON pointer such as \"/currency\", or {\"const\": \"EUR\"}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<CurrencyFrom, E> {
        Pointer::parse(text).map(CurrencyFrom::Pointer).map_err(E::custom)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<CurrencyFrom, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Constant {
            r#const: Currency,
        }
        let constant = Constant::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(CurrencyFrom::Const(constant.r#const))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_amounts_are_equal_however_they_are_written() {
        let hundred = Amount::parse("100").unwrap();
        for text in ["100.00", "100.0000000000000000000000"] {
            assert_eq!(Amount::parse(text).unwrap(), hundred);
        }
        for text in ["1e2", "1E+2", "10.0e1", "1000e-1", "0.000000000000001e17"] {
            assert_eq!(Amount::from_number(text).unwrap(), hundred, "{text}");
        }
        assert_eq!(hundred.to_string(), "100");
        assert!(Amount::parse("99.999999999999").unwrap() < hundred);
    }

    #[test]
    fn an_amount_is_written_as_the_contract_wants_it() {
        for (text, written) in [
            ("0", "0"),
            ("0.00", "0"),
            ("10", "10"),
            ("1e15", "1000000000000000"),
            ("1e-12", "0.000000000001"),
            ("1.50", "1.5"),
        ] {
            assert_eq!(Amount::from_number(text).unwrap().to_string(), written);
        }
    }

    #[test]
    fn the_bounds_are_exact() {
        for good in ["1e15", "1000000000000000", "999999999999999.999999999999", "1e-12"] {
            Amount::from_number(good).unwrap();
        }
        for bad in [
            "1000000000000000.000000000001",
            "1000000000000001",
            "1e16",
            "1e-13",
            "1e999",
            "1e-999",
            "1e1000",
            "9e99999999999999999999",
            "1e",
            "1e+",
            "e5",
            "--1",
            "1-1",
            "1e2e3",
            "1e2.5",
        ] {
            assert!(Amount::from_number(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sums_are_exact_or_none() {
        let amount = |text| Amount::sum(text).unwrap();
        assert_eq!(amount("0.1").checked_add(amount("0.2")), Some(amount("0.3")));
        assert_eq!(amount("79228162514264337593543950335").checked_add(amount("1")), None);
        assert_eq!(
            amount("79228162514264337593543950334").checked_add(amount("1")),
            Some(amount("79228162514264337593543950335"))
        );
        assert_eq!(amount("7922816251426433759354395033").checked_add(amount("0.01")), None);
        assert!(Amount::sum("-1").is_err() && Amount::sum("").is_err() && Amount::sum("1e3").is_err());
    }

    #[test]
    fn a_message_shows_a_hostile_text_short_and_on_one_line() {
        let bad = Amount::parse(&"9".repeat(100_000)).unwrap_err().to_string();
        assert!(bad.len() < 300, "{}", bad.len());
        let bad = Currency::parse("E\nR").unwrap_err().to_string();
        assert!(bad.starts_with(r"`E\u{a}R` is not"), "{bad}");
    }

    #[test]
    fn currencies_are_three_upper_case_letters() {
        assert_eq!(Currency::parse("EUR").unwrap().as_str(), "EUR");
        for bad in ["", "eur", "EU", "EURO", "E R", "€", "ÄÖ", "12E", "EUR "] {
            assert!(Currency::parse(bad).is_err(), "{bad}");
        }
    }
}
