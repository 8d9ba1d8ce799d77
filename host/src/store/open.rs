//! Opening a store: the folder, the lock, the state, what the journal adds to it, and the threads.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::disk::Disk;
use super::flush::{Flusher, Progress};
use super::journal::Journal;
use super::keys::{BOOT, Key, Prefix};
use super::recover::recover;
use super::state::State;
use super::writer::{Health, Writer};
use super::{Inner, Options, ReadJson, Store, StoreError, Tx};
use crate::task;

/// Opens a store whose journal is written through `disk`.
pub(super) fn open(dir: &Path, options: Options, disk: Arc<dyn Disk>) -> Result<Store, StoreError> {
    let journal_dir = dir.join("journal");
    let state_dir = dir.join("state");
    for folder in [dir, &journal_dir, &state_dir] {
        make_folder(folder).map_err(|error| unwritable(folder, &error))?;
    }
    let lock = Lock::take(dir)?;
    disk.sync_dir(dir).map_err(|error| unwritable(dir, &error))?;

    let state = State::open(&state_dir, options.cache_bytes_max)?;
    let found = recover(&journal_dir, state.applied(), &mut |sequence, changes| state.apply(sequence, changes));
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            state.shut();
            return Err(error);
        }
    };
    let progress = Arc::new(Progress::new(found.segments));
    let journal = Journal::new(
        journal_dir,
        disk.clone(),
        options.segment_bytes_max,
        found.next_number,
        found.last,
        progress.clone(),
    );
    start(lock, options, disk, state, journal, progress)
}

/// Starts the threads and counts the opening.
fn start(
    lock: Lock,
    options: Options,
    disk: Arc<dyn Disk>,
    state: State,
    journal: Journal,
    progress: Arc<Progress>,
) -> Result<Store, StoreError> {
    let state = Arc::new(state);
    let health = Arc::new(Health::default());
    let (queue, jobs) = sync_channel(options.queue_max);
    let (end, ended) = watch::channel(false);
    let flusher = Flusher::start(state.clone(), disk, journal.dir(), progress.clone(), options.flush_interval)
        .map_err(|error| no_thread(&error))?;
    let writer =
        Writer { journal, state: state.clone(), health: health.clone(), progress, flusher, options, lock, end };
    let thread = task::thread("store-writer", move || writer.run(&jobs)).map_err(|error| no_thread(&error))?;

    let store = Store(Arc::new(Inner {
        queue: Mutex::new(Some(queue)),
        writer: Mutex::new(Some(thread)),
        ended,
        state,
        health,
        boot: AtomicU64::new(0),
    }));
    let boot = store.commit_blocking(count_opening)?;
    store.0.boot.store(boot, Ordering::Relaxed);
    Ok(store)
}

fn count_opening(tx: &mut Tx<'_>) -> Result<u64, StoreError> {
    let key = Key::new(Prefix::Meta).text(BOOT);
    let boot = tx.get_json::<u64>(key.as_ref())?.unwrap_or(0).saturating_add(1);
    tx.put_json(key, &boot)?;
    Ok(boot)
}

/// Makes a folder for this user only, and those above it; one that is there stays as it is.
fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The lock on a store's folder: one process at a time.
pub(super) struct Lock(File);

impl Lock {
    fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| unwritable(&path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked(dir.display().to_string())),
            Err(TryLockError::Error(error)) => Err(unwritable(&path, &error)),
        }
    }
}

impl Drop for Lock {
    /// Closing the file would not do: a child process that is just being started has it open as well.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the store's lock could not be given back; it goes with the process");
        }
    }
}

fn no_thread(error: &io::Error) -> StoreError {
    StoreError::Unwritable(format!("its thread did not start: {error}"))
}

fn unwritable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unwritable(format!("`{}`: {error}", path.display()))
}
