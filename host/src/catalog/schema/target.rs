//! Where a reference inside a schema leads. Where that is not certain, to more places rather than to fewer.

use std::collections::HashMap;

use crate::json::Value;

/// Subschemas with an identifier of their own.
const IDENTIFIED_MAX: usize = 100;

/// The places of a schema that references can name.
pub(super) struct Places<'a> {
    /// The schema, and whatever in it has an identifier: pointers count from these.
    bases: Vec<(&'a str, &'a Value)>,
    /// What has an anchor, by the anchor.
    anchors: HashMap<&'a str, Vec<&'a Value>>,
}

impl<'a> Places<'a> {
    /// # Errors
    /// When too many subschemas have an identifier.
    pub(super) fn of(schema: &'a Value) -> Result<Self, String> {
        let old = schema.get("$schema").and_then(Value::as_str).is_some_and(|draft| draft.contains("draft-04"));
        let mut places = Self { bases: vec![("", schema)], anchors: HashMap::new() };
        places.collect(schema, if old { "id" } else { "$id" });
        if places.bases.len() > IDENTIFIED_MAX {
            return Err(format!("more than {IDENTIFIED_MAX} subschemas of it have an identifier"));
        }
        Ok(places)
    }

    fn collect(&mut self, value: &'a Value, identifier: &str) {
        match value {
            Value::Object(members) => {
                for (key, member) in members {
                    match member {
                        Value::String(name) if key == identifier => match name.strip_prefix('#') {
                            Some(anchor) => self.anchors.entry(anchor).or_default().push(value),
                            None => self.bases.push((last(name), value)),
                        },
                        Value::String(name) if key == "$anchor" || key == "$dynamicAnchor" => {
                            self.anchors.entry(name).or_default().push(value);
                        }
                        _ => self.collect(member, identifier),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item, identifier)),
            _ => {}
        }
    }

    /// The subschemas of which a reference means one.
    pub(super) fn named(&self, reference: &str) -> Vec<&'a Value> {
        let (uri, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let fragment = decode(fragment);
        if !fragment.is_empty() && !fragment.starts_with('/') {
            return self.anchors.get(fragment.as_str()).cloned().unwrap_or_default();
        }
        let meant = self.bases.iter().filter(|(name, _)| uri.is_empty() || *name == last(uri));
        let mut found: Vec<&Value> = meant.filter_map(|(_, base)| base.pointer(&fragment).ok().flatten()).collect();
        if found.is_empty() {
            found = self.bases.iter().filter_map(|(_, base)| base.pointer(&fragment).ok().flatten()).collect();
        }
        found
    }
}

/// The last segment of a URI's path: what is left of it in every way to write it relative to another.
fn last(uri: &str) -> &str {
    let uri = uri.split(['#', '?']).next().unwrap_or_default();
    uri.rsplit('/').next().unwrap_or_default()
}

/// A fragment without percent encoding (RFC 3986).
fn decode(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (*first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = after.get(2..).unwrap_or_default();
            }
            (byte, _, _) => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
