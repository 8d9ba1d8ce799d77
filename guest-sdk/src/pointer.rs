//! JSON pointers in settings.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// A JSON pointer (RFC 6901), checked where it is read, so that it can be handed to the gate without a trap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(String);

impl Pointer {
    /// Takes a pointer.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let starts = text.is_empty() || text.starts_with('/');
        let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if starts && escapes {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "`{text}` is not a JSON pointer: it starts with `/`, and `~` is followed by 0 or 1; write `/amount` for the argument `amount`"
        ))
    }

    /// The pointer to a member of the arguments, from its key.
    #[must_use]
    pub fn member(key: &str) -> Self {
        Self(Self::to(&[&key]))
    }

    /// The pointer's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A pointer to a member, from the keys and indexes that lead to it.
    #[must_use]
    pub fn to(path: &[&dyn fmt::Display]) -> String {
        path.iter().map(|token| format!("/{}", token.to_string().replace('~', "~0").replace('/', "~1"))).collect()
    }

    /// What a sentence calls the place: the empty pointer is `the whole`.
    pub(crate) fn shown(pointer: &str) -> &str {
        if pointer.is_empty() { "the whole" } else { pointer }
    }
}

impl AsRef<str> for Pointer {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_those_of_rfc_6901() {
        for good in ["", "/", "/a", "/a/0/b", "/a~0b", "/a~1b", "//", "/é"] {
            assert_eq!(Pointer::parse(good).unwrap().as_str(), good);
        }
        for bad in ["a", "a/b", "#/a", "/~", "/a~2", "/a~", " /a"] {
            assert!(Pointer::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_are_escaped() {
        assert_eq!(Pointer::to(&[&"a/b", &"c~d", &0]), "/a~1b/c~0d/0");
        assert_eq!(Pointer::to(&[]), "");
        assert_eq!(Pointer::member("a/b").as_str(), "/a~1b");
    }
}
