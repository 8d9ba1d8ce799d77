//! What the store keeps of policies: which set is in force, that set and a few before it, and their components. A gate
//! whose policy directory is broken decides with it.
//!
//! Only the thread that reloads writes here. A component is kept in pieces, before the set that refers to it; the set,
//! its being in force and the audit entry about it are one change.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::arguments::sha256;
use super::file::{self, Mode, Written};
use super::limits;
use super::set::PolicySet;
use crate::audit::{self, Entry};
use crate::store::keys::{Key, Prefix};
use crate::store::{Read, ReadJson, Store, StoreError};

/// What is in force, and what is known of the directory besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Force {
    /// The generation that decides; 0 before there was one.
    pub(super) generation: u64,
    /// The highest generation that there was.
    pub(super) highest: u64,
    /// The content of the directory that was left by a rollback: it is not taken again.
    pub(super) left: Option<String>,
    /// The content of the directory that is known, and written down, to be of no use.
    pub(super) failed: Option<String>,
}

/// A set, without its components.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptSet {
    pub(super) generation: u64,
    pub(super) digest: String,
    /// The generation that was in force before it.
    pub(super) before: Option<u64>,
    policies: Vec<KeptPolicy>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeptPolicy {
    name: String,
    module: String,
    mode: Mode,
    tools: Vec<String>,
    settings: String,
    component: String,
}

impl KeptSet {
    /// A set as it is kept.
    pub(super) fn of(set: &PolicySet, before: u64) -> Self {
        let policy = |entry: &super::set::Entry| KeptPolicy {
            name: entry.listed.name.clone(),
            module: entry.listed.module.clone(),
            mode: entry.listed.mode,
            tools: entry.listed.tools.clone(),
            settings: entry.settings.to_string(),
            component: entry.listed.digest.clone(),
        };
        Self {
            generation: set.generation(),
            digest: set.digest().to_owned(),
            before: Some(before).filter(|before| *before > 0),
            policies: set.policies.iter().map(policy).collect(),
        }
    }
}

fn force_key() -> Key {
    Key::new(Prefix::Policy).text("force")
}

fn set_key(generation: u64) -> Key {
    Key::new(Prefix::Policy).text("set").number(generation)
}

fn pieces(component: &str) -> Key {
    Key::new(Prefix::Component).text(component)
}

/// What is in force.
pub(super) fn force(read: &dyn Read) -> Result<Force, StoreError> {
    Ok(read.get_json(&force_key())?.unwrap_or_default())
}

/// A set that is kept.
pub(super) fn set(read: &dyn Read, generation: u64) -> Result<Option<KeptSet>, StoreError> {
    read.get_json(&set_key(generation))
}

/// The policies of a kept set, ready to be loaded.
pub(super) fn written(read: &dyn Read, set: KeptSet) -> Result<Vec<Written>, StoreError> {
    set.policies
        .into_iter()
        .map(|kept| {
            let damaged = |why: String| StoreError::Damaged(format!("the kept policy `{}`: {why}", kept.name));
            Ok(Written {
                bytes: component(read, &kept.component)?,
                tools: file::tools(&kept.tools).map_err(damaged)?,
                patterns: kept.tools,
                settings: kept.settings.into(),
                name: kept.name,
                module: kept.module,
                mode: kept.mode,
                vectors: None,
            })
        })
        .collect()
}

fn component(read: &dyn Read, digest: &str) -> Result<Arc<[u8]>, StoreError> {
    let (from, to) = pieces(digest).range();
    let mut bytes = Vec::new();
    read.scan(&from, &to, false, &mut |_, piece| {
        bytes.extend_from_slice(piece);
        if bytes.len() > limits::COMPONENT_BYTES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if sha256(&bytes) != digest {
        return Err(StoreError::Damaged(format!("the kept component `{digest}` is not what was kept")));
    }
    Ok(bytes.into())
}

/// Keeps the components of a set that are not there yet. Blocks.
pub(super) fn keep_components(store: &Store, set: &PolicySet) -> Result<(), StoreError> {
    for entry in &set.policies {
        let digest = &entry.listed.digest;
        match component(store, digest) {
            Ok(_) => continue,
            // Missing, or begun and not ended.
            Err(StoreError::Damaged(_)) => {}
            Err(error) => return Err(error),
        }
        for (index, piece) in (0_u64..).zip(entry.component.chunks(limits::PIECE_BYTES)) {
            let (key, piece) = (pieces(digest).number(index), piece.to_vec());
            store.commit_blocking(move |tx| {
                tx.put(key, piece);
                Ok::<_, StoreError>(())
            })?;
        }
    }
    Ok(())
}

/// Puts a set in force: the set itself when it is a new one, and the audit entry, in one change. What no set refers to any
/// more leaves with it. Blocks.
pub(super) fn put_in_force(store: &Store, force: Force, new: Option<KeptSet>, entry: Entry) -> Result<(), StoreError> {
    let stays = chain(store, force.generation, new.as_ref())?;
    let mut leaves = Vec::new();
    let (from, to) = Key::new(Prefix::Policy).text("set").range();
    store.scan(&from, &to, false, &mut |key, _| {
        if !stays.iter().any(|set| *set_key(set.generation) == *key) {
            leaves.push(key.to_vec());
        }
        ControlFlow::Continue(())
    })?;
    let used: HashSet<Vec<u8>> =
        stays.iter().flat_map(|set| &set.policies).map(|kept| pieces(&kept.component).to_vec()).collect();
    let (from, to) = Key::new(Prefix::Component).range();
    store.scan(&from, &to, false, &mut |key, _| {
        // Behind the digest stands the number of the piece.
        let whose = key.len().checked_sub(size_of::<u64>()).and_then(|end| key.get(..end));
        if !whose.is_some_and(|whose| used.contains(whose)) {
            leaves.push(key.to_vec());
        }
        ControlFlow::Continue(())
    })?;
    store.commit_blocking(move |tx| {
        for key in leaves {
            tx.delete(key);
        }
        if let Some(new) = &new {
            tx.put_json(set_key(new.generation), new)?;
        }
        tx.put_json(force_key(), &force)?;
        audit::append(tx, &entry)?;
        Ok(())
    })
}

/// Writes down what became of the directory, where that changes nothing that is in force. Blocks.
pub(super) fn note(store: &Store, force: Force, entry: Entry) -> Result<(), StoreError> {
    store.commit_blocking(move |tx| {
        tx.put_json(force_key(), &force)?;
        audit::append(tx, &entry)?;
        Ok(())
    })
}

/// The set in force and those that a rollback can reach from it.
fn chain(read: &dyn Read, generation: u64, new: Option<&KeptSet>) -> Result<Vec<KeptSet>, StoreError> {
    let mut sets = Vec::new();
    let mut next = Some(generation);
    while let Some(generation) = next
        && u64::try_from(sets.len()).unwrap_or(u64::MAX) <= limits::SETS_BEFORE_MAX
    {
        let found = match new.filter(|new| new.generation == generation) {
            Some(new) => Some(new.clone()),
            None => set(read, generation)?,
        };
        next = found.as_ref().and_then(|set| set.before).filter(|before| *before < generation);
        sets.extend(found);
    }
    Ok(sets)
}
