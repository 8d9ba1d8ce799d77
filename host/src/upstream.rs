//! The real tool: an MCP server that is a child process, spoken to over its standard streams.
//!
//! A tool is called by giving a [`Permit`] up, and in no other way. The request is written once; nothing here or below
//! sends it again. What comes back says how much is known ([`Outcome`]): only what certainly did not happen may be
//! taken back by the caller. Arguments, results and definitions pass as the text they were written in.
//!
//! A server whose process died, or never came up, is started again by the next call or listing, at most once a second
//! ([`limits::UPSTREAM_RESTART_PAUSE`]). What the server asks of its client (sampling, elicitation, roots) is declined.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};

use crate::call::ToolAnswer;
use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::json;
use crate::limits;
use crate::permit::Permit;

mod answer;
mod child;
mod lines;
mod listing;
mod reply;
mod session;
#[cfg(test)]
mod tests;
mod wire;

pub use listing::Offered;
use reply::Reply;
use session::Session;
use wire::Lost;

/// What a call came to.
#[derive(Debug)]
pub enum Outcome {
    /// The tool's answer, be it that it failed.
    Answered(ToolAnswer),
    /// A JSON-RPC error that says that nothing was executed: no such tool, or arguments it does not take.
    NotExecuted {
        /// The JSON-RPC code.
        code: i64,
        /// The server's message.
        message: String,
    },
    /// Any other JSON-RPC error. An answer; for all that is known, the tool ran.
    Failed {
        /// The JSON-RPC code.
        code: i64,
        /// The server's message.
        message: String,
    },
    /// Nothing left this process, and nothing will: why, as a sentence.
    NotSent(String),
    /// It was sent and no usable answer came: why, as a sentence.
    Unknown(String),
}

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
    #[error("the server `{server}` started and the MCP handshake with it failed")]
    Handshake {
        /// The server's name.
        server: String,
        /// What went wrong.
        #[source]
        source: Box<rmcp::service::ClientInitializeError>,
    },
    /// It started and said nothing useful in time.
    #[error("the server `{server}` did not get ready within {seconds} s", seconds = limits::UPSTREAM_START.as_secs())]
    Slow {
        /// The server's name.
        server: String,
    },
    /// It has died and was started a moment ago.
    #[error("the server `{server}` is not running, and was started less than a second ago: try again in a moment")]
    JustStarted {
        /// The server's name.
        server: String,
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

impl UpstreamError {
    /// What an agent may know of it: not which program it is, nor what the system says.
    fn public(&self, server: &str) -> String {
        match self {
            Self::JustStarted { .. } | Self::Stopped { .. } | Self::Slow { .. } => self.to_string(),
            _ => format!("the server `{server}` is not running and could not be started: tell the gate's owner"),
        }
    }
}

/// A server of tools. Clones are the same server.
#[derive(Clone)]
pub struct Upstream(Arc<Inner>);

struct Inner {
    config: ServerConfig,
    clock: Clock,
    life: Mutex<Life>,
    /// Read without waiting for a restart that is going on.
    current: std::sync::RwLock<Option<Arc<Session>>>,
    changed: Arc<Notify>,
}

struct Life {
    /// When its process was last started, on the clock's monotonic time.
    last_start: Option<Duration>,
    stopped: bool,
}

impl Upstream {
    /// A server whose process is not started yet: the first call or listing does that.
    #[must_use]
    pub fn new(config: ServerConfig, clock: Clock) -> Self {
        let life = Mutex::new(Life { last_start: None, stopped: false });
        Self(Arc::new(Inner { config, clock, life, current: std::sync::RwLock::default(), changed: Arc::default() }))
    }

    /// Starts a server's process and makes the handshake, within [`limits::UPSTREAM_START`].
    ///
    /// # Errors
    /// When the program cannot be run, or does not speak MCP in time.
    pub async fn start(config: ServerConfig, clock: Clock) -> Result<Self, UpstreamError> {
        let upstream = Self::new(config, clock);
        upstream.session().await?;
        Ok(upstream)
    }

    /// Whether the server's process can be asked anything at this moment.
    #[must_use]
    pub fn alive(&self) -> bool {
        self.current().is_some()
    }

    /// Waits until the server says that its tools have changed, or was started again. One waiter at a time.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Ends the server's process and waits for it. It is not started again.
    pub async fn stop(&self) {
        let mut life = self.0.life.lock().await;
        life.stopped = true;
        let session = self.replace(None);
        drop(life);
        if let Some(session) = session {
            session.stop().await;
        }
    }

    /// Every tool of the server, all pages, at most [`limits::TOOLS_MAX`], within [`limits::UPSTREAM_START`].
    ///
    /// # Errors
    /// When the server cannot be reached or its list cannot be read.
    pub async fn tools(&self) -> Result<Vec<Offered>, UpstreamError> {
        let session = self.session().await?;
        let slow = || UpstreamError::Slow { server: self.name().to_owned() };
        tokio::time::timeout(limits::UPSTREAM_START, self.pages(&session)).await.map_err(|_| slow())?
    }

    async fn pages(&self, session: &Session) -> Result<Vec<Offered>, UpstreamError> {
        let failed =
            |what: &dyn ToString| UpstreamError::Listing { server: self.name().to_owned(), what: what.to_string() };
        let mut tools = Vec::new();
        let mut cursor: Option<String> = None;
        // A server that always has one more page has as many pages as tools at most.
        for _ in 0..limits::TOOLS_MAX {
            let members = match &cursor {
                Some(cursor) => format!(r#""cursor":{}"#, serde_json::Value::from(cursor.as_str())),
                None => String::new(),
            };
            let result = match session.request("tools/list", &members, None, limits::UPSTREAM_START).await {
                Ok(Reply::Result(text)) => json::parse(text.as_bytes(), limits::ANSWER).map_err(|e| failed(&e))?,
                Ok(Reply::Error { code, message }) => return Err(failed(&format!("error {code}: {message}"))),
                Ok(Reply::TooLong) => return Err(failed(&"its answer is too long")),
                Ok(Reply::Unusable) => return Err(failed(&"its answer is neither a result nor an error")),
                Err(Lost::NotSent(why) | Lost::Sent(why)) => return Err(failed(&why)),
            };
            let page = listing::page(self.name(), result).map_err(|what| failed(&what))?;
            tools.extend(page.tools);
            if tools.len() > limits::TOOLS_MAX {
                return Err(failed(&format!("it has more than {} tools", limits::TOOLS_MAX)));
            }
            match page.next {
                Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                Some(_) => return Err(failed(&"its next page is the same page again")),
                None => return Ok(tools),
            }
        }
        Err(failed(&"it has too many pages"))
    }

    /// Calls a tool, once, and waits for the answer as long as the server's configuration says.
    pub async fn call(&self, permit: Permit) -> Outcome {
        let session = match self.session().await {
            Ok(session) => session,
            Err(error) => return Outcome::NotSent(error.public(self.name())),
        };
        let mut parent = [0; 8];
        if let Err(error) = getrandom::fill(&mut parent) {
            return Outcome::NotSent(format!("the system has no randomness to give: {error}"));
        }
        let call = permit.spend();
        let trace = format!("00-{}-{:016x}-01", call.id, u64::from_be_bytes(parent));
        let name = serde_json::Value::from(call.tool.upstream_name.as_str());
        let members = format!(r#""name":{name},"arguments":{}"#, call.arguments.value().to_text());
        let reply = session.request("tools/call", &members, Some(trace), self.0.config.timeout).await;
        answer::outcome(self.name(), reply)
    }

    fn name(&self) -> &str {
        &self.0.config.name
    }

    fn current(&self) -> Option<Arc<Session>> {
        let current = self.0.current.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        current.as_ref().filter(|session| session.alive()).map(Arc::clone)
    }

    fn replace(&self, session: Option<Arc<Session>>) -> Option<Arc<Session>> {
        std::mem::replace(&mut *self.0.current.write().unwrap_or_else(std::sync::PoisonError::into_inner), session)
    }

    /// The live session; a new one where the last has died.
    async fn session(&self) -> Result<Arc<Session>, UpstreamError> {
        if let Some(session) = self.current() {
            return Ok(session);
        }
        let mut life = self.0.life.lock().await;
        // Somebody else may have started it while this one waited.
        if let Some(session) = self.current() {
            return Ok(session);
        }
        let server = || self.name().to_owned();
        if life.stopped {
            return Err(UpstreamError::Stopped { server: server() });
        }
        let now = self.0.clock.monotonic();
        if let Some(last) = life.last_start {
            if now.saturating_sub(last) < limits::UPSTREAM_RESTART_PAUSE {
                return Err(UpstreamError::JustStarted { server: server() });
            }
            tracing::warn!(server = self.name(), "the server's process has ended and is started again");
        }
        let again = life.last_start.replace(now).is_some();
        let started = Session::start(&self.0.config, Arc::clone(&self.0.changed)).await;
        let session = Arc::new(started.inspect_err(|error| tracing::error!(?error, "the server does not start"))?);
        self.replace(Some(Arc::clone(&session)));
        if again {
            self.0.changed.notify_one();
        }
        Ok(session)
    }
}
