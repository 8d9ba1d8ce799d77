//! The tools that a server offers, as it wrote them.

use super::UpstreamError;
use super::reply::{Lost, Reply};
use super::session::{Ask, Session};
use crate::catalog::Annotations;
use crate::json::{self, Bounds, JsonError, Value};
use crate::limits;

/// A tool as its server offers it.
#[derive(Clone, Debug)]
pub struct Offered {
    /// The server's name for it.
    pub name: String,
    /// Its definition (`Tool` of the MCP schema), with every field that the server wrote.
    pub definition: Value,
    /// What the server says of it.
    pub annotations: Annotations,
    /// The JSON schema of its arguments.
    pub input_schema: Value,
    /// The JSON schema of its structured result, where it promises one.
    pub output_schema: Option<Value>,
}

/// Every tool of a server, all pages, at most [`limits::TOOLS_MAX`]; the pages together are no larger than one answer.
pub(super) async fn all(server: &str, session: &Session) -> Result<Vec<Offered>, UpstreamError> {
    let failed = |what: &dyn ToString| UpstreamError::Listing { server: server.to_owned(), what: what.to_string() };
    let mut tools = Vec::new();
    let mut room = Room::of_a_listing();
    let mut cursor: Option<String> = None;
    // A server that always has one more page has as many pages as tools at most.
    for _ in 0..limits::TOOLS_MAX {
        let ask = Ask::List { cursor: cursor.as_deref() };
        let result = match session.request(&ask, limits::UPSTREAM_START).await {
            Ok(Reply::Result(text)) => room.take(&text).map_err(|what| failed(&what))?,
            Ok(Reply::Error { code, message }) => return Err(failed(&format!("error {code}: {message}"))),
            Ok(Reply::TooLong) => return Err(failed(&"its answer is too long")),
            Ok(Reply::Unusable) => return Err(failed(&"its answer is neither a result nor an error")),
            Err(Lost::NotSent(why) | Lost::Sent(why)) => return Err(failed(&why)),
        };
        let page = page(server, result).map_err(|what| failed(&what))?;
        tools.extend(page.tools);
        if tools.len() > limits::TOOLS_MAX {
            return Err(failed(&format!("it has more than {} tools", limits::TOOLS_MAX)));
        }
        match page.next {
            Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
            Some(_) => return Err(failed(&"its next page is the same page again")),
            None => return Ok(tools),
        }
    }
    Err(failed(&"it has too many pages"))
}

/// What the pages to come may hold. A bound on each page alone is none: a server that splits its listing could fill the
/// memory with thousands of pages that are each as large as an answer may be.
struct Room {
    /// What is left of the bounds of a whole listing.
    left: Bounds,
    /// Those bounds, for what is said when they are passed.
    whole: Bounds,
}

impl Room {
    fn of_a_listing() -> Self {
        Self { left: limits::ANSWER, whole: limits::ANSWER }
    }

    /// Reads the text of a page into what is left, and takes its size away from that.
    fn take(&mut self, text: &str) -> Result<Value, String> {
        let page = json::parse(text.as_bytes(), self.left).map_err(|error| match error {
            // What was left for this page would tell nobody anything.
            JsonError::TooLarge { .. } => {
                format!("its list of tools has more than {} bytes, all pages together", self.whole.bytes_max)
            }
            JsonError::TooMany { .. } => {
                format!("its list of tools has more than {} JSON values, all pages together", self.whole.values_max)
            }
            other => other.to_string(),
        })?;
        self.left.bytes_max = self.left.bytes_max.saturating_sub(text.len());
        self.left.values_max = self.left.values_max.saturating_sub(values(&page));
        Ok(page)
    }
}

/// How many values there are, as the parser counts them. It has bounded their depth.
fn values(value: &Value) -> usize {
    let inside = |sum: usize, value: &Value| sum.saturating_add(values(value));
    match value {
        Value::Array(items) => items.iter().fold(1, inside),
        Value::Object(members) => members.iter().map(|(_, value)| value).fold(1, inside),
        _ => 1,
    }
}

/// One page of tools.
struct Page {
    tools: Vec<Offered>,
    next: Option<String>,
}

/// Reads the result of `tools/list`. A tool that cannot be read is left out, with a word to the log: it cannot be
/// called then, and the others can.
fn page(server: &str, result: Value) -> Result<Page, &'static str> {
    let next = match result.get("nextCursor") {
        None | Some(Value::Null) => None,
        Some(Value::String(cursor)) => Some(cursor.clone()),
        Some(_) => return Err("its cursor is not a string"),
    };
    let Value::Object(members) = result else { return Err("it is not an object") };
    let tools = members.into_iter().find(|(key, _)| key == "tools").map(|(_, value)| value);
    let Some(Value::Array(tools)) = tools else { return Err("it has no list of tools") };
    let read = |definition: Value| {
        let name = definition.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        offered(definition)
            .inspect_err(|what| tracing::warn!(server, tool = name, what, "a tool of the server is left out"))
            .ok()
    };
    Ok(Page { tools: tools.into_iter().filter_map(read).collect(), next })
}

fn offered(definition: Value) -> Result<Offered, &'static str> {
    let name = definition.get("name").and_then(Value::as_str).ok_or("it has no name")?.to_owned();
    if name.is_empty() || name.chars().count() > limits::TOOL_NAME_CHARS_MAX {
        return Err("its name is empty or too long");
    }
    let object = |key| match definition.get(key) {
        Some(schema @ Value::Object(_)) => Some(schema.clone()),
        _ => None,
    };
    let input_schema = object("inputSchema").ok_or("its input schema is not an object")?;
    let output_schema = object("outputSchema");
    let annotations = annotations(definition.get("annotations"));
    Ok(Offered { name, annotations, input_schema, output_schema, definition })
}

fn annotations(value: Option<&Value>) -> Annotations {
    let cautious = Annotations::default();
    let said = |key, default| match value.and_then(|value| value.get(key)) {
        Some(Value::Bool(said)) => *said,
        _ => default,
    };
    Annotations {
        read_only: said("readOnlyHint", cautious.read_only),
        destructive: said("destructiveHint", cautious.destructive),
        idempotent: said("idempotentHint", cautious.idempotent),
        open_world: said("openWorldHint", cautious.open_world),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Page, &'static str> {
        page("s", json::parse(text.as_bytes(), limits::ANSWER).unwrap())
    }

    #[test]
    fn a_definition_keeps_every_field() {
        let tool = r#"{"name":"t","inputSchema":{"type":"object","maximum":1e400},"x-own":[1.50],"annotations":{"readOnlyHint":true,"destructiveHint":"no"}}"#;
        let page = read(&format!(r#"{{"tools":[{tool}],"nextCursor":"2"}}"#)).unwrap();
        assert_eq!(page.next.as_deref(), Some("2"));
        assert_eq!(page.tools[0].definition.to_text(), tool);
        assert_eq!(page.tools[0].input_schema.to_text(), r#"{"type":"object","maximum":1e400}"#);
        // What is not said in so many words is not said.
        assert_eq!(page.tools[0].annotations, Annotations { read_only: true, ..Annotations::default() });
    }

    #[test]
    fn all_pages_share_the_bounds_of_one_answer() {
        let room = |bytes_max, values_max| {
            let whole = Bounds { bytes_max, depth_max: 8, values_max };
            Room { left: whole, whole }
        };
        // 22 bytes, and 6 values: the object, the list, 1, the object in it, true and 0.
        let text = r#"{"a":[1,{"b":true},0]}"#;
        assert_eq!(values(&json::parse(text.as_bytes(), limits::ANSWER).unwrap()), 6);
        let mut exact = room(2 * text.len(), 12);
        assert!(exact.take(text).is_ok() && exact.take(text).is_ok());
        assert_eq!((exact.left.bytes_max, exact.left.values_max), (0, 0));

        let mut bytes = room(2 * text.len() - 1, 100);
        assert!(bytes.take(text).is_ok());
        assert_eq!(bytes.take(text).unwrap_err(), "its list of tools has more than 43 bytes, all pages together");
        let mut many = room(1_000, 11);
        assert!(many.take(text).is_ok());
        assert_eq!(many.take(text).unwrap_err(), "its list of tools has more than 11 JSON values, all pages together");
        assert!(room(1_000, 100).take("{").unwrap_err().contains("not JSON"));
        assert_eq!(Room::of_a_listing().left.bytes_max, limits::ANSWER_BYTES_MAX);
    }

    #[test]
    fn a_broken_tool_is_left_out_and_a_broken_list_is_an_error() {
        let page = read(
            r#"{"tools":[{"inputSchema":{}},{"name":"","inputSchema":{}},{"name":"a"},{"name":"b","inputSchema":[]},7,
                {"name":"good","inputSchema":{}}]}"#,
        )
        .unwrap();
        assert_eq!(page.tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["good"]);
        for text in ["[]", "{}", r#"{"tools":{}}"#, r#"{"tools":[],"nextCursor":3}"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
