//! `portcullis doctor`: what is wrong with this installation, one line for each thing that was looked at; and canaries,
//! calls that the gate must refuse.
//!
//! It changes nothing, with one exception: where a gate runs, an agent is added for the canaries and revoked again, which
//! the audit log shows. It calls no tool in a way that could do anything, should the gate let it through.

use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use super::client::{self, ClientError};
use super::show::{self, Tone};
use super::{Failure, out};
use crate::admin::Command;
use crate::clock::Clock;
use crate::config::Config;
use crate::refusal::causes;
use crate::serve::{self, Running};

mod address;
mod canary;
mod finding;
mod place;
mod policies;
mod reach;
mod register;
mod server;
#[cfg(test)]
mod tests;

use finding::{Findings, State};
pub(super) use register::unknown_role;

#[derive(Debug, Args)]
pub(super) struct Words {
    /// When no gate runs here, start one in this process for the canaries: it starts the configured servers
    #[arg(long)]
    start: bool,
    /// Answer with JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: &Path, words: Words) -> Result<(), Failure> {
    let mut found = Findings::default();
    look(config, words.start, &mut found).await;
    let problems = found.count(State::Problem);
    let out = out();
    if words.json {
        out.json(&json!({ "ok": problems == 0, "findings": found.all() }))?;
    } else {
        for finding in found.all() {
            let tone = match finding.state {
                State::Ok => Tone::Good,
                State::Warning => Tone::Loud,
                State::Problem => Tone::Bad,
            };
            let state = out.tone(tone, &format!("{:7}", finding.state.as_str()));
            let todo = finding.todo.as_ref().map(|todo| format!(" → {}", show::plain(todo))).unwrap_or_default();
            out.line(&format!("{state}  {:13}  {}{todo}", show::plain(&finding.check), show::plain(&finding.what)))?;
        }
        let warnings = found.count(State::Warning);
        out.line(&format!("{} looked at, {warnings} warnings, {problems} problems", found.all().len()))?;
    }
    if problems == 0 { Ok(()) } else { Err(Failure::No) }
}

async fn look(path: &Path, start: bool, found: &mut Findings) {
    place::machine(found);
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => {
            found.problem("configuration", causes(&error), "correct it; the rest is looked at once it can be read");
            return;
        }
    };
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    place::configuration(path, found);
    found.else_ok("configuration", format!("{}: {}", path.display(), count(config.servers.len(), "server")));
    place::data(&config.data, found);
    place::policies(&config.policies, found);
    address::look(&config, found);
    server::look(&config, path, found);

    let names = policies::look(&config, found).await;
    let mut own = None;
    let mut running = gate(&config, found).await;
    if running.is_none() && start {
        own = begin(&config, found).await;
        running = if own.is_some() { gate(&config, found).await } else { None };
    }
    policies::names(&config, names.as_ref(), running.as_ref(), found);
    register::look(&config, names.as_ref(), running.is_some(), found).await;
    match running {
        Some(shown) => {
            policies::in_force(&config, found).await;
            canary::send(&config, &shown, found).await;
        }
        None => found.warning(
            "canaries",
            "no gate runs here, so no calls were sent that must be refused",
            "repeat this while the gate runs, or with `--start`, which starts one with its servers for a moment",
        ),
    }
    if let Some(gate) = own {
        gate.stop().await;
    }
}

/// A gate with this configuration, on free ports.
async fn begin(config: &Config, found: &mut Findings) -> Option<Running> {
    let mut config = config.clone();
    config.listen = ([127, 0, 0, 1], 0).into();
    config.admin = config.listen;
    match serve::start(config, Clock::system()).await {
        Ok(running) => {
            running.settled().await;
            Some(running)
        }
        Err(error) => {
            found.problem("gate", format!("it does not start: {}", causes(&error)), "correct that");
            None
        }
    }
}

/// What the gate that runs says of itself; none where none runs.
async fn gate(config: &Config, found: &mut Findings) -> Option<Value> {
    let shown = match client::ask(config, &Command::GateShow).await {
        Ok(Some(shown)) => shown,
        Ok(None) => {
            found.ok("gate", "none runs on this data directory");
            return None;
        }
        // It answers, but does not know the command.
        Err(ClientError::Refused(why)) => {
            found.problem("gate", format!("the one that runs here refuses: {why}"), "stop it, and start this version");
            return None;
        }
        Err(error) => {
            found.problem("gate", causes(&error), "stop the process that holds the data directory, and start it again");
            return None;
        }
    };
    let version = show::cell(shown.get("version"));
    if version != env!("CARGO_PKG_VERSION") {
        let what =
            format!("the one that runs here is version {version}, this program is {}", env!("CARGO_PKG_VERSION"));
        found.problem("gate", what, "start the gate again with this version");
    }
    let readiness = shown.get("readiness");
    let is = |key: &str| readiness.and_then(|readiness| readiness.get(key)).and_then(Value::as_bool) == Some(true);
    for reason in readiness.and_then(|r| r.get("reasons")).and_then(Value::as_array).into_iter().flatten() {
        let reason = show::cell(Some(reason));
        if is("ready") {
            found.warning("gate", reason, "calls are decided all the same; correct it when you can");
        } else {
            found.problem("gate", reason, "correct it: until then the gate refuses every call");
        }
    }
    found.else_ok("gate", format!("version {version} runs here and is ready"));
    Some(shown)
}
