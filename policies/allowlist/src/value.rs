//! Values, as they are compared.

use portcullis_guest::is_unseen;
use unicode_normalization::UnicodeNormalization;

/// Bytes of a value. Names, account numbers and addresses are shorter.
const VALUE_BYTES_MAX: usize = 1024;

/// A value without the spaces around it, in Unicode's normalization form C, and with nothing in it that cannot be seen.
/// Case counts, and so does the script: a Cyrillic `а` is not a Latin `a`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Clean(String);

impl Clean {
    /// Takes a value.
    ///
    /// # Errors
    /// The end of a sentence that begins with the value.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > VALUE_BYTES_MAX {
            return Err("is too long; send at most 1024 bytes");
        }
        // Before the trimming, which would take line breaks away.
        if text.contains(is_unseen) {
            return Err("has a line break or a character that cannot be seen; send it without");
        }
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err("is empty; send a value that is on the list");
        }
        Ok(Self(trimmed.nfc().collect()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_one_value_however_it_is_composed() {
        let cafe = Clean::parse("Café").unwrap();
        assert_eq!(Clean::parse("Cafe\u{301}").unwrap(), cafe);
        assert_eq!(Clean::parse("  Café ").unwrap(), cafe);
        for other in ["café", "Cafe", "Cafе\u{301}", "Café.", "Ca fé", "Ｃａｆé"] {
            assert_ne!(Clean::parse(other).unwrap(), cafe, "{other}");
        }
        // Jamo compose, and marks come in one order.
        assert_eq!(Clean::parse("\u{1112}\u{1161}\u{11ab}").unwrap().as_str(), "한");
        assert_eq!(Clean::parse("q\u{307}\u{323}").unwrap(), Clean::parse("q\u{323}\u{307}").unwrap());
    }

    #[test]
    fn what_cannot_be_seen_is_refused_also_around_the_value() {
        for bad in ["a\nb", "\nab", "ab\r\n", "a\u{200b}b", "\u{feff}ab", "ab\u{a0}", "a\u{202e}b", "a\0b", "", "   "] {
            assert!(Clean::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Clean::parse(&"a".repeat(1024)).is_ok() && Clean::parse(&"a".repeat(1025)).is_err());
    }
}
