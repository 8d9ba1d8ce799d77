//! The gate behind the bridge: one that runs on the data directory, or one that this process starts, and another when that
//! one has ended.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex;

use crate::admin::NewServer;
use crate::clock::Clock;
use crate::config::Config;
use crate::door::socket::{self, Answer, Headers, Hold, SocketError};
use crate::refusal::causes;
use crate::serve::{self, Running, StartError};
use crate::store::StoreError;

/// How often a gate is looked for before a message is given up.
const LOOKS_MAX: u32 = 200;
/// The time between two looks. All of them together are longer than a gate takes to end that has calls in flight.
const LOOK_PAUSE: Duration = Duration::from_millis(150);
/// How many gates in a row may end before a message is answered by one.
const GATES_MAX: u32 = 3;

/// Why a message has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The gate refuses the server.
    #[error("the gate does not take the server: {0}")]
    Refused(String),
    /// No gate can be started here.
    #[error("no gate runs here, and none could be started: {0}")]
    NotStarted(String),
    /// Somebody has the store, and does not answer.
    #[error(
        "no gate answers here, although its store is in use: {0}; nothing was sent, so the message can be repeated"
    )]
    NoGate(String),
    /// It was sent, and no answer came.
    #[error(
        "the gate ended before it answered, so the outcome of this call is not known: look for it in the audit log, or \
         repeat it with the same idempotency key"
    )]
    Unknown,
}

/// The way to a gate. One gate at a time.
pub(super) struct Link {
    config: Config,
    socket: PathBuf,
    new: NewServer,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The gate's promise to keep the server for this process.
    hold: Option<Hold>,
    /// The gate, when it is this process's own.
    own: Option<Running>,
    closed: bool,
}

/// What a look for a gate came to.
enum Looked {
    Found(Hold),
    /// There may be one in a moment: why.
    Later(String),
}

impl Link {
    pub(super) fn new(config: Config, new: NewServer) -> Self {
        let socket = serve::socket_path(&config.data);
        Self { config, socket, new, state: Mutex::default() }
    }

    /// Makes sure that there is a gate, and that it has the server.
    pub(super) async fn ready(&self) -> Result<(), LinkError> {
        let mut state = self.state.lock().await;
        if state.hold.as_ref().is_some_and(Hold::lasts) {
            return Ok(());
        }
        state.hold = None;
        let mut why = String::new();
        for _ in 0..LOOKS_MAX {
            if state.closed {
                return Err(LinkError::NoGate("this process is ending".into()));
            }
            match self.look(&mut state).await? {
                Looked::Found(hold) => {
                    state.hold = Some(hold);
                    return Ok(());
                }
                Looked::Later(reason) => why = reason,
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        Err(LinkError::NoGate(why))
    }

    async fn look(&self, state: &mut State) -> Result<Looked, LinkError> {
        let wish = serde_json::to_value(&self.new).map_err(|error| LinkError::Refused(error.to_string()))?;
        match socket::hold(&self.socket, "/v1/attach", &wish).await {
            Ok(Ok((said, hold))) => {
                for problem in said.get("problems").and_then(Value::as_array).into_iter().flatten() {
                    tracing::warn!(problem = problem.as_str(), "not all is well with the server");
                }
                return Ok(Looked::Found(hold));
            }
            Ok(Err((503, answer))) => return Ok(Looked::Later(message(&answer))),
            Ok(Err((_, answer))) => return Err(LinkError::Refused(message(&answer))),
            Err(SocketError::NotRunning { .. }) if state.own.is_none() => {}
            Err(error) => return Ok(Looked::Later(causes(&error))),
        }
        match serve::start_unlistening(self.config.clone(), Clock::system()).await {
            Ok(running) => {
                tracing::info!(socket = %self.socket.display(), "no gate ran here, so this process is one");
                state.own = Some(running);
                Ok(Looked::Later("it has only just been started".into()))
            }
            // Somebody else is about to be the gate, or has not quite ended being it.
            Err(error) if in_use(&error) => Ok(Looked::Later(causes(&error))),
            Err(error) => Err(LinkError::NotStarted(causes(&error))),
        }
    }

    /// Posts a message. One that may have been `executed` is sent once.
    pub(super) async fn post(&self, headers: &Headers, body: &str, executes: bool) -> Result<Answer, LinkError> {
        let uri = format!("/mcp?server={}", self.new.name);
        for _ in 0..GATES_MAX {
            self.ready().await?;
            let answer = socket::post(&self.socket, &uri, headers, body.to_owned()).await;
            match answer {
                Ok(answer) => return Ok(answer),
                Err(SocketError::NotRunning { .. }) => {}
                Err(error) if executes => {
                    tracing::warn!(error = causes(&error), "the outcome of a call is not known");
                    return Err(LinkError::Unknown);
                }
                Err(error) => tracing::info!(error = causes(&error), "the gate ended; the message is sent to the next"),
            }
            // Whatever it was that did not answer, its promise is worth nothing.
            self.state.lock().await.hold = None;
        }
        Err(LinkError::NoGate("one after the other ended".into()))
    }

    /// Lets the server go, and ends the gate if it is this process's own: calls in flight are waited for.
    pub(super) async fn close(&self) {
        let mut state = self.state.lock().await;
        state.closed = true;
        state.hold = None;
        if let Some(running) = state.own.take() {
            running.stop().await;
        }
    }
}

fn in_use(error: &StartError) -> bool {
    matches!(error, StartError::Store { source: StoreError::Locked(_), .. } | StartError::Socket(SocketError::InUse(_)))
}

fn message(answer: &Value) -> String {
    answer.get("message").and_then(Value::as_str).unwrap_or("it does not say why").to_owned()
}
