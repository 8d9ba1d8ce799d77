//! The Merkle tree of RFC 6962, section 2.1: SHA-256, one prefix byte for leaves and another for nodes.
//!
//! Stored are the hashes of complete subtrees only, by level (0: the leaves) and index in the level. They never change
//! once written, so an append writes a leaf and the parents it completes, one more on average, and the root of every
//! earlier size can still be computed.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::keys;
use crate::store::{Read, StoreError, Tx};

mod proof;
#[cfg(test)]
mod tests;

pub use proof::{ProofError, consistency, inclusion, verify_consistency, verify_inclusion};

/// A SHA-256 hash. Shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hash of a leaf.
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(data).finalize().into())
}

/// The hash of a node over its two children.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The root of the tree without leaves.
#[must_use]
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// A subtree that is complete: 2^level leaves, the `index`th of its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) level: u8,
    pub(super) index: u64,
}

/// Hands out the subtrees that the leaf at `index` completes, from the leaf up, with their hashes. The left siblings
/// come from `left`.
pub(super) fn completed<E>(
    index: u64,
    leaf: Hash,
    left: impl Fn(Place) -> Result<Hash, E>,
    mut each: impl FnMut(Place, Hash) -> Result<(), E>,
) -> Result<(), E> {
    let mut place = Place { level: 0, index };
    let mut hash = leaf;
    each(place, hash)?;
    while place.index & 1 == 1 {
        hash = node_hash(&left(Place { level: place.level, index: place.index - 1 })?, &hash);
        place = Place { level: place.level + 1, index: place.index >> 1 };
        each(place, hash)?;
    }
    Ok(())
}

/// Adds the leaf at `index`, which is the size of the tree so far.
///
/// # Errors
/// When the state cannot be read, or a node that must be there is not.
pub fn append(tx: &mut Tx<'_>, index: u64, leaf: Hash) -> Result<(), StoreError> {
    let mut new = Vec::new();
    completed(
        index,
        leaf,
        |place| node(tx, place),
        |place, hash| {
            new.push((place, hash));
            Ok(())
        },
    )?;
    for (place, hash) in new {
        tx.put(keys::node(place.level, place.index), hash.0);
    }
    Ok(())
}

/// The root of the first `size` leaves.
///
/// # Errors
/// When the state cannot be read, or the tree has fewer leaves.
pub fn root(read: &dyn Read, size: u64) -> Result<Hash, StoreError> {
    if size == 0 { Ok(empty_root()) } else { subtree(read, 0, size) }
}

/// The hash of the leaves from `from` (a multiple of the largest power of two that the range holds) up to but without
/// `to`; not empty.
fn subtree(read: &dyn Read, from: u64, to: u64) -> Result<Hash, StoreError> {
    let count = to - from;
    let split = split(count);
    if split == count {
        let level = count.trailing_zeros();
        // INVARIANT: a u64 has at most 63 trailing zeros unless it is 0, and the range is not empty.
        return node(read, Place { level: u8::try_from(level).unwrap_or(u8::MAX), index: from >> level });
    }
    Ok(node_hash(&subtree(read, from, from + split)?, &subtree(read, from + split, to)?))
}

/// The largest power of two that is not larger than `count`.
fn split(count: u64) -> u64 {
    count.checked_ilog2().map_or(0, |level| 1 << level)
}

/// A stored node, or none.
pub(super) fn stored(read: &dyn Read, place: Place) -> Result<Option<Hash>, StoreError> {
    let found = read.get(&keys::node(place.level, place.index))?;
    Ok(found.and_then(|bytes| bytes.try_into().ok()).map(Hash))
}

fn node(read: &dyn Read, place: Place) -> Result<Hash, StoreError> {
    let Place { level, index } = place;
    stored(read, place)?.ok_or_else(|| {
        StoreError::Damaged(format!("the audit log's tree has no node {index} in level {level}; run `audit verify`"))
    })
}
