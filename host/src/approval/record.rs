//! What the store keeps of approvals.
//!
//! - under the id, which begins with the time: the approval;
//! - under agent, fingerprint and id: which approvals there are of a call, and whether they wait;
//! - under the moment when something is to be done about it: when it expires, and later when it is forgotten.

use std::ops::ControlFlow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::audit::mask;
use crate::call::{Call, CorrelationId};
use crate::clock::Timestamp;
use crate::limits;
use crate::seal::StoreKey;
use crate::store::keys::{Key, Prefix};
use crate::store::{Read, ReadJson, StoreError, Tx};
use crate::verdict::Ask;

/// How an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It waits for a person.
    Pending,
    /// It may be used, once.
    Approved,
    /// A person said no.
    Rejected,
    /// Nobody decided, or nobody used it, in time.
    Expired,
    /// A call used it.
    Used,
}

impl Status {
    /// The word that programs read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Used => "used",
        }
    }
}

/// What one person said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Their id.
    pub person_id: String,
    /// Their name at the time.
    pub person: String,
    /// Yes.
    pub approve: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Which call used an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Its correlation id.
    pub call: String,
    /// The key under which its answer is kept.
    pub key: String,
    /// When.
    pub at: Timestamp,
}

/// An approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// `appr_` and 32 hexadecimal digits, the first 12 of which are the time.
    pub id: String,
    /// The agent's immutable id.
    pub agent_id: String,
    /// The agent's name at the time.
    pub agent: String,
    /// The tool, by the name agents use.
    pub tool: String,
    /// The digest of the tool's definition.
    pub definition: String,
    /// What was asked, masked as in the audit log, and by which policies.
    pub asks: Vec<Ask>,
    /// How many persons have to agree.
    pub quorum: u8,
    /// What they said.
    pub decisions: Vec<Decision>,
    /// How it stood when it was last written: see [`Record::status_at`].
    pub status: Status,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it is over.
    pub expires_at: Timestamp,
    /// The id of the call that asked first.
    pub correlation_id: String,
    /// The call that used it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<Used>,
    /// The arguments, masked as in the audit log: JSON text.
    pub masked: String,
    pub(super) fingerprint: [u8; 32],
    /// [`Exactly`], sealed, while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sealed: Option<String>,
}

/// What a person is shown of a call that waits. Whatever is secret by the tool's configuration is masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exactly {
    /// The arguments: JSON text, numbers as the agent wrote them.
    pub arguments: String,
    /// What each policy asks.
    pub summaries: Vec<String>,
}

/// What the store's key is used for here.
const LABEL: &str = "approval arguments";

impl Record {
    pub(super) fn new(key: &StoreKey, call: &Call, fingerprint: [u8; 32], asks: &[Ask]) -> Result<Self, StoreError> {
        let id = new_id(call.time)?;
        let asked =
            asks.iter().filter_map(|ask| ask.expires_s).min().map(u64::from).map(std::time::Duration::from_secs);
        let open = asked.unwrap_or(limits::APPROVAL_OPEN).min(limits::APPROVAL_OPEN_MAX);
        let secret = &call.tool.secret_arguments;
        let failed = |what: &str| StoreError::Unwritable(format!("the arguments of a call cannot be {what}"));
        let mut shown = call.arguments.value().clone();
        for pointer in secret {
            let hidden = crate::json::Value::String(mask::MASK.to_owned());
            shown.replace(pointer, hidden).map_err(|_| failed("read"))?;
        }
        let summaries = asks.iter().map(|ask| ask.summary.clone()).collect();
        let exactly = Exactly { arguments: shown.to_text(), summaries };
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(&exactly).map_err(|_| failed("written down"))?);
        let sealed = key.seal(LABEL, id.as_bytes(), &plain).map_err(|_| failed("sealed"))?;
        Ok(Self {
            agent_id: call.principal.id.clone(),
            agent: call.principal.name.clone(),
            tool: call.tool.name.clone(),
            definition: call.tool.digest.clone(),
            asks: asks.iter().map(|ask| Ask { summary: mask::text(&ask.summary), ..ask.clone() }).collect(),
            quorum: asks.iter().map(|ask| ask.quorum).max().unwrap_or(1).max(1),
            decisions: Vec::new(),
            status: Status::Pending,
            created_at: call.time,
            expires_at: call.time.plus(open),
            correlation_id: call.id.to_string(),
            used: None,
            masked: mask::arguments(call.arguments.value(), secret).as_str().to_owned(),
            fingerprint,
            sealed: Some(STANDARD.encode(sealed)),
            id,
        })
    }

    /// How it stands at a moment.
    #[must_use]
    pub fn status_at(&self, now: Timestamp) -> Status {
        match self.status {
            Status::Pending | Status::Approved if self.expires_at <= now => Status::Expired,
            status => status,
        }
    }

    /// Whether it is about this call: the same agent, tool, definition and arguments.
    pub(super) fn is_about(&self, call: &Call, fingerprint: &[u8; 32]) -> bool {
        self.agent_id == call.principal.id && self.fingerprint == *fingerprint && self.definition == call.tool.digest
    }

    /// Whether the same policies asked.
    pub(super) fn asks_the_same(&self, asks: &[Ask]) -> bool {
        let limit = |a: &Ask, b: &Ask| match (&a.limit, &b.limit) {
            // What a person was shown covers less, not more.
            (Some(a), Some(b)) => a.is_of(b) && a.total >= b.total,
            (None, None) => a.quorum >= b.quorum,
            _ => false,
        };
        let same = |(a, b): (&Ask, &Ask)| a.author == b.author && limit(a, b);
        self.asks.len() == asks.len() && self.asks.iter().zip(asks).all(same)
    }

    /// All that is asked, in one text.
    #[must_use]
    pub fn summary(&self) -> String {
        self.asks.iter().map(|ask| ask.summary.trim()).collect::<Vec<_>>().join("; ")
    }

    /// Why a person said no.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.decisions.iter().find(|decision| !decision.approve).and_then(|decision| decision.reason.as_deref())
    }

    /// What the agent that asked is told of it.
    #[must_use]
    pub fn told(&self, now: Timestamp) -> Value {
        json!({
            "id": self.id,
            "action": self.tool,
            "agent": self.agent,
            "status": self.status_at(now),
            "summary": self.summary(),
            "reason": self.reason(),
            "created_at": self.created_at.to_string(),
            "expires_at": self.expires_at.to_string(),
        })
    }

    /// What the audit log tells of it when its status changes.
    #[must_use]
    pub fn noted(&self) -> Value {
        json!({
            "id": self.id,
            "status": self.status,
            "agent": self.agent,
            "agent_id": self.agent_id,
            "summary": self.summary(),
            "reason": self.reason(),
            "agreed": self.decisions.iter().filter(|decision| decision.approve).count(),
            "quorum": self.quorum,
            "asked_by": self.correlation_id,
        })
    }

    /// What programs read of it in a refusal.
    #[must_use]
    pub fn details(&self) -> Value {
        json!({ "approval": self.id, "summary": self.summary(), "expires_at": self.expires_at.to_string() })
    }

    pub(super) fn exactly(&self, key: &StoreKey) -> Result<Option<Exactly>, StoreError> {
        let Some(sealed) = &self.sealed else { return Ok(None) };
        let damaged = || StoreError::Damaged(format!("the arguments kept for approval `{}` cannot be opened", self.id));
        let sealed = STANDARD.decode(sealed).map_err(|_| damaged())?;
        let plain = key.open(LABEL, self.id.as_bytes(), &sealed).map_err(|_| damaged())?;
        serde_json::from_slice(&plain).map(Some).map_err(|_| damaged())
    }

    /// When something is to be done about it next.
    fn due(&self) -> Timestamp {
        match self.status {
            Status::Pending | Status::Approved => self.expires_at,
            Status::Rejected | Status::Expired => self.expires_at.plus(limits::APPROVAL_KEPT),
            Status::Used => self.used.as_ref().map_or(self.expires_at, |used| used.at).plus(limits::APPROVAL_KEPT),
        }
    }
}

fn new_id(now: Timestamp) -> Result<String, StoreError> {
    let random = CorrelationId::random()
        .map_err(|error| StoreError::Unwritable(format!("the system has no randomness for an id: {error}")))?;
    let digits: String = random.to_string().chars().take(20).collect();
    Ok(format!("appr_{:012x}{digits}", now.0 & 0xffff_ffff_ffff))
}

fn record_key(id: &str) -> Vec<u8> {
    Key::new(Prefix::Approval).text(id).into()
}

fn call_key(record: &Record) -> Vec<u8> {
    Key::new(Prefix::ApprovalOf).text(&record.agent_id).bytes(&record.fingerprint).text(&record.id).into()
}

fn due_key(at: Timestamp, id: &str) -> Vec<u8> {
    Key::new(Prefix::ApprovalExpiry).number(at.0).text(id).into()
}

/// The approval with this id.
///
/// # Errors
/// The store's.
pub fn find(read: &dyn Read, id: &str) -> Result<Option<Record>, StoreError> {
    // No id is longer, and a key has a longest length.
    if id.len() > 64 { Ok(None) } else { read.get_json(&record_key(id)) }
}

/// The approvals of a call, newest first.
pub(super) fn of_call(read: &dyn Read, agent: &str, fingerprint: &[u8; 32]) -> Result<Vec<Record>, StoreError> {
    let (from, to) = Key::new(Prefix::ApprovalOf).text(agent).bytes(fingerprint).range();
    let skip = from.len();
    let mut ids = Vec::new();
    read.scan(&from, &to, true, &mut |key, _| {
        let id = key.get(skip..).unwrap_or_default();
        ids.push(String::from_utf8_lossy(id.strip_suffix(b"\0").unwrap_or(id)).into_owned());
        if ids.len() >= limits::APPROVALS_OF_CALL_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let mut records = Vec::with_capacity(ids.len());
    for id in ids {
        records.extend(find(read, &id)?);
    }
    Ok(records)
}

const WAITS: &[u8] = b"waits";

/// Whether as many approvals of an agent wait.
pub(super) fn pending(read: &dyn Read, agent: &str, most: usize) -> Result<bool, StoreError> {
    let (from, to) = Key::new(Prefix::ApprovalOf).text(agent).range();
    let mut waiting = 0_usize;
    read.scan(&from, &to, false, &mut |_, value| {
        waiting = waiting.saturating_add(usize::from(value == WAITS));
        if waiting >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(waiting >= most)
}

/// Writes an approval, in all its places.
pub(super) fn put(tx: &mut Tx<'_>, record: &Record) -> Result<(), StoreError> {
    if let Some(before) = find(tx, &record.id)? {
        tx.delete(due_key(before.due(), &before.id));
    }
    tx.put(due_key(record.due(), &record.id), Vec::new());
    let mark = if record.status == Status::Pending { WAITS } else { b"" };
    tx.put(call_key(record), mark);
    tx.put_json(record_key(&record.id), record)
}

/// What is due by a moment: its key and the approval's id, at most so many.
fn all_due(read: &dyn Read, now: Timestamp, most: usize) -> Result<Vec<(Vec<u8>, String)>, StoreError> {
    let (from, _) = Key::new(Prefix::ApprovalExpiry).range();
    let skip = from.len().saturating_add(8);
    let to = Key::new(Prefix::ApprovalExpiry).number(now.0.saturating_add(1));
    let mut due = Vec::new();
    read.scan(&from, &to, false, &mut |key, _| {
        let id = key.get(skip..).unwrap_or_default();
        let id = String::from_utf8_lossy(id.strip_suffix(b"\0").unwrap_or(id)).into_owned();
        due.push((key.to_vec(), id));
        if due.len() >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(due)
}

/// Whether the time of an approval is over.
///
/// # Errors
/// The store's.
pub fn any_due(read: &dyn Read, now: Timestamp) -> Result<bool, StoreError> {
    Ok(!all_due(read, now, 1)?.is_empty())
}

/// Approvals whose time is over, at most so many: those that nobody decided or used are returned and are expired from
/// then on, those that ended long ago are forgotten.
///
/// # Errors
/// The store's.
pub fn expire(tx: &mut Tx<'_>, now: Timestamp, most: usize) -> Result<Vec<Record>, StoreError> {
    let mut expired = Vec::new();
    for (key, id) in all_due(tx, now, most)? {
        match find(tx, &id)? {
            Some(record) if matches!(record.status, Status::Pending | Status::Approved) => {
                let record = Record { status: Status::Expired, sealed: None, ..record };
                put(tx, &record)?;
                expired.push(record);
            }
            Some(record) => {
                tx.delete(call_key(&record));
                tx.delete(record_key(&id));
                tx.delete(key);
            }
            None => tx.delete(key),
        }
    }
    Ok(expired)
}

/// The newest approvals that stand so, newest first, at most so many.
///
/// # Errors
/// The store's.
pub fn newest(read: &dyn Read, most: usize, wanted: impl Fn(&Record) -> bool) -> Result<Vec<Record>, StoreError> {
    let (from, to) = Key::new(Prefix::Approval).range();
    let mut found = Vec::new();
    read.scan(&from, &to, true, &mut |key, value| {
        let record = crate::store::parse_json::<Record>(key, value);
        if record.as_ref().map_or(true, &wanted) {
            found.push(record);
        }
        if found.len() >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    found.into_iter().collect()
}
