//! The demo: it tells the whole story, and what it leaves running can be used.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::harness::gate::run;
use crate::harness::{Caller, Door, PATIENCE, guest, here, market, program};

/// What no telling of the story goes without, in order.
const STORY: [&str; 46] = [
    "1. Each role sees its own tools",
    "summarize_customer_activity",
    "2. Reading is for everybody",
    "→ done",
    "→ unknown_tool",
    "3. A write is done once",
    "→ done",
    "→ replayed",
    "→ idempotency_key_conflict",
    "4. Above 400 EUR a person has to agree",
    "→ policy generation 2",
    "→ approval_required",
    "→ approved",
    "→ done",
    "→ replayed",
    "→ approval_required",
    "→ rejected",
    "→ approval_rejected",
    "5. 500 EUR for one call",
    "→ cap_exceeded",
    "→ denied",
    "→ done",
    "→ cap_exceeded",
    "2000.00 EUR spent",
    "6. Some hours are quiet",
    "→ denied",
    "→ done",
    "7. Money goes to names that are known",
    r"ac\u{200b}me",
    "8. A policy that never ends",
    "→ policy_limit",
    "→ policy generation 6",
    "→ done",
    "9. A tool stays what it was",
    "→ tool_withheld",
    "→ accepted",
    "10. What may have been done",
    "→ outcome_unknown",
    "→ outcome_unknown",
    "→ 1 payment",
    "→ it was executed",
    "→ outcome_unknown",
    "11. All of it is in the audit log",
    "leaf ",
    "path ",
    "root ",
];

/// The folder that a demo says it works in.
fn place(line: &str) -> PathBuf {
    let place = PathBuf::from(line.split_whitespace().last().unwrap());
    assert!(place.is_absolute() && place.parent().is_some_and(Path::is_dir), "{line}");
    place
}

#[tokio::test]
async fn the_whole_story_is_as_it_should_be() {
    let said = run(&["demo"]).await;
    assert_eq!(said.code, 0, "{}\n{}", said.stdout, said.stderr);
    let mut rest = said.stdout.as_str();
    for part in STORY {
        let at = rest.find(part).unwrap_or_else(|| panic!("`{part}` is missing in\n{}", said.stdout));
        rest = &rest[at + part.len()..];
    }
    assert!(rest.contains("answers were as they should be."), "{rest}");
    assert!(!said.stdout.contains('✗') && !said.stdout.contains('\u{1b}'), "{}", said.stdout);
    assert!(said.stdout.lines().all(|line| line.chars().count() <= 110), "{}", said.stdout);
    assert!(!place(said.stdout.lines().next().unwrap()).exists());
}

/// A demo that keeps its gate running.
struct Kept {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Kept {
    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("a line").unwrap();
        line.expect("it has not ended")
    }

    /// The next JSON over several lines.
    async fn json(&mut self) -> Value {
        let mut text = String::new();
        while text.is_empty() || !text.ends_with("\n}") {
            let line = self.line().await;
            if line == "{" || !text.is_empty() {
                text = if text.is_empty() { line } else { format!("{text}\n{line}") };
            }
        }
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    async fn terminated(mut self) -> Option<i32> {
        let id = self.child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap().code()
    }
}

/// Calls a tool as a client does that starts the program of its configuration.
async fn over_stdio(entry: &Value) -> Value {
    let words = entry["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    let mut command = Command::new(entry["command"].as_str().unwrap());
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    for (name, value) in entry["env"].as_object().unwrap() {
        command.env(name, value.as_str().unwrap());
    }
    let mut child = command.spawn().unwrap();
    let line = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"market__list_deals","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let answer = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("an answer").unwrap().unwrap();
    drop(stdin);
    assert!(tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap().success());
    serde_json::from_str(&answer).unwrap()
}

#[tokio::test]
async fn what_is_kept_is_used_as_it_says_and_leaves_nothing_behind() {
    let mut command = Command::new(program());
    command.args(["demo", "--keep"]).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut kept = Kept { child, lines };
    let place = place(&kept.line().await);

    let entry = kept.json().await["mcpServers"]["portcullis"].clone();
    let base = entry["url"].as_str().unwrap().strip_suffix("/mcp").unwrap();
    let key = entry["headers"]["Authorization"].as_str().unwrap().strip_prefix("Bearer ").unwrap();
    let buyer = Caller::new(base.to_owned(), Some(key), Door::Modern);
    buyer.call("market__make_offer", &market::offer("1.00", "EUR")).await.executed();
    buyer.call("market__make_offer", &market::offer("500.01", "EUR")).await.refused("cap_exceeded");

    let entry = kept.json().await["mcpServers"]["market"].clone();
    let answer = over_stdio(&entry).await;
    assert_eq!(answer["result"]["isError"], false, "{answer}");

    assert!(place.join("portcullis.toml").is_file());
    assert_eq!(kept.terminated().await, Some(0));
    assert!(!place.exists());
}

#[test]
fn the_endless_policy_is_what_its_source_says() {
    let path = here().join("../host/src/cli/demo/loop-evaluate.wasm");
    let built = guest::component("hostile/loop-evaluate.wat");
    if std::env::var_os("PORTCULLIS_BUILD_DEMO").is_some() {
        std::fs::write(&path, &built).unwrap();
    }
    let kept = std::fs::read(&path).unwrap();
    assert!(kept == built, "{} is stale: run this test once with PORTCULLIS_BUILD_DEMO=1", path.display());
}
