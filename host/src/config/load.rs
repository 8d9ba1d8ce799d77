//! From the file to a [`Config`].

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use super::schema::{self, File, OnError};
use super::{Config, ConfigError, ToolConfig, keys, server, span};
use crate::ledger::{Ceiling, amount};
use crate::refusal::causes;
use crate::{admission, json, limits};

/// Bytes of a configuration.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

pub(super) fn load(path: &Path) -> Result<Config, ConfigError> {
    let read = |source| ConfigError::Read { path: path.to_owned(), source };
    let path = &std::path::absolute(path).map_err(read)?;
    let size = std::fs::metadata(path).map_err(read)?.len();
    if size > FILE_BYTES_MAX {
        return Err(ConfigError::Syntax {
            path: path.clone(),
            what: format!("it has {size} bytes, more than {FILE_BYTES_MAX}"),
        });
    }
    let text = std::fs::read_to_string(path).map_err(read)?;
    let syntax = |error: toml::de::Error| ConfigError::Syntax {
        path: path.clone(),
        what: error.to_string().trim_end().to_owned(),
    };
    let table: toml::Table = toml::from_str(&text).map_err(syntax)?;
    known_keys(&table).map_err(|problem| ConfigError::Key { path: path.clone(), problem })?;
    let file: File = toml::from_str(&text).map_err(syntax)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    build(file, folder).map_err(|what| ConfigError::Value { path: path.clone(), what })
}

fn known_keys(table: &toml::Table) -> Result<(), keys::UnknownKey> {
    keys::check(table, "", schema::TOP)?;
    if let Some(toml::Value::Table(gate)) = table.get("gate") {
        keys::check(gate, "gate.", schema::GATE)?;
    }
    if let Some(toml::Value::Table(approvals)) = table.get("approvals") {
        keys::check(approvals, "approvals.", schema::APPROVALS)?;
    }
    let lists =
        [("server", schema::SERVER), ("limit", schema::LIMIT), ("tool", schema::TOOL), ("ceiling", schema::CEILING)];
    for (name, known) in lists {
        for entry in table.get(name).and_then(toml::Value::as_array).into_iter().flatten() {
            if let toml::Value::Table(entry) = entry {
                keys::check(entry, &format!("{name}."), known)?;
            }
        }
    }
    Ok(())
}

fn build(file: File, folder: &Path) -> Result<Config, String> {
    let alone = file.server.len() == 1;
    let mut names = HashSet::new();
    let servers = file
        .server
        .into_iter()
        .map(|entry| {
            if !names.insert(entry.name.clone()) {
                return Err(format!("there are two servers called `{}`; give one another name", entry.name));
            }
            server::server(entry, folder, alone)
        })
        .collect::<Result<_, _>>()?;
    let mut names = HashSet::new();
    let tools = file
        .tool
        .into_iter()
        .map(|entry| {
            if !names.insert(entry.name.clone()) {
                return Err(format!("there are two [[tool]] entries for `{}`; make them one", entry.name));
            }
            tool(entry)
        })
        .collect::<Result<_, _>>()?;
    Ok(Config {
        listen: address("gate.listen", &file.gate.listen)?,
        admin: address("gate.admin", &file.gate.admin)?,
        approvals_by_socket: file.approvals.socket,
        data: folder.join(file.gate.data),
        policies: folder.join(file.gate.policies),
        allowed_hosts: file.gate.allowed_hosts,
        allowed_origins: file.gate.allowed_origins,
        servers,
        tools,
        limits: file.limit.into_iter().map(limit).collect::<Result<_, _>>()?,
        ceilings: file.ceiling.into_iter().map(ceiling).collect::<Result<_, _>>()?,
        folder: folder.to_owned(),
    })
}

fn address(key: &str, text: &str) -> Result<std::net::SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("`{key}` is `{text}`, which is not an address and a port, such as `127.0.0.1:8787`"))
}

pub(super) fn bounded(key: &str, of: &str, text: &str, min: Duration, max: Duration) -> Result<Duration, String> {
    let span = span::parse(text).map_err(|error| format!("`{key}` of `{of}`: {error}"))?;
    if span < min || span > max {
        return Err(format!("`{key}` of `{of}` is {text}; it can be {} to {}", span::show(min), span::show(max)));
    }
    Ok(span)
}

fn tool(entry: schema::Tool) -> Result<ToolConfig, String> {
    for pointer in &entry.secret_arguments {
        let tokens = json::pointer_tokens(pointer).map_err(|error| format!("[[tool]] `{}`: {error}", entry.name))?;
        if tokens.is_empty() {
            return Err(format!(
                "[[tool]] `{}`: secret_arguments names the whole of the arguments; name members, such as `/value`",
                entry.name
            ));
        }
    }
    Ok(ToolConfig {
        name: entry.name,
        idempotency: entry.idempotency,
        idempotent: entry.idempotent,
        release_on_error: entry.on_error == Some(OnError::Release),
        secret_arguments: entry.secret_arguments,
    })
}

fn limit(entry: schema::Limit) -> Result<admission::Limit, String> {
    let quarantined = entry.quarantined.as_deref();
    admission::Limit::parse(&entry.name, &entry.tools, entry.route, &entry.rate, entry.per, quarantined)
        .map_err(|error| causes(&error))
}

fn ceiling(entry: schema::CeilingEntry) -> Result<Ceiling, String> {
    let place = format!("[[ceiling]] on `{}`", entry.account);
    if !amount::is_unit(&entry.currency) {
        return Err(format!(
            "{place}: `{}` is not a currency: an upper-case code of ISO 4217, such as `EUR`, or `count`",
            entry.currency
        ));
    }
    let window = match (entry.window, entry.per.as_deref()) {
        (Some(text), None) => Some(bounded("window", &place, &text, Duration::from_millis(1), limits::WINDOW_MAX)?),
        (None, Some("transaction")) => None,
        _ => return Err(format!("{place} needs either `window`, such as \"24h\", or per = \"transaction\"")),
    };
    let max = amount::parse(&entry.max).map_err(|error| format!("{place}: {error}"))?;
    Ok(Ceiling { account: entry.account, max, currency: entry.currency, window })
}
