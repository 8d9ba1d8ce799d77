//! Zones: which names could be one. Whether there is such a zone, the gate knows, when it is asked for the time there.

use serde::{Deserialize, Deserializer, de};

/// Bytes of a zone's name. The longest IANA name has about half as many.
const NAME_BYTES_MAX: usize = 64;

/// An IANA zone such as `Europe/Paris`, or an offset such as `+01:00`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Zone(String);

impl Zone {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Result<Self, String> {
        if is_offset(text) || is_name(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "`{text}` is no time zone: use an IANA name such as `Europe/Paris` or `UTC`, or an offset such as `+01:00`"
        ))
    }
}

/// A sign, two digits of hours up to 23, two of minutes up to 59.
fn is_offset(text: &str) -> bool {
    let two = |digits: &str, below: u8| {
        let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        plain && digits.parse::<u8>().is_ok_and(|number| number < below)
    };
    let unsigned = text.strip_prefix(['+', '-']);
    unsigned.and_then(|rest| rest.split_once(':')).is_some_and(|(hours, minutes)| two(hours, 24) && two(minutes, 60))
}

/// Words between slashes. `UTC+1` is none: some read it as an hour ahead, others, POSIX among them, as an hour behind.
/// Under `Etc/` such names are in the database.
fn is_name(text: &str) -> bool {
    let word = |word: &str| {
        let letters = word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        word.starts_with(|c: char| c.is_ascii_alphabetic()) && letters
    };
    let signed = |name: &str| {
        name.split_once(['+', '-']).is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let etc = text.strip_prefix("Etc/").map(|name| name.replacen('+', "-", 1));
    let name = etc.as_deref().unwrap_or(text);
    text.len() <= NAME_BYTES_MAX && name.split('/').all(word) && (etc.is_some() || !signed(text))
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_offsets_have_a_form() {
        for good in [
            "UTC",
            "Europe/Paris",
            "America/Argentina/Buenos_Aires",
            "America/Port-au-Prince",
            "EST5EDT",
            "Etc/GMT+5",
            "Etc/GMT-14",
            "+00:00",
            "-09:30",
            "+23:59",
        ] {
            assert_eq!(Zone::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "UTC+1",
            "UTC-1",
            "UTC+01:00",
            "GMT+2",
            "GMT-0",
            "+1:00",
            "+1",
            "+01",
            "+0100",
            "+24:00",
            "+01:60",
            "01:00",
            "+01:00:00",
            "+ 1:00",
            "−01:00",
            "Europe/",
            "/Europe",
            "Europe//Paris",
            "../etc/passwd",
            "Europe/../Paris",
            "Europe/Paris ",
            "Europe Paris",
            "W. Europe Standard Time",
            "Europe/Paris\n",
            "Etc/",
            "Etc/GMT+5+5",
        ] {
            assert!(Zone::parse(bad).is_err(), "{bad}");
        }
        assert!(Zone::parse(&"a".repeat(65)).is_err());
    }
}
