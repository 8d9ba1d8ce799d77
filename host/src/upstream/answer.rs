//! From what a server answered to a call to what the gate makes of it.

use super::Outcome;
use super::reply::{Lost, Reply};
use crate::call::ToolAnswer;
use crate::json::{self, Value};
use crate::limits;

/// JSON-RPC 2.0: the method does not exist. The only error that is given before anything is done: servers answer -32602
/// (invalid parameters) also when the tool has run and its own result does not fit its schema.
const METHOD_NOT_FOUND: i64 = -32601;

/// What a call came to.
pub(super) fn outcome(server: &str, reply: Result<Reply, Lost>) -> Outcome {
    match reply {
        Ok(Reply::Result(text)) => result(server, &text),
        Ok(Reply::Error { code: code @ METHOD_NOT_FOUND, message }) => Outcome::NotExecuted { code, message },
        Ok(Reply::Error { code, message }) => Outcome::Failed { code, message },
        Ok(Reply::Unusable) => Outcome::Unknown(format!(
            "the server `{server}` took the call and its answer is neither a result nor an error of JSON-RPC"
        )),
        Ok(Reply::TooLong) => Outcome::Unknown(format!(
            "the server `{server}` took the call and its answer has more than the {} bytes allowed",
            limits::ANSWER_BYTES_MAX
        )),
        Err(Lost::NotSent(why)) => Outcome::NotSent(format!("the call was not sent to the server `{server}`: {why}")),
        Err(Lost::Sent(why)) => Outcome::Unknown(format!("the call was sent to the server `{server}`: {why}")),
    }
}

fn result(server: &str, text: &str) -> Outcome {
    let unknown = |what: String| Outcome::Unknown(format!("the server `{server}` took the call and {what}"));
    let mut members = match json::parse(text.as_bytes(), limits::ANSWER) {
        Ok(Value::Object(members)) => members,
        Ok(_) => return unknown("its result is not an object".into()),
        Err(error) => return unknown(format!("its result cannot be read: {error}")),
    };
    let kind = members.iter().find(|(key, _)| key == "resultType").map(|(_, value)| value);
    match kind.map(Value::as_str) {
        None | Some(Some("complete")) => {}
        Some(Some("input_required")) => {
            return unknown("asks the agent for more input, which this gate does not relay".into());
        }
        Some(_) => return unknown("gave a kind of result that this gate does not know".into()),
    }
    // What describes the upstream itself stays here: the agent talks to the gate.
    members.retain(|(key, _)| key != "resultType" && key != "_meta");
    let is_error = members.iter().any(|(key, value)| key == "isError" && *value == Value::Bool(true));
    Outcome::Answered(ToolAnswer { result: Value::Object(members).to_text(), is_error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Outcome {
        outcome("s", Ok(Reply::Result(text.into())))
    }

    #[test]
    fn a_result_is_kept_but_for_what_describes_the_server() {
        let Outcome::Answered(answer) = of(
            r#"{"resultType":"complete","content":[],"structuredContent":{"n":1099.10,"b":9007199254740993,"e":1e400},
                "_meta":{"io.modelcontextprotocol/serverInfo":{"name":"x"}},"isError":true,"own":{"_meta":1}}"#,
        ) else {
            panic!("not answered")
        };
        assert_eq!(
            answer.result,
            r#"{"content":[],"structuredContent":{"n":1099.10,"b":9007199254740993,"e":1e400},"isError":true,"own":{"_meta":1}}"#
        );
        assert!(answer.is_error);
    }

    #[test]
    fn what_cannot_be_passed_on_is_unknown() {
        for text in [
            r#"{"resultType":"input_required","inputRequests":{}}"#,
            r#"{"resultType":"task"}"#,
            r#"{"resultType":7}"#,
            r#"{"a":1,"a":2}"#,
            "[]",
            "nonsense",
        ] {
            assert!(matches!(of(text), Outcome::Unknown(_)), "{text}");
        }
        assert!(matches!(outcome("s", Ok(Reply::Unusable)), Outcome::Unknown(_)));
    }

    #[test]
    fn only_one_error_means_that_nothing_was_executed() {
        let of = |code| outcome("s", Ok(Reply::Error { code, message: "m".into() }));
        assert!(matches!(of(-32601), Outcome::NotExecuted { code: -32601, .. }));
        for code in [-32602, -32603, -32600, -32700, -32000, 0, 7] {
            assert!(matches!(of(code), Outcome::Failed { .. }), "{code}");
        }
    }
}
