//! The thread that reloads: it waits for the system's notices about the policy directory, looks for itself where there are
//! none, and does what owners ask, one after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::oneshot;

use super::engine::EngineError;
use super::limits;
use super::reload::{ReloadError, Reloaded, Reloader};
use crate::clock::Clock;
use crate::identity::Actor;
use crate::task;

type Reply = oneshot::Sender<Result<Reloaded, ReloadError>>;

enum Ask {
    /// Something happened in the directory.
    Stirred,
    Reload(Actor, Reply),
    Rollback(Actor, Reply),
    /// Nobody needs the thread any more.
    Stop,
}

/// Where the thread is asked. It ends when this is dropped.
pub(super) struct Desk {
    asks: SyncSender<Ask>,
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Desk {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has none to give.
    pub(super) fn open(reloader: Reloader, clock: Clock) -> Result<Self, EngineError> {
        let (asks, queue) = sync_channel(limits::RELOADS_WAITING_MAX);
        let stopped = Arc::new(AtomicBool::new(false));
        let notices = Notices::new(asks.clone());
        let flag = Arc::clone(&stopped);
        let thread = task::thread("policy-reload", move || keep(reloader, &queue, notices, &clock, &flag))
            .map_err(EngineError::Thread)?;
        Ok(Self { asks, stopped, thread })
    }

    /// Whether the thread is gone, which only a panic explains: then no change is seen any more.
    pub(super) fn ended(&self) -> bool {
        self.thread.is_finished()
    }

    pub(super) async fn reload(&self, actor: Actor) -> Result<Reloaded, ReloadError> {
        self.ask(|reply| Ask::Reload(actor, reply)).await
    }

    pub(super) async fn rollback(&self, actor: Actor) -> Result<Reloaded, ReloadError> {
        self.ask(|reply| Ask::Rollback(actor, reply)).await
    }

    async fn ask(&self, ask: impl FnOnce(Reply) -> Ask) -> Result<Reloaded, ReloadError> {
        let (reply, answer) = oneshot::channel();
        self.asks.try_send(ask(reply)).map_err(|error| match error {
            TrySendError::Full(_) => ReloadError::Busy,
            TrySendError::Disconnected(_) => ReloadError::NotRunning,
        })?;
        answer.await.unwrap_or(Err(ReloadError::NotRunning))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // A queue that is full wakes the thread, too.
        let _ = self.asks.try_send(Ask::Stop);
    }
}

fn keep(mut reloader: Reloader, queue: &Receiver<Ask>, mut notices: Notices, clock: &Clock, stopped: &AtomicBool) {
    let mut rest = Rest::default();
    while !stopped.load(Ordering::SeqCst) {
        notices.watch(reloader.directory());
        match queue.recv_timeout(rest.wait(clock.monotonic())) {
            Ok(Ask::Stirred) => {
                notices.hear();
                rest.stir(clock.monotonic());
            }
            // Whoever asked may have stopped to wait.
            Ok(Ask::Reload(actor, reply)) => drop(reply.send(reloader.reload(Some(&actor)))),
            Ok(Ask::Rollback(actor, reply)) => drop(reply.send(reloader.rollback(&actor))),
            Ok(Ask::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => look(&mut reloader, &mut rest, clock.monotonic()),
        }
    }
}

/// Reloads what has changed and come to rest. What went wrong is in the standing, the log and the audit log.
fn look(reloader: &mut Reloader, rest: &mut Rest, now: Duration) {
    if rest.came(now) {
        if reloader.stirred() {
            let _ = reloader.reload(None);
        }
    } else if reloader.due() {
        let _ = reloader.reload(None);
    } else if !rest.is_stirred() && reloader.stirred() {
        rest.stir(now);
    }
}

/// Whether a directory in which something happens has come to rest.
#[derive(Default)]
struct Rest {
    /// When something happened first and last since it was read.
    stirred: Option<(Duration, Duration)>,
}

impl Rest {
    fn stir(&mut self, now: Duration) {
        let first = self.stirred.map_or(now, |(first, _)| first);
        self.stirred = Some((first, now));
    }

    fn is_stirred(&self) -> bool {
        self.stirred.is_some()
    }

    fn at(&self) -> Option<Duration> {
        let (first, last) = self.stirred?;
        Some(last.saturating_add(limits::REST).min(first.saturating_add(limits::REST_MAX)))
    }

    /// How long it is until there is something to look at.
    fn wait(&self, now: Duration) -> Duration {
        self.at().map_or(limits::LOOK, |at| at.saturating_sub(now))
    }

    /// Whether it has come to rest since something happened; says so once.
    fn came(&mut self, now: Duration) -> bool {
        let came = self.at().is_some_and(|at| now >= at);
        if came {
            self.stirred = None;
        }
        came
    }
}

/// The system's notices about one directory. Where there are none to be had, looking has to do.
struct Notices {
    watcher: Option<RecommendedWatcher>,
    /// One notice is waiting to be heard: more say nothing more.
    waiting: Arc<AtomicBool>,
    watched: Option<(PathBuf, (u64, u64))>,
}

impl Notices {
    fn new(asks: SyncSender<Ask>) -> Self {
        let waiting = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&waiting);
        let heard = move |event: notify::Result<notify::Event>| {
            // Reading a file is such an event, and the gate reads them.
            let read = event.is_ok_and(|event| event.kind.is_access());
            if !read && !flag.swap(true, Ordering::SeqCst) && asks.try_send(Ask::Stirred).is_err() {
                flag.store(false, Ordering::SeqCst);
            }
        };
        let watcher = notify::recommended_watcher(heard)
            .inspect_err(|error| tracing::warn!(%error, "the system gives no notices about the policy directory"))
            .ok();
        Self { watcher, waiting, watched: None }
    }

    /// A notice was heard; the next one is news.
    fn hear(&self) {
        self.waiting.store(false, Ordering::SeqCst);
    }

    /// Watches a directory; again when another has taken its place.
    fn watch(&mut self, directory: &Path) {
        use std::os::unix::fs::MetadataExt as _;
        let Some(watcher) = &mut self.watcher else { return };
        let found = std::fs::metadata(directory).ok().map(|metadata| (metadata.dev(), metadata.ino()));
        if self.watched.as_ref().map(|(_, watched)| *watched) == found {
            return;
        }
        if let Some((path, _)) = self.watched.take() {
            // It may be gone.
            let _ = watcher.unwatch(&path);
        }
        let Some(found) = found else { return };
        match watcher.watch(directory, RecursiveMode::NonRecursive) {
            Ok(()) => self.watched = Some((directory.to_owned(), found)),
            Err(error) => {
                tracing::warn!(%error, "the system gives no notices about the policy directory");
                self.watcher = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_is_written_in_several_steps_is_read_once() {
        let mut rest = Rest::default();
        assert_eq!(rest.wait(Duration::ZERO), limits::LOOK);
        assert!(!rest.came(Duration::MAX), "nothing happened");
        let steps = [10, 20, 150, 300].map(|at| MS * at);
        for at in steps {
            rest.stir(at);
            assert!(!rest.came(at + limits::REST - MS));
        }
        assert_eq!(rest.wait(MS * 300), limits::REST);
        assert!(rest.came(MS * 300 + limits::REST));
        assert!(!rest.came(Duration::MAX), "once");
    }

    #[test]
    fn what_never_comes_to_rest_is_read_all_the_same() {
        let (mut rest, mut now) = (Rest::default(), Duration::ZERO);
        rest.stir(now);
        while !rest.came(now) {
            assert!(now <= limits::REST_MAX);
            now += MS * 10;
            rest.stir(now);
        }
        assert!(now >= limits::REST_MAX);
    }
}
