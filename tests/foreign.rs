//! Clients and servers that others wrote, in other languages, from their registries.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::harness::Gate;
use crate::harness::foreign::Client;

mod approvals;
mod governed;
mod restart;
mod servers;

/// Runs a story with every client at the same time, at one gate.
async fn with_each<F: Future<Output = ()> + Send + 'static>(gate: &Arc<Gate>, story: impl Fn(Client, Arc<Gate>) -> F) {
    let mut stories = JoinSet::new();
    for client in Client::ALL {
        stories.spawn(story(client, Arc::clone(gate)));
    }
    stories.join_all().await;
}
