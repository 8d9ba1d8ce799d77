//! The program itself, spoken to in bare JSON-RPC lines.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    last_id: u32,
}

impl Program {
    fn start(state: Option<&Path>) -> Self {
        Self::with(state.into_iter().flat_map(|path| [Path::new("--state"), path]))
    }

    fn with<'a>(words: impl IntoIterator<Item = &'a Path>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_marketplace"));
        command.args(words);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output, last_id: 0 }
    }

    fn initialized(state: Option<&Path>) -> Self {
        let mut program = Self::start(state);
        let params =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}});
        let answer =
            program.ask(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string());
        assert_eq!(answer["result"]["serverInfo"]["name"], "marketplace");
        writeln!(program.input, "{}", json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).unwrap();
        program
    }

    fn ask(&mut self, line: &str) -> Value {
        writeln!(self.input, "{line}").unwrap();
        self.told()
    }

    /// The next message.
    fn told(&mut self) -> Value {
        let mut answer = String::new();
        assert_ne!(self.output.read_line(&mut answer).unwrap(), 0, "it ended instead of answering");
        serde_json::from_str(&answer).unwrap()
    }

    fn call(&mut self, tool: &str, arguments: &str) -> Value {
        self.last_id += 1;
        self.ask(&format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#,
            self.last_id
        ))
    }

    fn end(mut self) {
        drop(self.input);
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn the_state_file_has_the_arguments_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("market.json");
    let written = r#"{"title":"bike",  "price":1099.10,"currency":"EUR","z":9007199254740993,"a":1e400}"#;
    let mut program = Program::initialized(Some(&state));
    let answer = program.call("create_deal", written);
    assert_eq!(answer["result"]["structuredContent"]["price"], "1099.10", "{answer}");
    assert!(std::fs::read_to_string(&state).unwrap().contains(written), "written before the answer");
    program.end();

    let mut program = Program::initialized(Some(&state));
    let answer = program.call("list_deals", "{}");
    assert_eq!(answer["result"]["structuredContent"]["deals"][0]["id"], "deal-1");
    program.end();
    assert!(std::fs::read_to_string(&state).unwrap().contains(written), "and still there after a restart");
}

#[test]
fn the_modern_revision_needs_no_handshake() {
    let mut program = Program::start(None);
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}});
    let answer =
        program.ask(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}).to_string());
    let tools = answer["result"]["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 13);
    let hints = |name: &str| tools.iter().find(|tool| tool["name"] == name).unwrap()["annotations"].clone();
    assert_eq!(hints("find_order")["readOnlyHint"], true);
    assert_eq!(
        hints("cancel_order"),
        json!({"readOnlyHint": false, "destructiveHint": true, "idempotentHint": true, "openWorldHint": false})
    );
    assert_eq!(hints("make_offer")["idempotentHint"], false);
    program.end();
}

#[test]
fn failures_say_whether_the_tool_ran() {
    let mut program = Program::initialized(None);
    assert_eq!(program.call("no_such_tool", "{}")["error"]["code"], -32602);
    assert_eq!(program.call("find_order", "{}")["error"]["code"], -32602);
    assert_eq!(program.ask("[]")["error"]["code"], -32600);
    // Without --state nothing is kept, so the second cancellation is the first one too.
    for _ in 0..2 {
        assert_eq!(program.call("cancel_order", r#"{"number":"1"}"#)["result"]["isError"], false);
    }
    program.end();
}

#[test]
fn whoever_listens_is_told_when_descriptions_change() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("descriptions.json");
    std::fs::write(&file, r#"{"make_offer":"One.","no_such_tool":"None."}"#).unwrap();
    let mut program = Program::with([Path::new("--descriptions"), &file]);
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}});
    let request = |id: u32, method: &str, mut params: Value| {
        params["_meta"] = meta.clone();
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
    };
    let text = |answer: &Value, name: &str| {
        let tools = answer["result"]["tools"].as_array().unwrap();
        tools.iter().find(|tool| tool["name"] == name).unwrap()["description"].clone()
    };
    let listed = program.ask(&request(1, "tools/list", json!({})));
    assert_eq!((text(&listed, "make_offer"), text(&listed, "vote_deal")), (json!("One."), json!("Votes for a deal.")));
    let listening = request(2, "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    assert_eq!(program.ask(&listening)["method"], "notifications/subscriptions/acknowledged");
    // Half a file is no change; a whole one is.
    for content in [r#"{"make_offer":"Tw"#, r#"{"make_offer":"Two."}"#] {
        std::fs::write(&file, content).unwrap();
    }
    assert_eq!(program.told()["method"], "notifications/tools/list_changed");
    assert_eq!(text(&program.ask(&request(3, "tools/list", json!({}))), "make_offer"), "Two.");
    drop(program.input);
    assert!(program.child.wait().unwrap().success());

    std::fs::write(&file, "[]").unwrap();
    let refused = Command::new(env!("CARGO_BIN_EXE_marketplace")).arg("--descriptions").arg(&file).output().unwrap();
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("descriptions.json"));
}
