//! What must not be written down is replaced by `***` before anything is stored, logged or exported.
//!
//! Three nets, one behind the other: fields whose *name* says secret, at any depth; arguments at the *pointers* that the
//! configuration marks secret; and *patterns* in any text: card numbers, IBANs, bearer tokens, keys. A net can miss
//! what has no name and no form, and now and then holds something harmless.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use crate::json::{self as exact, Value, pointer_tokens};
use crate::limits;

mod names;
mod number;
mod pattern;
mod room;
#[cfg(test)]
mod tests;

use room::Room;

/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// A text in the log, in bytes: what an agent writes by hand, and not the file it uploads.
const TEXT_BYTES_MAX: usize = 2048;

/// Looked at beyond the bound, in bytes, so that a number on the edge is seen whole.
const EDGE_BYTES: usize = 128;

/// Looked at in one text, in bytes.
const SEEN_BYTES_MAX: usize = TEXT_BYTES_MAX + EDGE_BYTES;

/// How often a JSON text may stand as a string in a JSON text and still be opened.
const NESTED_MAX: usize = 3;

/// JSON text that was masked: exact numbers, members in the order they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked(String);

impl Masked {
    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for Masked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Masked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(<Box<RawValue>>::deserialize(deserializer)?.get().to_owned()))
    }
}

/// Masks the arguments of a call, and what stands at the secret pointers (RFC 6901) of its tool. A pointer that is none
/// hides everything: which secret was meant is not known. Of large arguments only the start is kept.
#[must_use]
pub fn arguments(arguments: &Value, secret: &[String]) -> Masked {
    let mut masked = arguments.clone();
    for pointer in secret {
        match pointer_tokens(pointer) {
            Ok(tokens) => hide_at(&mut masked, &tokens),
            Err(_) => hide(&mut masked),
        }
    }
    value(&mut masked, 0, &mut Room::new(arguments.to_text().len()));
    Masked(masked.to_text())
}

/// Masks a text: a reason, a summary, a tag, a name that comes from outside.
#[must_use]
pub fn text(text: &str) -> String {
    nested_text(text, 0)
}

/// Masks a JSON value, such as what a policy read and said. Where an object names the argument it is about by a
/// `pointer`, the pointer's names count like the names of fields. Of a large value only the start is kept.
pub fn json(value: &mut Json) {
    let mut room = Room::new(value.to_string().len());
    json_in(value, &mut room);
}

fn json_in(value: &mut Json, room: &mut Room) {
    match value {
        Json::Null | Json::Bool(_) => room.take("false".len()),
        Json::Number(number) => {
            let number = number.to_string();
            room.take(number.len());
            if number::is_card(&number) {
                *value = MASK.into();
            }
        }
        Json::String(string) => {
            let seen = string.len().min(SEEN_BYTES_MAX);
            *string = text(string);
            room.take_text(seen, string);
        }
        Json::Array(items) => {
            room.take("[]".len());
            let mut kept = 0;
            for item in items.iter_mut() {
                if room.is_full() {
                    break;
                }
                json_in(item, room);
                kept += 1;
            }
            if kept < items.len() {
                items.truncate(kept);
                items.push(room.note().into());
            }
        }
        Json::Object(members) => *members = json_members(std::mem::take(members), room),
    }
}

fn json_members(members: Map<String, Json>, room: &mut Room) -> Map<String, Json> {
    room.take("{}".len());
    let about_secret = members.get("pointer").and_then(Json::as_str).is_some_and(names::pointer_is_secret);
    let mut masked = Map::new();
    for (at, (name, mut member)) in members.into_iter().enumerate() {
        if room.is_full() {
            masked.insert(room::note_name(&|name| masked.contains_key(name)), room.note().into());
            break;
        }
        let count = matches!(member, Json::Number(_) | Json::Bool(_));
        if (names::is_secret(&name, count) || (about_secret && !names::beside_pointer(&name))) && !member.is_null() {
            member = MASK.into();
        }
        json_in(&mut member, room);
        let name = field(&name, at);
        room.take_text(0, &name);
        masked.insert(name, member);
    }
    masked
}

fn value(here: &mut Value, nested: usize, room: &mut Room) {
    match here {
        Value::Null | Value::Bool(_) => room.take("false".len()),
        Value::Number(number) => {
            let length = number.as_str().len();
            room.take(length.min(SEEN_BYTES_MAX));
            if number::is_card(number.as_str()) {
                hide(here);
            } else if length > SEEN_BYTES_MAX {
                *here = Value::String(cut(number.as_str(), length));
            }
        }
        Value::String(string) => {
            let seen = string.len().min(SEEN_BYTES_MAX);
            *string = nested_text(string, nested);
            room.take_text(seen, string);
        }
        Value::Array(items) => {
            room.take("[]".len());
            let mut kept = 0;
            for item in items.iter_mut() {
                if room.is_full() {
                    break;
                }
                value(item, nested, room);
                kept += 1;
            }
            if kept < items.len() {
                items.truncate(kept);
                items.push(Value::String(room.note()));
            }
        }
        Value::Object(members) => {
            room.take("{}".len());
            let mut kept = 0;
            for (at, (name, member)) in members.iter_mut().enumerate() {
                if room.is_full() {
                    break;
                }
                if names::is_secret(name, matches!(member, Value::Number(_) | Value::Bool(_))) {
                    hide(member);
                }
                value(member, nested, room);
                *name = field(name, at);
                room.take_text(0, name);
                kept += 1;
            }
            if kept < members.len() {
                members.truncate(kept);
                let name = room::note_name(&|name| members.iter().any(|(other, _)| other == name));
                members.push((name, Value::String(room.note())));
            }
        }
    }
}

/// Takes a value away; that there is none is no secret.
fn hide(value: &mut Value) {
    if *value != Value::Null {
        *value = Value::String(MASK.to_owned());
    }
}

fn hide_at(here: &mut Value, path: &[Cow<'_, str>]) {
    let Some((token, rest)) = path.split_first() else { return hide(here) };
    match here {
        Value::Object(members) => {
            if let Some((_, member)) = members.iter_mut().find(|(name, _)| name == token) {
                hide_at(member, rest);
            }
        }
        Value::Array(items) => {
            if let Some(item) = token.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                hide_at(item, rest);
            }
        }
        _ => {}
    }
}

/// A field's name, which may be a secret itself. A masked one is told from the others by its position: no two fields of
/// an object may share a name. A long one is no name, and is not searched.
fn field(name: &str, at: usize) -> String {
    if name.len() > TEXT_BYTES_MAX {
        return format!("{MASK} {at} ({} bytes)", name.len());
    }
    if pattern::mask(name) == name { name.to_owned() } else { format!("{MASK} {at}") }
}

/// A string can hold JSON: a tool's argument that is a document, or arguments that a policy read whole.
fn nested_text(text: &str, nested: usize) -> String {
    if text.starts_with(['{', '['])
        && let Ok(mut inner) = exact::parse(text.as_bytes(), limits::ARGUMENTS)
    {
        if nested >= NESTED_MAX {
            return MASK.to_owned();
        }
        // Twice what is seen: what is masked in it gets shorter, and the document is to fill its text nevertheless.
        value(&mut inner, nested + 1, &mut Room::of_document(text.len(), 2 * SEEN_BYTES_MAX));
        return cut(&inner.to_text(), text.len());
    }
    let seen = start(text, SEEN_BYTES_MAX);
    cut(&pattern::mask(seen), text.len())
}

/// The text, or its start and a word on how long it was.
fn cut(masked: &str, length: usize) -> String {
    // The edge is also room for the word on the length: what was cut is not cut again.
    if masked.len().max(length) <= SEEN_BYTES_MAX {
        return masked.to_owned();
    }
    format!("{}… ({length} bytes)", start(masked, TEXT_BYTES_MAX))
}

/// The first characters that fit into so many bytes.
fn start(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
