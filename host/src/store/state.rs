//! The state: sled, behind the few things that the store needs of it.
//!
//! What sled makes necessary here:
//! - A handle can be sent to another thread but not shared, so reads borrow one from a pool.
//! - After an error or a panic inside sled, what it holds in memory is not to be trusted, a further flush never returns,
//!   and dropping it would flush. So the first is final: the state is broken, its handles are leaked, and the next
//!   process reads everything again from the journal, which is not deleted before sled's flush succeeded.
//! - Without a flush interval every dropped handle flushes, and sled's own flusher ends the process when it fails. So
//!   the interval is set to weeks, and `flush` is called from outside.
//! - Its forward iterator does not stop at the end of a range before the end of the tree. So ranges are open at the end,
//!   and the scan stops by itself.
//! - A batch never gives back a leaf that it emptied; single removals do. Atomicity is the journal's, not sled's.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::keys::{APPLIED, Key, Prefix};
use super::tx::Changes;
use super::writer::hold;
use super::{Each, Read, StoreError};

type Db = sled::Db<64>;

/// Handles kept for the next reads. More reads at once than this make and drop their own.
const IDLE_MAX: usize = 32;

/// How often, and how long each time, to wait for sled's own lock. The store's lock is held at this point, so whoever
/// has sled's is a child process between its birth and its first instruction, which has inherited it.
const LOCK_TRIES_MAX: u32 = 50;
const LOCK_WAIT: Duration = Duration::from_millis(20);

/// The state.
pub(super) struct State {
    pool: Mutex<Pool>,
    returned: Condvar,
    applied: AtomicU64,
    /// The last sequence number that is durable in sled, as far as is known.
    flushed: AtomicU64,
    broken: OnceLock<StoreError>,
}

#[derive(Default)]
struct Pool {
    /// What handles are cloned from; nothing once the state is shut.
    root: Option<Db>,
    idle: Vec<Db>,
    lent: usize,
}

impl State {
    /// Opens the state in a folder.
    pub(super) fn open(dir: &Path, cache_bytes_max: usize) -> Result<Self, StoreError> {
        let db = open_sled(dir, cache_bytes_max)?;
        let state = Self {
            pool: Mutex::new(Pool { root: Some(db), ..Pool::default() }),
            returned: Condvar::new(),
            applied: AtomicU64::new(0),
            flushed: AtomicU64::new(0),
            broken: OnceLock::new(),
        };
        let key = applied_key();
        if let Some(value) = state.get(&key)? {
            let applied = value.as_slice().try_into().map_err(|_| {
                StoreError::Damaged(format!("the value under `{}` is not a sequence number", key.escape_ascii()))
            })?;
            state.applied.store(u64::from_be_bytes(applied), Ordering::SeqCst);
            state.flushed.store(u64::from_be_bytes(applied), Ordering::SeqCst);
        }
        Ok(state)
    }

    /// The sequence number of the last group that is in the state.
    pub(super) fn applied(&self) -> u64 {
        self.applied.load(Ordering::SeqCst)
    }

    /// The sequence number of the last group that is durable in sled.
    pub(super) fn flushed(&self) -> u64 {
        self.flushed.load(Ordering::SeqCst)
    }

    /// Puts a group into the state. Only the writer does this, and start-up before there is one.
    ///
    /// What is deleted goes after what is put, and the sequence number last, so that a state that sled made durable in
    /// between gets the whole group again. Deletes go one by one because a batch leaves emptied leaves behind for ever.
    pub(super) fn apply(&self, sequence: u64, changes: Changes) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        let mut deleted = Vec::new();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => deleted.push(key),
            }
        }
        let applied = sequence.to_be_bytes().to_vec();
        if deleted.is_empty() {
            batch.insert(Vec::from(applied_key()), applied);
            self.with(|db| db.apply_batch(batch))?;
        } else {
            self.with(|db| {
                db.apply_batch(batch)?;
                deleted.iter().try_for_each(|key| db.remove(key).map(drop))?;
                db.insert(applied_key(), applied).map(drop)
            })?;
        }
        self.applied.store(sequence, Ordering::SeqCst);
        Ok(())
    }

    /// Makes everything that was applied before this call durable.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        let applied = self.applied();
        self.with(|db| db.flush().map(drop))?;
        self.flushed.store(applied, Ordering::SeqCst);
        Ok(())
    }

    /// Whether reads work.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.broken.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Waits for the reads that are going on, and lets go of the folder. Reads are refused from now on.
    pub(super) fn shut(&self) {
        let mut pool = hold(&self.pool);
        let root = pool.root.take();
        while pool.lent > 0 {
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        let handles = (root, std::mem::take(&mut pool.idle));
        // Dropping the last handle flushes: not when there was no room for it. After a failure one is leaked already.
        if self.applied() > self.flushed() {
            std::mem::forget(handles);
        }
    }

    /// Does something with a handle; an error or a panic in there breaks the state.
    pub(super) fn with<T>(&self, act: impl FnOnce(&Db) -> io::Result<T>) -> Result<T, StoreError> {
        let lent = self.lend()?;
        let acted = catch_unwind(AssertUnwindSafe(|| lent.handle().map(act)));
        let failure = match acted {
            Ok(Some(Ok(value))) => return Ok(value),
            Ok(Some(Err(error))) => error.to_string(),
            Ok(None) => return Err(StoreError::Closed),
            Err(_) => "it panicked; the log says where".to_owned(),
        };
        Err(self.break_off(&failure))
    }

    fn break_off(&self, failure: &str) -> StoreError {
        let error = StoreError::Unreadable(format!(
            "its state failed and is read again at the next start, so start again: {failure}"
        ));
        if self.broken.set(error.clone()).is_ok() {
            tracing::error!(failure, "the store's state failed; it takes nothing more until the next start");
        }
        error
    }

    fn lend(&self) -> Result<Lent<'_>, StoreError> {
        self.check()?;
        let mut pool = hold(&self.pool);
        let Some(root) = &pool.root else {
            return Err(StoreError::Closed);
        };
        let handle = if pool.idle.is_empty() { Some(root.clone()) } else { pool.idle.pop() };
        pool.lent = pool.lent.saturating_add(1);
        Ok(Lent { handle, state: self })
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.shut();
    }
}

impl Read for State {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.with(|db| db.get(key))?.map(|value| value.to_vec()))
    }

    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, each: Each<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let lent = self.lend()?;
        let Some(db) = lent.handle() else {
            return Err(StoreError::Closed);
        };
        let mut pairs = if reverse { db.range(from..to) } else { db.range(from..) };
        loop {
            let next = catch_unwind(AssertUnwindSafe(|| if reverse { pairs.next_back() } else { pairs.next() }));
            match next {
                Ok(Some(Ok((key, value)))) if *key < *to => {
                    if each(&key, &value).is_break() {
                        return Ok(());
                    }
                }
                Ok(None | Some(Ok(_))) => return Ok(()),
                Ok(Some(Err(error))) => return Err(self.break_off(&error.to_string())),
                Err(_) => return Err(self.break_off("it panicked; the log says where")),
            }
        }
    }
}

/// A handle that goes back to the pool.
struct Lent<'a> {
    handle: Option<Db>,
    state: &'a State,
}

impl Lent<'_> {
    fn handle(&self) -> Option<&Db> {
        self.handle.as_ref()
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let broken = self.state.check().is_err();
        let mut pool = hold(&self.state.pool);
        if let Some(handle) = self.handle.take() {
            if broken {
                std::mem::forget(handle);
            } else if pool.idle.len() < IDLE_MAX {
                pool.idle.push(handle);
            }
        }
        pool.lent = pool.lent.saturating_sub(1);
        self.state.returned.notify_all();
    }
}

fn applied_key() -> Key {
    Key::new(Prefix::Meta).text(APPLIED)
}

fn open_sled(dir: &Path, cache_bytes_max: usize) -> Result<Db, StoreError> {
    let config = sled::Config::new()
        .path(dir)
        .cache_capacity_bytes(cache_bytes_max)
        .flush_every_ms(usize::try_from(u32::MAX).ok());
    let mut tries: u32 = 0;
    loop {
        match catch_unwind(AssertUnwindSafe(|| config.open::<64>())) {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock && tries < LOCK_TRIES_MAX => {
                tries = tries.saturating_add(1);
                std::thread::sleep(LOCK_WAIT);
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(StoreError::Damaged(format!(
                    "its state in `{}`: {error}; restore a backup",
                    dir.display()
                )));
            }
            Ok(Err(error)) => return Err(StoreError::Unreadable(format!("its state in `{}`: {error}", dir.display()))),
            Err(_) => {
                return Err(StoreError::Damaged(format!(
                    "its state in `{}` does not open; restore a backup",
                    dir.display()
                )));
            }
        }
    }
}
