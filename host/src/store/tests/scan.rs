//! Scans: of the state, and of changes laid over it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::tx::{Changes, scan_over};
use super::*;

const ROUNDS: u64 = 300;

struct Plain(BTreeMap<Vec<u8>, Vec<u8>>);

impl Read for Plain {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, each: Each<'_>) -> Result<(), StoreError> {
        let mut pairs: Vec<_> = self.0.range(from.to_vec()..to.to_vec()).collect();
        if reverse {
            pairs.reverse();
        }
        let _ = pairs.into_iter().try_for_each(|(key, value)| each(key, value));
        Ok(())
    }
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// What a scan shows of at most `limit` pairs, and whether it went on after it was told to stop.
fn shown(limit: usize, scan: impl FnOnce(Each<'_>) -> Result<(), StoreError>) -> Pairs {
    let mut seen = Vec::new();
    scan(&mut |key, value| {
        assert!(seen.len() < limit, "it was told to stop");
        seen.push((key.to_vec(), value.to_vec()));
        if seen.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    seen
}

fn expected(merged: &BTreeMap<Vec<u8>, Vec<u8>>, from: &[u8], to: &[u8], reverse: bool, limit: usize) -> Pairs {
    let mut pairs: Pairs = merged
        .iter()
        .filter(|(key, _)| from <= key.as_slice() && key.as_slice() < to)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if reverse {
        pairs.reverse();
    }
    pairs.truncate(limit);
    pairs
}

fn small() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0_u8..4, 0..3)
}

proptest! {
    #[test]
    fn changes_over_a_state_are_one_sequence(
        below in proptest::collection::btree_map(small(), small(), 0..12),
        changes in proptest::collection::btree_map(small(), proptest::option::of(small()), 0..12),
        from in small(), to in small(), reverse: bool, limit in 1_usize..14,
    ) {
        let mut merged = below.clone();
        for (key, value) in &changes {
            match value {
                Some(value) => drop(merged.insert(key.clone(), value.clone())),
                None => drop(merged.remove(key)),
            }
        }
        let below = Plain(below);
        let changes: Changes = changes;
        let seen = if from < to {
            shown(limit, |each| scan_over(&changes, &below, &from, &to, reverse, each))
        } else {
            scan_over(&changes, &below, &from, &to, reverse, &mut |_, _| panic!("nothing is in there")).unwrap();
            Vec::new()
        };
        prop_assert_eq!(seen, expected(&merged, &from, &to, reverse, limit));
    }
}

/// Enough keys for many of sled's leaves, with whole leaves deleted in between.
#[test]
fn the_state_scans_as_a_sorted_map_does() {
    let dir = folder();
    let store = open(dir.path());
    let mut model = BTreeMap::new();
    for n in 0..2000_u64 {
        model.insert(Vec::from(Key::new(Prefix::Ledger).number(n)), n.to_be_bytes().to_vec());
    }
    let all = model.clone();
    let written: Result<(), StoreError> = store.commit_blocking(move |tx| {
        for (key, value) in all {
            tx.put(key, value);
        }
        Ok(())
    });
    written.unwrap();
    let removed: Result<(), StoreError> = store.commit_blocking(|tx| {
        for n in 500..900 {
            tx.delete(Key::new(Prefix::Ledger).number(n));
        }
        Ok(())
    });
    removed.unwrap();
    model.retain(|_, value| !(500_u64.to_be_bytes().to_vec()..900_u64.to_be_bytes().to_vec()).contains(value));

    let at = |n| Vec::from(Key::new(Prefix::Ledger).number(n));
    let (first, end) = Key::new(Prefix::Ledger).range();
    for (from, to) in
        [(first, end), (at(10), at(11)), (at(490), at(910)), (at(600), at(700)), (at(63), at(1300)), (at(5), at(5))]
    {
        for reverse in [false, true] {
            for limit in [1, 70, usize::MAX] {
                let seen = shown(limit, |each| store.scan(&from, &to, reverse, each));
                assert_eq!(seen, expected(&model, &from, &to, reverse, limit));
            }
        }
    }
}

/// Keys that come and go, such as those that expire, must not leave anything behind that every scan walks over.
#[test]
fn leaves_that_are_emptied_are_given_back() {
    let dir = folder();
    let store = open(dir.path());
    let change = |put: bool| {
        let done: Result<(), StoreError> = store.commit_blocking(move |tx| {
            for n in 0..1000_u64 {
                let key = Key::new(Prefix::Call).number(n);
                if put { tx.put(key, b"x") } else { tx.delete(key) }
            }
            Ok(())
        });
        done.unwrap();
    };
    change(true);
    change(false);
    let merged = store.0.state.with(|db| Ok(db.storage_stats().cache.tree_leaves_merged)).unwrap();
    assert!(merged > 1000 / 64, "{merged}");
}

/// Puts, deletes, reads and flushes at once.
#[test]
fn reads_go_on_while_it_changes() {
    let dir = folder();
    let options = Options { flush_interval: Duration::from_millis(1), segment_bytes_max: 20_000, ..Options::default() };
    let store = Store::open(dir.path(), options).unwrap();
    let mut model = BTreeMap::new();
    let (from, to) = Key::new(Prefix::Call).range();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reverse in [false, true] {
            let (store, over, from, to) = (&store, &over, &from, &to);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let seen = shown(usize::MAX, |each| store.scan(from, to, reverse, each));
                    assert!(if reverse {
                        seen.is_sorted_by(|a, b| a.0 > b.0)
                    } else {
                        seen.is_sorted_by(|a, b| a.0 < b.0)
                    });
                }
            });
        }
        for round in 0..ROUNDS {
            let put = round % 3 != 0;
            let first = round * 37 % 1000;
            let keys: Vec<_> = (first..first + if put { 150 } else { 300 })
                .map(|n| Vec::from(Key::new(Prefix::Call).number(n)))
                .collect();
            for key in &keys {
                if put {
                    drop(model.insert(key.clone(), round.to_be_bytes().to_vec()))
                } else {
                    drop(model.remove(key))
                }
            }
            let done: Result<(), StoreError> = store.commit_blocking(move |tx| {
                for key in keys {
                    if put { tx.put(key, round.to_be_bytes()) } else { tx.delete(key) }
                }
                Ok(())
            });
            done.unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    let expected: Pairs = model.into_iter().collect();
    assert_eq!(shown(usize::MAX, |each| store.scan(&from, &to, false, each)), expected);
    drop(store);
    let again = open(dir.path());
    assert_eq!(shown(usize::MAX, |each| again.scan(&from, &to, false, each)), expected);
}

#[test]
fn a_scan_may_read_and_scan() {
    let dir = folder();
    let store = open(dir.path());
    put(&store, "a", b"1").unwrap();
    put(&store, "b", b"2").unwrap();
    let (from, to) = Key::new(Prefix::Agent).range();
    let mut pairs = 0;
    store
        .scan(&from, &to, false, &mut |key, value| {
            assert_eq!(store.get(key).unwrap().unwrap(), value);
            store
                .scan(&from, &to, true, &mut |_, _| {
                    pairs += 1;
                    ControlFlow::Continue(())
                })
                .unwrap();
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(pairs, 4);
}
