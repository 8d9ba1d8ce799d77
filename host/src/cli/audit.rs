//! `portcullis audit …`

use std::path::Path;

use clap::Subcommand;
use serde_json::Value;

use super::show::{self, Out, Tone};
use super::{Failure, client, load, out};
use crate::admin::{Command, TAIL_MAX};

#[derive(Debug, Subcommand)]
pub(super) enum Words {
    /// Show the newest entries
    Tail {
        /// How many
        #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=TAIL_MAX as i64))]
        count: u32,
        /// One entry a line, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Check that the log is what was written: every entry, every node of the tree, the root
    Verify {
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(config: &Path, words: Words) -> Result<(), Failure> {
    let config = load(config)?;
    let out = out();
    match words {
        Words::Tail { count, json } => {
            let count = usize::try_from(count).unwrap_or(TAIL_MAX);
            let answer = client::run(&config, Command::AuditTail { count }).await?;
            for entry in answer.as_array().into_iter().flatten() {
                if json {
                    out.json(entry)?;
                } else {
                    out.line(&line(&out, entry))?;
                }
            }
            Ok(())
        }
        Words::Verify { json } => {
            let answer = client::run(&config, Command::AuditVerify).await?;
            let ok = answer.get("ok").and_then(Value::as_bool) == Some(true);
            if json {
                out.json(&answer)?;
            } else if ok {
                out.line(&format!(
                    "{}  {} entries, root {}",
                    out.tone(Tone::Good, "ok"),
                    show::cell(answer.get("entries")),
                    show::cell(answer.get("root")),
                ))?;
            } else {
                out.line(&format!("{}  {}", out.tone(Tone::Bad, "not ok"), show::cell(answer.get("problem"))))?;
            }
            if ok { Ok(()) } else { Err(Failure::No) }
        }
    }
}

/// An entry on one line: when, how it ended, who, what, why, which call.
pub(super) fn line(out: &Out, entry: &Value) -> String {
    let text = |key: &str| show::cell(entry.get(key));
    let status = text("status");
    let tone = match status.as_str() {
        "COMPLETED" | "REPLAYED" | "CONFIRMED" => Tone::Good,
        "STARTED" => Tone::Quiet,
        _ => Tone::Bad,
    };
    let correlation: String = text("correlation_id").chars().take(8).collect();
    format!(
        "{:>5}  {}  {}  {:12}  {:28} {:22} {}",
        text("index"),
        text("timestamp"),
        out.tone(tone, &format!("{status:13}")),
        text("principal"),
        text("action"),
        text("code"),
        out.tone(Tone::Quiet, &correlation),
    )
    .trim_end()
    .to_owned()
}
