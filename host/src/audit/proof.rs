//! That an entry is in the log, for somebody who has no log: RFC 6962, section 2.1.1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::entry::Entry;
use super::log::{self, decode};
use super::tree::{self, Hash, ProofError};
use crate::store::{Read, StoreError};

/// Everything that is needed to check that an entry is in the log with this size and root. Hashes are 64 hexadecimal
/// digits.
#[derive(Clone, Debug, Serialize)]
pub struct Inclusion {
    /// The entry's place; the first is 0.
    pub index: u64,
    /// How many entries the log has.
    pub tree_size: u64,
    /// Its root.
    pub root: String,
    /// The hash of the leaf: SHA-256 over a zero byte and the leaf.
    pub leaf_hash: String,
    /// The siblings from the leaf up.
    pub path: Vec<String>,
    /// The leaf, in base64 (RFC 4648, section 4): 16 random bytes, and the entry's JSON.
    pub leaf: String,
    /// The entry, once more, to be read.
    pub entry: Entry,
}

/// The proof that the entry at an index is in the log as it is now. It was checked before it is given out.
///
/// # Errors
/// When there is no such entry, or the log cannot be read or is damaged.
pub fn prove(read: &dyn Read, index: u64) -> Result<Inclusion, ProofError> {
    // The log can grow meanwhile: all of this is about the log of this size.
    let size = log::size(read)?;
    let path = tree::inclusion(read, index, size)?;
    let root = tree::root(read, size)?;
    let damaged = |what: &str| {
        let what = format!("entry {index} of the audit log {what}; run `portcullis audit verify`");
        ProofError::Store(StoreError::Damaged(what))
    };
    let leaf = log::leaf(read, index)?.ok_or_else(|| damaged("is missing"))?;
    let hash = tree::leaf_hash(&leaf);
    if !tree::verify_inclusion(&hash, index, size, &path, &root) {
        return Err(damaged("is not what the tree says"));
    }
    Ok(Inclusion {
        index,
        tree_size: size,
        root: root.to_string(),
        leaf_hash: hash.to_string(),
        path: path.iter().map(Hash::to_string).collect(),
        leaf: STANDARD.encode(&leaf),
        entry: decode(index, &leaf)?,
    })
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::audit::keys;
    use crate::audit::memory::Memory;
    use crate::audit::{self, Status};
    use crate::call::CorrelationId;
    use crate::clock::Timestamp;

    fn some(count: u64) -> Memory {
        let mut memory = Memory::default();
        for n in 0..count {
            let new = Entry::new(Timestamp(n), CorrelationId::random().unwrap(), "market__pay", Status::Completed);
            memory.commit(|tx| audit::append(tx, &new)).unwrap();
        }
        memory
    }

    #[test]
    fn a_proof_holds_what_is_needed_to_check_it() {
        let memory = some(13);
        for index in 0..13 {
            let proof = prove(&memory, index).unwrap();
            let leaf = STANDARD.decode(&proof.leaf).unwrap();
            let hash = Sha256::new().chain_update([0]).chain_update(&leaf).finalize();
            let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!((hex, proof.tree_size), (proof.leaf_hash, 13));
            assert_eq!(proof.root, audit::root(&memory).unwrap().to_string());
            assert_eq!(proof.entry.index(), index);
            assert!(leaf.ends_with(b"}") && leaf.len() > 16);
        }
        assert!(matches!(prove(&memory, 13), Err(ProofError::NoSuchEntry { index: 13, size: 13 })));
    }

    #[test]
    fn a_changed_entry_is_not_proven() {
        let mut memory = some(5);
        let leaf = memory.pairs.get_mut(&keys::entry(2)).unwrap();
        let at = leaf.windows(3).position(|bytes| bytes == b"pay").unwrap();
        leaf[at] = b'P';
        assert!(matches!(prove(&memory, 2), Err(ProofError::Store(StoreError::Damaged(_)))));
        assert!(prove(&memory, 3).is_ok(), "what the tree keeps is enough for the others");
    }
}
