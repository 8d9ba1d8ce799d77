//! The few file operations whose failure the journal must survive, behind a trait so that tests can make them fail.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Where segments are made.
pub(super) trait Disk: Send + Sync {
    /// A new, empty file that only this user can read. It must not be there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Segment>>;

    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// What is free for this user on the file system of a folder, in bytes.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// A segment that is being written.
pub(super) trait Segment: Send {
    /// Adds bytes at the end. After an error any number of them may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes all of it durable.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts it to a length and makes that durable.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

/// The machine's disk.
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Segment>> {
        Ok(Box::new(OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(dir)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

impl Segment for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.sync_all()
    }
}
