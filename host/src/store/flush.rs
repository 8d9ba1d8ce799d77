//! Making sled durable in the background, and deleting the journal behind it.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::disk::Disk;
use super::journal::Sealed;
use super::state::State;
use super::writer::hold;
use crate::task;

/// A flush is put off while less than this, and four times what it has to write, is free, in bytes: sled does not survive
/// a disk that fills up while it writes.
const FREE_BYTES_MIN: u64 = 32 * 1024 * 1024;

/// What the writer and the flusher tell each other.
pub(super) struct Progress {
    /// Segments that are not written to any more, oldest first.
    sealed: Mutex<VecDeque<Sealed>>,
    /// Bytes in the journal since the last flush.
    unflushed_bytes: AtomicU64,
}

impl Progress {
    pub(super) fn new(sealed: Vec<Sealed>) -> Self {
        Self { sealed: Mutex::new(sealed.into()), unflushed_bytes: AtomicU64::new(0) }
    }

    /// A segment is not written to any more.
    pub(super) fn seal(&self, segment: Sealed) {
        hold(&self.sealed).push_back(segment);
    }

    /// So many bytes became durable in the journal.
    pub(super) fn wrote(&self, bytes: u64) {
        self.unflushed_bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Bytes in the journal since the last flush.
    pub(super) fn unflushed_bytes(&self) -> u64 {
        self.unflushed_bytes.load(Ordering::SeqCst)
    }
}

/// The thread that flushes.
pub(super) struct Flusher {
    nudge: SyncSender<()>,
    thread: JoinHandle<Flush>,
}

impl Flusher {
    /// Starts the thread. It flushes at every interval, and when it is nudged.
    pub(super) fn start(
        state: Arc<State>,
        disk: Arc<dyn Disk>,
        journal_dir: &Path,
        progress: Arc<Progress>,
        interval: Duration,
    ) -> std::io::Result<Self> {
        let (nudge, nudged) = sync_channel(1);
        let flush = Flush { state, disk, journal_dir: journal_dir.to_owned(), progress, told: false };
        let thread = task::thread("store-flusher", move || flush.run(&nudged, interval))?;
        Ok(Self { nudge, thread })
    }

    /// Asks for a flush soon.
    pub(super) fn nudge(&self) {
        // An error means that one was asked for already.
        let _ = self.nudge.try_send(());
    }

    /// Ends the thread, and flushes what is left.
    pub(super) fn end(self) {
        drop(self.nudge);
        if let Ok(mut flush) = self.thread.join() {
            flush.once();
        }
    }
}

struct Flush {
    state: Arc<State>,
    disk: Arc<dyn Disk>,
    journal_dir: PathBuf,
    progress: Arc<Progress>,
    /// Whether the log was told that there is too little room.
    told: bool,
}

impl Flush {
    fn run(mut self, nudged: &Receiver<()>, interval: Duration) -> Self {
        while !matches!(nudged.recv_timeout(interval), Err(RecvTimeoutError::Disconnected)) {
            self.once();
        }
        self
    }

    fn once(&mut self) {
        if self.state.applied() > self.state.flushed() {
            let bytes = self.progress.unflushed_bytes();
            if !self.has_room(bytes) || self.state.flush().is_err() {
                return;
            }
            self.progress.unflushed_bytes.fetch_sub(bytes, Ordering::SeqCst);
        }
        self.delete_segments();
    }

    fn has_room(&mut self, bytes: u64) -> bool {
        let needed = FREE_BYTES_MIN.saturating_add(bytes.saturating_mul(4));
        let free = self.disk.free_bytes(&self.journal_dir);
        if free.as_ref().is_ok_and(|free| *free >= needed) {
            self.told = false;
            return true;
        }
        if !self.told {
            tracing::warn!(
                ?free,
                needed,
                "too little room on the disk to flush the store; its journal grows until there is"
            );
            self.told = true;
        }
        false
    }

    /// Deletes what is flushed, oldest first, each one durably gone before the next: a segment that voids an older one's
    /// end must not go before it.
    fn delete_segments(&self) {
        while let Some(path) = self.deletable() {
            let deleted = fs::remove_file(&path).and_then(|()| self.disk.sync_dir(&self.journal_dir));
            if let Err(error) = deleted
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "a journal segment that is not needed cannot be deleted");
                return;
            }
            hold(&self.progress.sealed).pop_front();
        }
    }

    fn deletable(&self) -> Option<PathBuf> {
        let flushed = self.state.flushed();
        hold(&self.progress.sealed).front().filter(|sealed| sealed.last <= flushed).map(|sealed| sealed.path.clone())
    }
}
