//! A place for one session after another: when one has ended, the next one who asks starts the next.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};

use super::UpstreamError;
use super::backoff::Backoff;
use super::session::Session;
use crate::clock::Clock;
use crate::config::{Reach, ServerConfig};
use crate::refusal::causes;

/// The sessions of one server, one at a time.
#[derive(Default)]
pub(super) struct Slot {
    life: Mutex<Life>,
    /// Read without waiting for a restart that is going on.
    current: RwLock<Option<Arc<Session>>>,
}

#[derive(Default)]
struct Life {
    backoff: Backoff,
    /// Why the last attempt failed; none when it did not.
    why: Option<String>,
    stopped: bool,
}

impl Slot {
    /// The live session.
    pub(super) fn current(&self) -> Option<Arc<Session>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|session| session.alive()).map(Arc::clone)
    }

    fn replace(&self, session: Option<Arc<Session>>) -> Option<Arc<Session>> {
        std::mem::replace(&mut *self.current.write().unwrap_or_else(PoisonError::into_inner), session)
    }

    /// The live session; a new one where the last has ended. `changed` is told when it is not the first.
    pub(super) async fn session(
        &self,
        config: &ServerConfig,
        clock: &Clock,
        changed: &Arc<Notify>,
    ) -> Result<Arc<Session>, UpstreamError> {
        if let Some(session) = self.current() {
            return Ok(session);
        }
        let mut life = self.life.lock().await;
        // Somebody else may have started it while this one waited.
        if let Some(session) = self.current() {
            return Ok(session);
        }
        let began = clock.monotonic();
        life.may_start(config, began)?;
        let again = self.replace(None).is_some() || life.why.is_some();
        if again {
            tracing::warn!(server = config.name, "the server is not running and is started again");
        }
        let started = Session::start(config, Arc::clone(changed)).await;
        match (&config.reach, &started) {
            (Reach::Http(_), Ok(_)) => life.backoff.forget(),
            // A child that starts and dies is started no more often than one that does not start.
            _ => life.backoff.tried(began, clock.monotonic()),
        }
        life.why = started.as_ref().err().map(|error| causes(error));
        let session = Arc::new(started.inspect_err(|error| tracing::error!(?error, "the server does not start"))?);
        self.replace(Some(Arc::clone(&session)));
        if again {
            changed.notify_one();
        }
        Ok(session)
    }

    /// Ends the session and waits for it. There is no other.
    pub(super) async fn stop(&self) {
        let mut life = self.life.lock().await;
        life.stopped = true;
        let session = self.replace(None);
        drop(life);
        if let Some(session) = session {
            session.stop().await;
        }
    }
}

impl Life {
    fn may_start(&self, config: &ServerConfig, now: Duration) -> Result<(), UpstreamError> {
        let server = || config.name.clone();
        if self.stopped {
            return Err(UpstreamError::Stopped { server: server() });
        }
        let wait = self.backoff.wait(now);
        if wait.is_zero() {
            return Ok(());
        }
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        let why = self.why.clone().unwrap_or_else(|| "it ended right after its start".to_owned());
        Err(UpstreamError::Pausing { server: server(), seconds, why })
    }
}
