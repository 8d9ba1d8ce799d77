//! `portcullis demo`: the whole story with real parts. The store is a real one in a temporary directory, the upstream is a
//! real MCP server in a process of its own, and the agents are real MCP clients over HTTP.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use super::show::Tone;
use super::{Failure, audit, init, out};
use crate::admin::{Admin, Command};
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::{Actor, NewAgent};
use crate::serve::{self, Running};
use crate::telemetry;

mod agent;
mod story;

use agent::Agent;

#[derive(Debug, Args)]
pub(super) struct Words {}

pub(super) async fn run(_: Words) -> Result<(), Failure> {
    if std::env::var_os("PORTCULLIS_LOG").is_some() {
        telemetry::start();
    }
    let directory = tempfile::tempdir()?;
    let file = init::write(directory.path())?;
    let mut config = Config::load(&file)?;
    config.listen = ([127, 0, 0, 1], 0).into();
    config.admin = config.listen;
    let out = out();
    out.line(&format!(
        "{} a gate, its store and a marketplace in {}",
        out.tone(Tone::Loud, "Starting"),
        directory.path().display()
    ))?;
    let running = serve::start(config, Clock::system()).await?;
    running.settled().await;
    let told = tell(&running, directory.path()).await;
    running.stop().await;
    told
}

async fn tell(running: &Running, directory: &Path) -> Result<(), Failure> {
    let out = out();
    let readiness = running.gate.readiness();
    if !readiness.ready || readiness.degraded {
        return Err(Failure::Said(format!("the gate is not ready: {}", readiness.reasons.join("; "))));
    }
    let admin = Admin::on_gate(Arc::clone(&running.gate), Arc::clone(&running.key));
    let Some(at) = running.listening else { return Err(said("the gate has no door for agents")) };
    let url = format!("http://{}/mcp", at.agents);
    let reader = connect(&admin, &url, "scout", "reader").await?;
    let trader = connect(&admin, &url, "trader", "trader").await?;
    let wrong = story::tell(&out, &reader, &trader, &directory.join("market.json")).await?;

    out.line("")?;
    out.line(&out.tone(Tone::Loud, "The audit log"))?;
    let entries = admin.run(&Actor::this_user(), Command::AuditTail { count: 100 }).await.map_err(said)?;
    for entry in entries.as_array().into_iter().flatten() {
        out.line(&audit::line(&out, entry))?;
    }
    let report = admin.run(&Actor::this_user(), Command::AuditVerify).await.map_err(said)?;
    let verified = report.get("ok") == Some(&json!(true));
    let word = if verified { out.tone(Tone::Good, "verified") } else { out.tone(Tone::Bad, "NOT VERIFIED") };
    let text = |key: &str| super::show::cell(report.get(key));
    out.line(&format!("{word}  {} entries, Merkle root {}", text("entries"), text("root")))?;
    out.line("")?;
    if wrong == 0 && verified {
        Ok(out.line(&out.tone(Tone::Good, "Everything was as it should be."))?)
    } else {
        out.line(&out.tone(Tone::Bad, &format!("{wrong} answers were not as they should be.")))?;
        Err(Failure::No)
    }
}

async fn connect(admin: &Admin, url: &str, name: &str, role: &str) -> Result<Agent, Failure> {
    let new = NewAgent { name: name.into(), roles: vec![role.into()], owner: None, trust: 50 };
    let added = admin.run(&Actor::this_user(), Command::AgentAdd(new)).await.map_err(said)?;
    let key = added.get("key").and_then(Value::as_str).unwrap_or_default();
    Agent::connect(name, url, key).await
}

fn said(error: impl std::fmt::Display) -> Failure {
    Failure::Said(error.to_string())
}
