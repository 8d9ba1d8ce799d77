//! Writing the journal: one record for each group, one `fdatasync` for each record.
//!
//! A segment whose write or `fdatasync` failed is never written to again: after a failed `fdatasync` the kernel may
//! have forgotten what it could not write. The next segment says in its header from which number on the earlier ones are
//! void, so that a record that was reported as failed cannot count later.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::StoreError;
use super::disk::{Disk, Segment};
use super::flush::Progress;
use super::record::{self, HEADER_BYTES, Header};
use super::tx::Changes;

/// A segment that is not written to any more.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) path: PathBuf,
    /// Once the state has everything up to this sequence number on disk, the file is not needed.
    pub(super) last: u64,
}

/// The journal's writing end.
pub(super) struct Journal {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    segment_bytes_max: u64,
    /// The number in the name of the next segment. A number is used once, whether the segment came to be or not.
    next_number: u64,
    /// The sequence number of the last durable record.
    last: u64,
    active: Option<Active>,
    progress: Arc<Progress>,
}

struct Active {
    file: Box<dyn Segment>,
    path: PathBuf,
    salt: u32,
    /// Its length up to the end of the last durable record.
    bytes: u64,
}

impl Journal {
    /// A journal whose last record that counts is `last`. Its next record begins a new segment.
    pub(super) fn new(
        dir: PathBuf,
        disk: Arc<dyn Disk>,
        segment_bytes_max: u64,
        next_number: u64,
        last: u64,
        progress: Arc<Progress>,
    ) -> Self {
        Self { dir, disk, segment_bytes_max, next_number, last, active: None, progress }
    }

    /// Where its segments are.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes a group durable; its sequence number.
    pub(super) fn append(&mut self, changes: &Changes) -> Result<u64, StoreError> {
        let sequence = self.next()?;
        if self.active.as_ref().is_some_and(|active| active.bytes >= self.segment_bytes_max) {
            self.seal();
        }
        let mut active = match self.active.take() {
            Some(active) => active,
            None => self.begin()?,
        };
        let record = match record::encode(active.salt, sequence, changes) {
            Ok(record) => record,
            Err(error) => {
                self.active = Some(active);
                return Err(error);
            }
        };
        if let Err(error) = active.file.append(&record) {
            self.abandon(active, true);
            return Err(self.unwritable(&error));
        }
        if let Err(error) = active.file.sync() {
            self.abandon(active, false);
            return Err(self.unwritable(&error));
        }
        let bytes = record.len().try_into().unwrap_or(u64::MAX);
        active.bytes = active.bytes.saturating_add(bytes);
        self.progress.wrote(bytes);
        self.active = Some(active);
        self.last = sequence;
        Ok(sequence)
    }

    /// After a failure: whether the disk can be written again. Begins the next segment when it can.
    pub(super) fn retry(&mut self) -> Result<(), StoreError> {
        if self.active.is_none() {
            self.active = Some(self.begin()?);
        }
        Ok(())
    }

    fn next(&self) -> Result<u64, StoreError> {
        self.last.checked_add(1).ok_or_else(|| StoreError::Unwritable("its sequence numbers are used up".to_owned()))
    }

    /// Closes the active segment, which is sound.
    fn seal(&mut self) {
        if let Some(active) = self.active.take() {
            self.progress.seal(Sealed { path: active.path, last: self.last });
        }
    }

    /// Gives a segment up whose end may hold a record that must not count: begins the next one, whose header voids it,
    /// or at least cuts it off, which a full disk still allows. Only tried: the next group tries again.
    fn abandon(&mut self, active: Active, may_cut: bool) {
        let Active { mut file, path, bytes, .. } = active;
        match self.retry() {
            Ok(()) => {}
            Err(_) if may_cut => {
                if let Err(error) = file.cut(bytes) {
                    tracing::warn!(path = %path.display(), %error, "a record that failed could not be cut off the journal");
                }
            }
            Err(_) => {}
        }
        self.progress.seal(Sealed { path, last: self.last });
    }

    /// A new segment, durable with its name.
    fn begin(&mut self) -> Result<Active, StoreError> {
        let first = self.next()?;
        let number = self.next_number;
        self.next_number = number.saturating_add(1);
        let path = self.dir.join(segment_name(number));
        let salt = getrandom::u32()
            .map_err(|error| StoreError::Unwritable(format!("the system has no random numbers: {error}")))?;
        let header = Header { salt, first }.encode();
        let made = self.disk.create(&path).and_then(|mut file| {
            file.append(&header)?;
            file.sync()?;
            self.disk.sync_dir(&self.dir)?;
            Ok(file)
        });
        match made {
            Ok(file) => Ok(Active { file, path, salt, bytes: HEADER_BYTES.try_into().unwrap_or(u64::MAX) }),
            Err(error) => {
                // What is left of it is at most a header: harmless, but a full disk should not fill with them.
                let _ = fs::remove_file(&path);
                Err(self.unwritable(&error))
            }
        }
    }

    fn unwritable(&self, error: &io::Error) -> StoreError {
        StoreError::Unwritable(format!("its journal in `{}`: {error}", self.dir.display()))
    }
}

/// What the file of a segment is called.
pub(super) fn segment_name(number: u64) -> String {
    format!("{number:012}.log")
}

/// The number in a segment's name; nothing when it is no such name.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    let number = digits.parse().ok()?;
    (segment_name(number) == name).then_some(number)
}
