//! `portcullis person …`

use std::path::Path;

use clap::{Subcommand, ValueEnum};

use super::show::{self, Tone};
use super::{Failure, client, load, out};
use crate::admin::Command;
use crate::identity;

/// What a person is. Never a role.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Kind {
    /// Runs the gate, and decides on approvals
    Owner,
    /// Decides on approvals
    Approver,
    /// Reads everything, changes nothing
    Auditor,
}

impl From<Kind> for identity::Kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Owner => Self::Owner,
            Kind::Approver => Self::Approver,
            Kind::Auditor => Self::Auditor,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Words {
    /// Add a person and show their key, once
    Add {
        /// Their name
        name: String,
        /// What they are
        #[arg(long)]
        kind: Kind,
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Show all persons
    List {
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a person's access away, for ever and at once
    Revoke {
        /// Their name or id
        name: String,
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(config: &Path, words: Words) -> Result<(), Failure> {
    let config = load(config)?;
    let out = out();
    match words {
        Words::Add { name, kind, json } => {
            let answer = client::run(&config, Command::PersonAdd { name, kind: kind.into() }).await?;
            if json {
                return Ok(out.json(&answer)?);
            }
            let text = |key: &str| show::cell(answer.get(key));
            out.line(&format!("{}  {} ({})", out.tone(Tone::Good, "added"), text("name"), text("kind")))?;
            out.line(&format!("key    {}", text("key")))?;
            let hint = "The key is shown once. The person sends it as `Authorization: Bearer …` to the owners' door, or sets \
                        PORTCULLIS_PERSON_KEY for the command line.";
            Ok(out.line(&out.tone(Tone::Quiet, hint))?)
        }
        Words::List { json } => {
            let answer = client::run(&config, Command::PersonList).await?;
            if json {
                return Ok(out.json(&answer)?);
            }
            let none = "There are no persons yet; `portcullis person add NAME --kind KIND` adds one.";
            Ok(out.listing(&["name", "kind", "status", "id"], &answer, none)?)
        }
        Words::Revoke { name, json } => {
            let answer = client::run(&config, Command::PersonRevoke { name }).await?;
            if json {
                return Ok(out.json(&answer)?);
            }
            Ok(out.fields(&["name", "id", "kind", "status", "created_at"], &answer)?)
        }
    }
}
