//! What a person is asked: a sentence with places for arguments.

use portcullis_guest::{Call, Context, Pointer, Value, is_unseen, quoted};
use serde::{Deserialize, Deserializer, de};

/// A summary in the settings, in bytes.
const TEMPLATE_BYTES_MAX: usize = 1000;
/// Arguments in one summary.
const PLACES_MAX: usize = 8;

/// A sentence such as `reveal contact for {/tx_id}`. Without any, the agent and the tool are named.
#[derive(Debug, Default)]
pub(crate) struct Summary(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(String),
    Argument(Pointer),
}

impl Summary {
    fn parse(template: &str) -> Result<Self, String> {
        if template.trim().is_empty() {
            return Err("the summary is empty; say what would be done, or leave it out".to_owned());
        }
        if template.len() > TEMPLATE_BYTES_MAX {
            return Err(format!("the summary has {} bytes; use at most {TEMPLATE_BYTES_MAX}", template.len()));
        }
        if template.contains(is_unseen) {
            return Err("the summary has a line break or a character that cannot be seen; leave it out".to_owned());
        }
        let stray = || "a brace in the summary stands alone; write an argument as `{/tx_id}`".to_owned();
        let mut pieces = template.split('{');
        let mut parts: Vec<Part> = pieces.next().map(|text| Part::Text(text.to_owned())).into_iter().collect();
        for piece in pieces {
            let (pointer, text) = piece.split_once('}').ok_or_else(stray)?;
            if !pointer.starts_with('/') {
                return Err(format!("`{{{pointer}}}` in the summary is no argument; write it as `{{/tx_id}}`"));
            }
            parts.push(Part::Argument(Pointer::parse(pointer)?));
            parts.push(Part::Text(text.to_owned()));
        }
        if parts.iter().any(|part| matches!(part, Part::Text(text) if text.contains('}'))) {
            return Err(stray());
        }
        let places = parts.iter().filter(|part| matches!(part, Part::Argument(_))).count();
        if places > PLACES_MAX {
            return Err(format!("the summary shows {places} arguments; use at most {PLACES_MAX}"));
        }
        Ok(Self(parts))
    }

    /// The sentence about a call.
    pub(crate) fn fill(&self, call: &Call, context: &Context) -> String {
        if self.0.is_empty() {
            return format!("{} wants to use {}", quoted(&call.principal.name), quoted(&call.tool.name));
        }
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Argument(pointer) => shown(pointer.as_str(), context.get(pointer.as_str())),
        };
        self.0.iter().map(part).collect()
    }
}

/// An argument in a sentence. A single plain word and a number stand as they are; whatever could be taken for a part of
/// the sentence is in backticks, and what the gate says of an argument is in parentheses, which no plain word has.
fn shown(pointer: &str, value: Option<Value>) -> String {
    match value {
        None => format!("({} is missing)", quoted(pointer)),
        Some(Value::Null) => "null".to_owned(),
        Some(Value::Boolean(value)) => value.to_string(),
        Some(Value::Number(text) | Value::Text(text)) if is_plain(&text) => text,
        Some(Value::Number(text) | Value::Text(text)) => quoted(&text),
        Some(Value::Items(count)) => format!("(a list of {count})"),
        Some(Value::Members(keys)) => format!("(an object of {})", keys.len()),
    }
}

fn is_plain(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/@#+".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

impl<'de> Deserialize<'de> for Summary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
