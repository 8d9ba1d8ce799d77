//! The log itself: entries appended inside the store's transactions, and read.
//!
//! Under an entry's index stand 16 random bytes and its JSON; both together are the leaf's data. Whoever is shown the
//! tree alone cannot guess an entry from its hash.

use std::ops::ControlFlow;

use super::entry::{CORRELATION_ID_CHARS, Entry};
use super::keys;
use super::tree::{self, Hash};
use crate::store::{Read, StoreError, Tx};

mod filter;
#[cfg(test)]
mod tests;

pub use filter::{BadCursor, Cursor, Filter, LIMIT_DEFAULT, Page, query};

/// Random bytes before an entry's JSON.
const SALT_BYTES: usize = 16;

/// Entries that are read at once, at most: a page of a log, or one call's.
pub const ENTRIES_MAX: usize = 1000;

/// Bytes of entries that are read at once; the entry that passes it is still read.
const READ_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Entries in a tail, at most.
const TAIL_ENTRIES_MAX: usize = 10_000;

/// Bytes of entries in a tail or a page: half of what the command line takes in one answer.
const TAIL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Adds an entry and gives back its index. It becomes durable together with everything else in the transaction.
///
/// # Errors
/// When the state cannot be read, the log does not end where its size says, or the system has no randomness to give.
pub fn append(tx: &mut Tx<'_>, entry: &Entry) -> Result<u64, StoreError> {
    let index = size(tx)?;
    if tx.get(&keys::entry(index))?.is_some() {
        return Err(damaged(format!("the log has {index} entries and one behind its end")));
    }
    let mut leaf = vec![0; SALT_BYTES];
    getrandom::fill(&mut leaf).map_err(|error| StoreError::Unwritable(format!("no randomness: {error}")))?;
    serde_json::to_writer(&mut leaf, &entry.at(index))
        .map_err(|error| StoreError::Unwritable(format!("an audit entry cannot be written as JSON: {error}")))?;
    tree::append(tx, index, tree::leaf_hash(&leaf))?;
    tx.put(keys::entry(index), leaf);
    tx.put(keys::correlation(entry.correlation_id(), index), []);
    tx.put(keys::SIZE, index.saturating_add(1).to_be_bytes());
    Ok(index)
}

/// How many entries there are.
///
/// # Errors
/// When the state cannot be read, or what stands there is no number.
pub fn size(read: &dyn Read) -> Result<u64, StoreError> {
    match read.get(keys::SIZE)? {
        None => Ok(0),
        Some(bytes) => {
            bytes.try_into().map(u64::from_be_bytes).map_err(|_| damaged("the log's size is no number".to_owned()))
        }
    }
}

/// The root of the whole log.
///
/// # Errors
/// When the state cannot be read, or a node is missing.
pub fn root(read: &dyn Read) -> Result<Hash, StoreError> {
    tree::root(read, size(read)?)
}

/// The last `count` entries, the oldest of them first; at most 10,000, and fewer when they are large: those
/// that are missing are the oldest.
///
/// # Errors
/// When the state or an entry cannot be read.
pub fn tail(read: &dyn Read, count: usize) -> Result<Vec<Entry>, StoreError> {
    let count = u64::try_from(count.min(TAIL_ENTRIES_MAX)).unwrap_or(u64::MAX);
    let end = size(read)?;
    let mut found = Vec::new();
    let mut bytes = 0_usize;
    each(read, end.saturating_sub(count), end, true, &mut |_, entry, length| {
        bytes = bytes.saturating_add(length);
        if bytes > TAIL_BYTES_MAX && !found.is_empty() {
            return ControlFlow::Break(());
        }
        found.push(entry);
        ControlFlow::Continue(())
    })?;
    found.reverse();
    Ok(found)
}

/// The entries with `from <= index < to` that there are, the oldest first; at most [`ENTRIES_MAX`], and fewer when they
/// are large: go on behind the last one.
///
/// # Errors
/// When the state or an entry cannot be read.
pub fn entries(read: &dyn Read, from: u64, to: u64) -> Result<Vec<Entry>, StoreError> {
    let mut found = Vec::new();
    let mut bytes = 0_usize;
    each(read, from, to, false, &mut |_, entry, length| {
        found.push(entry);
        bytes = bytes.saturating_add(length);
        if found.len() < ENTRIES_MAX && bytes < READ_BYTES_MAX {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    Ok(found)
}

/// The entries of one call or change, the oldest first; at most [`ENTRIES_MAX`]. The id: 32 hexadecimal digits.
///
/// # Errors
/// When the state or an entry cannot be read.
pub fn by_correlation(read: &dyn Read, id: &str) -> Result<Vec<Entry>, StoreError> {
    let id = id.to_ascii_lowercase();
    if id.len() != CORRELATION_ID_CHARS || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Vec::new());
    }
    let mut indexes = Vec::new();
    let to = [keys::correlation(&id, u64::MAX), vec![0]].concat();
    read.scan(&keys::correlation(&id, 0), &to, false, &mut |key, _| {
        indexes.extend(keys::correlation_index(key));
        if indexes.len() < ENTRIES_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    indexes
        .into_iter()
        .map(|index| match read.get(&keys::entry(index))? {
            Some(leaf) => decode(index, &leaf),
            None => Err(damaged(format!("entry {index} is missing"))),
        })
        .collect()
}

/// The correlation ids that begin with these digits: one, or two when there are more than one.
///
/// # Errors
/// When the state cannot be read.
pub fn correlations(read: &dyn Read, digits: &str) -> Result<Vec<String>, StoreError> {
    let from = [keys::CORRELATIONS, digits.to_ascii_lowercase().as_bytes()].concat();
    let mut found: Vec<String> = Vec::new();
    read.scan(&from, &crate::store::prefix_end(&from), false, &mut |key, _| {
        let id = key.get(keys::CORRELATIONS.len()..).and_then(|rest| rest.get(..CORRELATION_ID_CHARS));
        let id = id.map(|id| String::from_utf8_lossy(id).into_owned());
        if let Some(id) = id.filter(|id| found.last() != Some(id)) {
            found.push(id);
        }
        if found.len() < 2 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}

/// The data of the leaf at an index: 16 random bytes and the entry's JSON.
///
/// # Errors
/// When the state cannot be read.
pub(super) fn leaf(read: &dyn Read, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
    read.get(&keys::entry(index))
}

/// Shows the entries with `from <= index < to`, with their index and their length in bytes, until `show` breaks.
fn each(
    read: &dyn Read,
    from: u64,
    to: u64,
    reverse: bool,
    show: &mut dyn FnMut(u64, Entry, usize) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut failed = None;
    read.scan(&keys::entry(from), &keys::entry(to), reverse, &mut |key, leaf| {
        let index = keys::entry_index(key).unwrap_or(u64::MAX);
        match decode(index, leaf) {
            Ok(entry) => show(index, entry, leaf.len()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or(Ok(()), Err)
}

/// The entry in a leaf's data.
pub(super) fn decode(index: u64, leaf: &[u8]) -> Result<Entry, StoreError> {
    leaf.get(SALT_BYTES..)
        .and_then(|payload| serde_json::from_slice(payload).ok())
        .ok_or_else(|| damaged(format!("entry {index} cannot be read")))
}

fn damaged(what: String) -> StoreError {
    StoreError::Damaged(format!("audit log: {what}; run `portcullis audit verify`"))
}
