//! `portcullis export`: what goes into an MCP client's configuration, so that its calls pass this gate.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::{Failure, agent, client, load, out, show};
use crate::admin::Command;
use crate::config::{CREDENTIAL, Config, Program, Reach, ServerConfig};
use crate::identity::NewAgent;

/// What the one entry over HTTP is called at the client.
pub(super) const ENTRY: &str = "portcullis";
/// Where a value goes that is not known here.
const PUT_HERE: &str = "PUT-IT-HERE";

/// Whose configuration it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Client {
    /// claude_desktop_config.json, which starts programs only
    ClaudeDesktop,
    /// .cursor/mcp.json
    Cursor,
    /// .vscode/mcp.json
    Vscode,
    /// Most others
    Generic,
}

#[derive(Debug, Args)]
pub(super) struct Words {
    /// For which client
    #[arg(long, value_enum, default_value_t = Client::Generic)]
    client: Client,
    /// The agent whose key the client is to have: the key itself is put in by hand, for it is shown once only
    #[arg(long, value_name = "NAME", conflicts_with = "new_agent")]
    agent: Option<String>,
    /// Add an agent, and put its key in
    #[arg(long, value_name = "NAME", requires = "roles")]
    new_agent: Option<String>,
    /// A role of the new agent; may be given several times
    #[arg(long = "role", value_name = "ROLE", requires = "new_agent")]
    roles: Vec<String>,
    /// Let the client start `portcullis wrap`, one for each server, instead of calling over HTTP
    #[arg(long)]
    stdio: bool,
}

pub(super) async fn run(path: &Path, words: Words) -> Result<(), Failure> {
    let config = load(path)?;
    let stdio = words.stdio || words.client == Client::ClaudeDesktop;
    // What can fail comes before a key that would be lost.
    let way = if stdio { Way::Stdio(stdio_way(path, &config)?) } else { Way::Http(url(&config).await?) };
    let (key, told) = key(&config, &words).await?;
    let json = match &way {
        Way::Http(url) => over_http(words.client, ENTRY, url, &key),
        Way::Stdio((program, file)) => over_stdio(words.client, program, file, &config.servers, &key),
    };
    let text = serde_json::to_string_pretty(&json).map_err(|error| Failure::Said(error.to_string()))?;
    out().line(&text)?;
    show::note(&format!("This goes into {}; then start the client again.", place(words.client)));
    told.iter().for_each(|told| show::note(told));
    match way {
        Way::Http(_) => show::note("The gate has to run: `portcullis serve`."),
        Way::Stdio(_) => {
            for server in config.servers.iter().filter(|server| matches!(server.reach, Reach::Http(_))) {
                show::note(&format!(
                    "`{}` is left out: it is no program, so a client reaches it over HTTP only.",
                    server.name
                ));
            }
            for name in children(&config.servers).flat_map(|(_, program)| &program.env) {
                show::note(&format!("Put the value of `{name}` in: a server needs it."));
            }
        }
    }
    Ok(())
}

enum Way {
    /// The address of the MCP door.
    Http(String),
    /// This program and the configuration.
    Stdio((PathBuf, PathBuf)),
}

fn stdio_way(path: &Path, config: &Config) -> Result<(PathBuf, PathBuf), Failure> {
    if children(&config.servers).next().is_none() {
        return Err(Failure::Said(format!(
            "`{}` has no `[[server]]` with a `command` to stand in front of: add one, or take a client's with `portcullis import FILE --write`",
            path.display()
        )));
    }
    let program = std::env::current_exe()
        .map_err(|error| Failure::Said(format!("cannot tell where this program is: {error}")))?;
    let file = std::path::absolute(path)
        .map_err(|error| Failure::Said(format!("cannot tell where `{}` is: {error}", path.display())))?;
    Ok((program, file))
}

/// Where agents come in: as the gate that runs says, or else as the configuration does.
async fn url(config: &Config) -> Result<String, Failure> {
    let shown = client::ask(config, &Command::GateShow).await?;
    let running = shown.as_ref().and_then(|shown| shown.get("agents")).and_then(Value::as_str);
    let mut address = running.and_then(|text| text.parse().ok()).unwrap_or(config.listen);
    if address.port() == 0 {
        let why = "`gate.listen` has port 0, which is another at each start: start the gate, or give it a port";
        return Err(Failure::Said(why.into()));
    }
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    Ok(format!("http://{address}/mcp"))
}

/// The key, or what stands for it, and what to say about it.
async fn key(config: &Config, words: &Words) -> Result<(String, Option<String>), Failure> {
    if let Some(name) = &words.new_agent {
        let new = NewAgent { name: name.clone(), roles: words.roles.clone(), owner: None, trust: agent::TRUST };
        agent::warn_of_unknown_roles(config, &words.roles).await;
        let added = client::run(config, Command::AgentAdd(new)).await?;
        let key = added.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
        return Ok((key, Some(format!("The key of `{name}` is in there, and shown once: keep the file to yourself."))));
    }
    let whose = match &words.agent {
        Some(name) => {
            let agent = client::run(config, Command::AgentShow { name: name.clone() }).await?;
            if show::cell(agent.get("status")) == "revoked" {
                return Err(Failure::Said(format!("agent `{name}` is revoked; add another with `--new-agent`")));
            }
            format!("the key of `{name}`")
        }
        None => "an agent's key".to_owned(),
    };
    let told = format!(
        "Put {whose} in the place of `{PUT_HERE}`; a lost key cannot be shown again, but `--new-agent` makes one."
    );
    Ok((PUT_HERE.to_owned(), Some(told)))
}

/// The JSON that points a client at a gate over HTTP. `url` is that of the MCP door.
pub(super) fn over_http(client: Client, name: &str, url: &str, key: &str) -> Value {
    let mut entry = json!({ "url": url, "headers": { "Authorization": format!("Bearer {key}") } });
    // Where a client has more than one kind of entry, this says which it is.
    if let (Client::Vscode | Client::Generic, Some(entry)) = (client, entry.as_object_mut()) {
        entry.insert("type".to_owned(), "http".into());
    }
    whole(client, [(name.to_owned(), entry)].into_iter().collect())
}

/// The JSON that lets a client start `program wrap` with the configuration `file`, once for each server. All paths are
/// absolute: clients start programs anywhere. Whichever is started first is the gate for all, so each gets every variable
/// that a server needs.
pub(super) fn over_stdio(client: Client, program: &Path, file: &Path, servers: &[ServerConfig], key: &str) -> Value {
    let names = children(servers).flat_map(|(_, program)| &program.env);
    let mut env: Map<String, Value> = names.map(|name| (name.clone(), PUT_HERE.into())).collect();
    env.insert(CREDENTIAL.to_owned(), key.into());
    let entry = |(name, server): (&str, &Program)| {
        let file = file.display().to_string();
        let mut args: Vec<&str> = vec!["wrap", "--config", &file, "--name", name, "--"];
        args.extend(server.command.iter().map(String::as_str));
        let mut entry = json!({ "command": program.display().to_string(), "args": args, "env": env });
        if let (Client::Vscode, Some(entry)) = (client, entry.as_object_mut()) {
            entry.insert("type".to_owned(), "stdio".into());
        }
        (name.to_owned(), entry)
    };
    whole(client, children(servers).map(entry).collect())
}

/// The servers that are programs, with their names.
fn children(servers: &[ServerConfig]) -> impl Iterator<Item = (&str, &Program)> {
    servers.iter().filter_map(|server| match &server.reach {
        Reach::Child(program) => Some((server.name.as_str(), program)),
        Reach::Http(_) => None,
    })
}

fn whole(client: Client, entries: Map<String, Value>) -> Value {
    match client {
        Client::Vscode => json!({ "servers": entries }),
        Client::ClaudeDesktop | Client::Cursor | Client::Generic => json!({ "mcpServers": entries }),
    }
}

fn place(client: Client) -> &'static str {
    match client {
        Client::ClaudeDesktop => {
            "claude_desktop_config.json (Settings, Developer, Edit Config), in the place of the servers it names"
        }
        Client::Cursor => "~/.cursor/mcp.json",
        Client::Vscode => {
            ".vscode/mcp.json of a folder, or the file that the command `MCP: Open User Configuration` opens"
        }
        Client::Generic => "the client's MCP configuration",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn server() -> ServerConfig {
        let program = Program {
            command: vec!["market-server".into(), "--x".into()],
            directory: "/etc/gate".into(),
            env: vec!["TOKEN".into()],
            variables: crate::config::Variables::default(),
        };
        ServerConfig {
            name: "market".into(),
            reach: Reach::Child(program),
            share: crate::config::Share::All,
            prefix: true,
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn each_client_gets_its_own_shape() {
        let http = |client| over_http(client, ENTRY, "http://127.0.0.1:8787/mcp", "pk_1");
        let cursor = http(Client::Cursor);
        assert_eq!(cursor["mcpServers"]["portcullis"]["headers"]["Authorization"], "Bearer pk_1");
        assert_eq!(cursor["mcpServers"]["portcullis"].get("type"), None);
        assert_eq!(http(Client::Vscode)["servers"]["portcullis"]["type"], "http");
        assert_eq!(http(Client::Generic)["mcpServers"]["portcullis"]["url"], "http://127.0.0.1:8787/mcp");

        let (program, file) = (Path::new("/bin/portcullis"), Path::new("/etc/gate/portcullis.toml"));
        let stdio = |client| over_stdio(client, program, file, &[server()], "pk_1");
        let entry = &stdio(Client::ClaudeDesktop)["mcpServers"]["market"];
        assert_eq!(entry["command"], "/bin/portcullis");
        let args =
            json!(["wrap", "--config", "/etc/gate/portcullis.toml", "--name", "market", "--", "market-server", "--x"]);
        assert_eq!(entry["args"], args);
        assert_eq!(entry["env"], json!({ "PORTCULLIS_KEY": "pk_1", "TOKEN": PUT_HERE }));
        assert_eq!(stdio(Client::Vscode)["servers"]["market"]["type"], "stdio");
    }
}
