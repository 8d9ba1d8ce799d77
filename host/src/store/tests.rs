//! A real store on disk in a temporary folder; only the faults of a disk are made up.

mod damage;
mod faults;
mod kill;
mod limit;
mod order;
mod scan;
mod speed;

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use keys::{Key, Prefix};
use tempfile::TempDir;

fn folder() -> TempDir {
    TempDir::new().unwrap()
}

/// A store that flushes when it is closed and not before: its files can be copied at any moment.
fn open(dir: &Path) -> Store {
    Store::open(dir, Options { flush_interval: Duration::from_secs(3600), ..Options::default() }).unwrap()
}

fn key(name: &str) -> Key {
    Key::new(Prefix::Agent).text(name)
}

fn put(store: &Store, name: &str, value: &[u8]) -> Result<(), StoreError> {
    let (key, value) = (key(name), value.to_vec());
    store.commit_blocking(move |tx| {
        tx.put(key, value);
        Ok(())
    })
}

fn get(store: &impl Read, name: &str) -> Option<Vec<u8>> {
    store.get(&key(name)).unwrap()
}

/// What a disk holds after a power cut at this moment: all files as they are, of a store that is still open.
fn copy_of(dir: &Path) -> TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let to = folder();
    copy(dir, to.path());
    to
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(dir.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    found.sort();
    found
}

/// Waits for what another thread does; ten seconds are for ever.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("never: {what}");
}

#[test]
fn handles_can_be_shared() {
    fn check<T: Send + Sync + Clone + 'static>() {}
    check::<Store>();
}

#[tokio::test]
async fn what_was_committed_is_read_at_once_and_after_reopening() {
    let dir = folder();
    let store = open(&dir.path().join("data"));
    assert_eq!(store.boot(), 1);
    let answer: Result<u8, StoreError> = store
        .commit(|tx| {
            tx.put_json(key("a"), &["x"])?;
            Ok(7)
        })
        .await;
    assert_eq!(answer.unwrap(), 7);
    assert_eq!(store.get_json::<Vec<String>>(&key("a")).unwrap().unwrap(), ["x"]);
    store.health().unwrap();
    store.close().await;
    assert!(matches!(store.health(), Err(StoreError::Closed)));
    assert!(matches!(store.get(&key("a")), Err(StoreError::Closed)));
    assert!(matches!(put(&store, "a", b""), Err(StoreError::Closed)));

    let again = open(&dir.path().join("data"));
    assert_eq!(again.boot(), 2);
    assert_eq!(get(&again, "a").unwrap(), br#"["x"]"#);
}

#[test]
fn a_value_that_is_not_what_it_should_be_names_its_key() {
    let dir = folder();
    let store = open(dir.path());
    put(&store, "a", b"{").unwrap();
    let error = store.get_json::<u64>(&key("a")).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged(text) if text.contains(r"`agent/a\x00`")), "{error}");
}

#[test]
fn one_process_at_a_time() {
    let dir = folder();
    let store = open(dir.path());
    let second = Store::open(dir.path(), Options::default());
    assert!(matches!(second.err(), Some(StoreError::Locked(path)) if path == dir.path().display().to_string()));
    drop(store);
    open(dir.path());
}

#[test]
fn only_this_user_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder();
    let data = dir.path().join("data");
    let _store = open(&data);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("journal")), 0o700);
    assert_eq!(mode(&data.join("state")), 0o700);
    assert_eq!(mode(&segments(&data)[0]), 0o600);
}

#[test]
fn a_crash_loses_nothing_that_was_acknowledged() {
    let dir = folder();
    let store = open(dir.path());
    for n in 0..20_u8 {
        put(&store, &format!("{n}"), &[n]).unwrap();
    }
    let removed: Result<(), StoreError> = store.commit_blocking(|tx| {
        tx.delete(key("3"));
        Ok(())
    });
    removed.unwrap();
    let crashed = copy_of(dir.path());
    let again = open(crashed.path());
    for n in 0..20_u8 {
        assert_eq!(get(&again, &format!("{n}")), (n != 3).then(|| vec![n]));
    }
    // And once more from where that left off, now with two segments to read.
    put(&again, "more", b"x").unwrap();
    let crashed = copy_of(crashed.path());
    assert_eq!(get(&open(crashed.path()), "more").unwrap(), b"x");
}

#[test]
fn a_segment_goes_once_it_is_flushed() {
    let dir = folder();
    let store = Store::open(dir.path(), Options { segment_bytes_max: 1000, ..Options::default() }).unwrap();
    for n in 0..50_u8 {
        put(&store, &format!("{n}"), &[n; 100]).unwrap();
    }
    drop(store);
    let left = segments(dir.path());
    assert_eq!(left.len(), 1, "{left:?}");
    let again = open(dir.path());
    assert_eq!(get(&again, "0").unwrap(), [0; 100]);
    assert_eq!(get(&again, "49").unwrap(), [49; 100]);
}

#[test]
fn other_files_in_the_journal_are_left_alone() {
    let dir = folder();
    drop(open(dir.path()));
    let other = dir.path().join("journal/notes.txt");
    fs::write(&other, "not a segment").unwrap();
    fs::write(dir.path().join("journal/1.log"), "nor this").unwrap();
    drop(open(dir.path()));
    assert!(other.exists());
}

#[test]
fn too_large_is_refused_and_the_writer_goes_on() {
    let dir = folder();
    let store = open(dir.path());
    assert!(matches!(put(&store, &"k".repeat(2000), b""), Err(StoreError::TooLarge(_))));
    assert!(matches!(put(&store, "k", &vec![0; codec::CHANGE_BYTES_MAX]), Err(StoreError::TooLarge(_))));
    put(&store, "large", &vec![7; 1024 * 1024]).unwrap();
    assert_eq!(get(&store, "large").unwrap().len(), 1024 * 1024);
}

#[test]
fn a_state_that_fails_shuts_the_store_and_loses_nothing() {
    for failure in [|| Err(std::io::Error::other("on purpose")), || panic!("on purpose")] {
        let dir = folder();
        let store = open(dir.path());
        put(&store, "a", b"1").unwrap();
        let failed: Result<(), StoreError> = store.0.state.with(|_| failure());
        assert!(matches!(failed, Err(StoreError::Unreadable(_))));
        assert!(matches!(store.get(&key("a")), Err(StoreError::Unreadable(_))));
        assert!(matches!(put(&store, "b", b"2"), Err(StoreError::Unreadable(_))));
        assert!(matches!(store.health(), Err(StoreError::Unreadable(_))));
        drop(store);
        let next_process = copy_of(dir.path());
        let again = open(next_process.path());
        assert_eq!(get(&again, "a").unwrap(), b"1");
        assert_eq!(get(&again, "b"), None);
    }
}

#[test]
fn a_state_that_is_not_one_is_an_error() {
    let dir = folder();
    drop(open(dir.path()));
    for entry in fs::read_dir(dir.path().join("state/metadata")).unwrap().map(Result::unwrap) {
        fs::write(entry.path(), [0xA5; 300]).unwrap();
    }
    let error = Store::open(dir.path(), Options::default()).err().unwrap();
    assert!(matches!(error, StoreError::Damaged(_) | StoreError::Unreadable(_)), "{error}");
}
