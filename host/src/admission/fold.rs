//! Repeated refusals, folded: the first of a minute is written to the audit log, the others are counted.
//!
//! A flood that is refused must not become a flood of entries; nor may it go unseen.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::table::AddressKey;
use crate::refusal::Code;

#[cfg(test)]
mod tests;

/// How long repeats are counted before they are written.
const SPAN: Duration = Duration::from_secs(60);

/// Keys that are counted apart; the refusals of others are counted together.
const KEYS_MAX: usize = 4096;

/// Who was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FoldKey {
    /// Somebody at an address.
    Address(AddressKey),
    /// A principal, by its id.
    Principal(String),
    /// Those for whom there was no room to be counted apart.
    Others,
}

impl std::fmt::Display for FoldKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FoldKey::Address(address) => write!(f, "address {address}"),
            FoldKey::Principal(id) => write!(f, "principal {id}"),
            FoldKey::Others => f.write_str("others"),
        }
    }
}

/// What to do with a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Write it down, with how many like it were only counted since the one written before.
    Write {
        /// How many were counted.
        repeats: u64,
    },
    /// It was counted.
    Count,
}

/// Refusals of the last minute.
#[derive(Debug, Default)]
pub struct Folder {
    counts: Mutex<HashMap<(FoldKey, Code), Counted>>,
}

#[derive(Debug)]
struct Counted {
    /// When one was written.
    since: Duration,
    /// How many came after it.
    repeats: u64,
}

impl Counted {
    fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) >= SPAN
    }
}

impl Folder {
    /// Takes note of a refusal. `now`: [`crate::clock::Clock::monotonic`].
    #[must_use]
    pub fn fold(&self, key: FoldKey, code: Code, now: Duration) -> Fold {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (key, code);
        if counts.len() >= KEYS_MAX && !counts.contains_key(&key) {
            counts.retain(|_, counted| counted.repeats > 0 || !counted.is_over(now));
            if counts.len() >= KEYS_MAX {
                key.0 = FoldKey::Others;
            }
        }
        match counts.entry(key) {
            Entry::Vacant(place) => {
                place.insert(Counted { since: now, repeats: 0 });
                Fold::Write { repeats: 0 }
            }
            Entry::Occupied(place) => {
                let counted = place.into_mut();
                if counted.is_over(now) {
                    let repeats = std::mem::replace(counted, Counted { since: now, repeats: 0 }).repeats;
                    Fold::Write { repeats }
                } else {
                    counted.repeats = counted.repeats.saturating_add(1);
                    Fold::Count
                }
            }
        }
    }

    /// What was counted in minutes that are over: who, why, how many. To be written as one entry each. At the end,
    /// [`Duration::MAX`] hands out the rest.
    #[must_use]
    pub fn drain_due(&self, now: Duration) -> Vec<(FoldKey, Code, u64)> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let due = counts.extract_if(|_, counted| counted.is_over(now));
        let mut due: Vec<_> = due.map(|((key, code), counted)| (key, code, counted.repeats)).collect();
        due.retain(|(_, _, repeats)| *repeats > 0);
        due.sort_by(|a, b| (&a.0, a.1.as_str()).cmp(&(&b.0, b.1.as_str())));
        due
    }
}
