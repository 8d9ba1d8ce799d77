//! A disk that fails when it is told to.

use std::io;

use super::super::disk::{Disk, RealDisk, Segment};
use super::*;

/// What the disk does from now on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// A write of which so many bytes arrive; then a full disk, on which nothing can be made either.
    Full {
        arrive: usize,
    },
    /// A write of which so many bytes arrive, once.
    ShortOnce {
        arrive: usize,
    },
    /// The bytes arrive and syncing fails, once.
    SyncOnce,
    /// Syncing fails, and nothing can be made.
    SyncAlways,
    /// There is no room for a flush.
    NoRoom,
}

#[derive(Clone)]
struct Faulty(Arc<Mutex<Fault>>);

impl Faulty {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Fault::None)))
    }

    fn set(&self, fault: Fault) {
        *hold(&self.0) = fault;
    }

    fn open(&self, dir: &Path) -> Store {
        // Long enough that nothing happens by itself, unless the test says so.
        self.open_with(dir, Duration::from_secs(3600))
    }

    fn open_with(&self, dir: &Path, flush_interval: Duration) -> Store {
        open::open(dir, Options { flush_interval, ..Options::default() }, Arc::new(self.clone())).unwrap()
    }
}

fn full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

impl Disk for Faulty {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Segment>> {
        if matches!(*hold(&self.0), Fault::Full { .. } | Fault::SyncAlways) {
            return Err(full());
        }
        Ok(Box::new(FaultySegment { real: RealDisk.create(path)?, fault: self.0.clone(), failed: false }))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        if *hold(&self.0) == Fault::NoRoom { Ok(1000) } else { RealDisk.free_bytes(dir) }
    }
}

struct FaultySegment {
    real: Box<dyn Segment>,
    fault: Arc<Mutex<Fault>>,
    failed: bool,
}

impl Segment for FaultySegment {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        assert!(!self.failed, "a segment that failed is written again");
        let mut fault = hold(&self.fault);
        let (Fault::Full { arrive } | Fault::ShortOnce { arrive }) = *fault else {
            return self.real.append(bytes);
        };
        self.real.append(&bytes[..arrive.min(bytes.len())])?;
        if matches!(*fault, Fault::ShortOnce { .. }) {
            *fault = Fault::None;
        }
        self.failed = true;
        Err(full())
    }

    fn sync(&mut self) -> io::Result<()> {
        assert!(!self.failed, "a segment that failed is synced again");
        self.real.sync()?;
        let mut fault = hold(&self.fault);
        match *fault {
            Fault::SyncOnce => *fault = Fault::None,
            Fault::SyncAlways => {}
            _ => return Ok(()),
        }
        self.failed = true;
        Err(io::Error::other("the disk does not answer"))
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.real.cut(length)
    }
}

fn assert_unwritable(result: Result<(), StoreError>) {
    assert!(matches!(result, Err(StoreError::Unwritable(_))), "{result:?}");
}

/// After a crash at this moment.
fn assert_after_crash(dir: &Path, name: &str, value: Option<&[u8]>) {
    let copy = copy_of(dir);
    fs::remove_dir_all(copy.path().join("state")).unwrap();
    assert_eq!(get(&open(copy.path()), name).as_deref(), value, "`{name}` after a crash");
}

#[test]
fn a_failed_group_is_refused_and_never_comes_back() {
    let whole = usize::MAX;
    for fault in [
        Fault::ShortOnce { arrive: 0 },
        Fault::ShortOnce { arrive: 20 },
        Fault::ShortOnce { arrive: whole },
        Fault::SyncOnce,
    ] {
        let (dir, disk) = (folder(), Faulty::new());
        let store = disk.open(dir.path());
        put(&store, "before", b"1").unwrap();
        disk.set(fault);
        assert_unwritable(put(&store, "failed", b"2"));
        assert!(matches!(store.health(), Err(StoreError::Unwritable(_))));
        assert_eq!(get(&store, "failed"), None);
        assert_after_crash(dir.path(), "failed", None);
        assert_after_crash(dir.path(), "before", Some(b"1"));

        put(&store, "after", b"3").unwrap();
        store.health().unwrap();
        assert_eq!(get(&store, "failed"), None);
        assert_eq!(segments(dir.path()).len(), 2, "{fault:?}: a new segment was begun");
        assert_after_crash(dir.path(), "failed", None);
        assert_after_crash(dir.path(), "before", Some(b"1"));
        assert_after_crash(dir.path(), "after", Some(b"3"));
    }
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    for arrive in [0, 20, usize::MAX] {
        let (dir, disk) = (folder(), Faulty::new());
        let store = disk.open(dir.path());
        put(&store, "before", b"1").unwrap();
        disk.set(Fault::Full { arrive });
        for _ in 0..3 {
            assert_unwritable(put(&store, "failed", b"2"));
            assert_after_crash(dir.path(), "failed", None);
            assert_after_crash(dir.path(), "before", Some(b"1"));
        }
        assert_eq!(get(&store, "before").unwrap(), b"1");
        disk.set(Fault::None);
        put(&store, "after", b"3").unwrap();
        store.health().unwrap();
        assert_after_crash(dir.path(), "failed", None);
        assert_after_crash(dir.path(), "after", Some(b"3"));
    }
}

#[test]
fn a_disk_that_does_not_sync_refuses() {
    let (dir, disk) = (folder(), Faulty::new());
    let store = disk.open(dir.path());
    put(&store, "before", b"1").unwrap();
    disk.set(Fault::SyncAlways);
    assert_unwritable(put(&store, "failed", b"2"));
    assert_unwritable(put(&store, "failed", b"2"));
    disk.set(Fault::None);
    put(&store, "after", b"3").unwrap();
    assert_after_crash(dir.path(), "before", Some(b"1"));
    assert_after_crash(dir.path(), "failed", None);
    assert_after_crash(dir.path(), "after", Some(b"3"));
}

#[test]
fn readiness_comes_back_without_a_call() {
    let (dir, disk) = (folder(), Faulty::new());
    let store = disk.open_with(dir.path(), Duration::from_millis(5));
    disk.set(Fault::Full { arrive: 0 });
    assert_unwritable(put(&store, "failed", b"2"));
    assert!(store.health().is_err());
    disk.set(Fault::None);
    eventually("healthy again", || store.health().is_ok());
}

#[test]
fn every_caller_of_a_failed_group_is_told() {
    let (dir, disk) = (folder(), Faulty::new());
    let store = disk.open(dir.path());
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (reply, answers) = std::sync::mpsc::channel();
    let first = Pending::boxed(
        move |_: &mut Tx<'_>| -> Result<(), StoreError> {
            let _ = wait.recv();
            Ok(())
        },
        drop,
    );
    store.submit(first).unwrap();
    for name in ["a", "b", "c"] {
        let reply = reply.clone();
        let change = move |tx: &mut Tx<'_>| -> Result<(), StoreError> {
            tx.put(key(name), b"x");
            Ok(())
        };
        store.submit(Pending::boxed(change, move |result| reply.send(result).unwrap())).unwrap();
    }
    // What failed for another reason in a group that failed: what it saw may never have been.
    let failing = |_: &mut Tx<'_>| -> Result<(), StoreError> { Err(StoreError::Closed) };
    store.submit(Pending::boxed(failing, move |result| reply.send(result).unwrap())).unwrap();
    disk.set(Fault::SyncOnce);
    drop(go);
    for _ in 0..4 {
        assert_unwritable(answers.recv().unwrap());
    }
    for name in ["a", "b", "c"] {
        assert_eq!(get(&store, name), None);
    }
}

#[test]
fn without_room_the_journal_is_kept() {
    let (dir, disk) = (folder(), Faulty::new());
    disk.set(Fault::NoRoom);
    let options = Options { segment_bytes_max: 100, flush_interval: Duration::from_millis(1), ..Options::default() };
    let store = open::open(dir.path(), options, Arc::new(disk.clone())).unwrap();
    for n in 0..10_u8 {
        put(&store, &format!("{n}"), &[n; 60]).unwrap();
    }
    assert!(segments(dir.path()).len() > 5);
    assert_after_crash(dir.path(), "0", Some(&[0; 60]));
    disk.set(Fault::None);
    eventually("old segments gone", || segments(dir.path()).len() == 1);
    assert_eq!(get(&store, "0").unwrap(), [0; 60]);
}

#[test]
fn closing_without_room_leaves_it_to_the_journal() {
    let (dir, disk) = (folder(), Faulty::new());
    let store = disk.open(dir.path());
    disk.set(Fault::NoRoom);
    put(&store, "a", b"1").unwrap();
    drop(store);
    let copy = copy_of(dir.path());
    assert_eq!(get(&open(copy.path()), "a").unwrap(), b"1");
    let without_journal = copy_of(dir.path());
    fs::remove_dir_all(without_journal.path().join("journal")).unwrap();
    assert_eq!(get(&open(without_journal.path()), "a"), None);
}

#[test]
fn what_is_not_flushed_has_a_ceiling() {
    let (dir, disk) = (folder(), Faulty::new());
    disk.set(Fault::NoRoom);
    let options = Options { unflushed_bytes_max: 1000, flush_interval: Duration::from_millis(1), ..Options::default() };
    let store = open::open(dir.path(), options, Arc::new(disk.clone())).unwrap();
    let refused = (0..100).find_map(|_| put(&store, "a", &[0; 100]).err());
    assert!(matches!(refused, Some(StoreError::Busy)), "{refused:?}");
    disk.set(Fault::None);
    eventually("room again", || put(&store, "a", b"room again").is_ok());
}
