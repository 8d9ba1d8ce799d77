//! `portcullis serve`

use std::path::Path;

use clap::Args;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::show::{self, Tone};
use super::{Failure, load, out};
use crate::clock::Clock;
use crate::serve::{self, Running};
use crate::telemetry;

/// SIGXFSZ of Linux.
const FILE_SIZE_SIGNAL: i32 = 25;

#[derive(Debug, Args)]
pub(super) struct Words {
    /// Say on standard output, as one line of JSON, where the gate listens
    #[arg(long)]
    json: bool,
}

/// How this process is told to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

pub(super) async fn run(config: &Path, words: Words) -> Result<(), Failure> {
    telemetry::start();
    let config = load(config)?;
    let unheard = |error| Failure::Said(format!("the system does not let the gate listen to signals: {error}"));
    let mut signals = Signals::new().map_err(unheard)?;
    // A file that may not grow is an error of the write, which the store refuses calls for, and not the end of the gate.
    let _outgrown = signal(SignalKind::from_raw(FILE_SIZE_SIGNAL)).map_err(unheard)?;
    let running = serve::start(config, Clock::system()).await?;
    tokio::select! {
        () = signals.next() => {}
        said = say(&running, words.json) => {
            said?;
            signals.next().await;
        }
    }
    tokio::select! {
        () = running.stop() => Ok(()),
        () = signals.next() => {
            show::error("told twice to stop, the gate did not wait for calls in flight; their outcome is unknown");
            // Not by returning: what would be dropped then waits for the disk.
            std::process::exit(1)
        }
    }
}

/// Says where the gate listens, and to a person how it stands once every server was tried.
async fn say(running: &Running, json: bool) -> Result<(), Failure> {
    let out = out();
    if json {
        let socket = running.socket.display().to_string();
        return Ok(out.json(&json!({ "listening": { "agents": running.agents.to_string(), "admin": running.owners.to_string(), "socket": socket } }))?);
    }
    out.line(&format!("{} http://{}/mcp", out.tone(Tone::Loud, "agents"), running.agents))?;
    out.line(&format!("{} http://{}", out.tone(Tone::Loud, "owners"), running.owners))?;
    running.settled().await;
    let readiness = running.gate.readiness();
    let state = if readiness.ready { out.tone(Tone::Good, "ready") } else { out.tone(Tone::Bad, "shut") };
    out.line(&format!("{state}  {} tools", running.gate.catalog.tools().len()))?;
    Ok(readiness.reasons.iter().try_for_each(|reason| out.line(&format!("  {}", show::plain(reason))))?)
}
