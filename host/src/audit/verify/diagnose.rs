//! What happened to an entry that is not what the tree says.

use std::ops::ControlFlow;

use super::{Kind, Problem};
use crate::audit::keys;
use crate::audit::tree::{self, Hash, Place};
use crate::store::{Read, StoreError};

/// The entry at `index` has the hash `found`, and the tree says `stored`.
pub(super) fn mismatch(
    read: &dyn Read,
    index: u64,
    found: &Hash,
    stored: &Hash,
    size: u64,
) -> Result<Problem, StoreError> {
    if let Some(home) = leaf_with(read, found)? {
        if entry_hash(read, home)? == Some(*stored) {
            let message = format!("entries {index} and {home} stand in each other's place");
            return Ok(Problem::at(Kind::Moved, index, message));
        }
        if Some(home) == index.checked_add(1) {
            let message = format!("entry {index} is missing, and entry {home} stands in its place");
            return Ok(Problem::at(Kind::Missing, index, message));
        }
        return Ok(Problem::at(Kind::Moved, index, format!("entry {home} stands in the place of entry {index}")));
    }
    if index < size && entry_hash(read, index.saturating_add(1))? == Some(*stored) {
        let message = format!("what stands in the place of entry {index} was never appended; the entry itself follows");
        return Ok(Problem::at(Kind::Inserted, index, message));
    }
    Ok(Problem::at(Kind::Changed, index, format!("the bytes of entry {index} are not those that were appended")))
}

/// There are entries before `at` only, and the log should have `size`.
pub(super) fn short(read: &dyn Read, at: u64, size: u64) -> Result<Problem, StoreError> {
    if tree::stored(read, Place { level: 0, index: at })?.is_some() {
        return Ok(Problem::at(Kind::Missing, at, format!("entry {at} is missing")));
    }
    let message = format!("the log says that it has {size} entries; it has {at}, and so has its tree");
    Ok(Problem::of(Kind::Size, message))
}

/// The entry at `index` stands behind the end of the log.
pub(super) fn beyond(read: &dyn Read, index: u64, size: u64) -> Result<Problem, StoreError> {
    let leaf = tree::stored(read, Place { level: 0, index })?;
    if leaf.is_some() && leaf == entry_hash(read, index)? {
        let found = index.saturating_add(1);
        let message = format!("the log says that it has {size} entries; it has {found}, and so has its tree");
        return Ok(Problem::of(Kind::Size, message));
    }
    let message = format!("the log has {size} entries, and an entry {index} stands behind its end");
    Ok(Problem::at(Kind::Extra, index, message))
}

fn entry_hash(read: &dyn Read, index: u64) -> Result<Option<Hash>, StoreError> {
    Ok(read.get(&keys::entry(index))?.map(|leaf| tree::leaf_hash(&leaf)))
}

/// The leaf of the tree that has this hash.
fn leaf_with(read: &dyn Read, hash: &Hash) -> Result<Option<u64>, StoreError> {
    let mut home = None;
    read.scan(&keys::node(0, 0), &keys::node(1, 0), false, &mut |key, value| {
        if value == hash.0 {
            home = keys::node_place(key).map(|(_, index)| index);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    Ok(home)
}
