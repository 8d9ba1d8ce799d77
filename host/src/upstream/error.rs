//! Why a server cannot be used: what its owner reads, and what an agent may know of it.

use std::time::Duration;

use crate::config::Unset;
use crate::limits;

/// Why a server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Its command is empty.
    #[error("the server `{server}` has no command: give it one in the configuration")]
    NoCommand {
        /// The server's name.
        server: String,
    },
    /// Its program does not start.
    #[error("the server `{server}` does not start: the program `{program}` cannot be run: {source}")]
    Spawn {
        /// The server's name.
        server: String,
        /// The program, as configured.
        program: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// It does not speak MCP with the gate.
    #[error("the server `{server}` started and the MCP handshake with it failed{}", last_words(said.as_deref()))]
    Handshake {
        /// The server's name.
        server: String,
        /// The last line of its standard error, masked.
        said: Option<String>,
        /// What went wrong.
        #[source]
        source: Box<rmcp::service::ClientInitializeError>,
    },
    /// A header that it must be sent cannot be filled in.
    #[error("the server `{server}` cannot be used: {source}")]
    Unset {
        /// The server's name.
        server: String,
        /// Which, and why.
        #[source]
        source: Unset,
    },
    /// It runs elsewhere, and no session with it can be made.
    #[error("the server `{server}` at `{at}` cannot be used: {what}")]
    Remote {
        /// The server's name.
        server: String,
        /// Its host and port.
        at: String,
        /// What is wrong.
        what: String,
    },
    /// It started and said nothing useful in time.
    #[error(
        "the server `{server}` did not get ready within {seconds} s{}", last_words(said.as_deref()),
        seconds = limits::UPSTREAM_START.as_secs()
    )]
    Slow {
        /// The server's name.
        server: String,
        /// The last line of its standard error, masked.
        said: Option<String>,
    },
    /// It does not run, and was tried a moment ago.
    #[error("the server `{server}` is not running, and will be tried again in {seconds} s: {why}")]
    Pausing {
        /// The server's name.
        server: String,
        /// Seconds until it may be tried again.
        seconds: u64,
        /// What was the matter the last time.
        why: String,
    },
    /// It was told to stop.
    #[error("the server `{server}` has been stopped")]
    Stopped {
        /// The server's name.
        server: String,
    },
    /// It does not say which tools it has.
    #[error("the server `{server}` does not list its tools: {what}")]
    Listing {
        /// The server's name.
        server: String,
        /// What is wrong.
        what: String,
    },
}

fn last_words(said: Option<&str>) -> String {
    said.map(|said| format!("; the last that it wrote to its standard error: `{said}`")).unwrap_or_default()
}

impl UpstreamError {
    /// How long it is known to be of no use to try again.
    #[must_use]
    pub fn pause(&self) -> Duration {
        match self {
            Self::Pausing { seconds, .. } => Duration::from_secs(*seconds),
            _ => Duration::ZERO,
        }
    }

    /// What an agent may know of it: not which program it is or where it runs, nor what the system says.
    pub(super) fn public(&self, server: &str) -> String {
        match self {
            Self::Stopped { .. } => self.to_string(),
            Self::Slow { .. } => format!("the server `{server}` did not get ready in time: try again later"),
            Self::Pausing { seconds, .. } => {
                format!("the server `{server}` is not running, and will be tried again in {seconds} s: call again then")
            }
            _ => format!("the server `{server}` is not running and could not be started: tell the gate's owner"),
        }
    }
}
