//! What every test needs: a gate of its own in a folder of its own, clients for its doors, and what its tools' servers
//! say was executed.

pub(crate) mod client;
pub(crate) mod doors;
pub(crate) mod foreign;
pub(crate) mod gate;
pub(crate) mod guest;
pub(crate) mod market;
pub(crate) mod odd;
pub(crate) mod remote;
pub(crate) mod wrap;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use client::{Answer, Caller, Door};
pub(crate) use doors::Doors;
pub(crate) use gate::{Gate, Setup};
pub(crate) use wrap::Wrap;

/// Long enough for anything that happens at all; nothing asserts how long it took.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_portcullis"))
}

/// The folder of the tests' own files.
pub(crate) fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests")
}

/// Asks again until there is an answer: for what another process does in its own time.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asked = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    asked.await.unwrap_or_else(|_| panic!("{what} did not happen"))
}
