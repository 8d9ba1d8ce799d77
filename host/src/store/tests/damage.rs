//! What a crash or a bad disk does to journal files, and what opening makes of it.

use std::fs::OpenOptions;
use std::io::Write;

use super::super::record::HEADER_BYTES;
use super::*;

/// A store of five changes in one segment, as a crash leaves it: nothing flushed, so the journal is all there is.
fn crashed() -> (TempDir, PathBuf) {
    let dir = folder();
    let store = open(dir.path());
    for n in 1..=5_u8 {
        put(&store, &format!("{n}"), &[n; 50]).unwrap();
    }
    let copy = copy_of(dir.path());
    // sled's part is as if it had never flushed, whatever it did.
    fs::remove_dir_all(copy.path().join("state")).unwrap();
    let segment = segments(copy.path()).pop().unwrap();
    (copy, segment)
}

/// As [`crashed`], opened and crashed again with a sixth change: two segments.
fn crashed_twice() -> (TempDir, Vec<PathBuf>) {
    let (dir, _) = crashed();
    let store = open(dir.path());
    put(&store, "6", &[6; 50]).unwrap();
    let copy = copy_of(dir.path());
    fs::remove_dir_all(copy.path().join("state")).unwrap();
    let found = segments(copy.path());
    assert_eq!(found.len(), 2);
    (copy, found)
}

/// Where records begin in a segment; the last is its length.
fn offsets(segment: &Path) -> Vec<usize> {
    let bytes = fs::read(segment).unwrap();
    let mut found = vec![HEADER_BYTES];
    while *found.last().unwrap() < bytes.len() {
        let at = *found.last().unwrap();
        found.push(at + 16 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize);
    }
    found
}

fn flip(segment: &Path, at: usize) {
    let mut bytes = fs::read(segment).unwrap();
    bytes[at] ^= 0x40;
    fs::write(segment, bytes).unwrap();
}

fn there(store: &Store) -> Vec<u8> {
    (1..=6).filter(|n| get(store, &format!("{n}")).is_some_and(|value| value == [*n; 50])).collect()
}

fn assert_damaged(dir: &Path, segment: &Path, offset: usize) {
    let error = Store::open(dir, Options::default()).err().expect("it must not open");
    let place = format!("`{}` at byte {offset}:", segment.display());
    assert!(matches!(&error, StoreError::Damaged(text) if text.contains(&place)), "{error}\nnot {place}");
}

#[test]
fn nothing_happened() {
    let (dir, _) = crashed();
    assert_eq!(there(&open(dir.path())), [1, 2, 3, 4, 5]);
    let (dir, _) = crashed_twice();
    assert_eq!(there(&open(dir.path())), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_torn_tail_is_cut() {
    let (_kept, segment) = crashed();
    let offsets_of_all = offsets(&segment);
    let (last, length) = (offsets_of_all[offsets_of_all.len() - 2], offsets_of_all[offsets_of_all.len() - 1]);
    for keep in [last + 1, last + 15, last + 16, length - 1] {
        let (dir, segment) = crashed();
        fs::write(&segment, &fs::read(&segment).unwrap()[..keep]).unwrap();
        let store = open(dir.path());
        assert_eq!(there(&store), [1, 2, 3, 4], "{keep} of {length} bytes");
        assert_eq!(fs::metadata(&segment).unwrap().len(), last as u64);
        put(&store, "6", &[6; 50]).unwrap();
        assert_eq!(there(&open(copy_of(dir.path()).path())), [1, 2, 3, 4, 6]);
    }
}

#[test]
fn a_bad_last_record_is_cut() {
    let (_kept, segment) = crashed();
    let all = offsets(&segment);
    let (last, length) = (all[all.len() - 2], all[all.len() - 1]);
    for at in [last, last + 3, last + 5, last + 9, length - 1] {
        let (dir, segment) = crashed();
        flip(&segment, at);
        assert_eq!(there(&open(dir.path())), [1, 2, 3, 4]);
    }
    let (dir, segment) = crashed();
    OpenOptions::new().append(true).open(&segment).unwrap().write_all(&[0; 5000]).unwrap();
    assert_eq!(there(&open(dir.path())), [1, 2, 3, 4, 5]);
}

#[test]
fn a_bad_record_before_a_good_one_is_damage() {
    let (_kept, segment) = crashed();
    let all = offsets(&segment);
    let length = *all.last().unwrap();
    // Its length, high and low, its checksum, its sequence number, its payload.
    for at in [0, 3, 5, 8, 20] {
        let (dir, segment) = crashed();
        flip(&segment, all[2] + at);
        assert_damaged(dir.path(), &segment, all[2]);
        assert_eq!(fs::metadata(&segment).unwrap().len(), length as u64, "nothing was cut");
    }
}

#[test]
fn a_record_that_was_taken_out_is_damage() {
    let (dir, segment) = crashed();
    let all = offsets(&segment);
    let mut bytes = fs::read(&segment).unwrap();
    bytes.drain(all[2]..all[3]);
    fs::write(&segment, bytes).unwrap();
    assert_damaged(dir.path(), &segment, all[2]);
}

#[test]
fn a_bad_record_before_a_good_segment_is_damage() {
    let (dir, found) = crashed_twice();
    let all = offsets(&found[0]);
    let last = all[all.len() - 2];
    flip(&found[0], last + 20);
    assert_damaged(dir.path(), &found[0], last);

    // Cut off cleanly, the next segment still says what is missing.
    fs::write(&found[0], &fs::read(&found[0]).unwrap()[..last]).unwrap();
    assert_damaged(dir.path(), &found[0], last);
}

#[test]
fn a_missing_segment_is_damage() {
    let (dir, found) = crashed_twice();
    fs::remove_file(&found[0]).unwrap();
    assert_damaged(dir.path(), &found[1], 0);
}

#[test]
fn a_bad_header_is_damage_where_records_follow_it() {
    for index in [0, 1] {
        let (dir, found) = crashed_twice();
        flip(&found[index], 16);
        assert_damaged(dir.path(), &found[index], 0);
    }
}

#[test]
fn a_segment_torn_at_birth_is_removed() {
    for keep in [0, 5, HEADER_BYTES - 1] {
        let (dir, segment) = crashed();
        let torn = segment.with_file_name("000000000002.log");
        fs::write(&torn, &fs::read(&segment).unwrap()[..keep]).unwrap();
        let store = open(dir.path());
        assert_eq!(there(&store), [1, 2, 3, 4, 5]);
        assert!(!torn.exists());
    }
}

#[test]
fn an_empty_segment_is_fine() {
    let (dir, segment) = crashed();
    let header = super::super::record::Header { salt: 7, first: 7 }.encode();
    fs::write(segment.with_file_name("000000000002.log"), header).unwrap();
    assert_eq!(there(&open(dir.path())), [1, 2, 3, 4, 5]);
}

#[test]
fn a_journal_that_was_taken_away_after_a_clean_end_is_fine() {
    let dir = folder();
    let store = open(dir.path());
    put(&store, "1", &[1; 50]).unwrap();
    drop(store);
    for segment in segments(dir.path()) {
        fs::remove_file(segment).unwrap();
    }
    let again = open(dir.path());
    assert_eq!(there(&again), [1]);
    put(&again, "2", &[2; 50]).unwrap();
    assert_eq!(there(&open(copy_of(dir.path()).path())), [1, 2]);
}

#[test]
fn a_state_that_was_taken_away_is_damage() {
    let dir = folder();
    let store = Store::open(dir.path(), Options { segment_bytes_max: 100, ..Options::default() }).unwrap();
    for n in 1..=5_u8 {
        put(&store, &format!("{n}"), &[n; 50]).unwrap();
    }
    drop(store);
    fs::remove_dir_all(dir.path().join("state")).unwrap();
    let segment = segments(dir.path()).pop().unwrap();
    assert_damaged(dir.path(), &segment, 0);
}
