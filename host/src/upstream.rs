//! The real tool: an MCP server that is a child process, spoken to over its standard streams, or one that runs elsewhere,
//! spoken to over streamable HTTP.
//!
//! A tool is called by giving a [`Permit`] up, and in no other way. The request is written once; nothing here or below
//! sends it again: over HTTP, each request has a connection of its own, and redirects are not followed. What comes back
//! says how much is known ([`Outcome`]): only what certainly did not happen may be taken back by the caller. Arguments,
//! results and definitions pass as the text they were written in.
//!
//! All principals share one process or session of a server, unless its configuration gives each its own ([`Share`]).
//! A server that died, never came up or forgot its session is tried again by the next call or listing, after a pause
//! that grows while it fails ([`limits::UPSTREAM_RESTART_FIRST`]). What the server asks of its client (sampling,
//! elicitation, roots) is declined by a child's line and not answered over HTTP.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::call::ToolAnswer;
use crate::clock::Clock;
use crate::config::{Reach, ServerConfig, Share};
use crate::limits;
use crate::permit::Permit;

mod answer;
mod apart;
mod backoff;
mod child;
mod compared;
mod error;
mod http;
mod lines;
mod listing;
mod reply;
mod session;
mod slot;
mod stdio;
#[cfg(test)]
mod tests;
mod wire;

use apart::Apart;
use compared::Compared;
pub use error::UpstreamError;
pub use listing::Offered;
use session::{Ask, Session};
use slot::Slot;

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

/// A server of tools. Clones are the same server.
#[derive(Clone)]
pub struct Upstream(Arc<Inner>);

struct Inner {
    config: ServerConfig,
    clock: Clock,
    /// Everybody's, or where each principal has its own, the gate's.
    slot: Slot,
    apart: Apart,
    changed: Arc<Notify>,
    compared: Compared,
}

impl Upstream {
    /// A server that is not started yet: the first call or listing does that.
    #[must_use]
    pub fn new(config: ServerConfig, clock: Clock) -> Self {
        if let Reach::Child(program) = &config.reach {
            for variable in child::unset(program) {
                tracing::warn!(server = config.name, variable, "`env` names a variable that the gate does not have");
            }
        }
        let apart = Apart::new(clock.clone(), limits::UPSTREAM_APART_MAX);
        Self(Arc::new(Inner {
            config,
            clock,
            slot: Slot::default(),
            apart,
            changed: Arc::default(),
            compared: Compared::default(),
        }))
    }

    /// Starts the server, or the session with it, and makes the handshake, within [`limits::UPSTREAM_START`].
    ///
    /// # Errors
    /// When the program cannot be run, the server cannot be reached, or it does not speak MCP in time.
    pub async fn start(&self) -> Result<(), UpstreamError> {
        self.session(&self.0.slot).await.map(drop)
    }

    /// Whether the server can be asked anything at this moment.
    #[must_use]
    pub fn alive(&self) -> bool {
        self.0.slot.current().is_some()
    }

    /// Waits until the server says that its tools have changed, or was started again. One waiter at a time.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Ends what lies idle of the processes or sessions that principals have of their own.
    pub fn end_idle(&self) {
        self.0.apart.end_idle();
    }

    /// Ends the server's processes or sessions and waits for it. None is started again.
    pub async fn stop(&self) {
        tokio::join!(self.0.slot.stop(), self.0.apart.stop());
    }

    /// Every tool of the server, all pages, at most [`limits::TOOLS_MAX`], within [`limits::UPSTREAM_START`].
    ///
    /// # Errors
    /// When the server cannot be reached or its list cannot be read.
    pub async fn tools(&self) -> Result<Vec<Offered>, UpstreamError> {
        let session = self.session(&self.0.slot).await?;
        let slow = || UpstreamError::Slow { server: self.name().to_owned(), said: None };
        self.0.compared.listing(&session);
        let listed = tokio::time::timeout(limits::UPSTREAM_START, listing::all(self.name(), &session));
        listed.await.map_err(|_| slow())?
    }

    /// The last listing was compared with what is accepted: from now on these definitions can be called, by the names the
    /// server uses, in the session that was listed and no other.
    pub fn accept(&self, definitions: HashMap<String, String>) {
        self.0.compared.accept(definitions);
    }

    /// Calls a tool, once, and waits for the answer as long as the server's configuration says.
    pub async fn call(&self, permit: Permit) -> Outcome {
        let seated = match self.0.config.share {
            Share::All => None,
            Share::Principal => match self.0.apart.take(&permit.call().principal.id) {
                Ok(seated) => Some(seated),
                Err(error) => return Outcome::NotSent(format!("the server `{}` was not called: {error}", self.name())),
            },
        };
        let session = match self.session(seated.as_deref().unwrap_or(&self.0.slot)).await {
            Ok(session) => session,
            Err(error) => return Outcome::NotSent(error.public(self.name())),
        };
        if seated.is_none()
            && let Err(why) = self.0.compared.allows(&session, &permit.call().tool).await
        {
            return Outcome::NotSent(format!("the server `{}` was not called: {why}", self.name()));
        }
        let mut parent = [0; 8];
        if let Err(error) = getrandom::fill(&mut parent) {
            return Outcome::NotSent(format!("the system has no randomness to give: {error}"));
        }
        let call = permit.spend();
        let trace = format!("00-{}-{:016x}-01", call.id, u64::from_be_bytes(parent));
        let reply = session.request(&Ask::Call { call: &call, trace: &trace }, self.0.config.timeout).await;
        answer::outcome(self.name(), reply)
    }

    async fn session(&self, slot: &Slot) -> Result<Arc<Session>, UpstreamError> {
        slot.session(&self.0.config, &self.0.clock, &self.0.changed).await
    }

    fn name(&self) -> &str {
        &self.0.config.name
    }
}
