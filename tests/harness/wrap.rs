//! `portcullis wrap` as a desktop client runs it: lines in, lines out.

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{Door, PATIENCE, market, program};

/// A wrap that runs.
pub(crate) struct Wrap {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) era: Door,
}

static LAST_ID: AtomicU64 = AtomicU64::new(0);

impl Wrap {
    /// Starts one on a gate's folder; its log goes to the gate's.
    pub(crate) fn start(folder: &Path, key: Option<&str>, words: &[&str], server: &[String]) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("gate.log")).unwrap();
        let mut command = Command::new(program());
        command.arg("wrap").arg("--config").arg(folder.join("portcullis.toml")).args(words).arg("--").args(server);
        command.env("GIVEN", "by the client").env_remove("PORTCULLIS_KEY");
        if let Some(key) = key {
            command.env("PORTCULLIS_KEY", key);
        }
        Self::run(command, log)
    }

    /// Starts what a client's configuration has for a server, as the client does.
    pub(crate) fn exported(entry: &Value) -> Self {
        let mut command = Command::new(entry["command"].as_str().unwrap());
        command.args(entry["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()));
        for (name, value) in entry["env"].as_object().unwrap() {
            command.env(name, value.as_str().unwrap());
        }
        Self::run(command, Stdio::null())
    }

    fn run(mut command: Command, log: impl Into<Stdio>) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { stdin: child.stdin.take(), child, lines, era: Door::Modern }
    }

    /// The marketplace, under the name that the policies know.
    pub(crate) fn market(folder: &Path, key: &str) -> Self {
        Self::start(folder, Some(key), &["--name", "market"], &market::command())
    }

    pub(crate) async fn send(&mut self, line: &[u8]) {
        let stdin = self.stdin.as_mut().expect("it is open");
        stdin.write_all(line).await.unwrap();
        stdin.write_all(b"\n").await.unwrap();
        stdin.flush().await.unwrap();
    }

    /// The next line, which is JSON-RPC as everything is.
    pub(crate) async fn receive(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("a line").unwrap();
        let line = line.expect("it has not ended");
        let message: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        message
    }

    /// A request's text in this era, and its id.
    pub(crate) fn request(&self, method: &str, members: &str) -> (u64, String) {
        let id = LAST_ID.fetch_add(1, Ordering::Relaxed);
        let meta = match self.era {
            Door::Modern => {
                r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}"#
            }
            _ => "",
        };
        let members = members.replace("META", meta);
        let members = if members.is_empty() { format!(r#""_meta":{{{meta}}}"#) } else { members };
        (id, format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{members}}}}}"#))
    }

    /// Asks, and waits for this answer.
    pub(crate) async fn ask(&mut self, method: &str, members: &str) -> Value {
        let (id, text) = self.request(method, members);
        self.send(text.as_bytes()).await;
        let answer = self.receive().await;
        assert_eq!(answer["id"], json!(id), "{answer}");
        answer
    }

    /// Calls a tool, with an idempotency key.
    pub(crate) async fn call(&mut self, tool: &str, arguments: &str, key: Option<&str>) -> Value {
        self.ask("tools/call", &Self::members(self.era, tool, arguments, key)).await
    }

    /// What a call's parameters are.
    pub(crate) fn members(era: Door, tool: &str, arguments: &str, key: Option<&str>) -> String {
        let comma = if era == Door::Modern { "," } else { "" };
        let key = key.map(|key| format!(r#"{comma}"dev.portcullis/idempotency-key":"{key}""#)).unwrap_or_default();
        format!(r#""name":"{tool}","arguments":{arguments},"_meta":{{META{key}}}"#)
    }

    /// The handshake of the older revisions.
    pub(crate) async fn initialize(&mut self) -> Value {
        self.era = Door::Legacy;
        let members = r#""protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"0"}"#;
        let answer = self.ask("initialize", members).await;
        self.send(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
        answer
    }

    /// The tools that are listed, without the gate's own, by name.
    pub(crate) async fn tools(&mut self) -> Vec<String> {
        let answer = self.ask("tools/list", "").await;
        let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("no list: {answer}"));
        let names = tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned());
        names.filter(|name| !name.starts_with("gate__")).collect()
    }

    /// Nothing more is said to it.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// Its exit code; nothing more may come of it.
    pub(crate) async fn ended(mut self) -> Option<i32> {
        self.close();
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("it ends").unwrap();
        assert_eq!(line, None);
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap().code()
    }

    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    pub(crate) async fn terminate(&self) {
        let pid = self.child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    }
}
