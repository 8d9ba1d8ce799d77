//! A transaction: the committed state, what earlier changes of the group did to it, and this change on top.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use serde::Serialize;

use super::{Each, Read, StoreError};

/// Puts (a value) and deletes (none), by key.
pub(crate) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

type Changed<'a> = (&'a Vec<u8>, &'a Option<Vec<u8>>);

/// What a change reads and writes. Reads see the change's own writes. Nothing is kept when the change fails.
pub struct Tx<'a> {
    below: &'a dyn Read,
    changes: Changes,
}

impl<'a> Tx<'a> {
    /// A transaction on top of a state.
    pub(crate) fn on(below: &'a dyn Read) -> Self {
        Self { below, changes: Changes::new() }
    }

    /// What was changed.
    pub(crate) fn into_changes(self) -> Changes {
        self.changes
    }

    /// Takes over the changes of a transaction that was on top of this one.
    pub(super) fn absorb(&mut self, above: Changes) {
        self.changes.extend(above);
    }

    /// Sets the value under a key.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.insert(key.into(), Some(value.into()));
    }

    /// Sets the value under a key, as JSON.
    ///
    /// # Errors
    /// When the value has no JSON form, such as a map whose keys are no strings.
    pub fn put_json<T: Serialize + ?Sized>(&mut self, key: impl Into<Vec<u8>>, value: &T) -> Result<(), StoreError> {
        let key = key.into();
        let value = serde_json::to_vec(value).map_err(|error| {
            StoreError::Unwritable(format!("the value for `{}` has no JSON form: {error}", key.escape_ascii()))
        })?;
        self.put(key, value);
        Ok(())
    }

    /// Removes a key, whether it is there or not.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.changes.insert(key.into(), None);
    }
}

impl Read for Tx<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.clone()),
            None => self.below.get(key),
        }
    }

    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, each: Each<'_>) -> Result<(), StoreError> {
        scan_over(&self.changes, self.below, from, to, reverse, each)
    }
}

/// Shows what lies below with the changes laid over it.
pub(super) fn scan_over(
    changes: &Changes,
    below: &dyn Read,
    from: &[u8],
    to: &[u8],
    reverse: bool,
    each: Each<'_>,
) -> Result<(), StoreError> {
    if from >= to {
        return Ok(());
    }
    let range = (Bound::Included(from.to_vec()), Bound::Excluded(to.to_vec()));
    let mut upper: Box<dyn Iterator<Item = Changed<'_>>> =
        if reverse { Box::new(changes.range(range).rev()) } else { Box::new(changes.range(range)) };
    let mut next = upper.next();
    let mut stopped = false;
    let earlier = |a: &[u8], b: &[u8]| if reverse { a > b } else { a < b };

    below.scan(from, to, reverse, &mut |key, value| {
        while let Some((changed, to_value)) = next {
            if changed.as_slice() == key || !earlier(changed, key) {
                break;
            }
            next = upper.next();
            if let Some(new) = to_value
                && each(changed, new).is_break()
            {
                stopped = true;
                return ControlFlow::Break(());
            }
        }
        let shown = match next {
            Some((changed, to_value)) if changed.as_slice() == key => {
                next = upper.next();
                to_value.as_deref()
            }
            _ => Some(value),
        };
        match shown.map(|value| each(key, value)) {
            Some(ControlFlow::Break(())) => {
                stopped = true;
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    })?;
    while !stopped && let Some((changed, to_value)) = next {
        next = upper.next();
        if let Some(new) = to_value
            && each(changed, new).is_break()
        {
            stopped = true;
        }
    }
    Ok(())
}
