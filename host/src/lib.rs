//! Portcullis: the gate between AI agents and the MCP tools they call.
#![forbid(unsafe_code)]

pub mod admission;
pub mod audit;
pub mod call;
pub mod catalog;
pub mod clock;
pub mod config;
pub mod gate;
pub mod identity;
pub mod json;
pub mod ledger;
pub mod limits;
pub mod permit;
pub mod refusal;
pub mod store;
pub mod task;
pub mod verdict;
