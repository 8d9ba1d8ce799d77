//! `portcullis audit …`

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::show::{self, Out, Tone};
use super::{Failure, client, load, out};
use crate::admin::{Command, TAIL_MAX};
use crate::audit::log::{ENTRIES_MAX, LIMIT_DEFAULT};
use crate::audit::{BadQuery, Query};
use crate::clock::Timestamp;
use crate::config::Config;

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
    /// Look for entries, newest first
    Query(Asked),
    /// Show all entries of a call or a change, oldest first
    Show {
        /// An entry's index, or a correlation id: at least 8 digits of it
        id: String,
        /// One entry a line, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Prove that an entry is in the log: an inclusion proof of RFC 6962
    Prove {
        /// An entry's index, or a correlation id: then a proof for each entry of the call
        id: String,
        /// One proof a line, as JSON
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

#[derive(Debug, Args)]
pub(super) struct Asked {
    /// Only what this agent or person did: a name or an id
    #[arg(long)]
    agent: Option<String>,
    /// Only this tool, or a change such as `agent.add`
    #[arg(long)]
    tool: Option<String>,
    /// Only refusals with this code
    #[arg(long)]
    code: Option<String>,
    /// Only this status, such as COMPLETED
    #[arg(long, value_parser = a_status)]
    status: Option<String>,
    /// At this time or later: RFC 3339, or a span such as `24h`, which is so long ago
    #[arg(long, value_parser = a_time)]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_parser = a_time)]
    until: Option<String>,
    /// Entries, at most
    #[arg(long, default_value_t = LIMIT_DEFAULT, value_parser = at_least_one)]
    limit: usize,
    /// Go on where an earlier answer ended
    #[arg(long, value_parser = a_cursor)]
    cursor: Option<String>,
    /// One entry a line, as JSON
    #[arg(long)]
    json: bool,
}

/// The text itself, when it makes sense: what it means, and when, is the gate's to say.
fn sensible(text: &str, query: &Query) -> Result<String, BadQuery> {
    query.filter(Timestamp::default()).map(|_| text.to_owned())
}

fn a_status(text: &str) -> Result<String, BadQuery> {
    sensible(text, &Query { status: Some(text.to_owned()), ..Query::default() })
}

fn a_time(text: &str) -> Result<String, BadQuery> {
    sensible(text, &Query { since: Some(text.to_owned()), ..Query::default() })
}

fn a_cursor(text: &str) -> Result<String, BadQuery> {
    sensible(text, &Query { cursor: Some(text.to_owned()), ..Query::default() })
}

fn at_least_one(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|number| *number > 0).ok_or("it is not a whole number of 1 or more")
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
        Words::Query(asked) => query(&config, &out, asked).await,
        Words::Show { id, json } => {
            let answer = client::run(&config, Command::AuditShow { id }).await?;
            for entry in answer.as_array().into_iter().flatten() {
                if json {
                    out.json(entry)?;
                } else {
                    whole(&out, entry)?;
                }
            }
            Ok(())
        }
        Words::Prove { id, json } => {
            let answer = client::run(&config, Command::AuditProve { id }).await?;
            for proof in answer.as_array().into_iter().flatten() {
                if json {
                    out.json(proof)?;
                } else {
                    proven(&out, proof)?;
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

/// Page after page, until there are as many entries as are wanted or the log has been looked through.
async fn query(config: &Config, out: &Out, asked: Asked) -> Result<(), Failure> {
    let Asked { agent, tool, code, status, since, until, limit, mut cursor, json } = asked;
    let mut left = limit;
    loop {
        let query = Query {
            agent: agent.clone(),
            tool: tool.clone(),
            code: code.clone(),
            status: status.clone(),
            since: since.clone(),
            until: until.clone(),
            cursor: cursor.take(),
            limit: Some(left.min(ENTRIES_MAX).to_string()),
        };
        let page = client::run(config, Command::AuditQuery { query }).await?;
        let entries = page.get("entries").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for entry in entries {
            if json {
                out.json(entry)?;
            } else {
                out.line(&line(out, entry))?;
            }
        }
        left = left.saturating_sub(entries.len());
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        match &cursor {
            None => return Ok(()),
            Some(next) if left == 0 => {
                // Beside the entries: each line of them is one.
                show::note(&format!("there can be more: repeat the command with `--cursor {}`", show::plain(next)));
                return Ok(());
            }
            Some(_) => {}
        }
    }
}

/// An entry with everything that is in it, one thing a line.
fn whole(out: &Out, entry: &Value) -> Result<(), Failure> {
    out.line(&line(out, entry))?;
    let field = |name: &str, value: &Value| match value {
        Value::Null => Ok(()),
        Value::Array(items) if items.is_empty() => Ok(()),
        value => out.line(&format!("       {name:20} {}", show::cell(Some(value)))),
    };
    for name in ["correlation_id", "request_id", "principal_id", "role", "origin", "idempotency_key", "arguments"] {
        field(name, entry.get(name).unwrap_or(&Value::Null))?;
    }
    for policy in entry.get("policies").and_then(Value::as_array).into_iter().flatten() {
        field("policy", policy)?;
    }
    for (name, value) in entry.get("metadata").and_then(Value::as_object).into_iter().flatten() {
        field(&show::plain(name), value)?;
    }
    Ok(())
}

fn proven(out: &Out, proof: &Value) -> Result<(), Failure> {
    let text = |key: &str| show::cell(proof.get(key));
    out.line(&line(out, proof.get("entry").unwrap_or(&Value::Null)))?;
    for name in ["index", "tree_size", "root", "leaf_hash"] {
        out.line(&format!("{name:10} {}", text(name)))?;
    }
    let path = proof.get("path").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (place, sibling) in path.iter().enumerate() {
        let name = if place == 0 { "path" } else { "" };
        out.line(&format!("{name:10} {}", show::cell(Some(sibling))))?;
    }
    out.line(&out.tone(Tone::Quiet, HOW_TO_CHECK))?;
    Ok(())
}

const HOW_TO_CHECK: &str = "
To check it without this gate: `--json` has the leaf in base64, 16 random bytes and then the entry's JSON. SHA-256 over a
zero byte and the leaf is the leaf hash. Join it with each line of the path in turn, SHA-256 over a byte 1, the left and the right hash;
RFC 9162, section 2.1.3.2, says from index and tree size which is which. The end is the root. That says something only
beside a root that you had before, or from somebody else.";

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
