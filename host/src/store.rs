//! The one writer: a journal in front, sled as the state.
//!
//! Layers never see sled. They read through [`Read`], and change things in a closure that [`Store::commit`] hands to
//! the single writer: closures run one after the other, each sees what those before it did, and a group of them becomes
//! durable with one `fdatasync`. A closure that returns an error leaves no trace.
//!
//! # What it promises
//! 1. A change that was acknowledged is there after a crash, a kill or a power cut: its group was in the journal, and the
//!    journal on the disk, before anybody was told.
//! 2. A change that was refused left nothing behind. One exception: when the disk fails so that neither the failed record
//!    can be cut off nor a new segment begun, and the process ends before either works, the record may count at the next
//!    start. For a claim that means an unknown outcome, never a second execution.
//! 3. Damage shuts the gate: a store that is not what was written does not open, and says where.
//! 4. A full disk is a refusal. The journal is tried again by itself; nobody has to restart anything.
//!
//! # Layout
//! On disk: `lock`, `journal/NNNNNNNNNNNN.log`, `state/` (sled's). In here: [`keys`] who owns which keys · `tx` a change in
//! progress · `writer` the thread that applies changes · `journal` how groups become durable, `recover` how they are read
//! back, `record` and `codec` their bytes, `disk` the few file operations · `state` sled · `flush` making sled durable and
//! deleting the journal behind it.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::sync::{oneshot, watch};

mod codec;
mod disk;
mod flush;
mod journal;
pub mod keys;
mod open;
mod record;
mod recover;
mod state;
mod tx;
mod writer;

#[cfg(test)]
mod tests;

use state::State;
use writer::{Health, Job, Pending, hold};

pub use keys::prefix_end;
pub use tx::Tx;

/// Why the store did not do something. Whatever it is, nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// More is waiting to be written than may wait.
    #[error("more changes wait for the store than may wait")]
    Busy,
    /// The store is shut, or shutting.
    #[error("the store is closed")]
    Closed,
    /// A change that is larger than a change may be.
    #[error("the change is too large for the store: {0}")]
    TooLarge(String),
    /// The change itself panicked; it was discarded.
    #[error("a change panicked and was discarded")]
    Panicked,
    /// The journal could not be made durable.
    #[error("the store cannot write: {0}")]
    Unwritable(String),
    /// What is on disk is not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Another process has it open.
    #[error("`{0}` is in use: a gate is starting or running there; try again in a moment, or stop it")]
    Locked(String),
    /// Reading failed.
    #[error("the store cannot be read: {0}")]
    Unreadable(String),
}

/// What a scan shows each pair, key and value.
pub type Each<'a> = &'a mut (dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a);

/// Reading the state: keys are bytes, in order.
pub trait Read {
    /// The value under a key.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Shows the pairs with `from <= key < to`, in order (from the end when `reverse`), until `each` breaks.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, each: Each<'_>) -> Result<(), StoreError>;
}

/// Reading values that are kept as JSON.
pub trait ReadJson: Read {
    /// The value under a key, parsed.
    ///
    /// # Errors
    /// When the state cannot be read; [`StoreError::Damaged`], naming the key, when the value is not a `T`.
    fn get_json<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.get(key)?.map(|value| parse_json(key, &value)).transpose()
    }

    /// All values of one kind, parsed, in the order of their keys.
    ///
    /// # Errors
    /// When the state cannot be read; [`StoreError::Damaged`], naming the key, when a value is not a `T`.
    fn all_json<T: DeserializeOwned>(&self, prefix: keys::Prefix) -> Result<Vec<T>, StoreError> {
        let (from, to) = keys::Key::new(prefix).range();
        let mut found = Vec::new();
        self.scan(&from, &to, false, &mut |key, value| {
            found.push(parse_json(key, value));
            ControlFlow::Continue(())
        })?;
        found.into_iter().collect()
    }
}

impl<R: Read + ?Sized> ReadJson for R {}

/// A value that was kept as JSON: for what a scan shows.
///
/// # Errors
/// [`StoreError::Damaged`], naming the key, when the value is not a `T`.
pub fn parse_json<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(value).map_err(|error| {
        StoreError::Damaged(format!("the value under `{}` is not what it should be: {error}", key.escape_ascii()))
    })
}

/// Ceilings of the store. The defaults are those of a gate.
#[derive(Clone, Debug)]
pub struct Options {
    /// A journal segment of this many bytes is followed by a new one. Default 32 MiB: what a start may have to read again.
    pub segment_bytes_max: u64,
    /// Changes that may wait for the writer; one more is [`StoreError::Busy`]. Default 1024.
    pub queue_max: usize,
    /// Changes that become durable together. Default 64.
    pub group_max: usize,
    /// Bytes in the journal that sled has not made durable; more is [`StoreError::Busy`]. Default 512 MiB.
    pub unflushed_bytes_max: u64,
    /// What sled keeps in memory, in bytes. Default 64 MiB.
    pub cache_bytes_max: usize,
    /// How often sled is made durable, and how often a journal that failed is tried again. Default 5 seconds.
    pub flush_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes_max: 32 * 1024 * 1024,
            queue_max: 1024,
            group_max: 64,
            unflushed_bytes_max: 512 * 1024 * 1024,
            cache_bytes_max: 64 * 1024 * 1024,
            flush_interval: Duration::from_secs(5),
        }
    }
}

/// The store: a cheap handle that all layers share.
///
/// Its reads see committed pairs, each by itself: while a group is being applied, a read may see some of it (what it puts
/// before what it deletes). What must be seen together is read in a change, which sees whole groups only.
///
/// The last handle that is dropped closes the store and waits for that.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    /// Where changes go; nothing once the store is closed.
    queue: Mutex<Option<SyncSender<Box<dyn Job>>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// True once the writer has let go of everything.
    ended: watch::Receiver<bool>,
    state: Arc<State>,
    health: Arc<Health>,
    boot: AtomicU64,
}

impl Store {
    /// Opens the store in a folder, which is made (for this user only) when it is not there; brings the state up to what
    /// the journal says; counts the opening.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while another process has it; [`StoreError::Damaged`] when it is not what was written.
    pub fn open(dir: &Path, options: Options) -> Result<Self, StoreError> {
        open::open(dir, options, Arc::new(disk::RealDisk))
    }

    /// Hands a change to the writer. `Ok` once it is durable and every read sees it.
    ///
    /// Changes run on the writer's thread, in order: they must not wait for anything, and must not panic. A caller that
    /// stops waiting does not stop its change.
    ///
    /// # Errors
    /// What the change returned, and then it left no trace; or why the store did not take it.
    pub async fn commit<T, E, F>(&self, change: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.submit(Pending::boxed(change, move |result| drop(reply.send(result))))?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// [`Store::commit`] for the command line and for starting up. Not from asynchronous code: it blocks.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit_blocking<T, E, F>(&self, change: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = sync_channel(1);
        self.submit(Pending::boxed(change, move |result| drop(reply.send(result))))?;
        answer.recv().unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    fn submit(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        match hold(&self.0.queue).as_ref().map(|queue| queue.try_send(job)) {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => Err(StoreError::Busy),
            Some(Err(TrySendError::Disconnected(_))) | None => Err(StoreError::Closed),
        }
    }

    /// How many times this store was opened, this time included. Kept in the store.
    #[must_use]
    pub fn boot(&self) -> u64 {
        self.0.boot.load(Ordering::Relaxed)
    }

    /// Whether the store takes changes, as far as is known.
    ///
    /// # Errors
    /// Why the last group failed, unless the journal was writable since; or why reads fail; or that it is closed.
    pub fn health(&self) -> Result<(), StoreError> {
        if hold(&self.0.queue).is_none() {
            return Err(StoreError::Closed);
        }
        self.0.state.check()?;
        self.0.health.check()
    }

    /// Refuses new changes, writes what waits, makes sled durable and lets go of the folder.
    pub async fn close(&self) {
        drop(hold(&self.0.queue).take());
        let mut ended = self.0.ended.clone();
        // An error means that the writer's thread is gone, which is what is waited for.
        let _ = ended.wait_for(|ended| *ended).await;
        self.0.join();
    }
}

impl Read for Store {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.state.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, each: Each<'_>) -> Result<(), StoreError> {
        self.0.state.scan(from, to, reverse, each)
    }
}

impl Inner {
    /// Waits for the writer's thread, unless this is it: a change may hold the last handle.
    fn join(&self) {
        if let Some(writer) = hold(&self.writer).take()
            && writer.thread().id() != std::thread::current().id()
        {
            // A panic of the writer reached the log through the panic hook.
            let _ = writer.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(hold(&self.queue).take());
        self.join();
    }
}
