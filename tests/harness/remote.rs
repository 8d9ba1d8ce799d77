//! A server elsewhere, over streamable HTTP, whose tools misbehave on demand, and what it says was executed.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::{PATIENCE, here};

/// `tests/servers/odd_http_server.py`, running.
pub(crate) struct Remote {
    folder: TempDir,
    port: u16,
    _child: Child,
}

impl Remote {
    /// Starts it; the words are its own.
    pub(crate) async fn start(words: &[&str]) -> Self {
        Self::start_with(words, &[]).await
    }

    /// Starts it with environment variables.
    pub(crate) async fn start_with(words: &[&str], env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("python3");
        command.arg(here().join("servers/odd_http_server.py")).arg(folder.path()).args(words).envs(env.iter().copied());
        Self::run(command, folder).await
    }

    /// `tests/servers/python_http.py`, with the Python of these clients.
    pub(crate) async fn of_python(clients: &Path, era: &str) -> Self {
        let mut command = Command::new(clients.join("python/bin/python"));
        command.arg(here().join("servers/python_http.py")).arg(era);
        Self::run(command, tempfile::tempdir().unwrap()).await
    }

    async fn run(mut command: Command, folder: TempDir) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("the server says its port").unwrap();
        Self { folder, port: line.unwrap().parse().unwrap(), _child: child }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// It under the name `odd`, with more keys.
    pub(crate) fn server(&self, more: &str) -> String {
        format!("\n[[server]]\nname = \"odd\"\nurl = \"http://127.0.0.1:{}/mcp\"\n{more}\n", self.port)
    }

    fn noted(&self, file: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder().join(file)).unwrap_or_default();
        // A line that is being written is not there yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// One object for each tool that began: `tool`, and `arguments` as text.
    pub(crate) fn executed(&self) -> Vec<Value> {
        self.noted("executed.jsonl")
    }

    /// One object for each request: `verb`, `path`, `method`, `headers`.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.noted("requests.jsonl")
    }
}
