use std::cell::RefCell;

use super::*;
use crate::audit::memory::Memory;
use crate::audit::{Entry, Status, append, root};
use crate::call::CorrelationId;
use crate::clock::Timestamp;

const SIZE: u64 = 21;

fn fresh(index: u64) -> Entry {
    let id = CorrelationId::random().unwrap();
    Entry::new(Timestamp(1_772_366_400_000 + index), id, "market__pay", Status::Completed)
}

fn log(size: u64) -> Memory {
    let mut memory = Memory::default();
    for index in 0..size {
        memory.commit(|tx| append(tx, &fresh(index))).unwrap();
    }
    memory
}

/// Does this to a good log and gives back what the check says.
fn after(tamper: impl FnOnce(&mut Memory)) -> Problem {
    let mut memory = log(SIZE);
    tamper(&mut memory);
    let report = verify(&memory).unwrap();
    assert!(!report.ok);
    report.problem.unwrap()
}

fn seen(problem: &Problem) -> (Kind, Option<u64>) {
    (problem.kind, problem.position)
}

fn shift(memory: &mut Memory, from: u64, by: i64) {
    let moved: Vec<_> = (from..SIZE).map(|index| memory.pairs.remove(&keys::entry(index)).unwrap()).collect();
    for (index, leaf) in (from..SIZE).zip(moved) {
        memory.pairs.insert(keys::entry(index.checked_add_signed(by).unwrap()), leaf);
    }
}

#[test]
fn an_untouched_log_is_fine_at_every_size() {
    for size in 0..70 {
        let memory = log(size);
        let report = verify(&memory).unwrap();
        assert!(report.ok && report.problem.is_none(), "{report:?}");
        assert_eq!(report.entries, size);
        assert_eq!(report.root, root(&memory).unwrap().to_string());
    }
    let long = log(BATCH as u64 * 2);
    assert_eq!(verify(&long).unwrap().entries, BATCH as u64 * 2);
    let json = serde_json::to_value(verify(&log(1)).unwrap()).unwrap();
    assert_eq!(json.as_object().unwrap().keys().collect::<Vec<_>>(), ["entries", "ok", "root"]);
}

#[test]
fn any_flipped_byte_of_any_entry_is_named() {
    let memory = log(SIZE);
    for index in 0..SIZE {
        let length = memory.pairs[&keys::entry(index)].len();
        for byte in [0, 15, 16, 20, length / 2, length - 1] {
            let mut bent = memory.clone();
            bent.pairs.get_mut(&keys::entry(index)).unwrap()[byte] ^= 0x20;
            let report = verify(&bent).unwrap();
            assert_eq!(seen(&report.problem.unwrap()), (Kind::Changed, Some(index)), "byte {byte}");
            assert_ne!(report.root, root(&memory).unwrap().to_string());
        }
    }
}

#[test]
fn a_cut_or_emptied_entry_is_named() {
    for kept in [0, 5, 16, 40] {
        let problem = after(|memory| memory.pairs.get_mut(&keys::entry(9)).unwrap().truncate(kept));
        assert_eq!(seen(&problem), (Kind::Changed, Some(9)));
    }
}

#[test]
fn a_missing_entry_is_named() {
    for index in [0, 7, SIZE - 1] {
        let problem = after(|memory| drop(memory.pairs.remove(&keys::entry(index))));
        assert_eq!(seen(&problem), (Kind::Missing, Some(index)));
    }
    let problem = after(|memory| {
        memory.pairs.remove(&keys::entry(7));
        shift(memory, 8, -1);
    });
    assert_eq!(seen(&problem), (Kind::Missing, Some(7)), "although the others moved up");
}

#[test]
fn swapped_entries_are_named() {
    for (a, b) in [(3, 4), (0, SIZE - 1)] {
        let problem = after(|memory| {
            let (first, second) = (memory.pairs[&keys::entry(a)].clone(), memory.pairs[&keys::entry(b)].clone());
            memory.pairs.insert(keys::entry(a), second);
            memory.pairs.insert(keys::entry(b), first);
        });
        assert_eq!(seen(&problem), (Kind::Moved, Some(a)));
        assert!(problem.message.contains(&b.to_string()), "{}", problem.message);
    }
    let copied = after(|memory| {
        let other = memory.pairs[&keys::entry(12)].clone();
        memory.pairs.insert(keys::entry(5), other);
    });
    assert_eq!(seen(&copied), (Kind::Moved, Some(5)));
}

#[test]
fn an_inserted_entry_is_named() {
    let problem = after(|memory| {
        let strange = log(1).pairs[&keys::entry(0)].clone();
        shift(memory, 6, 1);
        memory.pairs.insert(keys::entry(6), strange);
        memory.pairs.insert(keys::SIZE.to_vec(), (SIZE + 1).to_be_bytes().to_vec());
    });
    assert_eq!(seen(&problem), (Kind::Inserted, Some(6)));
}

#[test]
fn an_entry_behind_the_end_is_named() {
    let strange = || log(1).pairs[&keys::entry(0)].clone();
    for index in [SIZE, SIZE + 3, u64::MAX] {
        let problem = after(|memory| drop(memory.pairs.insert(keys::entry(index), strange())));
        assert_eq!(seen(&problem), (Kind::Extra, Some(index)));
    }
    let counted = after(|memory| {
        memory.pairs.insert(keys::entry(SIZE), strange());
        memory.pairs.insert(keys::SIZE.to_vec(), (SIZE + 1).to_be_bytes().to_vec());
    });
    assert_eq!(seen(&counted), (Kind::Tree, Some(SIZE)), "the tree has no leaf for it");
}

#[test]
fn a_size_that_does_not_fit_is_named() {
    for size in [0, 1, SIZE - 1, SIZE + 1, u64::MAX] {
        let problem = after(|memory| drop(memory.pairs.insert(keys::SIZE.to_vec(), size.to_be_bytes().to_vec())));
        assert_eq!(seen(&problem), (Kind::Size, None), "{problem:?}");
    }
    assert_eq!(after(|memory| drop(memory.pairs.remove(keys::SIZE))).kind, Kind::Size);
    assert_eq!(after(|memory| drop(memory.pairs.insert(keys::SIZE.to_vec(), vec![1, 2]))).kind, Kind::Size);
}

#[test]
fn a_payload_that_is_no_entry_is_named_even_if_the_tree_was_made_to_fit() {
    let forged = |leaf: &[u8]| {
        let mut memory = log(0);
        let leaf = leaf.to_vec();
        memory.pairs.insert(keys::node(0, 0), tree::leaf_hash(&leaf).0.to_vec());
        memory.pairs.insert(keys::entry(0), leaf);
        memory.pairs.insert(keys::SIZE.to_vec(), 1_u64.to_be_bytes().to_vec());
        seen(&verify(&memory).unwrap().problem.unwrap())
    };
    assert_eq!(forged(&[9; 30]), (Kind::Undecodable, Some(0)));
    assert_eq!(forged(&[9; 3]), (Kind::Undecodable, Some(0)));
    assert_eq!(forged(&log(6).pairs[&keys::entry(5)]), (Kind::Undecodable, Some(0)), "says it is entry 5");
}

#[test]
fn any_missing_bent_or_stray_node_of_the_tree_is_named() {
    let memory = log(SIZE);
    let nodes: Vec<_> = memory.pairs.range(keys::NODES.to_vec()..keys::NODES_END.to_vec()).map(|(k, _)| k).collect();
    for key in nodes {
        let mut without = memory.clone();
        without.pairs.remove(key);
        assert_eq!(verify(&without).unwrap().problem.unwrap().kind, Kind::Tree);
        let mut bent = memory.clone();
        bent.pairs.get_mut(key).unwrap()[3] ^= 1;
        let problem = verify(&bent).unwrap().problem.unwrap();
        let (level, index) = keys::node_place(key).unwrap();
        if level == 0 {
            assert_eq!(seen(&problem), (Kind::Changed, Some(index)));
        } else {
            assert_eq!(problem.kind, Kind::Tree);
            assert!(problem.message.contains(&format!("node {index} in level {level}")), "{}", problem.message);
        }
    }
    for stray in [keys::node(0, SIZE), keys::node(1, 10), keys::node(64, 0), keys::node(63, 9), b"audit/n/x".to_vec()] {
        assert_eq!(after(|memory| drop(memory.pairs.insert(stray, vec![0; 32]))).kind, Kind::Tree);
    }
}

#[test]
fn a_row_of_the_index_that_is_missing_or_stray_is_named() {
    let problem = after(|memory| {
        let row = memory.pairs.keys().find(|key| keys::correlation_index(key) == Some(4)).unwrap().clone();
        memory.pairs.remove(&row);
    });
    assert_eq!(seen(&problem), (Kind::Index, Some(4)));
    for index in [4, SIZE] {
        let row = keys::correlation(&"0".repeat(32), index);
        assert_eq!(after(|memory| drop(memory.pairs.insert(row, vec![]))).kind, Kind::Index);
    }
    assert_eq!(after(|memory| drop(memory.pairs.insert(b"audit/c/x".to_vec(), vec![]))).kind, Kind::Index);
}

#[test]
fn a_strange_key_among_the_entries_is_named() {
    for key in [&b"audit/e/"[..], b"audit/e/\0\0", b"audit/e/\xff\xff"] {
        assert_eq!(after(|memory| drop(memory.pairs.insert(key.to_vec(), vec![]))).kind, Kind::Extra);
    }
}

/// A log that gets one more entry before every scan.
struct Growing(RefCell<Memory>);

impl Read for Growing {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.borrow().get(key)
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        each: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.0.borrow_mut().commit(|tx| append(tx, &fresh(0)))?;
        let now = self.0.borrow().clone();
        now.scan(from, to, reverse, each)
    }
}

#[test]
fn a_log_may_grow_while_it_is_checked() {
    let before = log(SIZE);
    let report = verify(&Growing(RefCell::new(before.clone()))).unwrap();
    assert!(report.ok, "{report:?}");
    assert_eq!((report.entries, report.root), (SIZE, root(&before).unwrap().to_string()));
}
