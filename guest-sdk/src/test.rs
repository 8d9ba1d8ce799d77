//! Asking a policy without a gate, in plain `cargo test`.

mod case;
mod document;
mod vectors;

pub use case::{Case, configured, problems};
pub use vectors::run;
