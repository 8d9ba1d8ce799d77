//! What a server writes, read without losing anything.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::limits;

/// The first id of the gate's own requests; `rmcp` counts from 0 and sends a handful.
pub(super) const OWN_IDS_FROM: u64 = 1_000_000;

/// Why a request has no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Not a byte of it left this process, and none will.
    NotSent(Cow<'static, str>),
    /// It was sent, in whole or in part.
    Sent(Cow<'static, str>),
}

/// The answer to one of the gate's own requests.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A JSON-RPC result: its exact text.
    Result(String),
    /// A JSON-RPC error.
    Error {
        /// Its code.
        code: i64,
        /// Its message, bounded.
        message: String,
    },
    /// An answer, but neither the one nor the other.
    Unusable,
    /// An answer with more bytes than the gate takes.
    TooLong,
}

/// One line of a server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// An answer to the gate's own request of this id.
    Reply(u64, Reply),
    /// Anything else that is JSON with the look of JSON-RPC.
    Other {
        /// The line.
        text: &'a str,
        /// It says that the server's tools have changed.
        tools_changed: bool,
    },
    /// Nothing of the kind.
    Garbage,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ErrorObject {
    code: i64,
    message: String,
}

/// Reads one line.
pub(super) fn read_message(line: &[u8]) -> Message<'_> {
    let Ok(text) = std::str::from_utf8(line) else { return Message::Garbage };
    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else { return Message::Garbage };
    if let Some(method) = envelope.method {
        return Message::Other { text, tools_changed: method == "notifications/tools/list_changed" };
    }
    match envelope.id.and_then(own_id) {
        Some(id) => Message::Reply(id, reply(envelope.result, envelope.error)),
        None => Message::Other { text, tools_changed: false },
    }
}

/// The id of a request of the gate's own. A server that answers with the number as a string means the same.
fn own_id(raw: &RawValue) -> Option<u64> {
    let digits = raw.get().trim_matches('"');
    digits.parse().ok().filter(|id| *id >= OWN_IDS_FROM)
}

/// Which request a line answers that is too long to be read, as far as that can be told from its two ends: the usual
/// servers write the id right at the start or right at the end. Inside of a string the quotes would be escaped.
pub(super) fn id_of_long_answer(start: &[u8], tail: &[u8]) -> Option<u64> {
    // There may be spaces between them, as many libraries write them.
    const ID: [&[u8]; 6] = [br#""jsonrpc""#, b":", br#""2.0""#, b",", br#""id""#, b":"];
    let own = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok().filter(|id| *id >= OWN_IDS_FROM);
    let opened = start.trim_ascii_start().strip_prefix(b"{");
    let first =
        opened.and_then(|rest| ID.iter().try_fold(rest, |rest, token| rest.trim_ascii_start().strip_prefix(*token)));
    if let Some(rest) = first {
        let end = rest.iter().position(|byte| *byte == b',')?;
        return own(rest.get(..end)?.trim_ascii());
    }
    let rest = tail.trim_ascii_end().strip_suffix(b"}")?.trim_ascii_end();
    let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, id) = rest.split_at(rest.len().saturating_sub(digits));
    let before = ID.iter().rev().try_fold(before, |before, token| before.trim_ascii_end().strip_suffix(*token))?;
    before.trim_ascii_end().ends_with(b",").then(|| own(id)).flatten()
}

fn reply(result: Option<&RawValue>, error: Option<&RawValue>) -> Reply {
    match (result, error) {
        (Some(result), None) => Reply::Result(result.get().to_owned()),
        (None, Some(error)) => match serde_json::from_str::<ErrorObject>(error.get()) {
            Ok(ErrorObject { code, message }) => {
                Reply::Error { code, message: message.chars().take(limits::UPSTREAM_MESSAGE_CHARS_MAX).collect() }
            }
            Err(_) => Reply::Unusable,
        },
        _ => Reply::Unusable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_keeps_its_exact_text() {
        let line = br#" {"result" : {"n": 1099.10, "big":9007199254740993, "e":1e400},"jsonrpc":"2.0","id":1000003}"#;
        let text = r#"{"n": 1099.10, "big":9007199254740993, "e":1e400}"#;
        assert_eq!(read_message(line), Message::Reply(1_000_003, Reply::Result(text.into())));
        let quoted = br#"{"id":"1000003","error":{"code":-32602,"message":"no"}}"#;
        assert_eq!(
            read_message(quoted),
            Message::Reply(1_000_003, Reply::Error { code: -32602, message: "no".into() })
        );
    }

    #[test]
    fn what_is_neither_result_nor_error_is_unusable() {
        for rest in [
            "",
            r#","result":1,"error":{"code":1,"message":"both"}"#,
            r#","error":"text""#,
            r#","error":{"code":1.5,"message":"x"}"#,
        ] {
            let line = format!(r#"{{"id":1000000{rest}}}"#);
            assert_eq!(read_message(line.as_bytes()), Message::Reply(1_000_000, Reply::Unusable), "{line}");
        }
    }

    #[test]
    fn others_are_told_apart() {
        let other = |text, tools_changed| Message::Other { text, tools_changed };
        let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
        assert_eq!(read_message(changed.as_bytes()), other(changed, true));
        // A server's own request with a large id is no answer.
        let ping = r#"{"jsonrpc":"2.0","method":"ping","id":1000000}"#;
        assert_eq!(read_message(ping.as_bytes()), other(ping, false));
        let handshake = r#"{"id":0,"result":{}}"#;
        assert_eq!(read_message(handshake.as_bytes()), other(handshake, false));
        for line in ["hello", "[]", "12", "", r#"{"id":1000000,"result":1,"result":2}"#] {
            assert_eq!(read_message(line.as_bytes()), Message::Garbage, "{line}");
        }
        assert_eq!(read_message(b"\xff"), Message::Garbage);
    }

    #[test]
    fn a_long_answer_is_known_by_its_ends() {
        let of = |start: &str, tail: &str| id_of_long_answer(start.as_bytes(), tail.as_bytes());
        assert_eq!(of(r#"{"jsonrpc":"2.0","id":1000007,"result":{"#, "xx"), Some(1_000_007));
        assert_eq!(of(r#"{"result":{"#, "xx\"},\"jsonrpc\":\"2.0\",\"id\":1000007}\r"), Some(1_000_007));
        assert_eq!(of(r#"{"jsonrpc": "2.0", "id": 1000007, "result": {"#, "xx"), Some(1_000_007));
        assert_eq!(of(r#"{"result": {"#, r#"xx"}, "jsonrpc": "2.0", "id": 1000007}"#), Some(1_000_007));
        for (start, tail) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{"#, "xx"),
            (r#"{"jsonrpc":"2.0","method":"x","params":{"id":1000007,"#, "}}"),
            (r#"{"result":{"a":""#, r#"xx,\"jsonrpc\":\"2.0\",\"id\":1000007}"#),
            (r#"{"result":{"a":""#, r#"xx"},"jsonrpc":"2.0","id":1000007}}"#),
            (r#"{"result":{"a":""#, r#"xx"},"jsonrpc":"2.0","id":7}"#),
            (r#"{"jsonrpc": "2.0", "id": 7, "result": {"#, "xx"),
            (r#"{"jsonrpc": "2.0", "id": 100 0007, "result": {"#, "xx"),
            (r#"{"result": {"a": ""#, r#"xx"}, "jsonrpc": "2.0", "id": 1000007}}"#),
            ("", ""),
        ] {
            assert_eq!(of(start, tail), None, "{start} … {tail}");
        }
    }
}
