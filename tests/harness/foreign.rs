//! Clients and servers that others wrote, in other languages, from their registries: installed once, then driven over
//! long-lived connections.
//!
//! A driver is a small program around a client (`tests/clients`); `tests/clients/python/lines.py` says how it is spoken to.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::OnceCell;

use super::{Gate, PATIENCE, here};

static INSTALLED: OnceCell<Option<PathBuf>> = OnceCell::const_new();

/// Where clients and servers are; none, and said so aloud, where they cannot be had.
pub(crate) async fn installed() -> Option<&'static Path> {
    let installed = INSTALLED.get_or_init(async || {
        // Beside the other things that cargo builds.
        let folder = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("test-clients");
        let script = here().join("../scripts/install-test-clients.sh");
        let output = Command::new("bash").arg(script).arg(&folder).stdin(Stdio::null()).output().await.unwrap();
        if output.status.success() {
            return Some(PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end()));
        }
        skipped("tests with foreign clients and servers; they could not be installed", &output.stderr);
        None
    });
    installed.await.as_deref()
}

/// Says aloud what is not tested, and fails where that is forbidden.
pub(crate) fn skipped(what: &str, why: &[u8]) {
    // Not `eprintln!`, which a passing test keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}: {}", String::from_utf8_lossy(why));
    assert!(std::env::var_os("PORTCULLIS_NO_SKIP").is_none(), "nothing was to be skipped");
}

/// A client, and the era of the protocol that it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// The Python package of the second generation.
    PythonModern,
    PythonLegacy,
    /// The Python package of the first generation.
    Python1,
    /// The TypeScript package of the second generation.
    TypeScriptModern,
    TypeScriptLegacy,
    /// The TypeScript package of the first generation.
    TypeScript1,
}

impl Client {
    pub(crate) const ALL: [Client; 6] = [
        Client::PythonModern,
        Client::PythonLegacy,
        Client::Python1,
        Client::TypeScriptModern,
        Client::TypeScriptLegacy,
        Client::TypeScript1,
    ];

    /// A name for its agents.
    pub(crate) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Its language has doubles and nothing else, so that a number of more than 53 bits has to be sent as a string.
    pub(crate) fn has_doubles_only(self) -> bool {
        matches!(self, Client::TypeScriptModern | Client::TypeScriptLegacy | Client::TypeScript1)
    }

    /// It can go on after a call that found no gate. The others tear their connection down, with all calls in it.
    pub(crate) fn survives_a_missing_gate(self) -> bool {
        self.has_doubles_only()
    }

    /// It can go on after HTTP 401, as above.
    pub(crate) fn survives_being_turned_away(self) -> bool {
        self != Client::Python1
    }

    /// A connection to a gate that lets it in.
    pub(crate) async fn start(self, gate: &Gate, key: &str) -> Driver {
        self.try_start(gate, key).await.unwrap_or_else(|why| panic!("{self:?}: {why}"))
    }

    /// A connection in this client's era, or what its user is told instead.
    pub(crate) async fn try_start(self, gate: &Gate, key: &str) -> Result<Driver, String> {
        self.at(&gate.url(), key).await
    }

    /// The same to a gate at an address.
    pub(crate) async fn at(self, url: &str, key: &str) -> Result<Driver, String> {
        let driver = self.connect(&format!("{url}/mcp"), key).await?;
        let modern = matches!(self, Client::PythonModern | Client::TypeScriptModern);
        assert_eq!(driver.version, if modern { "2026-07-28" } else { "2025-11-25" }, "{self:?}");
        Ok(driver)
    }

    /// A connection to a server over its standard input and output, without a gate; in the era that the server has.
    pub(crate) async fn directly(self, command: &[&str]) -> Driver {
        self.connect(&json!(command).to_string(), "").await.unwrap_or_else(|why| panic!("{self:?}: {why}"))
    }

    async fn connect(self, target: &str, key: &str) -> Result<Driver, String> {
        let installed = INSTALLED.get().and_then(Option::as_deref).expect("`installed` was asked");
        let (program, script, last) = match self {
            Client::PythonModern => ("python/bin/python", "python/client.py", ["modern", ""]),
            Client::PythonLegacy => ("python/bin/python", "python/client.py", ["legacy", ""]),
            Client::Python1 => ("python-1/bin/python", "python/client_1.py", ["legacy", ""]),
            Client::TypeScriptModern => ("", "node/client.mjs", ["modern", "client"]),
            Client::TypeScriptLegacy => ("", "node/client.mjs", ["legacy", "client"]),
            Client::TypeScript1 => ("", "node/client.mjs", ["legacy", "sdk"]),
        };
        let program = if program.is_empty() { PathBuf::from("node") } else { installed.join(program) };
        let mut child = Command::new(program)
            .arg(here().join("clients").join(script))
            .arg(target)
            .args(last.iter().filter(|word| !word.is_empty()))
            .env("PORTCULLIS_KEY", key)
            .env("PACKAGES", installed.join("node"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut driver = Driver { client: self, version: Value::Null, tools: Vec::new(), child, stdin, lines };
        let mut first = driver.line().await.unwrap_or_else(|| panic!("{self:?} says nothing"));
        match first["failed"].as_str() {
            Some(why) => Err(why.to_owned()),
            None => {
                driver.version = first["version"].take();
                driver.tools = serde_json::from_value(first["tools"].take()).unwrap();
                Ok(driver)
            }
        }
    }
}

/// A client's connection.
pub(crate) struct Driver {
    pub(crate) client: Client,
    /// The revision that was agreed on, where the client says it.
    version: Value,
    /// The definitions that it was shown.
    pub(crate) tools: Vec<Value>,
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

/// What a client's user got.
#[derive(Deserialize)]
pub(crate) struct Heard {
    /// The client's own error, in place of everything else.
    pub(crate) failed: Option<String>,
    #[serde(default)]
    pub(crate) error: bool,
    #[serde(default)]
    pub(crate) text: String,
    structured: Option<Box<RawValue>>,
    content: Option<Box<RawValue>>,
    #[serde(default)]
    meta: Value,
}

/// A call to make; arguments as they are given to the client.
pub(crate) fn call(tool: &str, arguments: &Value) -> Value {
    json!({"tool": tool, "arguments": arguments})
}

impl Driver {
    /// The names of the servers' tools that it was shown.
    pub(crate) fn names(&self) -> Vec<&str> {
        let all = self.tools.iter().map(|tool| tool["name"].as_str().unwrap());
        all.filter(|name| !name.starts_with("gate__")).collect()
    }

    /// What the gate says to one of its own tools. A client that checks schemas finds it to fit.
    pub(crate) async fn asks_gate(&mut self, tool: &str, arguments: &Value) -> Value {
        let heard = self.call(tool, arguments, None, None).await;
        assert!(heard.failed.is_none() && !heard.error, "{:?}: {heard}", self.client);
        heard.structured()
    }

    /// A call, with what it can carry along.
    pub(crate) async fn call(
        &mut self,
        tool: &str,
        arguments: &Value,
        key: Option<&str>,
        approval: Option<&str>,
    ) -> Heard {
        let mut one = call(tool, arguments);
        for (name, value) in [("key", key), ("approval", approval)] {
            if let Some(value) = value {
                one[name] = value.into();
            }
        }
        self.one(one).await
    }

    /// A call as the driver reads it.
    pub(crate) async fn one(&mut self, call: Value) -> Heard {
        self.at_once(&[call]).await.remove(0)
    }

    /// Calls that are made at the same time, over the same connection.
    pub(crate) async fn at_once(&mut self, calls: &[Value]) -> Vec<Heard> {
        self.ask(calls).await;
        self.hear(calls.len()).await
    }

    /// Makes calls, and does not wait.
    pub(crate) async fn ask(&mut self, calls: &[Value]) {
        let line = format!("{}\n", json!(calls));
        self.stdin.write_all(line.as_bytes()).await.unwrap_or_else(|error| panic!("{:?}: {error}", self.client));
    }

    /// The answers to what was asked.
    pub(crate) async fn hear(&mut self, count: usize) -> Vec<Heard> {
        let line = self.raw_line().await.unwrap_or_else(|| panic!("{:?} ended", self.client));
        if line.starts_with('{') {
            // The connection broke, and all calls in it.
            let failed: Value = serde_json::from_str(&line).unwrap();
            return (0..count).map(|_| serde_json::from_value(failed.clone()).unwrap()).collect();
        }
        let heard: Vec<Heard> = serde_json::from_str(&line).unwrap();
        assert_eq!(heard.len(), count);
        heard
    }

    /// The program has ended, of its own accord.
    pub(crate) async fn ended(&mut self) -> bool {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("the client ends").unwrap().success()
    }

    async fn raw_line(&mut self) -> Option<String> {
        tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("the client answers").unwrap()
    }

    async fn line(&mut self) -> Option<Value> {
        self.raw_line().await.map(|line| serde_json::from_str(&line).unwrap())
    }
}

impl Heard {
    /// The result's `structuredContent`.
    pub(crate) fn structured(&self) -> Value {
        self.structured.as_ref().map_or(Value::Null, |raw| serde_json::from_str(raw.get()).unwrap())
    }

    /// The tool ran, now or before, and did not fail.
    #[track_caller]
    pub(crate) fn executed(&self) -> &Self {
        assert!(self.failed.is_none() && !self.error, "{self}");
        assert!(self.meta["dev.portcullis/decision"]["correlation_id"].is_string(), "{self}");
        self
    }

    /// The answer of an earlier call with the same key.
    pub(crate) fn replayed(&self) -> bool {
        self.meta["dev.portcullis/decision"]["replayed"] == true
    }

    /// The gate refused, and all that it said arrived.
    #[track_caller]
    pub(crate) fn refused(&self, code: &str) -> &Self {
        let structured = self.structured();
        assert!(self.error && structured["code"] == code, "not {code}: {self}");
        assert_eq!(structured["message"], self.text.as_str(), "the sentence for the model");
        assert!(structured["correlation_id"].as_str().is_some_and(|id| id.len() == 32), "{self}");
        self
    }

    /// What programs are told about a refusal.
    pub(crate) fn details(&self) -> Value {
        self.structured()["details"].take()
    }

    /// The result to the byte, as the client gives it to its user: what a gate in between must not change.
    pub(crate) fn answer(&self) -> (bool, Option<&str>, Option<&str>) {
        assert!(self.failed.is_none(), "{self}");
        (self.error, self.structured.as_ref().map(|raw| raw.get()), self.content.as_ref().map(|raw| raw.get()))
    }
}

impl std::fmt::Display for Heard {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { failed, error, text, meta, .. } = self;
        write!(out, "failed: {failed:?}, error: {error}, {}, text: {text}, meta: {meta}", self.structured())
    }
}
