use super::*;

fn header(message: &Message, name: &str) -> Option<String> {
    message.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.clone())
}

#[test]
fn a_modern_message_says_of_itself_what_its_body_says() {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    let text = format!(r#"{{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{{"name":"s__t",{meta}}}}}"#);
    let message = Message::read(&text);
    assert_eq!(header(&message, "mcp-protocol-version").as_deref(), Some("2026-07-28"));
    assert_eq!(header(&message, "mcp-method").as_deref(), Some("tools/call"));
    assert_eq!(header(&message, "mcp-name").as_deref(), Some("s__t"));
    assert_eq!(message.id.as_deref(), Some("\"a\""));
    assert!(message.modern && message.executes() && message.wants_answer());
    let list = Message::read(&format!(r#"{{"id":1,"method":"tools/list","params":{{"name":"x",{meta}}}}}"#));
    assert_eq!(header(&list, "mcp-name"), None);
    assert!(!list.executes());
    let odd = Message::read(&format!(r#"{{"id":1,"method":"tools/call","params":{{"name":"é\n",{meta}}}}}"#));
    assert_eq!(header(&odd, "mcp-name").as_deref(), Some("=?base64?w6kK?="));
}

#[test]
fn an_older_message_says_nothing_of_itself() {
    let call = Message::read(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{}}}"#);
    assert_eq!((header(&call, "mcp-method"), header(&call, "mcp-name")), (None, None));
    assert!(!call.modern && call.executes());
    let notification = Message::read(r#"{"method":"notifications/initialized"}"#);
    assert!(!notification.wants_answer() && !notification.executes());
    let response = Message::read(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    assert!(!response.wants_answer());
}

#[test]
fn what_cannot_be_read_is_not_sent_twice_and_is_answered() {
    for text in [
        "",
        "nonsense",
        "[]",
        "{}",
        r#"[1,"tools/list",{}]"#,
        r#"{"id":1,"id":2,"method":"tools/call"}"#,
        r#"{"id":1,"method":7}"#,
    ] {
        let message = Message::read(text);
        assert!(message.executes() && message.wants_answer() && message.id.is_none(), "{text}");
    }
}

#[test]
fn an_answer_becomes_one_line_with_its_numbers() {
    let message = Message::read(r#"{"id":"q","method":"ping"}"#);
    let line =
        message.line("{\"jsonrpc\":\"2.0\",\r\n\"id\":\"q\",\"result\":{\"n\":1e400,\"s\":\"a\\nb\"}}\n").unwrap();
    assert_eq!(line, "{\"jsonrpc\":\"2.0\",  \"id\":\"q\",\"result\":{\"n\":1e400,\"s\":\"a\\nb\"}} ");
    let line = message.line(r#"{"jsonrpc":"2.0","id":null,"error":{"code":401,"message":"m"}}"#).unwrap();
    assert_eq!(line, r#"{"jsonrpc":"2.0","id":"q","error":{"code":401,"message":"m"}}"#);
    for other in ["", "Not Acceptable", "{}", "[]", r#"{"code":"not_found"}"#, r#"{"id":1,"result":{},"error":{}}"#] {
        assert_eq!(message.line(other), None, "{other}");
    }
}
