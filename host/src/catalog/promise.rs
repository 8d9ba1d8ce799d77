//! What a tool promises of its results (`outputSchema` of the MCP schema), as agents are shown it.
//!
//! The gate answers in a tool's place when it refuses, with an object of its own. Clients that hold every answer against
//! the promise, errors too, would throw the refusal away and hide why: so the promise has a second form.

use crate::json::Value;

/// A definition whose promise, if it makes one, refusals keep, too.
pub(super) fn in_definition(mut definition: Value) -> Value {
    if let Value::Object(members) = &mut definition {
        for (_, promise) in members.iter_mut().filter(|(name, _)| name == "outputSchema") {
            *promise = with_refusals(std::mem::replace(promise, Value::Null));
        }
    }
    definition
}

/// A promise that refusals keep, too. One that has a name of its own, or refers to its parts in a way that does not survive
/// being moved, stays as it is.
fn with_refusals(promise: Value) -> Value {
    if refers_elsewhere(&promise) {
        return promise;
    }
    let Value::Object(members) = promise else { return promise };
    if members.iter().any(|(name, _)| matches!(name.as_str(), "$id" | "id" | "$anchor" | "$dynamicAnchor")) {
        return Value::Object(members);
    }
    let (shared, own): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|(name, _)| matches!(name.as_str(), "$schema" | "$defs" | "definitions"));
    let text = |text: &str| Value::String(text.to_owned());
    let mut whole = vec![("type".to_owned(), text("object"))];
    whole.extend(shared);
    whole.push(("anyOf".to_owned(), Value::Array(vec![Value::Object(own), refusal()])));
    Value::Object(whole)
}

/// A refusal, as both doors give it.
fn refusal() -> Value {
    let object = |members: Vec<(&str, Value)>| {
        Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let text = |text: &str| Value::String(text.to_owned());
    let names = ["code", "message", "correlation_id"];
    let properties = names.map(|name| (name, object(vec![("type", text("string"))])));
    object(vec![
        ("type", text("object")),
        ("description", text("Why the gate did not make the call.")),
        ("properties", object(properties.into())),
        ("required", Value::Array(names.map(text).into())),
    ])
}

/// Whether it has a reference that does not begin at the shared definitions.
fn refers_elsewhere(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, value)| match (name.as_str(), value) {
            ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(target)) => {
                !target.starts_with("#/$defs/") && !target.starts_with("#/definitions/")
            }
            _ => refers_elsewhere(value),
        }),
        Value::Array(items) => items.iter().any(refers_elsewhere),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{json, limits};

    fn shown(promise: &str) -> serde_json::Value {
        with_refusals(json::parse(promise.as_bytes(), limits::ARGUMENTS).unwrap()).to_lossy()
    }

    #[test]
    fn results_and_refusals_keep_it_and_nothing_else_does() {
        let promise = r##"{"$defs":{"n":{"type":"integer"}},"type":"object","properties":{"n":{"$ref":"#/$defs/n"}},
            "required":["n"],"additionalProperties":false}"##;
        let widened = jsonschema::validator_for(&shown(promise)).unwrap();
        let keeps = |value: serde_json::Value| widened.is_valid(&value);
        assert!(keeps(serde_json::json!({ "n": 1 })));
        assert!(keeps(serde_json::json!({ "code": "denied", "message": "no", "correlation_id": "0", "details": {} })));
        assert!(!keeps(serde_json::json!({ "n": "1" })) && !keeps(serde_json::json!({ "code": "denied" })));
        assert_eq!(shown(promise)["type"], "object", "as the protocol wants it");
    }

    #[test]
    fn a_promise_that_cannot_be_moved_stays() {
        for promise in
            [r##"{"type":"object","properties":{"a":{"$ref":"#"}}}"##, r##"{"items":{"$ref":"#/properties/x"}}"##]
        {
            assert_eq!(shown(promise), serde_json::from_str::<serde_json::Value>(promise).unwrap());
        }
    }
}
