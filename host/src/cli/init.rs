//! `portcullis init DIR`

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::show::Tone;
use super::{Failure, out};
use crate::audit::{self, Entry, Status};
use crate::call::CorrelationId;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::identity::{self, Kind, PersonRecord};
use crate::serve;

const CONFIGURATION: &str = include_str!("init/portcullis.toml");
const POLICIES: &str = include_str!("init/policies.toml");
/// Where the program's own path goes in the configuration.
const PROGRAM: &str = "@PROGRAM@";

#[derive(Debug, Args)]
pub(super) struct Words {
    /// Where; it is made when it is missing
    directory: PathBuf,
    /// The name of the gate's first owner
    #[arg(long, default_value = "owner")]
    owner: String,
    /// Answer with JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(words: Words) -> Result<(), Failure> {
    PersonRecord::check_name(&words.owner).map_err(|error| Failure::Said(error.to_string()))?;
    let file = write(&words.directory)?;
    let config = Config::load(&file)?;
    let key = owner(&config, &words.owner).await?;
    let out = out();
    if words.json {
        let made =
            serde_json::json!({ "config": file.display().to_string(), "owner": words.owner, "key": key.as_str() });
        return Ok(out.json(&made)?);
    }
    out.line(&format!("{}  {}", out.tone(Tone::Good, "made"), file.display()))?;
    out.line(&format!("      {}", config.policies.join("policies.toml").display()))?;
    out.line(&format!("owner {}", words.owner))?;
    out.line(&format!("key   {}", key.as_str()))?;
    out.line(&out.tone(Tone::Quiet, "The key is the owner's: it decides, calls no tools, and is shown once."))?;
    next(&file).iter().try_for_each(|line| out.line(line)).map_err(Failure::from)
}

/// What to do next. Paths are whole, so that each line works wherever it is pasted.
fn next(file: &Path) -> Vec<String> {
    let at = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let at = at.display();
    vec![
        "What to do next, for a desktop client that starts its servers, such as Claude Desktop:".to_owned(),
        format!("  portcullis export --config {at} --client claude-desktop --new-agent my-desktop --role trader"),
        "puts a new agent's key into what the client's configuration needs. Paste it there, start the client again, and ask it".to_owned(),
        "to list the deals of the market. For a client that calls over HTTP, let the gate run:".to_owned(),
        format!("  portcullis serve --config {at}"),
        format!("  portcullis export --config {at} --client cursor --new-agent my-editor --role trader"),
        "For servers that a client has already, in the place of the example, and to see whether all is well:".to_owned(),
        format!("  portcullis import --config {at} FILE --write"),
        format!("  portcullis doctor --config {at}"),
    ]
}

/// Writes both files; nothing that exists is touched.
pub(super) fn write(directory: &Path) -> Result<PathBuf, Failure> {
    let said =
        |what: &Path, error: std::io::Error| Failure::Said(format!("cannot write `{}`: {error}", what.display()));
    let file = directory.join(config::FILE);
    let policies = directory.join("policies");
    let policy_file = policies.join("policies.toml");
    for path in [&file, &policy_file] {
        if path.exists() {
            return Err(Failure::Said(format!(
                "`{}` exists already and was not touched; choose another directory, or edit it",
                path.display()
            )));
        }
    }
    let program = std::env::current_exe()
        .map_err(|error| Failure::Said(format!("cannot tell where this program is: {error}")))?;
    let program = serde_json::Value::from(program.display().to_string()).to_string();
    fs::create_dir_all(&policies).map_err(|error| said(&policies, error))?;
    fs::write(&policy_file, POLICIES).map_err(|error| said(&policy_file, error))?;
    fs::write(&file, CONFIGURATION.replace(&format!("\"{PROGRAM}\""), &program)).map_err(|error| said(&file, error))?;
    Ok(file)
}

/// Registers the first owner; the key that comes back is nowhere else.
pub(super) async fn owner(config: &Config, name: &str) -> Result<zeroize::Zeroizing<String>, Failure> {
    let (store, _key) = serve::open_store(&config.data)?;
    let now = Clock::system().now();
    let id = CorrelationId::random().map_err(|error| Failure::Said(error.to_string()))?;
    let name = name.to_owned();
    let added = store
        .commit(move |tx| {
            let (person, key) = identity::add_person(tx, now, &name, Kind::Owner)?;
            let entry = Entry::new(now, id, "person.add", Status::Completed)
                .metadata("person", serde_json::json!({ "id": person.id, "name": person.name, "kind": person.kind }));
            audit::append(tx, &entry)?;
            Ok::<_, identity::RegisterError>(key)
        })
        .await;
    store.close().await;
    added.map_err(|error| Failure::Said(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bad_name_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("gate");
        for owner in ["", "a b", "pe_0123456789abcdef0123"] {
            let words = Words { directory: directory.clone(), owner: owner.into(), json: true };
            assert!(matches!(run(words).await, Err(Failure::Said(text)) if text.contains(owner)), "{owner}");
            assert!(!directory.exists());
        }
    }
}
