//! Who is registered: at least somebody who may call, and somebody who may decide; and roles that mean something.

use serde_json::Value;

use super::finding::{Findings, State};
use crate::admin::Command;
use crate::cli::{client, show};
use crate::config::Config;
use crate::config::keys::nearest;
use crate::identity;
use crate::policy::Names;
use crate::refusal::causes;
use crate::{serve, task};

/// Somebody, as far as this is about them.
struct Known {
    name: String,
    roles: Vec<String>,
    revoked: bool,
    owner: bool,
}

pub(super) async fn look(config: &Config, names: Option<&Names>, running: bool, found: &mut Findings) {
    if !running && found.worst("data") == State::Problem {
        return found.warning("store", "it was not opened, for it would be refused", "correct `data`, and repeat this");
    }
    let read = if running { ask(config).await } else { open(config).await };
    let (agents, persons) = match read {
        Ok(Some(read)) => read,
        Ok(None) => return,
        Err((what, todo)) => return found.problem("store", what, todo),
    };
    if !running {
        found.else_ok("store", "it opens");
    }
    let agents: Vec<Known> = agents.into_iter().filter(|agent| !agent.revoked).collect();
    if agents.is_empty() {
        found.warning(
            "agents",
            "there are none, so nobody can call",
            "add one: `portcullis agent add NAME --role ROLE`",
        );
    }
    for agent in &agents {
        for role in &agent.roles {
            let Some(why) = unknown_role(role, names) else { continue };
            found.warning(
                "agents",
                format!("agent `{}` has the role `{role}`, which no policy knows", agent.name),
                why,
            );
        }
    }
    found.else_ok("agents", format!("{} may call", agents.len()));
    if !persons.iter().any(|person| person.owner && !person.revoked) {
        let todo = "add one: `portcullis person add NAME --kind owner`";
        found.warning("owners", "there are none: only the gate's own user can decide, and by its socket alone", todo);
    }
    found.else_ok("owners", "somebody can decide");
}

/// What to say of a role that no policy of the directory knows; nothing where no policy has roles.
pub(in crate::cli) fn unknown_role(role: &str, names: Option<&Names>) -> Option<String> {
    let known = &names?.roles;
    if known.is_empty() || known.contains(role) {
        return None;
    }
    let all = known.iter().map(|role| format!("`{role}`")).collect::<Vec<_>>().join(", ");
    Some(match nearest(role, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`? known are {all}"),
        None => format!("known are {all}"),
    })
}

type Read = Result<Option<(Vec<Known>, Vec<Known>)>, (String, &'static str)>;

/// By the gate that runs.
async fn ask(config: &Config) -> Read {
    let mut lists = Vec::new();
    for command in [Command::AgentList, Command::PersonList] {
        let answer = client::ask(config, &command).await.map_err(|error| (causes(&error), "ask as an owner"))?;
        lists.push(answer.iter().filter_map(Value::as_array).flatten().map(known).collect());
    }
    let persons = lists.pop().unwrap_or_default();
    Ok(Some((lists.pop().unwrap_or_default(), persons)))
}

fn known(of: &Value) -> Known {
    let roles = of.get("roles").and_then(Value::as_array).into_iter().flatten();
    Known {
        name: show::cell(of.get("name")),
        roles: roles.map(|role| show::cell(Some(role))).collect(),
        revoked: show::cell(of.get("status")) == "revoked",
        owner: show::cell(of.get("kind")) == "owner",
    }
}

/// In the store, which no gate has open; nothing where there is none yet.
async fn open(config: &Config) -> Read {
    if !config.data.join("store").exists() {
        return Ok(None);
    }
    let todo = "correct it, or put the last backup in its place";
    let data = config.data.clone();
    let opened = task::blocking(move || serve::open_store(&data)).await;
    let (store, _key) = opened.map_err(|error| (causes(&error), todo))?;
    let read = identity::agents(&store).and_then(|agents| Ok((agents, identity::persons(&store)?)));
    store.close().await;
    let (agents, persons) = read.map_err(|error| (causes(&error), todo))?;
    let revoked = |status| status == identity::Status::Revoked;
    let agents = agents.into_iter().map(|agent| Known {
        name: agent.name,
        roles: agent.roles,
        revoked: revoked(agent.status),
        owner: false,
    });
    let persons = persons.into_iter().map(|person| Known {
        name: person.name,
        roles: Vec::new(),
        revoked: revoked(person.status),
        owner: person.kind == identity::Kind::Owner,
    });
    Ok(Some((agents.collect(), persons.collect())))
}
