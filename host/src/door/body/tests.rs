use super::*;

fn call(params: &str) -> CallParts {
    let text = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{params}}}"#);
    message(text.as_bytes()).unwrap().call.unwrap()
}

fn code(text: &str) -> (u16, i32) {
    let rejected = message(text.as_bytes()).unwrap_err();
    (rejected.status, rejected.code)
}

#[test]
fn arguments_are_cut_out_and_the_rest_stays() {
    let text = r#" {"jsonrpc":"2.0", "id":"a b","method":"tools/call",
        "params":{"name":"t\u0031","arguments" : {"n":1099.10,"e":1e400,"big":9007199254740993},"_meta":{"x":1.50}}}"#;
    let Message { text, call, .. } = message(text.as_bytes()).unwrap();
    assert_eq!(
        text,
        r#"{"jsonrpc":"2.0","id":"a b","method":"tools/call","params":{"name":"t\u0031","arguments":{},"_meta":{"x":1.50}}}"#
    );
    let call = call.unwrap();
    assert_eq!(call.arguments.unwrap().value().to_text(), r#"{"n":1099.10,"e":1e400,"big":9007199254740993}"#);
    assert_eq!(call.request_id.as_deref(), Some("a b"));
    assert_eq!((call.key, call.approval), (Ok(None), None));
}

#[test]
fn bad_arguments_are_the_gates_to_refuse() {
    for arguments in [r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, "[]", "null", "7", &deep(70)] {
        let call = call(&format!(r#"{{"name":"t","arguments":{arguments}}}"#));
        assert!(call.arguments.is_err(), "{arguments}");
    }
    assert_eq!(call(r#"{"name":"t"}"#).arguments.unwrap().canonical(), "{}");
}

fn deep(levels: usize) -> String {
    format!(r#"{{"a":{}{}}}"#, "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn the_gates_own_meta_is_read() {
    let of = |meta: &str| call(&format!(r#"{{"name":"t","_meta":{{{meta}}}}}"#));
    let both = of(r#""dev.portcullis/idempotency-key":"\"k\"","dev.portcullis/approval":"ap_1""#);
    assert_eq!(both.key.unwrap().unwrap().as_str(), "k");
    assert_eq!(both.approval.as_deref(), Some("ap_1"));
    assert!(both.arguments.is_ok());
    for wrong in ["1", "null", "[]", r#""""#, r#""two words""#] {
        assert_eq!(of(&format!(r#""dev.portcullis/idempotency-key":{wrong}"#)).key, Err(BadKey), "{wrong}");
    }
    for wrong in ["1", "null", "{}"] {
        let call = of(&format!(r#""dev.portcullis/approval":{wrong}"#));
        assert!(matches!(call.arguments, Err(BadArguments::Meta(APPROVAL))), "{wrong}");
    }
}

#[test]
fn a_key_that_stands_twice_anywhere_else_is_refused() {
    for text in [
        r#"{"method":"ping","method":"tools/call","id":1}"#,
        r#"{"method":"tools/call","params":{"name":"a"},"params":{"name":"b"},"id":1}"#,
        r#"{"method":"tools/call","params":{"name":"a","name":"b"},"id":1}"#,
        r#"{"method":"tools/call","params":{"name":"a","arguments":{},"arguments":{"x":1}},"id":1}"#,
        r#"{"method":"tools/call","params":{"name":"a","arguments":{},"\u0061rguments":{"x":1}},"id":1}"#,
        r#"{"method":"tools/call","params":{"name":"a","_meta":{"k":1,"k":2}},"id":1}"#,
        r#"{"method":"tools/list","params":{"_meta":{"k":1,"k":2}},"id":1}"#,
    ] {
        assert_eq!(code(text), (400, -32600), "{text}");
    }
}

#[test]
fn what_is_no_message_is_refused() {
    assert_eq!(code(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#), (400, -32600));
    assert_eq!(code("7"), (400, -32600));
    assert_eq!(code(r#"{"id":1,"method":"ping","params":"#), (400, -32700));
    assert_eq!(code(""), (400, -32700));
    assert_eq!(code(&format!(r#"{{"method":"x","params":{}}}"#, deep(70))), (400, -32600));
    assert_eq!(message(b"\xff").unwrap_err().code, -32700);
}

#[test]
fn an_id_is_bounded_whatever_the_message() {
    let max = limits::REQUEST_ID_CHARS_MAX;
    for method in ["tools/call", "tools/list"] {
        let of = |id: String| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"name":"t"}}}}"#);
        for longest in [format!(r#""{}""#, "é".repeat(max)), format!(r#""{}""#, r"\u00e9".repeat(max)), "1".repeat(max)]
        {
            assert!(message(of(longest).as_bytes()).is_ok(), "{method}");
        }
        for longer in [format!(r#""{}""#, "é".repeat(max + 1)), "1".repeat(max + 1), format!("[{}]", " ".repeat(max))]
        {
            assert_eq!(code(&of(longer)), (400, -32600), "{method}");
        }
    }
}

#[test]
fn what_is_not_relayed_is_refused_with_the_calls_id() {
    for param in [r#""task":{"ttl":1}"#, r#""inputResponses":{}"#, r#""requestState":"x""#, r#""task":null"#] {
        let text = format!(r#"{{"id":"q","method":"tools/call","params":{{"name":"t",{param}}}}}"#);
        let rejected = message(text.as_bytes()).unwrap_err();
        assert_eq!((rejected.status, rejected.code, rejected.id.as_str()), (200, -32602, r#""q""#), "{param}");
        let text: serde_json::Value = serde_json::from_str(&rejected.to_text()).unwrap();
        assert_eq!(text["id"], "q");
    }
}

#[test]
fn other_messages_pass_as_they_are() {
    let text = r#" {"id":1, "method":"tools/list","params":{"arguments":{"n":1.0}}}"#;
    let Message { text: passed, call, .. } = message(text.as_bytes()).unwrap();
    assert_eq!(passed, text);
    assert!(call.is_none());
}

#[tokio::test]
async fn a_body_is_bounded() {
    let max = limits::BODY_BYTES_MAX;
    assert_eq!(read(Body::from(vec![b' '; max])).await.map(|bytes| bytes.len()), Ok(max));
    assert_eq!(read(Body::from(vec![b' '; max + 1])).await, Err(BodyError::TooLarge(max + 1)));
}
