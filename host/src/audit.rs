//! What happened: masked entries in a Merkle tree that shows when one of them was touched.
//!
//! # Layout
//! - [`mask`]: what must not be written down is taken out here; an [`Entry`] can only be made of masked parts
//! - [`entry`]: one entry and its words
//! - [`tree`]: the Merkle tree of RFC 6962 over the entries, and its proofs
//! - [`log`]: append and read, inside the store's transactions
//! - [`Query`]: what somebody asks of the log, as text; [`prove`]: that an entry is in it, for somebody without the log
//! - [`verify`]: everything recomputed from the entries, and what does not fit named by its position
//!
//! The log promises that an entry, once committed, cannot be changed, removed, moved or added without a different root.
//! It does not promise that the whole store was not replaced together with its tree: only a root that is kept
//! elsewhere shows that.

pub mod entry;
mod keys;
pub mod log;
pub mod mask;
#[cfg(test)]
mod memory;
mod proof;
mod query;
pub mod tree;
pub mod verify;

pub use entry::{Entry, Status};
pub use log::{Cursor, Filter, Page, append, by_correlation, correlations, entries, query, root, size, tail};
pub use proof::{Inclusion, prove};
pub use query::{BadQuery, Query};
pub use verify::verify;
