//! `portcullis policy matrix`: of a gate that runs, or of a configuration, whose servers are then started to say which
//! tools they have.

use std::path::Path;

use serde_json::{Map, Value};

use super::super::show;
use super::super::{Failure, client, load, out};
use super::said;
use crate::admin::{self, Command};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::Config;
use crate::policy::Policies;
use crate::store::{Options, Store};
use crate::{serve, task};

/// What the table cannot show.
const CAUTION: &str = "of a call without arguments; arguments, the time and the money spent can change a decision";

pub(super) async fn run(config: &Path, roles: Vec<String>, json: bool) -> Result<(), Failure> {
    let config = load(config)?;
    let command = Command::PolicyMatrix { roles: roles.clone() };
    let answer = match client::ask(&config, &command).await? {
        Some(answer) => answer,
        None => without_gate(config, roles).await?,
    };
    let out = out();
    if json {
        return Ok(out.json(&answer)?);
    }
    let roles: Vec<&str> = items(&answer, "roles").filter_map(Value::as_str).collect();
    if roles.is_empty() {
        return Ok(out.line("No agent has a role and no policy names one: name one with `--role`.")?);
    }
    out.line(&format!("What each role may do, {CAUTION}."))?;
    let heading: Vec<String> =
        std::iter::once("tool".to_owned()).chain(roles.iter().map(|role| show::plain(role))).collect();
    let row = |tool: &Value| {
        let cells = tool.get("roles").and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
        std::iter::once(show::cell(tool.get("tool")))
            .chain(roles.iter().map(|role| show::cell(cells.get(*role))))
            .collect()
    };
    let rows: Vec<Vec<String>> = items(&answer, "tools").map(row).collect();
    let heading: Vec<&str> = heading.iter().map(String::as_str).collect();
    Ok(out.table(&heading, &rows)?)
}

fn items<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    answer.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// Starts the configured servers, has them list their tools, and stops them.
async fn without_gate(config: Config, mut roles: Vec<String>) -> Result<Value, Failure> {
    let (directory, data) = (config.policies.clone(), config.data.clone());
    let opened = task::blocking(move || {
        let policies = Policies::open(&directory, Clock::system()).map_err(|error| said(&error))?;
        // Where there is no store, there are no agents.
        let mut registered = Vec::new();
        if data.is_dir() {
            let (store, _) = serve::open_store(&data)?;
            registered = admin::agents_roles(&store).map_err(|error| said(&error))?;
        }
        // What the servers list is shown, and nothing of it is accepted by looking: pins go where nothing stays.
        let pins = tempfile::tempdir()?;
        let store = Store::open(pins.path(), Options::default()).map_err(|error| said(&error))?;
        Ok::<_, Failure>((policies, registered, store, pins))
    });
    let (policies, registered, store, _pins) = opened.await?;
    roles.extend(registered);
    let set = policies.set().map_err(|refusal| Failure::Said(policies.why().unwrap_or(refusal.message)))?;
    let clock = Clock::system();
    let catalog = Catalog::new(config.servers, config.tools, store.clone(), clock.clone());
    catalog.keep();
    catalog.settled().await;
    let (tools, problems) = (catalog.tools(), catalog.problems().unwrap_or_default());
    catalog.stop().await;
    store.close().await;
    for problem in problems {
        show::error(&format!("{problem}: its tools are not shown"));
    }
    admin::policy_matrix(set, tools, roles, clock.now()).await.map_err(|error| said(&error))
}
