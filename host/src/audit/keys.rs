//! Where the log lies in the store.

use super::entry::CORRELATION_ID_CHARS;

/// How many entries there are: a big-endian `u64`.
pub(super) const SIZE: &[u8] = b"audit/size";
/// Entries: the index as a big-endian `u64` → salt and payload.
pub(super) const ENTRIES: &[u8] = b"audit/e/";
pub(super) const ENTRIES_END: &[u8] = b"audit/e0";
/// Nodes of the tree: the level, the index in the level as a big-endian `u64` → hash.
pub(super) const NODES: &[u8] = b"audit/n/";
pub(super) const NODES_END: &[u8] = b"audit/n0";
/// Entries by correlation id: its digits, the entry's index as a big-endian `u64` → nothing.
pub(super) const CORRELATIONS: &[u8] = b"audit/c/";
pub(super) const CORRELATIONS_END: &[u8] = b"audit/c0";

pub(super) fn entry(index: u64) -> Vec<u8> {
    [ENTRIES, &index.to_be_bytes()].concat()
}

pub(super) fn node(level: u8, index: u64) -> Vec<u8> {
    [NODES, &[level], &index.to_be_bytes()].concat()
}

pub(super) fn correlation(id: &str, index: u64) -> Vec<u8> {
    [CORRELATIONS, id.as_bytes(), &index.to_be_bytes()].concat()
}

/// The index in an entry's key.
pub(super) fn entry_index(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.strip_prefix(ENTRIES)?.try_into().ok()?))
}

/// The level and the index in a node's key.
pub(super) fn node_place(key: &[u8]) -> Option<(u8, u64)> {
    let (level, index) = key.strip_prefix(NODES)?.split_first()?;
    Some((*level, u64::from_be_bytes(index.try_into().ok()?)))
}

/// The index in a key by correlation id.
pub(super) fn correlation_index(key: &[u8]) -> Option<u64> {
    let rest = key.strip_prefix(CORRELATIONS)?.get(CORRELATION_ID_CHARS..)?;
    Some(u64::from_be_bytes(rest.try_into().ok()?))
}
