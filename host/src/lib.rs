//! Portcullis: the gate between AI agents and the MCP tools they call.
#![forbid(unsafe_code)]

pub mod admin;
pub mod admission;
pub mod approval;
pub mod audit;
pub mod call;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod door;
pub mod gate;
pub mod idempotency;
pub mod identity;
pub mod json;
pub mod ledger;
pub mod limits;
pub mod permit;
pub mod policy;
pub mod refusal;
pub mod seal;
pub mod serve;
pub mod store;
pub mod task;
pub mod telemetry;
pub mod upstream;
pub mod verdict;
