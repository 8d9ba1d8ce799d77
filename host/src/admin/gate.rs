//! The gate that runs.

use serde_json::{Value, json};

use crate::gate::Gate;

/// How a gate stands.
pub(super) fn shown(gate: &Gate) -> Value {
    let tools: Vec<Value> = gate
        .catalog
        .tools()
        .iter()
        .map(|tool| {
            let needs_arguments = tool.needs_arguments();
            json!({ "name": tool.name, "read_only": tool.annotations.read_only, "needs_arguments": needs_arguments })
        })
        .collect();
    let listening = gate.listening.get();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "agents": listening.map(|at| at.agents.to_string()),
        "owners": listening.map(|at| at.owners.to_string()),
        "readiness": gate.readiness(),
        "servers_up": gate.catalog.problems().is_some_and(|problems| problems.is_empty()),
        "tools": tools,
    })
}
