//! The protocol's own headers, and what revision 2026-07-28 wants repeated in them from the body.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use crate::json::Value;
use crate::upstream::session::Ask;

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(super) const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const PARAM: &str = "mcp-param-";

/// Adds the headers that repeat the body's method, tool, and the arguments that the tool's schema marks with
/// `x-mcp-header`.
pub(super) fn describe(fields: &mut HeaderMap, ask: &Ask<'_>) {
    fields.insert(METHOD, HeaderValue::from_static(ask.method()));
    let Ask::Call { call, .. } = ask else { return };
    if let Some(name) = value(&call.tool.upstream_name) {
        fields.insert(NAME, name);
    }
    if let Some(schema) = call.tool.definition.get("inputSchema") {
        parameters(fields, schema, call.arguments.value());
    }
}

/// Follows a schema's `properties` and the arguments side by side. A mark that is no header's name is left out: the server
/// says then what it misses.
fn parameters(fields: &mut HeaderMap, schema: &Value, arguments: &Value) {
    let Some(Value::Object(properties)) = schema.get("properties") else { return };
    for (property, schema) in properties {
        let Some(argument) = arguments.get(property) else { continue };
        let text = match argument {
            Value::String(text) => Some(text.as_str()),
            Value::Number(number) => Some(number.as_str()),
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            _ => None,
        };
        let marked = schema.get("x-mcp-header").and_then(Value::as_str).filter(|name| !name.is_empty());
        let name = marked.and_then(|name| HeaderName::from_bytes(format!("{PARAM}{name}").as_bytes()).ok());
        if let (Some(name), Some(value)) = (name, text.and_then(value)) {
            fields.insert(name, value);
        }
        parameters(fields, schema, argument);
    }
}

/// A text as a header's value: as it is where it can be, or else `=?base64?…?=`.
fn value(text: &str) -> Option<HeaderValue> {
    let edge = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = text.as_bytes();
    let bare = bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) && !edge(bytes.first()) && !edge(bytes.last());
    let value = if bare && !(text.starts_with("=?base64?") && text.ends_with("?=")) {
        HeaderValue::from_str(text)
    } else {
        HeaderValue::from_str(&format!("=?base64?{}?=", BASE64_STANDARD.encode(text)))
    };
    value.ok().map(|mut value| {
        // It may be an argument.
        value.set_sensitive(true);
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{json, limits};

    fn read(text: &str) -> Value {
        json::parse(text.as_bytes(), limits::ANSWER).unwrap()
    }

    #[test]
    fn marked_arguments_are_repeated_exactly() {
        let schema = read(
            r#"{"properties":{"n":{"x-mcp-header":"Count"},"s":{"x-mcp-header":"Text"},"b":{"x-mcp-header":"Flag"},
                "bad":{"x-mcp-header":"a b"},"plain":{},"list":{"x-mcp-header":"List"},
                "in":{"properties":{"deep":{"x-mcp-header":"Deep"}}},"absent":{"x-mcp-header":"Absent"}}}"#,
        );
        let arguments =
            read(r#"{"n":9007199254740993,"s":"é","b":false,"bad":"x","plain":"x","list":[1],"in":{"deep":"d e"}}"#);
        let mut fields = HeaderMap::new();
        parameters(&mut fields, &schema, &arguments);
        let mut found: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        found.sort_unstable();
        let expected = [
            ("mcp-param-count", "9007199254740993"),
            ("mcp-param-deep", "d e"),
            ("mcp-param-flag", "false"),
            ("mcp-param-text", "=?base64?w6k=?="),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_a_header_cannot_hold_is_wrapped() {
        for (text, expected) in [
            ("a-b c", "a-b c"),
            (" a", "=?base64?IGE=?="),
            ("a\nb", "=?base64?YQpi?="),
            ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
        ] {
            assert_eq!(value(text).unwrap(), expected);
        }
    }
}
