//! JSON arguments for tests, with every number's own text.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::{Pointer, Value};

/// A JSON object that keeps its text: a parsed number would no longer know how it was written.
#[derive(Clone, Debug)]
pub(super) struct Document(String);

impl Document {
    pub(super) fn empty() -> Self {
        Self("{}".to_owned())
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let raw: Box<RawValue> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        members(raw.get()).ok_or("not a JSON object")?;
        Ok(Self(raw.get().to_owned()))
    }

    /// The value at a pointer.
    #[expect(clippy::panic, reason = "the gate traps on a malformed pointer, and so does a test")]
    pub(super) fn get(&self, pointer: &str) -> Option<Value> {
        if let Err(why) = Pointer::parse(pointer) {
            panic!("{why}");
        }
        let mut here = self.0.clone();
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            here = match members(&here) {
                Some(mut members) => members.remove(&token)?,
                None => item(&here, &token)?,
            }
            .get()
            .to_owned();
        }
        value(&here)
    }

    pub(super) fn canonical(&self) -> String {
        canonical(&self.0)
    }
}

fn members(raw: &str) -> Option<BTreeMap<String, Box<RawValue>>> {
    raw.starts_with('{').then(|| serde_json::from_str(raw).ok())?
}

fn items(raw: &str) -> Option<Vec<Box<RawValue>>> {
    raw.starts_with('[').then(|| serde_json::from_str(raw).ok())?
}

fn item(raw: &str, token: &str) -> Option<Box<RawValue>> {
    let plain = token == "0" || (!token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit()));
    let index: usize = if plain { token.parse().ok()? } else { return None };
    items(raw)?.into_iter().nth(index)
}

fn value(raw: &str) -> Option<Value> {
    if let Some(members) = members(raw) {
        return Some(Value::Members(sorted(members).into_iter().map(|(key, _)| key).collect()));
    }
    if let Some(items) = items(raw) {
        return Some(Value::Items(u32::try_from(items.len()).ok()?));
    }
    Some(match raw {
        "null" => Value::Null,
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        text if text.starts_with('"') => Value::Text(serde_json::from_str(text).ok()?),
        number => Value::Number(number.to_owned()),
    })
}

/// In the order of RFC 8785: by UTF-16 code units.
fn sorted(members: BTreeMap<String, Box<RawValue>>) -> Vec<(String, Box<RawValue>)> {
    let mut members: Vec<_> = members.into_iter().collect();
    members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    members
}

/// Canonical but for the numbers, which keep their text: write them in tests as the gate would.
fn canonical(raw: &str) -> String {
    if let Some(members) = members(raw) {
        let members = sorted(members);
        let members =
            members.iter().map(|(key, value)| format!("{}:{}", serde_json::json!(key), canonical(value.get())));
        return format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    }
    if let Some(items) = items(raw) {
        return format!("[{}]", items.iter().map(|item| canonical(item.get())).collect::<Vec<_>>().join(","));
    }
    match value(raw) {
        Some(Value::Text(text)) => serde_json::json!(text).to_string(),
        _ => raw.to_owned(),
    }
}
