//! `portcullis serve`

use std::path::Path;

use clap::Args;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::show::Tone;
use super::{Failure, load, out};
use crate::clock::Clock;
use crate::{serve, telemetry};

/// SIGXFSZ of Linux.
const FILE_SIZE_SIGNAL: i32 = 25;

#[derive(Debug, Args)]
pub(super) struct Words {
    /// Say on standard output, as one line of JSON, where the gate listens
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: &Path, words: Words) -> Result<(), Failure> {
    telemetry::start();
    let config = load(config)?;
    let mut terminate = signal(SignalKind::terminate())?;
    // A file that may not grow is an error of the write, which the store refuses calls for, and not the end of the gate.
    let _outgrown = signal(SignalKind::from_raw(FILE_SIZE_SIGNAL))?;
    let running = serve::start(config, Clock::system()).await?;
    let out = out();
    if words.json {
        let socket = running.socket.display().to_string();
        out.json(&json!({ "listening": { "agents": running.agents.to_string(), "socket": socket } }))?;
    } else {
        out.line(&format!("{} http://{}/mcp", out.tone(Tone::Loud, "agents"), running.agents))?;
        running.settled().await;
        let readiness = running.gate.readiness();
        let state = if readiness.ready { out.tone(Tone::Good, "ready") } else { out.tone(Tone::Bad, "shut") };
        out.line(&format!("{state}  {} tools", running.gate.catalog.tools().len()))?;
        readiness.reasons.iter().try_for_each(|reason| out.line(&format!("  {reason}")))?;
    }
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    running.stop().await;
    Ok(())
}
