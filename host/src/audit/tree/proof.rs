//! Proofs: that an entry is in the log, and that a later log has all of an earlier one (RFC 6962, sections 2.1.1 and
//! 2.1.2). Checking them (RFC 9162, sections 2.1.3.2 and 2.1.4.2) needs no store.

use super::{Hash, empty_root, node_hash, split, subtree};
use crate::store::{Read, StoreError};

/// Why there is no such proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The tree of that size has no such entry.
    #[error("a log of {size} entries has no entry {index}; the first is 0")]
    NoSuchEntry {
        /// Which entry.
        index: u64,
        /// Of how many.
        size: u64,
    },
    /// A log does not grow into a smaller one.
    #[error("a log of {old} entries cannot have become one of {new}")]
    Shrunk {
        /// Entries before.
        old: u64,
        /// Entries after.
        new: u64,
    },
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The proof that the entry at `index` is in the log of the first `size` entries: the siblings from the leaf up.
///
/// # Errors
/// When there is no such entry, or the log cannot be read.
pub fn inclusion(read: &dyn Read, index: u64, size: u64) -> Result<Vec<Hash>, ProofError> {
    if index >= size {
        return Err(ProofError::NoSuchEntry { index, size });
    }
    let mut path = Vec::new();
    let (mut from, mut to) = (0, size);
    while to - from > 1 {
        let middle = from + split(to - from - 1);
        if index < middle {
            path.push(subtree(read, middle, to)?);
            to = middle;
        } else {
            path.push(subtree(read, from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the log of the first `new` entries begins with the log of the first `old`.
///
/// # Errors
/// When `old` is larger than `new`, or the log cannot be read.
pub fn consistency(read: &dyn Read, old: u64, new: u64) -> Result<Vec<Hash>, ProofError> {
    if old > new {
        return Err(ProofError::Shrunk { old, new });
    }
    let mut path = Vec::new();
    if old == 0 || old == new {
        return Ok(path);
    }
    let (mut from, mut to) = (0, new);
    while to != old {
        let middle = from + split(to - from - 1);
        if old <= middle {
            path.push(subtree(read, middle, to)?);
            to = middle;
        } else {
            path.push(subtree(read, from, middle)?);
            from = middle;
        }
    }
    // A subtree that starts at 0 is the old tree itself: whoever checks has its root.
    if from > 0 {
        path.push(subtree(read, from, to)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether a proof shows that the leaf is the entry at `index` of the log with this size and root.
#[must_use]
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether a proof shows that the log with the new size and root begins with the log with the old ones.
#[must_use]
pub fn verify_consistency(old: u64, new: u64, old_root: &Hash, new_root: &Hash, proof: &[Hash]) -> bool {
    if old == 0 {
        return proof.is_empty() && *old_root == empty_root() && (new > 0 || old_root == new_root);
    }
    if old >= new {
        return old == new && proof.is_empty() && old_root == new_root;
    }
    // A complete old tree is a node of the new one, and its root is left out of the proof.
    let (first, rest) = if old.is_power_of_two() {
        (*old_root, proof)
    } else {
        match proof.split_first() {
            Some((first, rest)) => (*first, rest),
            None => return false,
        }
    };
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}
