//! A server's process: what it is given, and how it ends.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio_util::sync::CancellationToken;

use super::UpstreamError;
use super::lines::{Line, next_line};
use super::wire::Wire;
use crate::config::{CREDENTIAL, ServerConfig};
use crate::{limits, task};

/// What every child gets from the gate's environment besides what its configuration names.
const ENVIRONMENT: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

/// How long a child that was told to stop may take before it is killed, and how long the last words of one that has
/// ended may take to be read.
const ENDING: Duration = Duration::from_secs(1);

/// A process just started.
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// Starts the process of a server.
pub(super) fn start(config: &ServerConfig) -> Result<Started, UpstreamError> {
    let Some((program, arguments)) = config.command.split_first() else {
        return Err(UpstreamError::NoCommand { server: config.name.clone() });
    };
    let failed = |source| UpstreamError::Spawn { server: config.name.clone(), program: program.clone(), source };
    // Looked for beside the configuration, not wherever the gate happens to have been started.
    let found = if program.contains('/') { config.directory.join(program) } else { PathBuf::from(program) };
    let mut command = Command::new(found);
    command.args(arguments).current_dir(&config.directory).env_clear().kill_on_drop(true);
    let names = ENVIRONMENT.into_iter().chain(config.env.iter().map(String::as_str));
    // An agent's credential, which stands in the environment of `portcullis wrap`, is no server's affair.
    for name in names.filter(|name| *name != CREDENTIAL) {
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

/// Passes what a server writes to its standard error on to the log.
pub(super) async fn tell(stderr: ChildStderr, server: String) {
    let mut reader = BufReader::new(stderr);
    loop {
        match next_line(&mut reader, limits::STDERR_LINE_BYTES_MAX).await {
            Ok(Some(Line::Whole(line) | Line::Cut { start: line, .. })) => {
                tracing::info!(server, line = ?String::from_utf8_lossy(&line), "the server says");
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
pub(super) fn mind(started: Started, server: &str, wire: &Wire, stop: CancellationToken) {
    let Started { child, stdin, stdout, stderr } = started;
    task::spawn("upstream stderr", tell(stderr, server.to_owned()));
    task::spawn("upstream writer", wire.clone().write_to(stdin));
    task::spawn("upstream reader", wire.clone().read_from(stdout));
    task::spawn("upstream child", attend(child, server.to_owned(), wire.clone(), stop));
}
