//! The policies: do they load, are they those that decide, and do the names in them mean anything.

use serde_json::Value;

use super::address::misspelt;
use super::finding::Findings;
use crate::admin::Command;
use crate::admission::ToolGlob;
use crate::cli::{client, show};
use crate::config::Config;
use crate::config::keys::nearest;
use crate::policy::{self, Names, bundled};
use crate::refusal::causes;
use crate::{seal, task};

/// What stands between a server's and a tool's name.
const DIVIDER: &str = "__";
/// The server of the gate's own tools.
const OWN: &str = "gate";

/// Loads the directory as a gate would, and reads the names in it.
pub(super) async fn look(config: &Config, found: &mut Findings) -> Option<Names> {
    let directory = config.policies.clone();
    let (checked, names) = task::blocking(move || (policy::check(&directory), policy::names(&directory))).await;
    match checked {
        Err(error) => found.problem("policies", causes(&error), "this machine cannot run policies; use another"),
        Ok(problems) => {
            for problem in problems {
                let todo = format!("correct it in `{}`; until then no such set decides", config.policies.display());
                found.problem("policies", problem.to_string(), todo);
            }
        }
    }
    let count = names.as_ref().map_or(0, |names| names.modules.len());
    found.else_ok("policies", format!("{count} in `{}` load", config.policies.display()));
    names
}

/// Names of tools, servers and accounts that there are not.
pub(super) fn names(config: &Config, names: Option<&Names>, gate: Option<&Value>, found: &mut Findings) {
    let servers: Vec<&str> =
        config.servers.iter().filter(|server| server.prefix).map(|server| server.name.as_str()).collect();
    // A server that does not run has not said which tools it has.
    let tools: Option<Vec<&str>> = gate.filter(|gate| gate.get("servers_up") == Some(&Value::Bool(true))).map(tools);
    // What a policy is asked about, and `[[tool]]`, the gate itself compares with the tools it has: see `gate`.
    let own = config.tools.iter().filter(|_| tools.is_none()).map(|tool| ("[[tool]]".to_owned(), tool.name.as_str()));
    let policies = names.into_iter().flat_map(|names| &names.tools).filter(|at| at.in_settings || tools.is_none());
    let policies = policies.map(|at| (format!("policy `{}`", at.policy), at.pattern.as_str()));
    for (place, pattern) in own.chain(policies) {
        let known =
            tools.as_ref().map_or_else(|| server_is_there(pattern, &servers), |tools| tool_is_there(pattern, tools));
        if known {
            continue;
        }
        let candidates = tools.as_deref().unwrap_or(&servers);
        let meant = if tools.is_some() { pattern } else { pattern.split(DIVIDER).next().unwrap_or(pattern) };
        let near = nearest(meant, candidates.iter().copied());
        let todo = near.map_or("correct it, or take it out".to_owned(), |near| format!("did you mean `{near}`?"));
        let what = if tools.is_some() { "no tool is called so" } else { "no server is called so" };
        found.warning("names", format!("{place} names `{pattern}`, but {what}"), todo);
    }
    for ceiling in &config.ceilings {
        let used = names.is_some_and(|names| names.accounts.contains(&ceiling.account));
        if let Some(meant) = misspelt(&ceiling.account).filter(|_| !used) {
            let what = format!("a [[ceiling]] is on the account `{}`, which no policy names", ceiling.account);
            found.warning("names", what, format!("did you mean `{meant}`?"));
        }
    }
    found.else_ok("names", "tools and accounts in policies and configuration are those that there are");
}

fn tools(gate: &Value) -> Vec<&str> {
    let tools = gate.get("tools").and_then(Value::as_array).into_iter().flatten();
    tools.filter_map(|tool| tool.get("name").and_then(Value::as_str)).collect()
}

fn server_is_there(pattern: &str, servers: &[&str]) -> bool {
    match pattern.split_once(DIVIDER) {
        // A server's name with a wildcard in it, and tools of a server without a prefix, are for the gate to compare.
        Some((server, _)) => server == OWN || server.contains(['*', '?']) || servers.contains(&server),
        None => true,
    }
}

fn tool_is_there(pattern: &str, tools: &[&str]) -> bool {
    let own = pattern.split_once(DIVIDER).is_some_and(|(server, _)| server == OWN);
    // A pattern that is none is said where it is read.
    own || ToolGlob::parse(pattern).map_or(true, |glob| tools.iter().any(|tool| glob.fits(tool)))
}

/// Whether the running gate decides with the modules that this program and the directory have.
pub(super) async fn in_force(config: &Config, found: &mut Findings) {
    let Ok(Some(listed)) = client::ask(config, &Command::PolicyList).await else { return };
    for policy in listed.as_array().into_iter().flatten() {
        let text = |key: &str| show::cell(policy.get(key));
        let (name, module, digest) = (text("name"), text("module"), text("digest"));
        let here = match module.strip_prefix("bundled:") {
            Some(bundled) => bundled::component(bundled).map(seal::sha256_hex),
            None => module_bytes(&config.policies.join(&module)).map(|bytes| seal::sha256_hex(&bytes)),
        };
        if here.is_none_or(|here| format!("sha256:{here}") != digest) {
            let what = format!("the gate decides with a module of policy `{name}` that `{module}` is not any more");
            found.warning("policies", what, "reload the policies or start the gate again, if the new one is yours");
        }
    }
}

/// A component's file, when it is one that a gate would read.
fn module_bytes(file: &std::path::Path) -> Option<Vec<u8>> {
    let bytes = usize::try_from(std::fs::metadata(file).ok()?.len()).ok()?;
    (bytes <= policy::limits::COMPONENT_BYTES_MAX).then(|| std::fs::read(file).ok())?
}
