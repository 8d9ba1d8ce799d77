//! `portcullis import FILE`: the servers of an MCP client's configuration become this gate's.
//!
//! No value of an environment variable and no header is copied: they may be secrets, and the configuration is no place for
//! these. Their names are, and what the user has to set is said.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::show::{self, Tone};
use super::{Failure, out};

mod read;
mod server;
#[cfg(test)]
mod tests;
mod write;

use server::Imported;

/// Bytes of a client's configuration.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The role that the advice is about.
const ROLE: &str = "desktop";

#[derive(Debug, Args)]
pub(super) struct Words {
    /// A client's configuration, such as claude_desktop_config.json or mcp.json
    file: PathBuf,
    /// Add the servers to this gate's configuration, instead of printing them
    #[arg(long)]
    write: bool,
}

pub(super) fn run(config: &Path, words: Words) -> Result<(), Failure> {
    let text = bounded(&words.file)?;
    let entries = read::entries(&text)
        .map_err(|why| Failure::Said(format!("`{}` cannot be used: {why}", words.file.display())))?;
    let (imported, notes) = server::import(&entries);
    for note in &notes {
        show::note(note);
    }
    if imported.is_empty() {
        return Err(Failure::Said(format!("there is no server to be had in `{}`", words.file.display())));
    }
    let toml = write::toml(&imported).map_err(|error| Failure::Said(error.to_string()))?;
    let out = out();
    if words.write {
        write::append(config, &imported, &toml)?;
        for server in &imported {
            out.line(&format!(
                "{}  {}  {}",
                out.tone(Tone::Good, "added"),
                config.display(),
                show::plain(&server.name)
            ))?;
        }
    } else {
        out.line(toml.trim_end())?;
    }
    for line in advice(config, &imported) {
        out.line(&line)?;
    }
    Ok(())
}

fn bounded(file: &Path) -> Result<String, Failure> {
    let cannot = |why: String| Failure::Said(format!("cannot read `{}`: {why}", file.display()));
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(|error| cannot(error.to_string()))?;
    let read = opened.take(FILE_BYTES_MAX.saturating_add(1)).read_to_string(&mut text);
    read.map_err(|error| cannot(error.to_string()))?;
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes > FILE_BYTES_MAX) {
        return Err(cannot(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// What the user needs next, as comments: nobody may use a tool that no role grants.
fn advice(config: &Path, imported: &[Imported]) -> Vec<String> {
    let tools: Vec<String> = imported.iter().map(|server| format!("\"{}__*\"", server.name)).collect();
    vec![
        String::new(),
        "# No agent may use these tools yet. In policies/policies.toml, under the policy `rbac`, a role that may use all of"
            .to_owned(),
        "# them; name single tools instead of `*` to grant less:".to_owned(),
        format!("#   [policy.settings.roles.{ROLE}]"),
        format!("#   allow = [{}]", tools.join(", ")),
        "# Then an agent with it, and what goes into its client's configuration:".to_owned(),
        format!(
            "# A gate that runs is started again; then, for a client:\n#   portcullis export --config {} --new-agent imported \
             --role {ROLE} --client claude-desktop",
            config.display()
        ),
    ]
}
