//! A server's process: what it is given, and how it ends.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::BufReader;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::UpstreamError;
use super::lines::{Line, next_line};
use super::wire::Wire;
use crate::audit::mask;
use crate::config::Program;
use crate::{limits, task};

/// What every child gets from the gate's environment besides what its configuration names.
const ENVIRONMENT: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

/// How long a child that was told to stop may take before it is killed, and how long the last words of one that has
/// ended may take to be read.
const ENDING: Duration = Duration::from_secs(1);

/// The variables that a program is to get and the gate does not have.
pub(super) fn unset(config: &Program) -> impl Iterator<Item = &str> {
    config.env.iter().map(String::as_str).filter(|name| std::env::var_os(name).is_none())
}

/// A process just started.
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// Starts the process of a server.
pub(super) fn start(server: &str, config: &Program) -> Result<Started, UpstreamError> {
    let Some((program, arguments)) = config.command.split_first() else {
        return Err(UpstreamError::NoCommand { server: server.to_owned() });
    };
    let failed = |source| UpstreamError::Spawn { server: server.to_owned(), program: program.clone(), source };
    // Looked for beside the configuration, not wherever the gate happens to have been started.
    let found = if program.contains('/') { config.directory.join(program) } else { PathBuf::from(program) };
    let mut command = Command::new(found);
    command.args(arguments).current_dir(&config.directory).env_clear().kill_on_drop(true);
    for name in ENVIRONMENT.into_iter().chain(config.env.iter().map(String::as_str)) {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(config.variables.iter());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let no_pipe = || failed(std::io::Error::other("it has no standard streams"));
    Ok(Started {
        stdin: child.stdin.take().ok_or_else(no_pipe)?,
        stdout: child.stdout.take().ok_or_else(no_pipe)?,
        stderr: child.stderr.take().ok_or_else(no_pipe)?,
        child,
    })
}

/// Sees a child to its end, whichever way it comes: it leaves by itself, or `stop` is cancelled.
pub(super) async fn attend(mut child: Child, server: String, wire: Wire, stop: CancellationToken) {
    let status = tokio::select! {
        status = child.wait() => status,
        () = stop.cancelled() => {
            // Closed standard input is how a stdio server is told to leave.
            wire.stop_writing();
            match tokio::time::timeout(ENDING, child.wait()).await {
                Ok(status) => status,
                Err(_) => match child.kill().await {
                    Ok(()) => child.wait().await,
                    Err(error) => Err(error),
                },
            }
        }
    };
    match status {
        Ok(status) => tracing::info!(server, %status, "the server's process ended"),
        Err(error) => tracing::warn!(server, %error, "the server's process could not be waited for"),
    }
    // What it wrote before it ended still counts; a descendant that keeps the pipe open does not.
    let _ = tokio::time::timeout(ENDING, wire.ended()).await;
    wire.close();
}

/// What a server last wrote to its standard error, masked.
pub(super) struct Words {
    line: Arc<Mutex<Option<String>>>,
    reader: JoinHandle<()>,
}

impl Words {
    /// Its last line, once it has ended: bounded, and fit for a terminal. None when there is none.
    pub(super) async fn last(self) -> Option<String> {
        // A descendant may keep the pipe open for ever. One who was told to leave has a moment for it, and one more.
        let _ = tokio::time::timeout(ENDING.saturating_mul(2), self.reader).await;
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let start: String = line.chars().take(limits::LAST_WORDS_CHARS_MAX).collect();
        Some(start.escape_debug().to_string())
    }
}

/// Passes what a server writes to its standard error on to the log, masked.
async fn tell(stderr: ChildStderr, server: String, last: Arc<Mutex<Option<String>>>) {
    let mut reader = BufReader::new(stderr);
    loop {
        match next_line(&mut reader, limits::STDERR_LINE_BYTES_MAX).await {
            Ok(Some(Line::Whole(line) | Line::Cut { start: line, .. })) => {
                let line = mask::text(String::from_utf8_lossy(&line).trim());
                tracing::info!(server, ?line, "the server says");
                if !line.is_empty() {
                    *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(server, %error, "the server's standard error cannot be read");
                return;
            }
        }
    }
}

/// Starts the tasks that read a child's streams and attend to its end.
pub(super) fn mind(started: Started, server: &str, wire: &Wire, stop: CancellationToken) -> Words {
    let Started { child, stdin, stdout, stderr } = started;
    let line = Arc::default();
    let reader = task::spawn("upstream stderr", tell(stderr, server.to_owned(), Arc::clone(&line)));
    task::spawn("upstream writer", wire.clone().write_to(stdin));
    task::spawn("upstream reader", wire.clone().read_from(stdout));
    task::spawn("upstream child", attend(child, server.to_owned(), wire.clone(), stop));
    Words { line, reader }
}
