//! `portcullis serve`

use std::io;
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
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// A file that may not grow is an error of the write, which the store refuses calls for, and not the end of the gate.
    _outgrown: Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self, Failure> {
        let listen = || {
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                _outgrown: signal(SignalKind::from_raw(FILE_SIZE_SIGNAL))?,
            })
        };
        let unheard = |error: io::Error| format!("the system does not let the gate listen to signals: {error}");
        listen().map_err(|error| Failure::Said(unheard(error)))
    }

    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

pub(super) async fn run(config: &Path, words: Words) -> Result<(), Failure> {
    telemetry::start();
    let config = load(config)?;
    let mut signals = Signals::new()?;
    if !words.json {
        let out = out();
        out.line(&out.tone(Tone::Quiet, "opening the store and compiling the policies …"))?;
    }
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
        let listening = running.listening.map(|at| (at.agents.to_string(), at.owners.to_string()));
        let (agents, admin) = listening.unzip();
        return Ok(out.json(&json!({ "listening": { "agents": agents, "admin": admin, "socket": socket } }))?);
    }
    if let Some(at) = running.listening {
        out.line(&format!("{} http://{}/mcp", out.tone(Tone::Loud, "agents"), at.agents))?;
        out.line(&format!("{} http://{}", out.tone(Tone::Loud, "owners"), at.owners))?;
    }
    running.settled().await;
    let readiness = running.gate.readiness();
    let state = if readiness.ready { out.tone(Tone::Good, "ready") } else { out.tone(Tone::Bad, "shut") };
    out.line(&format!("{state}  {} tools", running.gate.catalog.tools().len()))?;
    Ok(readiness.reasons.iter().try_for_each(|reason| out.line(&format!("  {}", show::plain(reason))))?)
}
