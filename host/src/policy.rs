//! May it: the contract, the policies, and what they say together.

pub mod build;
pub mod bundled;
