//! JSON that loses nothing: numbers keep their exact text, duplicate keys are an error, size and depth are bounded.
//!
//! Everything a policy decides on, a fingerprint covers or an upstream receives goes through [`Value`]. The usual
//! parser would read `1099.10` as a double and keep the last of two equal keys; a gate that checked one number and
//! forwarded another would be no gate.

use std::borrow::Cow;
use std::fmt::Write as _;

mod decimal;
mod parse;
#[cfg(test)]
mod tests;

pub use parse::{Bounds, parse};

/// A JSON value (RFC 8259) with exact numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, with the text it was written in.
    Number(Number),
    /// A string, decoded.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// An object: its members in the order they were written, no key twice.
    Object(Vec<(String, Value)>),
}

/// The text of a JSON number, exactly as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(String);

impl Number {
    /// The number's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not JSON that this gate takes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum JsonError {
    /// More bytes than allowed.
    #[error("the JSON text has {found} bytes, more than the {max} allowed")]
    TooLarge {
        /// Bytes there are.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Nested deeper than allowed.
    #[error("the JSON text is nested deeper than the {max} levels allowed")]
    TooDeep {
        /// Levels allowed.
        max: usize,
    },
    /// More values than allowed.
    #[error("the JSON text has more than the {max} values allowed")]
    TooMany {
        /// Values allowed.
        max: usize,
    },
    /// The same key twice in one object: two readers could take two different values.
    #[error("the key `{key}` stands twice in one object")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// Not JSON.
    #[error("not JSON at byte {at}: {what}")]
    Syntax {
        /// Where, in bytes from the start.
        at: usize,
        /// What is wrong there.
        what: Cow<'static, str>,
    },
}

/// A text that is not a JSON pointer (RFC 6901).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a JSON pointer: it is empty or starts with `/`, and `~` is followed by 0 or 1")]
pub struct PointerError(pub String);

/// Splits a JSON pointer (RFC 6901) into its decoded tokens.
///
/// # Errors
/// When the text is not a JSON pointer.
pub fn pointer_tokens(pointer: &str) -> Result<Vec<Cow<'_, str>>, PointerError> {
    let bad = || PointerError(pointer.to_owned());
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let rest = pointer.strip_prefix('/').ok_or_else(bad)?;
    rest.split('/')
        .map(|token| {
            if !token.contains('~') {
                return Ok(Cow::Borrowed(token));
            }
            let mut decoded = String::with_capacity(token.len());
            let mut chars = token.chars();
            while let Some(c) = chars.next() {
                match (c, if c == '~' { chars.next() } else { None }) {
                    ('~', Some('0')) => decoded.push('~'),
                    ('~', Some('1')) => decoded.push('/'),
                    ('~', _) => return Err(bad()),
                    (c, _) => decoded.push(c),
                }
            }
            Ok(Cow::Owned(decoded))
        })
        .collect()
}

/// An RFC 6901 array index: digits without a leading zero.
pub(crate) fn array_index(token: &str) -> Option<usize> {
    let plain = token == "0" || (!token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit()));
    if plain { token.parse().ok() } else { None }
}

impl Value {
    /// The value at a JSON pointer (RFC 6901), or none.
    ///
    /// # Errors
    /// When the pointer is malformed.
    pub fn pointer(&self, pointer: &str) -> Result<Option<&Value>, PointerError> {
        let mut here = self;
        for token in pointer_tokens(pointer)? {
            let next = match here {
                Value::Object(members) => members.iter().find(|(key, _)| *key == token).map(|(_, value)| value),
                Value::Array(items) => array_index(&token).and_then(|index| items.get(index)),
                _ => None,
            };
            match next {
                Some(value) => here = value,
                None => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    /// Takes away the value at a JSON pointer (RFC 6901): a member leaves its object, a list item becomes `null`.
    /// Does nothing where there is no such value.
    ///
    /// # Errors
    /// When the pointer is malformed.
    pub fn remove(&mut self, pointer: &str) -> Result<(), PointerError> {
        let tokens = pointer_tokens(pointer)?;
        let Some((last, path)) = tokens.split_last() else {
            *self = Value::Null;
            return Ok(());
        };
        let Some(here) = self.beneath(path) else { return Ok(()) };
        match here {
            Value::Object(members) => members.retain(|(key, _)| key != last),
            Value::Array(items) => {
                if let Some(item) = array_index(last).and_then(|index| items.get_mut(index)) {
                    *item = Value::Null;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Puts another value at a JSON pointer (RFC 6901), where there is one. Does nothing where there is none.
    ///
    /// # Errors
    /// When the pointer is malformed.
    pub fn replace(&mut self, pointer: &str, other: Value) -> Result<(), PointerError> {
        if let Some(here) = self.beneath(&pointer_tokens(pointer)?) {
            *here = other;
        }
        Ok(())
    }

    /// The value at the end of a path, to be changed.
    fn beneath(&mut self, path: &[Cow<'_, str>]) -> Option<&mut Value> {
        path.iter().try_fold(self, |here, token| match here {
            Value::Object(members) => members.iter_mut().find(|(key, _)| key == token).map(|(_, value)| value),
            Value::Array(items) => array_index(token).and_then(|index| items.get_mut(index)),
            _ => None,
        })
    }

    /// A member of an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => members.iter().find(|(k, _)| k == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The string, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value as compact JSON, members in the order they were written, numbers as they were written. This is what
    /// is forwarded: it has no line breaks, and its numbers are the agent's.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, &|number, out| out.push_str(&number.0), false);
        out
    }

    /// Canonical JSON: the order and the strings of RFC 8785; numbers by their exact decimal value, formatted as
    /// RFC 8785 formats a double that has this value. `1099.10` and `1099.1` are the same, 9007199254740993 and
    /// 9007199254740992 are not.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, &|number, out| decimal::write_canonical(&number.0, out), true);
        out
    }

    fn write(&self, out: &mut String, number: &dyn Fn(&Number, &mut String), sorted: bool) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(true) => out.push_str("true"),
            Value::Bool(false) => out.push_str("false"),
            Value::Number(n) => number(n, out),
            Value::String(text) => write_string(text, out),
            Value::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out, number, sorted);
                }
                out.push(']');
            }
            Value::Object(members) => {
                let mut order: Vec<&(String, Value)> = members.iter().collect();
                if sorted {
                    order.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
                }
                out.push('{');
                for (index, (key, value)) in order.into_iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_string(key, out);
                    out.push(':');
                    value.write(out, number, sorted);
                }
                out.push('}');
            }
        }
    }

    /// The value for readers that know only doubles, such as a schema validator: every number becomes the nearest finite
    /// one, `1e400` the largest.
    #[must_use]
    pub fn to_lossy(&self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Bool(b) => serde_json::Value::Bool(*b),
            Value::Number(n) => serde_json::from_str(&n.0).unwrap_or_else(|_| {
                let largest = if n.0.starts_with('-') { f64::MIN } else { f64::MAX };
                serde_json::Number::from_f64(largest).map_or(serde_json::Value::Null, serde_json::Value::Number)
            }),
            Value::String(text) => serde_json::Value::String(text.clone()),
            Value::Array(items) => items.iter().map(Value::to_lossy).collect(),
            Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), value.to_lossy())).collect(),
        }
    }
}

impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(b) => Value::Bool(*b),
            serde_json::Value::Number(n) => Value::Number(Number(n.to_string())),
            serde_json::Value::String(text) => Value::String(text.clone()),
            serde_json::Value::Array(items) => Value::Array(items.iter().map(Value::from).collect()),
            serde_json::Value::Object(members) => {
                Value::Object(members.iter().map(|(key, value)| (key.clone(), Value::from(value))).collect())
            }
        }
    }
}

/// A string as RFC 8785 section 3.2.2.2 writes it.
fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
