//! `portcullis demo`: the whole story with real parts. The store is a real one in a temporary directory, the upstream is a
//! real MCP server in a process of its own, the agents are real MCP clients, and persons come in at their own door over
//! HTTP with credentials of their own. What is told is what was answered, and each answer is held against what it should be.

use std::path::Path;

use clap::Args;

use super::serve::Signals;
use super::show::Tone;
use super::{Failure, out};
use crate::telemetry;

mod agent;
mod keep;
mod person;
mod stage;
mod story;
mod teller;

use stage::Stage;

#[derive(Debug, Args)]
pub(super) struct Words {
    /// Afterwards let the gate run on, and say how to use it
    #[arg(long)]
    keep: bool,
}

pub(super) async fn run(words: Words) -> Result<(), Failure> {
    if std::env::var_os("PORTCULLIS_LOG").is_some() {
        telemetry::start();
    }
    let mut signals = Signals::new()?;
    let directory = tempfile::tempdir().map_err(|error| cannot("make a temporary directory", &error))?;
    let done = play(directory.path(), words.keep, &mut signals).await;
    directory.close().map_err(|error| cannot("remove the temporary directory", &error))?;
    done
}

async fn play(directory: &Path, keep: bool, signals: &mut Signals) -> Result<(), Failure> {
    let out = out();
    let place = directory.display();
    out.line(&format!("{} a gate, its store and a marketplace in {place}", out.tone(Tone::Loud, "Starting")))?;
    let stage = Stage::set(directory).await?;
    let told = tokio::select! {
        told = story::tell(&out, &stage) => told,
        () = signals.next() => Err(Failure::Said("the demo was stopped before its end".into())),
    };
    let done = match told {
        Ok(()) if keep => keep::run(&out, &stage, signals).await,
        told => told,
    };
    tokio::select! {
        () = stage.running.stop() => done,
        () = signals.next() => done,
    }
}

fn said(error: impl std::fmt::Display) -> Failure {
    Failure::Said(error.to_string())
}

fn cannot(what: &str, error: &std::io::Error) -> Failure {
    Failure::Said(format!("the demo cannot {what}: {error}"))
}
