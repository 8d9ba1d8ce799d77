//! The whole log checked: every leaf and node is computed again from the entries and compared with what is stored.
//!
//! The first thing that does not fit is named by its position. A log may grow while it is checked; what came after the
//! check began is left to the next one.

use std::ops::ControlFlow;

use serde::Serialize;

use super::keys;
use super::log::decode;
use super::tree::{self, Hash, Place};
use crate::store::{Read, StoreError};

mod diagnose;
#[cfg(test)]
mod tests;

/// Entries hashed before the stored nodes are compared: few enough to keep, many enough to read in a row.
const BATCH: usize = 1024;

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Everything fits.
    pub ok: bool,
    /// Entries found.
    pub entries: u64,
    /// The root computed from them: 64 hexadecimal digits.
    pub root: String,
    /// The first thing that does not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Something that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What it is.
    pub kind: Kind,
    /// Which entry, where it is one; the first is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// What was found there: a sentence.
    pub message: String,
}

/// The kinds of things that do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The bytes of an entry are not those that were appended.
    Changed,
    /// An entry is not there.
    Missing,
    /// An entry stands in another's place.
    Moved,
    /// An entry stands between others that was never appended.
    Inserted,
    /// An entry stands behind the end of the log.
    Extra,
    /// An entry is in the tree, and cannot be read or says that it belongs elsewhere.
    Undecodable,
    /// The size is not that of the entries and the tree.
    Size,
    /// A node of the tree is missing, wrong or not part of it.
    Tree,
    /// The index by correlation id hides an entry, or names one that is not there.
    Index,
}

impl Problem {
    fn at(kind: Kind, position: u64, message: String) -> Self {
        Self { kind, position: Some(position), message }
    }

    fn of(kind: Kind, message: String) -> Self {
        Self { kind, position: None, message }
    }
}

/// What is kept of an entry until it is compared.
struct Found {
    index: u64,
    hash: Hash,
    /// The index and the correlation id that it says it has.
    says: Option<(u64, String)>,
}

/// Checks the whole log.
///
/// # Errors
/// When the state cannot be read. Damage is no error but a [`Problem`].
pub fn verify(read: &dyn Read) -> Result<Report, StoreError> {
    let mut check = Check { read, peaks: Vec::new(), count: 0, expected: 0, problem: None };
    let Some(size) = stored_size(read)? else {
        check.note(|| Ok(Some(Problem::of(Kind::Size, "the log's size is no number".into()))))?;
        check.entries(u64::MAX)?;
        return check.report();
    };
    check.entries(size)?;
    if check.expected < size {
        let at = check.expected;
        check.note(|| diagnose::short(read, at, size).map(Some))?;
    }
    check.note(|| behind_the_end(read))?;
    check.note(|| stray_nodes(read))?;
    check.note(|| stray_rows(read, size))?;
    check.report()
}

fn stored_size(read: &dyn Read) -> Result<Option<u64>, StoreError> {
    Ok(match read.get(keys::SIZE)? {
        None => Some(0),
        Some(bytes) => bytes.try_into().ok().map(u64::from_be_bytes),
    })
}

struct Check<'a> {
    read: &'a dyn Read,
    /// The complete subtrees of the entries so far, the largest first.
    peaks: Vec<(u8, Hash)>,
    count: u64,
    /// The index that the next entry must have.
    expected: u64,
    problem: Option<Problem>,
}

impl Check<'_> {
    /// Takes note of a problem unless there is one: the first is the one that explains the others.
    fn note(&mut self, find: impl FnOnce() -> Result<Option<Problem>, StoreError>) -> Result<(), StoreError> {
        if self.problem.is_none() {
            self.problem = find()?;
        }
        Ok(())
    }

    /// Goes through the entries before `size`.
    fn entries(&mut self, size: u64) -> Result<(), StoreError> {
        let end = keys::entry(size);
        let mut from = keys::ENTRIES.to_vec();
        loop {
            let mut batch = Vec::new();
            let mut bad_key = false;
            let mut behind = Vec::new();
            self.read.scan(&from, &end, false, &mut |key, leaf| {
                behind = [key, &[0]].concat();
                match keys::entry_index(key) {
                    Some(index) => batch.push(found(index, leaf)),
                    None => bad_key = true,
                }
                if batch.len() < BATCH { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            for entry in &batch {
                self.entry(entry, size)?;
            }
            if bad_key {
                let message = "a key among the entries is not that of an entry".to_owned();
                self.note(|| Ok(Some(Problem::of(Kind::Extra, message))))?;
            }
            if batch.len() < BATCH {
                return Ok(());
            }
            from = behind;
        }
    }

    fn entry(&mut self, entry: &Found, size: u64) -> Result<(), StoreError> {
        let (read, expected) = (self.read, self.expected);
        if entry.index != expected {
            self.note(|| Ok(Some(Problem::at(Kind::Missing, expected, format!("entry {expected} is missing")))))?;
        }
        self.expected = entry.index.saturating_add(1);
        self.note(|| leaf_problem(read, entry, size))?;
        let leaf = Place { level: 0, index: self.count };
        self.grow(leaf, entry.hash)?;
        self.note(|| row_problem(read, entry))?;
        self.count += 1;
        Ok(())
    }

    /// Adds a leaf to the recomputed tree and compares the nodes that it completes with the stored ones.
    fn grow(&mut self, leaf: Place, hash: Hash) -> Result<(), StoreError> {
        let (mut place, mut hash) = (leaf, hash);
        while let Some((level, left)) = self.peaks.pop() {
            if level != place.level {
                self.peaks.push((level, left));
                break;
            }
            hash = tree::node_hash(&left, &hash);
            place = Place { level: level + 1, index: place.index >> 1 };
            let read = self.read;
            self.note(|| node_problem(read, place, &hash))?;
        }
        self.peaks.push((place.level, hash));
        Ok(())
    }

    fn report(self) -> Result<Report, StoreError> {
        let root = self.peaks.iter().rev().map(|(_, hash)| *hash).reduce(|right, left| tree::node_hash(&left, &right));
        Ok(Report {
            ok: self.problem.is_none(),
            entries: self.count,
            root: root.unwrap_or_else(tree::empty_root).to_string(),
            problem: self.problem,
        })
    }
}

fn found(index: u64, leaf: &[u8]) -> Found {
    let says = decode(index, leaf).ok().map(|entry| (entry.index(), entry.correlation_id().to_owned()));
    Found { index, hash: tree::leaf_hash(leaf), says }
}

fn leaf_problem(read: &dyn Read, entry: &Found, size: u64) -> Result<Option<Problem>, StoreError> {
    let index = entry.index;
    let Some(stored) = tree::stored(read, Place { level: 0, index })? else {
        return Ok(Some(Problem::at(Kind::Tree, index, format!("the tree has no leaf for entry {index}"))));
    };
    if stored != entry.hash {
        return diagnose::mismatch(read, index, &entry.hash, &stored, size).map(Some);
    }
    Ok(match &entry.says {
        None => Some(Problem::at(Kind::Undecodable, index, format!("entry {index} cannot be read"))),
        Some((says, _)) if *says != index => {
            let message = format!("entry {index} says that it is entry {says}");
            Some(Problem::at(Kind::Undecodable, index, message))
        }
        Some(_) => None,
    })
}

fn node_problem(read: &dyn Read, place: Place, hash: &Hash) -> Result<Option<Problem>, StoreError> {
    let what = match tree::stored(read, place)? {
        Some(stored) if stored == *hash => return Ok(None),
        Some(_) => "is not the hash of what is below it",
        None => "is missing",
    };
    let Place { level, index } = place;
    Ok(Some(Problem::of(Kind::Tree, format!("node {index} in level {level} of the tree {what}"))))
}

fn row_problem(read: &dyn Read, entry: &Found) -> Result<Option<Problem>, StoreError> {
    let Some((_, id)) = &entry.says else { return Ok(None) };
    if read.get(&keys::correlation(id, entry.index))?.is_some() {
        return Ok(None);
    }
    let message = format!("entry {} cannot be found by its correlation id `{id}`", entry.index);
    Ok(Some(Problem::at(Kind::Index, entry.index, message)))
}

/// The size is read after what it is compared with, as the log may have grown.
fn behind_the_end(read: &dyn Read) -> Result<Option<Problem>, StoreError> {
    let mut last = None;
    read.scan(keys::ENTRIES, keys::ENTRIES_END, true, &mut |key, _| {
        last = Some(keys::entry_index(key));
        ControlFlow::Break(())
    })?;
    let size = stored_size(read)?.unwrap_or(0);
    Ok(match last {
        Some(Some(index)) if index >= size => Some(diagnose::beyond(read, index, size)?),
        Some(None) => Some(Problem::of(Kind::Extra, "a key among the entries is not that of an entry".into())),
        _ => None,
    })
}

fn stray_nodes(read: &dyn Read) -> Result<Option<Problem>, StoreError> {
    let mut ends = 0;
    let mut bad_key = false;
    read.scan(keys::NODES, keys::NODES_END, false, &mut |key, _| {
        let end = keys::node_place(key)
            .and_then(|(level, index)| index.checked_add(1)?.checked_mul(1_u64.checked_shl(level.into())?));
        match end {
            Some(end) => ends = end.max(ends),
            None => bad_key = true,
        }
        ControlFlow::Continue(())
    })?;
    let size = stored_size(read)?.unwrap_or(0);
    Ok(if bad_key {
        Some(Problem::of(Kind::Tree, "a key among the tree's nodes is not that of a node".into()))
    } else if ends > size {
        Some(Problem::of(Kind::Tree, format!("the log has {size} entries, and its tree has nodes for {ends}")))
    } else {
        None
    })
}

/// Every entry has its row when this is called: so there are too many rows, or exactly those.
fn stray_rows(read: &dyn Read, size: u64) -> Result<Option<Problem>, StoreError> {
    let (mut rows, mut bad_key, mut end) = (0_u64, false, 0);
    read.scan(keys::CORRELATIONS, keys::CORRELATIONS_END, false, &mut |key, _| {
        match keys::correlation_index(key) {
            Some(index) if index < size => rows += 1,
            Some(index) => end = index.saturating_add(1).max(end),
            None => bad_key = true,
        }
        ControlFlow::Continue(())
    })?;
    let grown = stored_size(read)?.unwrap_or(0);
    Ok((bad_key || rows > size || end > grown)
        .then(|| Problem::of(Kind::Index, "the index by correlation id names entries that are not there".into())))
}
