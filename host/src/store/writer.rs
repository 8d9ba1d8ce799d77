//! The writer: the one thread that changes anything.
//!
//! It takes what waits as one group: runs each change on top of those before it, makes the result durable in the journal,
//! puts it into the state, and only then answers. When a group fails, all of it fails: what its changes said rests on
//! what the others did.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::codec::{self, CHANGE_BYTES_MAX};
use super::flush::{Flusher, Progress};
use super::journal::Journal;
use super::open::Lock;
use super::state::State;
use super::tx::{Changes, Tx};
use super::{Options, Read, StoreError};

/// A change that waits, whatever it returns.
pub(super) trait Job: Send {
    /// Runs it. What it changed and what that weighs in bytes, when it is to be kept.
    fn run(&mut self, below: &dyn Read) -> Option<(Changes, usize)>;

    /// Answers whoever waits: with what it returned, when its group is durable.
    fn finish(self: Box<Self>, group: Result<(), StoreError>);
}

/// A change, what it returned, and whom to tell.
pub(super) struct Pending<T, E, F, R> {
    change: Option<F>,
    result: Result<T, E>,
    reply: R,
}

impl<T, E, F, R> Pending<T, E, F, R>
where
    F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    R: FnOnce(Result<T, E>) + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    pub(super) fn boxed(change: F, reply: R) -> Box<dyn Job> {
        Box::new(Self { change: Some(change), result: Err(StoreError::Closed.into()), reply })
    }
}

impl<T, E, F, R> Job for Pending<T, E, F, R>
where
    F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send,
    R: FnOnce(Result<T, E>) + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, below: &dyn Read) -> Option<(Changes, usize)> {
        let change = self.change.take()?;
        let mut tx = Tx::on(below);
        let result =
            catch_unwind(AssertUnwindSafe(|| change(&mut tx))).unwrap_or_else(|_| Err(StoreError::Panicked.into()));
        let changes = tx.into_changes();
        let (result, kept) = match (result, codec::weigh(&changes)) {
            (Ok(value), Ok(bytes)) => (Ok(value), Some((changes, bytes))),
            (Ok(_), Err(error)) => (Err(error.into()), None),
            (Err(error), _) => (Err(error), None),
        };
        self.result = result;
        kept
    }

    fn finish(self: Box<Self>, group: Result<(), StoreError>) {
        (self.reply)(match group {
            Ok(()) => self.result,
            Err(error) => Err(error.into()),
        });
    }
}

/// Why the last group failed, until the journal works again.
#[derive(Default)]
pub(super) struct Health(Mutex<Option<StoreError>>);

impl Health {
    pub(super) fn check(&self) -> Result<(), StoreError> {
        hold(&self.0).clone().map_or(Ok(()), Err)
    }

    fn set(&self, group: Result<(), StoreError>) {
        let mut failure = hold(&self.0);
        match (&*failure, &group) {
            (None, Err(error)) => tracing::error!(%error, "the store takes no changes"),
            (Some(_), Ok(())) => tracing::info!("the store takes changes again"),
            _ => {}
        }
        *failure = group.err();
    }
}

/// The writer's thread.
pub(super) struct Writer {
    pub(super) journal: Journal,
    pub(super) state: Arc<State>,
    pub(super) health: Arc<Health>,
    pub(super) progress: Arc<Progress>,
    pub(super) flusher: Flusher,
    pub(super) options: Options,
    pub(super) lock: Lock,
    pub(super) end: watch::Sender<bool>,
}

impl Writer {
    /// Applies what comes until nobody can send any more, then lets go of everything.
    pub(super) fn run(mut self, jobs: &Receiver<Box<dyn Job>>) {
        loop {
            match jobs.recv_timeout(self.options.flush_interval) {
                Ok(job) => self.group(job, jobs),
                Err(RecvTimeoutError::Timeout) => self.retry(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.flusher.end();
        self.state.shut();
        drop(self.lock);
        self.end.send_replace(true);
    }

    /// Runs, keeps and answers what waits.
    fn group(&mut self, first: Box<dyn Job>, jobs: &Receiver<Box<dyn Job>>) {
        let (ran, outcome) = match self.admit() {
            Ok(()) => {
                let (ran, changes) = self.run_group(first, jobs);
                (ran, self.keep(changes))
            }
            Err(error) => (vec![first], Err(error)),
        };
        for job in ran {
            job.finish(outcome.clone());
        }
    }

    /// Whether the state can take more.
    fn admit(&self) -> Result<(), StoreError> {
        self.state.check()?;
        if self.progress.unflushed_bytes() > self.options.unflushed_bytes_max {
            self.flusher.nudge();
            return Err(StoreError::Busy);
        }
        Ok(())
    }

    /// Runs what waits, each on top of those before it.
    fn run_group(&self, first: Box<dyn Job>, jobs: &Receiver<Box<dyn Job>>) -> (Vec<Box<dyn Job>>, Changes) {
        let mut group = Tx::on(&*self.state);
        let mut ran = Vec::new();
        let mut bytes: usize = 0;
        let mut next = Some(first);
        while let Some(mut job) = next {
            if let Some((changes, more)) = job.run(&group) {
                group.absorb(changes);
                bytes = bytes.saturating_add(more);
            }
            ran.push(job);
            let full = ran.len() >= self.options.group_max || bytes >= CHANGE_BYTES_MAX;
            next = if full { None } else { jobs.try_recv().ok() };
        }
        (ran, group.into_changes())
    }

    /// Makes a group durable and visible.
    fn keep(&mut self, changes: Changes) -> Result<(), StoreError> {
        if changes.is_empty() {
            return self.state.check();
        }
        let outcome = self.journal.append(&changes);
        self.health.set(outcome.as_ref().map(|_| ()).map_err(Clone::clone));
        let sequence = outcome?;
        if self.progress.unflushed_bytes() > self.options.segment_bytes_max {
            self.flusher.nudge();
        }
        self.state.apply(sequence, changes)
    }

    /// While the last group's failure stands: tries the disk, so that readiness does not wait for a call.
    fn retry(&mut self) {
        if self.health.check().is_err() {
            self.health.set(self.journal.retry());
        }
    }
}

/// Takes a lock; what it guards is whole after every statement, so a panic elsewhere does not spoil it.
pub(super) fn hold<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
