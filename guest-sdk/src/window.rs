//! Lengths of time in settings.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

const SECOND_MS: u64 = 1000;
const DAY_MS: u64 = 24 * 3600 * SECOND_MS;
const WINDOW_MS_MAX: u64 = 366 * DAY_MS;

/// A length of time: a whole number and `s`, `m`, `h` or `d`, such as `90s`, `15m`, `24h`, `7d`. More than nothing and
/// at most 366 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window(u64);

impl Window {
    /// Takes a length of time.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let units = [('s', SECOND_MS), ('m', 60 * SECOND_MS), ('h', 3600 * SECOND_MS), ('d', DAY_MS)];
        let read = || {
            let (unit, unit_ms) = units.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
            let number = text.strip_suffix(unit)?;
            if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            number.parse::<u64>().ok()?.checked_mul(unit_ms)
        };
        match read() {
            Some(ms) if (1..=WINDOW_MS_MAX).contains(&ms) => Ok(Self(ms)),
            _ => Err(format!("`{text}` is not a length of time; write `90s`, `15m`, `24h` or `7d`, at most `366d`")),
        }
    }

    /// In milliseconds.
    #[must_use]
    pub fn ms(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Window {
    /// In the largest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [('d', DAY_MS), ('h', 3600 * SECOND_MS), ('m', 60 * SECOND_MS)];
        let (unit, unit_ms) =
            units.into_iter().find(|(_, unit_ms)| self.0.is_multiple_of(*unit_ms)).unwrap_or(('s', SECOND_MS));
        write!(f, "{}{unit}", self.0 / unit_ms)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_one_unit_and_bounds() {
        for (text, ms, shown) in [
            ("1s", 1_000, "1s"),
            ("90s", 90_000, "90s"),
            ("15m", 900_000, "15m"),
            ("24h", 86_400_000, "1d"),
            ("7d", 604_800_000, "7d"),
            ("366d", 31_622_400_000, "366d"),
            ("31622400s", 31_622_400_000, "366d"),
        ] {
            let window = Window::parse(text).unwrap();
            assert_eq!((window.ms(), window.to_string().as_str()), (ms, shown));
        }
        for bad in [
            "",
            "s",
            "5",
            "0s",
            "-1s",
            "+1s",
            "1.5h",
            "1 h",
            "1h ",
            "1H",
            "1w",
            "367d",
            "31622401s",
            "99999999999999999999s",
            "18446744073709551615d",
            "٣d",
        ] {
            assert!(Window::parse(bad).is_err(), "{bad}");
        }
    }
}
