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
