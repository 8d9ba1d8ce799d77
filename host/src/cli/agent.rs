//! `portcullis agent …`

use std::path::Path;

use clap::Subcommand;
use serde_json::Value;

use super::show::{self, Tone};
use super::{Failure, client, doctor, load, out};
use crate::admin::Command;
use crate::identity::{NewAgent, Status};
use crate::{policy, task};

/// How far an agent is trusted of whom nothing else is said.
pub(super) const TRUST: u8 = 50;

#[derive(Debug, Subcommand)]
pub(super) enum Words {
    /// Add an agent and show its API key, once
    Add {
        /// Its name
        name: String,
        /// A role; may be given several times
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
        /// The name of its owner
        #[arg(long)]
        owner: Option<String>,
        /// How far it is trusted: 0 to 100
        #[arg(long, default_value_t = TRUST)]
        trust: u8,
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Show all agents
    List {
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one agent
    Show {
        /// Its name or id
        name: String,
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Hold an agent to stricter limits
    Quarantine {
        /// Its name or id
        name: String,
    },
    /// End an agent's quarantine
    Release {
        /// Its name or id
        name: String,
    },
    /// Take an agent's access away, for ever and at once
    Revoke {
        /// Its name or id
        name: String,
    },
}

pub(super) async fn run(config: &Path, words: Words) -> Result<(), Failure> {
    let config = load(config)?;
    let out = out();
    match words {
        Words::Add { name, roles, owner, trust, json } => {
            warn_of_unknown_roles(&config, &roles).await;
            let new = NewAgent { name, roles, owner, trust };
            let answer = client::run(&config, Command::AgentAdd(new)).await?;
            if json {
                return Ok(out.json(&answer)?);
            }
            out.line(&format!("{}  {}", out.tone(Tone::Good, "added"), show::cell(answer.get("name"))))?;
            out.line(&format!("key    {}", show::cell(answer.get("key"))))?;
            Ok(out.line(
                &out.tone(Tone::Quiet, "The key is shown once. The agent sends it as `Authorization: Bearer …`."),
            )?)
        }
        Words::List { json } => {
            let answer = client::run(&config, Command::AgentList).await?;
            if json {
                return Ok(out.json(&answer)?);
            }
            let columns = ["name", "roles", "owner", "trust", "status", "id"];
            let none = "There are no agents yet; `portcullis agent add NAME --role ROLE` adds one.";
            Ok(out.listing(&columns, &answer, none)?)
        }
        Words::Show { name, json } => {
            let answer = client::run(&config, Command::AgentShow { name }).await?;
            if json {
                return Ok(out.json(&answer)?);
            }
            fields(&answer)
        }
        Words::Quarantine { name } => set(&config, name, Status::Quarantined).await,
        Words::Release { name } => set(&config, name, Status::Active).await,
        Words::Revoke { name } => set(&config, name, Status::Revoked).await,
    }
}

/// Says it when no policy of the configuration knows a role: it may be meant for a policy to come.
pub(super) async fn warn_of_unknown_roles(config: &crate::config::Config, roles: &[String]) {
    let directory = config.policies.clone();
    let names = task::blocking(move || policy::names(&directory)).await;
    for role in roles {
        if let Some(why) = doctor::unknown_role(role, names.as_ref()) {
            show::warning(&format!("no policy knows the role `{role}`: {why}"));
        }
    }
}

async fn set(config: &crate::config::Config, name: String, status: Status) -> Result<(), Failure> {
    fields(&client::run(config, Command::AgentStatus { name, status }).await?)
}

fn fields(agent: &Value) -> Result<(), Failure> {
    Ok(out().fields(&["name", "id", "owner", "roles", "trust", "status", "created_at"], agent)?)
}
