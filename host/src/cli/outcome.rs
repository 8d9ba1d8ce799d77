//! `portcullis outcome …`

use std::path::Path;

use clap::{Args, Subcommand};

use super::{Failure, client, load, out};
use crate::admin::Command;

#[derive(Debug, Subcommand)]
pub(super) enum Words {
    /// Show the calls whose outcome nobody knows
    List {
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what became of one, after looking at the tool itself: key, money and audit log follow together
    Resolve {
        /// The call's correlation id
        id: String,
        #[command(flatten)]
        found: Found,
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Found {
    /// The tool ran: its money is spent, and its key stays taken
    #[arg(long)]
    executed: bool,
    /// It did not: money and key are free again
    #[arg(long)]
    not_executed: bool,
}

pub(super) async fn run(config: &Path, words: Words) -> Result<(), Failure> {
    let config = load(config)?;
    let out = out();
    match words {
        Words::List { json } => {
            let answer = client::run(&config, Command::OutcomeList).await?;
            if json {
                return Ok(out.json(&answer)?);
            }
            let columns = ["id", "tool", "agent_id", "idempotency_key", "started_at", "held"];
            Ok(out.listing(&columns, &answer, "Every outcome is known.")?)
        }
        Words::Resolve { id, found, json } => {
            let answer = client::run(&config, Command::OutcomeResolve { id, executed: found.executed }).await?;
            if json {
                return Ok(out.json(&answer)?);
            }
            Ok(out.fields(&["id", "tool", "executed", "idempotency_key", "held", "approval"], &answer)?)
        }
    }
}
