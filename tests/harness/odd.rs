//! A server whose tools misbehave on demand, and what it says was executed.

use std::path::Path;

use serde_json::{Value, json};

use super::here;

/// `tests/servers/odd_server.py`, keeping its list in the gate's folder.
pub(crate) fn command() -> Vec<String> {
    let script = here().join("servers/odd_server.py");
    ["python3", script.to_str().unwrap(), "odd.jsonl"].map(str::to_owned).to_vec()
}

/// It under the name `odd`.
pub(crate) fn server() -> String {
    format!("\n[[server]]\nname = \"odd\"\ncommand = {:?}\n", command())
}

/// The same with a time-out for each call.
pub(crate) fn server_with_timeout(timeout: &str) -> String {
    format!("{}timeout = {timeout:?}\n", server())
}

/// One object for each tool that began: `tool`, `arguments`, `pid`.
pub(crate) fn executed(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("odd.jsonl")).unwrap_or_default();
    // A line that is being written is not there yet.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Kills the server that began the latest call, as it is.
pub(crate) async fn kill(folder: &Path) {
    let pid = executed(folder).last().expect("a call began")["pid"].to_string();
    let killed = tokio::process::Command::new("kill").args(["-9", &pid]).status().await.unwrap();
    assert!(killed.success());
}

/// Lets go of all calls that are held.
pub(crate) fn let_go(folder: &Path) {
    std::fs::write(folder.join("let-go"), "").unwrap();
}

/// A definition as the server offers it.
pub(crate) fn definition(name: &str, description: &str) -> Value {
    json!({
        "name": name,
        "description": description,
        "inputSchema": {"type": "object", "additionalProperties": true},
    })
}

/// From now on the server offers these, and says so.
pub(crate) fn offer(folder: &Path, definitions: &[Value]) {
    let new = folder.join("tools.json.new");
    std::fs::write(&new, json!(definitions).to_string()).unwrap();
    std::fs::rename(new, folder.join("tools.json")).unwrap();
}
