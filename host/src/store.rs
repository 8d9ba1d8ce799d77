//! The one writer: a journal in front, sled as the state.
//!
//! Layers never see sled. They read through [`Read`], and change things in a closure that [`Store::commit`] hands to
//! the single writer: closures run one after the other, each sees what those before it did, and a group of them becomes
//! durable with one `fdatasync`. A closure that returns an error leaves no trace.

use std::ops::ControlFlow;

mod tx;

pub use tx::Tx;

/// Why the store did not do something. Whatever it is, nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// More is waiting to be written than may wait.
    #[error("more changes wait for the store than may wait")]
    Busy,
    /// The store is shut, or shutting.
    #[error("the store is closed")]
    Closed,
    /// The journal could not be made durable.
    #[error("the store cannot write: {0}")]
    Unwritable(String),
    /// What is on disk is not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Another process has it open.
    #[error("the store in `{0}` is in use by another process")]
    Locked(String),
    /// Reading failed.
    #[error("the store cannot be read: {0}")]
    Unreadable(String),
}

/// Reading the state: keys are bytes, in order.
pub trait Read {
    /// The value under a key.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Shows the pairs with `from <= key < to`, in order (from the end when `reverse`), until `each` breaks.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        each: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;
}

pub mod keys;

pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end;
        }
    }
    vec![0xff; 16]
}
pub trait ReadJson: Read {
    fn get_json<T: serde::de::DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.get(key)?.map(|v| serde_json::from_slice(&v).map_err(|e| StoreError::Damaged(e.to_string()))).transpose()
    }
}
impl<R: Read + ?Sized> ReadJson for R {}
impl Tx<'_> {
    pub fn put_json<T: serde::Serialize>(&mut self, key: impl Into<Vec<u8>>, value: &T) -> Result<(), StoreError> {
        let v = serde_json::to_vec(value).map_err(|e| StoreError::Damaged(e.to_string()))?;
        self.put(key, v);
        Ok(())
    }
}
