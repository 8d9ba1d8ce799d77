//! Settings: from JSON to the policy's own type, and what is wrong with them.

use serde_path_to_error::Segment;

use crate::{Pointer, Policy, Problem};

/// Reads settings and makes the policy.
pub(crate) fn read<P: Policy>(settings: &str) -> Result<P, Vec<Problem>> {
    // serde also takes a list for a struct, member by member; nobody means that.
    if !settings.trim_start().starts_with('{') {
        return Err(vec![Problem::new("", "the settings are not an object; write them as `{…}`")]);
    }
    let mut json = serde_json::Deserializer::from_str(settings);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path: Vec<&dyn std::fmt::Display> = error.path().iter().filter_map(token).collect();
        vec![Problem::new(Pointer::to(&path), sentence(error.inner()))]
    })?;
    json.end().map_err(|error| vec![Problem::new("", sentence(&error))])?;
    P::new(read)
}

fn token(segment: &Segment) -> Option<&dyn std::fmt::Display> {
    match segment {
        Segment::Seq { index } => Some(index),
        Segment::Map { key } => Some(key),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// The error without its position: the settings were TOML when their author last saw them.
fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}
