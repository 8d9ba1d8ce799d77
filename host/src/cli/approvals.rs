//! `portcullis approvals …`

use std::path::Path;

use clap::{Subcommand, ValueEnum};
use serde_json::Value;

use super::show::{self, Out, Tone};
use super::{Failure, client, load, out};
use crate::admin::Command;
use crate::approval::{self, Say};

/// How an approval stands.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Status {
    /// It waits for a person
    Pending,
    /// It may be used, once
    Approved,
    /// A person said no
    Rejected,
    /// Nobody decided, or used it, in time
    Expired,
    /// A call used it
    Used,
}

impl From<Status> for approval::Status {
    fn from(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Approved => Self::Approved,
            Status::Rejected => Self::Rejected,
            Status::Expired => Self::Expired,
            Status::Used => Self::Used,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Words {
    /// Show approvals, the newest first
    List {
        /// Only those that stand so
        #[arg(long)]
        status: Option<Status>,
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one approval: who wants what, with which arguments
    Show {
        /// Its id
        id: String,
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Agree: the agent may make exactly this call, once
    Approve {
        /// Its id
        id: String,
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Say no
    Reject {
        /// Its id
        id: String,
        /// Why: the agent is told
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(config: &Path, words: Words) -> Result<(), Failure> {
    let config = load(config)?;
    let out = out();
    let (command, json) = match words {
        Words::List { status, json } => {
            let answer = client::run(&config, Command::ApprovalList { status: status.map(Into::into) }).await?;
            if json {
                return Ok(out.json(&answer)?);
            }
            let columns = ["id", "status", "agent", "action", "summary", "expires_at"];
            return Ok(out.listing(&columns, &answer, "Nothing was asked.")?);
        }
        Words::Show { id, json } => (Command::ApprovalShow { id }, json),
        Words::Approve { id, json } => (Command::ApprovalDecide { id, say: Say::Approve }, json),
        Words::Reject { id, reason, json } => (Command::ApprovalDecide { id, say: Say::Reject { reason } }, json),
    };
    let answer = client::run(&config, command).await?;
    if json { Ok(out.json(&answer)?) } else { one(&out, &answer) }
}

/// One approval, as a person reads it.
fn one(out: &Out, approval: &Value) -> Result<(), Failure> {
    let text = |key: &str| show::cell(approval.get(key));
    let tone = match text("status").as_str() {
        "approved" | "used" => Tone::Good,
        "rejected" | "expired" => Tone::Bad,
        _ => Tone::Loud,
    };
    out.line(&format!("{}  {}", out.tone(tone, &text("status")), text("id")))?;
    out.line(&format!("{} wants: {}", text("agent"), text("summary")))?;
    out.fields(&["action", "policies", "quorum", "created_at", "expires_at", "used_by"], approval)?;
    out.line("arguments")?;
    for (name, value) in approval.get("context").and_then(Value::as_object).into_iter().flatten() {
        // As JSON, so that a list, a number and the text of one do not look the same.
        out.line(&format!("  {} = {}", show::plain(name), show::plain(&value.to_string())))?;
    }
    for decision in approval.get("decisions").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| show::cell(decision.get(key));
        let reason = match text("reason") {
            reason if reason.is_empty() => reason,
            reason => format!(": {reason}"),
        };
        out.line(&format!("{} by {} at {}{reason}", text("decision"), text("person"), text("at")))?;
    }
    Ok(())
}
