//! What is said of a server, checked.

use std::path::Path;
use std::time::Duration;

use super::{CREDENTIAL, PERSON_CREDENTIAL, Program, Reach, Remote, ServerConfig, Variables, load, schema};
use crate::limits;

/// Variables of the gate's own that hold a credential: no server is given them.
pub(crate) const OWN_SECRETS: [&str; 2] = [CREDENTIAL, PERSON_CREDENTIAL];

pub(super) fn server(entry: schema::Server, folder: &Path, alone: bool) -> Result<ServerConfig, String> {
    let name = entry.name.clone();
    check_name(&name)?;
    let prefix = entry.prefix.unwrap_or(true);
    if !prefix && !alone {
        return Err(format!(
            "server `{name}` has prefix = false, which only a single server can have: names could clash"
        ));
    }
    let timeout = match &entry.timeout {
        None => limits::UPSTREAM_CALL,
        Some(text) => load::bounded("timeout", &name, text, Duration::from_millis(1), Duration::from_secs(3600))?,
    };
    let share = entry.share;
    let reach = reach(entry, folder).map_err(|what| format!("server `{name}` {what}"))?;
    Ok(ServerConfig { name, reach, share, prefix, timeout })
}

pub(super) fn check_name(name: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    // With a `_` at the end, `a_` with a tool `b` would be `a___b`, as `a` with a tool `_b` is.
    let divides = name.contains("__") || name.starts_with('_') || name.ends_with('_');
    if name.is_empty() || name.len() > 64 || !name.chars().all(fine) || divides {
        return Err(format!(
            "`{name}` is not a server's name: 1 to 64 letters, digits, `-` and `_`, no `__` (it divides server and tool) \
             and no `_` at either end"
        ));
    }
    if name == "gate" {
        return Err("a server cannot be called `gate`: the gate's own tools have that name".into());
    }
    Ok(())
}

fn reach(entry: schema::Server, folder: &Path) -> Result<Reach, String> {
    match (entry.command, entry.url) {
        (Some(_), Some(_)) => Err(
            "has both a `command` and a `url`: keep `command` for a program that the gate starts, or `url` for one \
                 that runs elsewhere"
                .into(),
        ),
        (None, None) => {
            Err("needs a `command`, a list of the program and its arguments, or the `url` of a server that \
                             runs elsewhere"
                .into())
        }
        (None, Some(url)) => match entry.env {
            Some(_) => Err("has a `url` and an `env`: only a program that the gate starts has an environment; what a \
                            server elsewhere must know goes into `headers`"
                .into()),
            None => Remote::parse(&url, &entry.headers).map(Reach::Http),
        },
        (Some(command), None) => {
            if command.first().is_none_or(String::is_empty) {
                return Err("needs a `command`: a list of the program and its arguments".into());
            }
            if !entry.headers.is_empty() {
                return Err(
                    "has a `command` and `headers`: only a server with a `url` is sent headers; use `env`".into()
                );
            }
            let env = entry.env.unwrap_or_default();
            if let Some(odd) = env.iter().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
                return Err(format!("wants the environment variable `{odd}`, which is not a variable's name"));
            }
            if let Some(own) = env.iter().find(|name| OWN_SECRETS.contains(&name.as_str())) {
                return Err(format!("wants the environment variable `{own}`, which holds a credential at this gate"));
            }
            let variables = Variables::default();
            Ok(Reach::Child(Program { command, directory: folder.to_owned(), env, variables }))
        }
    }
}
