//! Who exists: agents, persons and their credentials, in the store.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Kind, Principal, api_key};
use crate::clock::Timestamp;
use crate::store::keys::{Key, Prefix};
use crate::store::{Read, ReadJson, StoreError, Tx};

/// What an agent's id starts with.
const AGENT_ID: &str = "ag_";
/// What a person's id starts with.
const PERSON_ID: &str = "pe_";
/// Random bytes of an id, which are hexadecimal digits in it.
const ID_BYTES: usize = 10;

/// Whether an agent may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Yes.
    Active,
    /// Yes, under stricter limits.
    Quarantined,
    /// Never again.
    Revoked,
}

/// An agent, as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRecord {
    /// The immutable id.
    pub id: String,
    /// The name, unique among agents.
    pub name: String,
    /// The name of its owner.
    pub owner: Option<String>,
    /// Its roles, sorted.
    pub roles: Vec<String>,
    /// 0 to 100.
    pub trust: u8,
    /// Whether it may call.
    pub status: Status,
    /// When it was added.
    pub created_at: Timestamp,
}

/// A person, as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRecord {
    /// The immutable id.
    pub id: String,
    /// The name, unique among persons.
    pub name: String,
    /// `owner`, `approver` or `auditor`.
    pub kind: Kind,
    /// Whether it may act.
    pub status: Status,
    /// When it was added.
    pub created_at: Timestamp,
}

/// What a new agent is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAgent {
    /// Its name.
    pub name: String,
    /// Its roles; at least one.
    pub roles: Vec<String>,
    /// The name of its owner.
    #[serde(default)]
    pub owner: Option<String>,
    /// 0 to 100.
    #[serde(default = "half")]
    pub trust: u8,
}

/// Why somebody could not be registered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegisterError {
    /// The name is taken.
    #[error("there is {0} `{1}` already; choose another name")]
    Taken(&'static str, String),
    /// Not a name.
    #[error("`{0}` is not a name: 1 to 64 letters, digits, `-`, `_` and `.`, starting with a letter or a digit")]
    Name(String),
    /// A name that could be taken for somebody's id.
    #[error("`{0}` looks like an id, which only the gate gives; choose another name")]
    LikeId(String),
    /// No role at all: the agent could do nothing, and nobody would see why.
    #[error("agent `{0}` needs at least one role; give it one with `--role`")]
    NoRole(String),
    /// Trust out of range.
    #[error("trust {0} is out of range: 0 (none) to 100 (full)")]
    Trust(u8),
    /// Nobody by that name.
    #[error("there is no agent `{0}`; `portcullis agent list` shows them")]
    Unknown(String),
    /// No person by that name.
    #[error("there is no person `{0}`; `portcullis person list` shows them")]
    UnknownPerson(String),
    /// Revoked is for ever.
    #[error("agent `{0}` is revoked, which cannot be undone; add another one")]
    Revoked(String),
    /// No randomness.
    #[error("the system has no randomness to make a key from: {0}")]
    Random(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Serialize, Deserialize)]
struct Credential {
    digest: [u8; 32],
    holder: Holder,
}

#[derive(Serialize, Deserialize)]
enum Holder {
    Agent(String),
    Person(String),
}

/// How far an agent is trusted of which nothing is said.
fn half() -> u8 {
    50
}

fn agent_key(id: &str) -> Vec<u8> {
    Key::new(Prefix::Agent).text(id).into()
}

fn person_key(id: &str) -> Vec<u8> {
    Key::new(Prefix::Person).text(id).into()
}

fn credential_key(digest: &[u8; 32]) -> Vec<u8> {
    Key::new(Prefix::Credential).bytes(digest).into()
}

impl PersonRecord {
    /// Whether a person could have this name, if nobody has it yet.
    ///
    /// # Errors
    /// [`RegisterError::Name`] and [`RegisterError::LikeId`].
    pub fn check_name(name: &str) -> Result<(), RegisterError> {
        check_name(name)
    }
}

/// Whether a text has the form that [`new_id`] gives ids.
fn is_like_id(text: &str) -> bool {
    let digits = text.strip_prefix(AGENT_ID).or_else(|| text.strip_prefix(PERSON_ID));
    digits.is_some_and(|digits| digits.len() == 2 * ID_BYTES && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn check_name(name: &str) -> Result<(), RegisterError> {
    if is_like_id(name) {
        return Err(RegisterError::LikeId(name.to_owned()));
    }
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts && name.len() <= 64 && name.chars().all(fine) {
        Ok(())
    } else {
        Err(RegisterError::Name(name.chars().take(80).collect()))
    }
}

fn new_id(prefix: &str) -> Result<String, RegisterError> {
    let mut bytes = [0_u8; ID_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| RegisterError::Random(error.to_string()))?;
    Ok(bytes.iter().fold(prefix.to_owned(), |id, byte| format!("{id}{byte:02x}")))
}

/// All agents, by name.
///
/// # Errors
/// The store's.
pub fn agents(read: &dyn Read) -> Result<Vec<AgentRecord>, StoreError> {
    let mut agents: Vec<AgentRecord> = read.all_json(Prefix::Agent)?;
    agents.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(agents)
}

/// The agent with this id, or else with this name.
///
/// # Errors
/// [`RegisterError::Unknown`]; the store's.
pub fn find_agent(read: &dyn Read, name: &str) -> Result<AgentRecord, RegisterError> {
    if let Some(agent) = read.get_json::<AgentRecord>(&agent_key(name))? {
        return Ok(agent);
    }
    agents(read)?.into_iter().find(|agent| agent.name == name).ok_or_else(|| RegisterError::Unknown(name.to_owned()))
}

fn add_credential(tx: &mut Tx<'_>, holder: Holder) -> Result<Zeroizing<String>, RegisterError> {
    let key = api_key::generate().map_err(|error| RegisterError::Random(error.to_string()))?;
    let digest = api_key::digest(&key).ok_or_else(|| RegisterError::Random("a new key is not well formed".into()))?;
    tx.put_json(credential_key(&digest), &Credential { digest, holder })?;
    Ok(key)
}

/// Adds an agent; its API key is known from then on only to whoever gets it here.
///
/// # Errors
/// When the name is taken or none, there is no role, or trust is out of range; the store's.
pub fn add_agent(
    tx: &mut Tx<'_>,
    now: Timestamp,
    new: NewAgent,
) -> Result<(AgentRecord, Zeroizing<String>), RegisterError> {
    check_name(&new.name)?;
    new.owner.iter().chain(&new.roles).try_for_each(|name| check_name(name))?;
    if new.trust > 100 {
        return Err(RegisterError::Trust(new.trust));
    }
    let mut roles = new.roles;
    roles.sort();
    roles.dedup();
    if roles.is_empty() {
        return Err(RegisterError::NoRole(new.name));
    }
    if agents(tx)?.iter().any(|agent| agent.name == new.name) {
        return Err(RegisterError::Taken("an agent", new.name));
    }
    let agent = AgentRecord {
        id: new_id(AGENT_ID)?,
        name: new.name,
        owner: new.owner,
        roles,
        trust: new.trust,
        status: Status::Active,
        created_at: now,
    };
    tx.put_json(agent_key(&agent.id), &agent)?;
    let key = add_credential(tx, Holder::Agent(agent.id.clone()))?;
    Ok((agent, key))
}

/// Adds a person with a credential of its own.
///
/// # Errors
/// When the name is taken or none; the store's.
pub fn add_person(
    tx: &mut Tx<'_>,
    now: Timestamp,
    name: &str,
    kind: Kind,
) -> Result<(PersonRecord, Zeroizing<String>), RegisterError> {
    check_name(name)?;
    if persons(tx)?.iter().any(|person| person.name == name) {
        return Err(RegisterError::Taken("a person", name.to_owned()));
    }
    let person =
        PersonRecord { id: new_id(PERSON_ID)?, name: name.to_owned(), kind, status: Status::Active, created_at: now };
    tx.put_json(person_key(&person.id), &person)?;
    let key = add_credential(tx, Holder::Person(person.id.clone()))?;
    Ok((person, key))
}

/// All persons, by name.
///
/// # Errors
/// The store's.
pub fn persons(read: &dyn Read) -> Result<Vec<PersonRecord>, StoreError> {
    let mut persons: Vec<PersonRecord> = read.all_json(Prefix::Person)?;
    persons.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(persons)
}

/// Takes a person's access away, for ever and at once. What was decided before stands.
///
/// # Errors
/// [`RegisterError::UnknownPerson`]; the store's.
pub fn revoke_person(tx: &mut Tx<'_>, name: &str) -> Result<PersonRecord, RegisterError> {
    let person = persons(tx)?
        .into_iter()
        .find(|person| person.id == name || person.name == name)
        .ok_or_else(|| RegisterError::UnknownPerson(name.chars().take(80).collect()))?;
    let person = PersonRecord { status: Status::Revoked, ..person };
    tx.put_json(person_key(&person.id), &person)?;
    Ok(person)
}

/// Sets whether an agent may call. Revoked is for ever.
///
/// # Errors
/// When there is no such agent, or it is revoked; the store's.
pub fn set_status(tx: &mut Tx<'_>, name: &str, status: Status) -> Result<AgentRecord, RegisterError> {
    let agent = find_agent(tx, name)?;
    if agent.status == Status::Revoked && status != Status::Revoked {
        return Err(RegisterError::Revoked(agent.name));
    }
    let agent = AgentRecord { status, ..agent };
    tx.put_json(agent_key(&agent.id), &agent)?;
    Ok(agent)
}

/// Who holds a credential; none when nobody does, or not any more.
///
/// # Errors
/// The store's.
pub fn authenticate(read: &dyn Read, credential: &str) -> Result<Option<Principal>, StoreError> {
    let Some(digest) = api_key::digest(credential) else { return Ok(None) };
    let Some(found) = read.get_json::<Credential>(&credential_key(&digest))? else { return Ok(None) };
    if !api_key::same(&found.digest, &digest) {
        return Ok(None);
    }
    Ok(match found.holder {
        Holder::Agent(id) => read.get_json::<AgentRecord>(&agent_key(&id))?.and_then(agent_principal),
        Holder::Person(id) => read.get_json::<PersonRecord>(&person_key(&id))?.and_then(person_principal),
    })
}

fn agent_principal(agent: AgentRecord) -> Option<Principal> {
    (agent.status != Status::Revoked).then_some(Principal {
        id: agent.id,
        name: agent.name,
        kind: Kind::Agent,
        owner: agent.owner,
        roles: agent.roles,
        trust: agent.trust,
        claims: Vec::new(),
        quarantined: agent.status == Status::Quarantined,
        checked: (),
    })
}

fn person_principal(person: PersonRecord) -> Option<Principal> {
    (person.status == Status::Active).then_some(Principal {
        id: person.id,
        owner: Some(person.name.clone()),
        name: person.name,
        kind: person.kind,
        roles: Vec::new(),
        trust: 0,
        claims: Vec::new(),
        quarantined: false,
        checked: (),
    })
}
