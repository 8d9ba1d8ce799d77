//! What a server is called when nobody says.

/// Programs that run another: the server is what they run.
const LAUNCHERS: [&str; 9] = ["npx", "bunx", "pnpx", "uvx", "node", "bun", "deno", "python", "python3"];

const CHARS_MAX: usize = 64;

/// The name of a command: the last part of the program's path, without a version and an extension, and for a program that
/// runs another, of its first argument that is no option: `npx -y @scope/server-files@1.2` is `server-files`. None when
/// nothing that a server can be called is left.
pub(super) fn of(command: &[String]) -> Option<String> {
    let (program, arguments) = command.split_first()?;
    let own = last_part(program);
    let named = if LAUNCHERS.contains(&own) {
        arguments.iter().find(|argument| !argument.starts_with('-')).map_or(own, |argument| last_part(argument))
    } else {
        own
    };
    let mut name = String::new();
    for c in named.chars() {
        let c = if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        // No `__`: it divides a server's name and a tool's.
        if !(c == '_' && name.ends_with('_')) && name.len() < CHARS_MAX {
            name.push(c);
        }
    }
    let name = name.trim_matches(['_', '-']);
    (!name.is_empty() && name != "gate").then(|| name.to_owned())
}

fn last_part(path: &str) -> &str {
    let part = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let part = part.split_once('@').map_or(part, |(name, _version)| name);
    match part.rsplit_once('.') {
        Some((name, extension)) if !name.is_empty() && extension.chars().all(|c| c.is_ascii_alphabetic()) => name,
        _ => part,
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_command_names_its_server() {
        for (command, name) in [
            ("npx -y @modelcontextprotocol/server-filesystem /dir", "server-filesystem"),
            ("npx -y @scope/server-filesystem@2026.8.31 /dir", "server-filesystem"),
            ("uvx mcp-server-git --repository /r", "mcp-server-git"),
            ("python3 -m mcp_server_time", "mcp_server_time"),
            ("/usr/bin/node /srv/my.server.js", "my_server"),
            ("/opt/bin/market-server --state x", "market-server"),
            ("./tools/", "tools"),
            ("node", "node"),
            ("a__b", "a_b"),
            ("_a b_", "a_b"),
            ("sérveur", "s_rveur"),
        ] {
            let words: Vec<String> = match command {
                "_a b_" => vec![command.to_owned()],
                _ => command.split(' ').map(str::to_owned).collect(),
            };
            assert_eq!(of(&words).as_deref(), Some(name), "{command}");
        }
        assert_eq!(of(&["x".repeat(100)]).unwrap().len(), 64);
        for command in ["", "/", "__", "é", "gate", "@scope"] {
            assert_eq!(of(&[command.to_owned()]), None, "{command}");
        }
        assert_eq!(of(&[]), None);
    }
}
