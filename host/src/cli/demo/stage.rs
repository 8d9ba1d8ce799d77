//! Everything that the story needs, before it begins: what `portcullis init` makes, a gate that runs on it, and the people.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::{Failure, agent, init};
use super::person::Person;
use super::{cannot, said};
use crate::clock::Clock;
use crate::config::Config;
use crate::serve::{self, Running};

/// What `init` writes, and what the demo needs instead: ports that are free, descriptions that can change, and a bank.
const CHANGES: [(&str, &str); 4] = [
    ("\"127.0.0.1:8787\"", "\"127.0.0.1:0\""),
    ("\"127.0.0.1:8788\"", "\"127.0.0.1:0\""),
    ("\"--state\", \"market.json\"]", "\"--state\", \"market.json\", \"--descriptions\", \"descriptions.json\"]"),
    (
        "\n# How often. ",
        "\n[[server]]\nname    = \"bank\"\ncommand = [@PROGRAM@, \"example-marketplace\", \"--state\", \"bank.json\"]\ntimeout = \"1s\"\n\n# How often. ",
    ),
];
/// What a trader may do besides.
const MORE: (&str, &str) = (
    "\"market__create_listing\", \"market__make_offer\"]",
    "\"market__create_listing\", \"market__make_offer\", \"bank__record_payment\"]",
);

/// An agent's name and key.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) key: String,
}

/// A gate that runs, and who is there.
pub(super) struct Stage {
    pub(super) running: Running,
    pub(super) config: Config,
    /// The configuration file.
    pub(super) file: PathBuf,
    /// Where agents come in: the address of the MCP door.
    pub(super) url: String,
    /// Runs the gate.
    pub(super) owner: Person,
    /// Decides on approvals.
    pub(super) approver: Person,
    /// With the role `reader`.
    pub(super) scout: Key,
    /// With the role `trader`.
    pub(super) trader: Key,
    /// The same, with an account of its own.
    pub(super) buyer: Key,
}

impl Stage {
    pub(super) async fn set(directory: &Path) -> Result<Self, Failure> {
        let file = init::write(directory)?;
        let program = std::env::current_exe().map_err(|error| cannot("tell where its program is", &error))?;
        let program = Value::from(program.display().to_string()).to_string();
        let changes = CHANGES.map(|(from, to)| (from, to.replace("@PROGRAM@", &program)));
        change(&file, &changes)?;
        change(&directory.join("policies/policies.toml"), &[(MORE.0, MORE.1.to_owned())])?;
        fs::write(descriptions(directory), "{}").map_err(|error| cannot("write the descriptions", &error))?;
        let config = Config::load(&file)?;
        let key = init::owner(&config, "olivia").await?;
        let running = serve::start(config.clone(), Clock::system()).await?;
        running.settled().await;
        match people(&running, key.as_str()).await {
            Ok((url, owner, approver, [scout, trader, buyer])) => {
                Ok(Self { running, config, file, url, owner, approver, scout, trader, buyer })
            }
            Err(error) => {
                running.stop().await;
                Err(error)
            }
        }
    }

    /// The folder of the configuration, where the marketplace runs, too.
    pub(super) fn folder(&self) -> &Path {
        &self.config.folder
    }

    /// How many writes stand in the book of a marketplace, or of the bank.
    pub(super) fn writes(&self, book: &str) -> Result<usize, Failure> {
        let text = fs::read(self.folder().join(book)).map_err(|error| cannot("read a book", &error))?;
        let state: Value = serde_json::from_slice(&text).map_err(said)?;
        let executed = state.get("executed").and_then(Value::as_array).ok_or_else(|| said("a book is empty"))?;
        Ok(executed.iter().filter(|one| one.get("tool") != Some(&json!("list_deals"))).count())
    }

    /// The bank can write nothing as long as what this returns is kept, so it gives no answer.
    pub(super) fn silence_bank(&self) -> Result<fs::File, Failure> {
        let held = fs::File::open(self.folder().join("bank.json")).and_then(|book| book.lock().map(|()| book));
        held.map_err(|error| cannot("hold the bank's book", &error))
    }

    /// The marketplace describes a tool in other words.
    pub(super) fn describe(&self, tool: &str, text: &str) -> Result<(), Failure> {
        replace(&descriptions(self.folder()), json!({ tool: text }).to_string().as_bytes())
    }
}

/// Changes a file that `init` made.
fn change(file: &Path, changes: &[(&str, String)]) -> Result<(), Failure> {
    let mut text = fs::read_to_string(file).map_err(|error| cannot("read its configuration", &error))?;
    for (from, to) in changes {
        if text.matches(from).count() != 1 {
            return Err(said(format!("`{}` as `init` makes it does not have {from:?} once", file.display())));
        }
        text = text.replace(from, to);
    }
    fs::write(file, text).map_err(|error| cannot("write its configuration", &error))
}

async fn people(running: &Running, key: &str) -> Result<(String, Person, Person, [Key; 3]), Failure> {
    let readiness = running.gate.readiness();
    if !readiness.ready || readiness.degraded {
        return Err(said(format!("the gate is not ready: {}", readiness.reasons.join("; "))));
    }
    let Some(at) = running.listening else { return Err(said("the gate has no door for agents")) };
    let owner = Person::new("olivia", at.owners, key);
    let added = owner.post("/v1/persons", json!({ "name": "ben", "kind": "approver" })).await?;
    let approver = Person::new("ben", at.owners, &key_of(&added)?);
    let agent = async |name, role: &str| {
        let new = json!({ "name": name, "roles": [role], "owner": null, "trust": agent::TRUST });
        let added = owner.post("/v1/agents", new).await?;
        Ok::<_, Failure>(Key { name, key: key_of(&added)? })
    };
    let agents = [agent("scout", "reader").await?, agent("trader", "trader").await?, agent("buyer", "trader").await?];
    Ok((format!("http://{}/mcp", at.agents), owner, approver, agents))
}

fn key_of(added: &Value) -> Result<String, Failure> {
    added.get("key").and_then(Value::as_str).map(str::to_owned).ok_or_else(|| said("the gate gave no key"))
}

fn descriptions(folder: &Path) -> PathBuf {
    folder.join("descriptions.json")
}

/// Puts a whole file in the place of another: nobody reads half of it.
pub(super) fn replace(file: &Path, content: &[u8]) -> Result<(), Failure> {
    let next = file.with_extension("next");
    fs::write(&next, content).and_then(|()| fs::rename(&next, file)).map_err(|error| cannot("write a file", &error))
}
