//! Clients and servers that others wrote, in other languages, from their registries.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::harness::{Door, Gate, PATIENCE, Setup, here, market};

static CLIENTS: OnceCell<Option<PathBuf>> = OnceCell::const_new();

/// Where the clients are; none, and said so aloud, where they cannot be had.
async fn clients() -> Option<&'static Path> {
    let installed = CLIENTS.get_or_init(async || {
        // Beside the other things that cargo builds.
        let folder = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("test-clients");
        let script = here().join("../scripts/install-test-clients.sh");
        let output = Command::new("bash").arg(script).arg(&folder).stdin(Stdio::null()).output().await.unwrap();
        if output.status.success() {
            return Some(folder);
        }
        let why = String::from_utf8_lossy(&output.stderr);
        // Not `eprintln!`, which a passing test keeps to itself.
        let mut stderr = std::io::stderr();
        let _ = writeln!(stderr, "SKIPPED: tests with foreign clients and servers; they could not be installed: {why}");
        assert!(std::env::var_os("PORTCULLIS_NO_SKIP").is_none(), "they were to be installed");
        None
    });
    installed.await.as_deref()
}

/// Runs `tests/clients/python/client.py`: a connection, and what came of each call.
async fn python(clients: &Path, gate: &Gate, key: &str, era: &str, calls: &Value) -> Value {
    let mut command = Command::new(clients.join("python/bin/python"));
    command.arg(here().join("clients/python/client.py"));
    command.args([&format!("{}/mcp", gate.url()), era, &calls.to_string()]).env("PORTCULLIS_KEY", key);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("the client ends").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn the_python_client_is_served_in_both_eras() {
    let Some(clients) = clients().await else { return };
    let gate = Setup::default().start().await;
    let key = gate.add_agent("bob", "buyer").await;
    for (era, number) in [("legacy", 0), ("modern", 1)] {
        let before = gate.executed().len();
        let offer = |amount: &str| -> Value {
            serde_json::from_str(&market::numbered_offer(number, amount, "\"EUR\"")).unwrap()
        };
        let calls = serde_json::json!([
            {"tool": "market__make_offer", "arguments": offer("\"1099.10\"")},
            {"tool": "market__make_offer", "arguments": offer("\"10.10\""), "key": era},
            {"tool": "market__make_offer", "arguments": offer("\"10.10\""), "key": era},
            {"tool": "market__make_offer", "arguments": offer("\"10.20\""), "key": era},
            {"tool": "market__create_deal", "arguments": {"title": "t", "price": 9_007_199_254_740_993_i64, "currency": "EUR"}},
            {"tool": "market__cancel_order", "arguments": {"number": "1"}},
        ]);
        let said = python(clients, &gate, &key, era, &calls).await;
        let tools: Vec<_> = said["tools"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert!(tools.contains(&"market__make_offer") && !tools.contains(&"market__cancel_order"), "{said}");
        let codes: Vec<_> =
            said["results"].as_array().unwrap().iter().map(|result| result["structured"]["code"].as_str()).collect();
        let expected = [Some("cap_exceeded"), None, None, Some("idempotency_key_conflict"), None, Some("unknown_tool")];
        assert_eq!(codes, expected, "{said}");
        assert_eq!(said["results"][1]["structured"], said["results"][2]["structured"]);
        assert_eq!(said["results"][2]["meta"]["dev.portcullis/decision"]["replayed"], true, "{said}");
        assert!(said["results"][0]["text"].as_str().unwrap().contains("500"), "a sentence for the model: {said}");
        let executed = gate.executed();
        assert_eq!(executed.len(), before + 2);
        assert!(executed[before + 1].arguments.contains("9007199254740993"), "{}", executed[before + 1].arguments);
    }
}

#[tokio::test]
async fn the_python_client_hears_why_it_is_turned_away() {
    let Some(clients) = clients().await else { return };
    let gate = Setup::default().start().await;
    for era in ["legacy", "modern"] {
        let said = python(clients, &gate, "pk_nobody", era, &serde_json::json!([])).await;
        assert!(said["failed"].as_str().is_some_and(|text| !text.is_empty()), "{said}");
    }
}

#[tokio::test]
async fn a_server_of_another_hand_is_governed() {
    let Some(clients) = clients().await else { return };
    let program = clients.join("node/node_modules/.bin/mcp-server-filesystem");
    let policies = r#"
        [[policy]]
        name = "rbac"
        module = "bundled:rbac"
        [policy.settings.roles.reader]
        allow = ["files__read_text_file", "files__list_directory"]
        [policy.settings.roles.writer]
        inherits = ["reader"]
        allow = ["files__write_file"]
    "#;
    let folder = tempfile::tempdir().unwrap();
    let shared = folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    let text = "as it is: 1099.10 é😀\r\n\ttabs \"quotes\"";
    fs::write(shared.join("a.txt"), text).unwrap();
    let servers = format!(
        "\n[[server]]\nname = \"files\"\ncommand = {:?}\n",
        [program.to_str().unwrap(), shared.to_str().unwrap()]
    );
    let gate = Setup { servers, ..Setup::policies(policies) }.start().await;
    let path = |name: &str| shared.join(name).to_str().unwrap().to_owned();
    let calls = serde_json::json!([
        {"tool": "files__read_text_file", "arguments": {"path": path("a.txt")}},
        {"tool": "files__write_file", "arguments": {"path": path("b.txt"), "content": text}},
        {"tool": "files__read_text_file", "arguments": {"path": "/etc/passwd"}},
    ]);
    for (role, era, listed) in [("reader", "modern", 2), ("reader", "legacy", 2), ("writer", "modern", 3)] {
        let key = gate.add_agent(&format!("{role}-{era}"), role).await;
        let said = python(clients, &gate, &key, era, &calls).await;
        assert_eq!(said["tools"].as_array().unwrap().len(), listed, "{said}");
        let results = &said["results"];
        assert_eq!((&results[0]["text"], &results[0]["error"]), (&text.into(), &false.into()));
        if role == "writer" {
            assert_eq!(results[1]["error"], false, "{said}");
            assert_eq!(fs::read_to_string(shared.join("b.txt")).unwrap(), text);
        } else {
            assert_eq!(results[1]["structured"]["code"], "unknown_tool");
            assert!(!shared.join("b.txt").exists());
        }
        // The server's own refusal is passed on as its own.
        assert_eq!((&results[2]["error"], &results[2]["structured"]["code"]), (&true.into(), &Value::Null), "{said}");
    }
    let audit = gate.audit().await;
    let denied =
        audit.iter().filter(|entry| entry["status"] == "ACCESS_DENIED" && entry["action"] == "files__write_file");
    assert_eq!(denied.count(), 2);
    gate.caller(None, Door::Rest).call("files__read_text_file", "{}").await.refused("unauthenticated");
}
