//! A state in memory for the tests of the log: transactions one after the other, as in the store.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::store::{Read, StoreError, Tx};

#[derive(Clone, Default)]
pub(super) struct Memory {
    pub(super) pairs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// How many values were read.
    pub(super) gets: RefCell<usize>,
}

impl Memory {
    /// Runs a change; nothing is kept when it fails.
    pub(super) fn commit<T>(
        &mut self,
        change: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut tx = Tx::on(self);
        let done = change(&mut tx)?;
        for (key, value) in tx.into_changes() {
            match value {
                Some(value) => self.pairs.insert(key, value),
                None => self.pairs.remove(&key),
            };
        }
        Ok(done)
    }
}

impl Read for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        *self.gets.borrow_mut() += 1;
        Ok(self.pairs.get(key).cloned())
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        each: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let mut range = self.pairs.range(from.to_vec()..to.to_vec());
        while let Some((key, value)) = if reverse { range.next_back() } else { range.next() } {
            if each(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}
