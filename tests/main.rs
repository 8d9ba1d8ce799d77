//! The gate from outside: the real program, real processes, real clients. A module per concern.
//!
//! Nothing here looks into the gate. What it did is read where others read it: in its answers, in its audit log, and in
//! the list that the tools' own server keeps of what was executed.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and starts what it needs itself"
)]

mod harness;

mod approvals;
mod audit;
mod bundled;
mod caps;
mod cli;
mod demo;
mod doctor;
mod exactness;
mod failures;
mod foreign;
mod history;
mod idempotency;
mod identity;
mod import;
mod kill;
mod mcp_eras;
mod mistakes;
mod permit_compile_fail;
mod pins;
mod refusals;
mod reload;
mod sessions;
mod stdio;
mod upstream;
mod upstream_http;
mod visibility;
