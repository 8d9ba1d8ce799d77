//! A gate in a folder of its own: started, killed and started again as the program that users run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::{Caller, Door, PATIENCE, market, program, until};

/// Roles and caps for the marketplace, as a user would write them.
pub(crate) const POLICIES: &str = r#"
[[policy]]
name = "rbac"
module = "bundled:rbac"
[policy.settings.roles.support]
allow = ["market__find_order", "market__analyze_invoice", "market__summarize_customer_activity"]
[policy.settings.roles.manager]
inherits = ["support"]
allow = ["market__create_order", "market__validate_order"]
[policy.settings.roles.admin]
inherits = ["manager"]
allow = ["market__cancel_order", "market__record_payment"]
[policy.settings.roles.buyer]
allow = ["market__list_deals", "market__create_deal", "market__vote_deal", "market__make_offer", "odd__*"]

[[policy]]
name = "spending-caps"
module = "bundled:spending-caps"
[[policy.settings.charges]]
tools = ["market__make_offer", "odd__*"]
amount = "/amount"
currency = "/currency"
account = "agent"
[[policy.settings.limits]]
max = "500.00"
currency = "EUR"
per = "transaction"
[[policy.settings.limits]]
max = "2000.00"
currency = "EUR"
window = "24h"
"#;

/// What a gate is started with.
pub(crate) struct Setup {
    /// The content of `policies.toml`; none for no such file.
    pub(crate) policies: Option<String>,
    /// `[[server]]` and everything after `[gate]` in `portcullis.toml`.
    pub(crate) servers: String,
    /// Components, by file name.
    pub(crate) components: Vec<(String, Vec<u8>)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { policies: Some(POLICIES.to_owned()), servers: market::server(), components: Vec::new() }
    }
}

impl Setup {
    /// With other policies.
    pub(crate) fn policies(text: impl Into<String>) -> Self {
        Self { policies: Some(text.into()), ..Self::default() }
    }

    /// With more configuration.
    pub(crate) fn and(mut self, text: &str) -> Self {
        self.servers.push_str(text);
        self
    }

    /// Writes the folder; nothing runs yet.
    pub(crate) fn write(self) -> Gate {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "[gate]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\ndata = \"data\"\npolicies = \"policies\"\n{}",
            self.servers
        );
        fs::write(folder.path().join("portcullis.toml"), config).unwrap();
        let policies = folder.path().join("policies");
        fs::create_dir(&policies).unwrap();
        if let Some(text) = self.policies {
            fs::write(policies.join("policies.toml"), text).unwrap();
        }
        for (name, bytes) in self.components {
            fs::write(policies.join(name), bytes).unwrap();
        }
        Gate { folder, running: None, env: Vec::new(), piped: false }
    }

    /// Starts a gate that becomes ready.
    pub(crate) async fn start(self) -> Gate {
        let mut gate = self.write();
        gate.start().await;
        gate.ready().await;
        gate
    }
}

/// A gate's folder, and the process that runs on it.
pub(crate) struct Gate {
    folder: TempDir,
    running: Option<Running>,
    env: Vec<(&'static str, &'static str)>,
    piped: bool,
}

struct Running {
    child: Child,
    agents: String,
    owners: String,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// Its standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Its standard output as one JSON value a line.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Gate {
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn policy_file(&self) -> PathBuf {
        self.folder().join("policies/policies.toml")
    }

    /// Starts the process, and waits until it says where it listens.
    pub(crate) async fn start(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder().join("gate.log")).unwrap();
        let mut child = Command::new(program())
            .args(["serve", "--json", "--config"])
            .arg(self.folder().join("portcullis.toml"))
            .envs(self.env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(if self.piped { Stdio::piped() } else { log.try_clone().unwrap().into() })
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        if let Some(mut words) = child.stderr.take() {
            tokio::spawn(async move { tokio::io::copy(&mut words, &mut tokio::fs::File::from_std(log)).await });
        }
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("the gate says where it listens");
        let line = line.unwrap().unwrap_or_else(|| panic!("the gate ended: {}", self.log()));
        let said: Value = serde_json::from_str(&line).unwrap();
        let agents = said["listening"]["agents"].as_str().unwrap().to_owned();
        let owners = said["listening"]["admin"].as_str().unwrap().to_owned();
        assert_eq!(said["listening"]["socket"], self.folder().join("data/admin.sock").to_str().unwrap());
        self.running = Some(Running { child, agents, owners });
    }

    /// Waits until the gate says that it is ready.
    pub(crate) async fn ready(&self) {
        let asking = self.caller(None, Door::Rest);
        until("readiness", async || {
            let answer = asking.get("/readyz").await;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    /// Kills it as a power cut would.
    pub(crate) async fn kill(&mut self) {
        let mut running = self.running.take().expect("it runs");
        running.child.kill().await.unwrap();
    }

    /// Asks it to end, and waits until it has: its exit code.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        let mut running = self.running.take().expect("it runs");
        let pid = running.child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        let ended = tokio::time::timeout(PATIENCE, running.child.wait()).await.expect("it ends when it is told to");
        ended.unwrap().code()
    }

    /// Kills it and starts it again.
    pub(crate) async fn restart(&mut self) {
        self.kill().await;
        self.start().await;
        self.ready().await;
    }

    /// Environment variables for the next start.
    pub(crate) fn set_env<const N: usize>(&mut self, env: [(&'static str, &'static str); N]) {
        self.env.extend(env);
    }

    /// From the next start on the log is written by this process, after a while: it goes on when the gate's own files cannot.
    pub(crate) fn log_through_a_pipe(&mut self) {
        self.piped = true;
    }

    /// From now on none of the gate's files can grow.
    pub(crate) async fn fill_disk(&self) {
        let pid = self.running.as_ref().and_then(|running| running.child.id()).expect("it runs").to_string();
        // The soft limit only.
        let limited = Command::new("prlimit").args(["--fsize=1:", "--pid", &pid]).status().await.unwrap();
        assert!(limited.success());
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.running.as_ref().expect("it runs").agents)
    }

    /// The owners' door.
    pub(crate) fn owners_url(&self) -> String {
        format!("http://{}", self.running.as_ref().expect("it runs").owners)
    }

    /// Adds a person; answers with their client for the owners' door.
    pub(crate) async fn person(&self, name: &str, kind: &str) -> Caller {
        let added = self.cli(&["person", "add", name, "--kind", kind, "--json"]).await.json();
        Caller::new(self.owners_url(), added["key"].as_str(), Door::Rest)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder().join("gate.log")).unwrap_or_default()
    }

    /// Runs `portcullis` with this gate's configuration.
    pub(crate) async fn cli(&self, words: &[&str]) -> Said {
        let config = self.folder().join("portcullis.toml");
        run(&[words, &["--config", config.to_str().unwrap()]].concat()).await
    }

    /// Runs `portcullis` in the name of whoever holds a credential.
    pub(crate) async fn cli_as(&self, key: &str, words: &[&str]) -> Said {
        let config = self.folder().join("portcullis.toml");
        let mut command = Command::new(program());
        command.args(words).arg("--config").arg(config).env("PORTCULLIS_PERSON_KEY", key);
        finished(command).await
    }

    /// Adds an agent; answers with its key.
    pub(crate) async fn add_agent(&self, name: &str, role: &str) -> String {
        let added = self.cli(&["agent", "add", name, "--role", role, "--json"]).await.json();
        assert_eq!(added["name"], name);
        added["key"].as_str().unwrap().to_owned()
    }

    /// A new agent's client for a door.
    pub(crate) async fn agent(&self, name: &str, role: &str, door: Door) -> Caller {
        let key = self.add_agent(name, role).await;
        self.caller(Some(&key), door)
    }

    /// A new person's key. There is a gate running.
    pub(crate) async fn add_person(&self, name: &str, kind: &str) -> String {
        let body = json!({ "command": "person-add", "name": name, "kind": kind }).to_string();
        let request = format!(
            "POST /v1/command HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let mut socket = UnixStream::connect(self.folder().join("data/admin.sock")).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let added: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
        added["key"].as_str().unwrap().to_owned()
    }

    /// A client with any credential.
    pub(crate) fn caller(&self, key: Option<&str>, door: Door) -> Caller {
        Caller::new(self.url(), key, door)
    }

    /// The audit log, oldest entry first.
    pub(crate) async fn audit(&self) -> Vec<Value> {
        self.cli(&["audit", "tail", "--json", "-n", "1000"]).await.json_lines()
    }

    /// What the marketplace executed.
    pub(crate) fn executed(&self) -> Vec<market::Executed> {
        market::executed(self.folder())
    }
}

impl Drop for Gate {
    #[expect(clippy::print_stderr, reason = "beside the failed test's own words")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("the gate's log, newest first:\n{}", lines.join("\n"));
        }
    }
}

/// Runs `portcullis`.
pub(crate) async fn run(words: &[&str]) -> Said {
    let mut command = Command::new(program());
    command.args(words);
    finished(command).await
}

async fn finished(mut command: Command) -> Said {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("the command ends").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}
