//! Has a person agreed: requests, decisions, expiry.
//!
//! An approval is about one call: one agent, one tool with one definition, one form of the arguments, and the very
//! policies that asked (component and settings). It holds no money and no key, and permits nothing by itself: when the
//! call comes again, everything is evaluated again, and only what was asked counts as answered. It is used once, in the
//! same durable group that claims the call.
//!
//! The exact arguments are sealed, for those who decide, and deleted at the decision or when the time is over.

use std::sync::Arc;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::call::{Call, IdempotencyKey};
use crate::clock::Timestamp;
use crate::identity::{Actor, Kind};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::seal::StoreKey;
use crate::store::{Read, StoreError, Tx};
use crate::verdict::{Ask, Author, LimitPassed};

mod record;
#[cfg(test)]
mod tests;

pub use record::{Decision, Exactly, Record, Status, Used, any_due, expire, find, newest};

/// What is known of a call's approval.
#[derive(Debug)]
pub enum Standing {
    /// None that helps it.
    None,
    /// Persons have agreed.
    Held(Held),
    /// It was used: the call that used it did so under this key.
    Used {
        /// The approval's id.
        id: String,
        /// The key under which its answer is kept.
        key: IdempotencyKey,
    },
}

/// Evidence that persons agreed to a call. Only [`Approvals::standing`] makes one; a permit takes it away.
#[derive(Debug)]
pub struct Held {
    id: String,
    asks: Vec<Ask>,
    quorum: u8,
}

impl Held {
    /// The approval's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it is about something of this policy's, a question or a limit: the same component with the same settings.
    #[must_use]
    pub fn names(&self, author: &Author) -> bool {
        self.asks.iter().any(|ask| ask.author == *author)
    }

    /// Whether it answers what this policy itself asks. That its limit may be passed is no answer to that.
    #[must_use]
    pub fn answers(&self, author: &Author) -> bool {
        self.asks.iter().any(|ask| ask.author == *author && ask.limit.is_none())
    }

    /// How many persons agreed.
    #[must_use]
    pub fn quorum(&self) -> u8 {
        self.quorum
    }

    /// How far the call may pass this limit of a policy; none where nobody was asked about it.
    #[must_use]
    pub fn agreed(&self, author: &Author, limit: &LimitPassed) -> Option<Decimal> {
        let theirs = self.asks.iter().filter(|ask| ask.author == *author);
        theirs.filter_map(|ask| ask.limit.as_ref()).find(|agreed| agreed.is_of(limit)).map(|agreed| agreed.total)
    }

    /// The key of a call without one that uses it: repeating the call then finds its answer.
    #[must_use]
    pub fn key(&self) -> IdempotencyKey {
        IdempotencyKey::of_approval(&self.id)
    }
}

/// An approval that a call waits for, or that was refused.
#[derive(Debug)]
pub struct Opened {
    /// The approval.
    pub record: Record,
    /// It was made for this call; else it was there.
    pub new: bool,
}

/// Why a person's decision does not count.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// No such approval.
    #[error("there is no approval `{0}`; `portcullis approvals list` shows them")]
    Unknown(String),
    /// Somebody whose kind does not decide.
    #[error("`{0}` is no owner or approver, so cannot decide on approvals")]
    NotADecider(String),
    /// Who asked does not decide.
    #[error("whoever asked cannot decide: approval `{0}` is about a call of your own")]
    Own(String),
    /// One person, one voice.
    #[error("`{1}` has agreed to approval `{0}` already; it needs another person's decision")]
    Again(String, String),
    /// It is not open any more.
    #[error("approval `{0}` is {1} already, so nothing has changed")]
    Over(String, &'static str),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a person decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Say {
    /// Yes.
    Approve,
    /// No, and why.
    Reject {
        /// One sentence for the agent.
        reason: String,
    },
}

/// Why no person is asked.
#[derive(Debug, thiserror::Error)]
pub enum TooMuch {
    /// More approvals wait for persons than one agent may have.
    #[error(
        "{max} calls of yours wait for a person's agreement already, which is as many as may; wait until some are decided",
        max = limits::APPROVALS_PENDING_MAX
    )]
    Waiting,
    /// No person reads that.
    #[error(
        "a person has to agree to this call, and its arguments have {0} bytes, more than the {max} that a person is asked to \
         read; send less",
        max = limits::APPROVAL_ARGUMENTS_BYTES_MAX
    )]
    Arguments(usize),
}

/// The layer.
#[derive(Clone)]
pub struct Approvals {
    key: Arc<StoreKey>,
}

impl Approvals {
    /// The layer, with the key that binds approvals to calls and seals arguments.
    #[must_use]
    pub fn new(key: Arc<StoreKey>) -> Self {
        Self { key }
    }

    /// What is known of a call's approval: of the one it refers to, or else of the newest that helps it.
    ///
    /// # Errors
    /// The store's; `invalid_arguments`, `approval_rejected` or `approval_expired` when the call refers to an approval
    /// that cannot help it.
    pub fn standing(&self, read: &dyn Read, call: &Call) -> Result<Result<Standing, Refusal>, StoreError> {
        let fingerprint = self.fingerprint(call);
        if let Some(id) = &call.approval {
            let Some(record) = record::find(read, id)?.filter(|record| record.agent_id == call.principal.id) else {
                return Ok(Err(no_such(id)));
            };
            return Ok(named(record, call, &fingerprint));
        }
        let mut used = None;
        for record in record::of_call(read, &call.principal.id, &fingerprint)? {
            if !record.is_about(call, &fingerprint) {
                continue;
            }
            match record.status_at(call.time) {
                Status::Approved => return Ok(Ok(Standing::Held(held(&record)))),
                // A call with a key of its own is another call, unless it says otherwise.
                Status::Used if call.key.is_none() && used.is_none() => used = used_by(&record),
                _ => {}
            }
        }
        Ok(Ok(used.unwrap_or(Standing::None)))
    }

    /// The approval that answers these questions about a call: the one there is, or a new one. What was rejected stays
    /// so until its time is over.
    ///
    /// # Errors
    /// The store's.
    pub fn open(&self, tx: &mut Tx<'_>, call: &Call, asks: &[Ask]) -> Result<Result<Opened, TooMuch>, StoreError> {
        let bytes = call.arguments.canonical().len();
        if bytes > limits::APPROVAL_ARGUMENTS_BYTES_MAX {
            return Ok(Err(TooMuch::Arguments(bytes)));
        }
        let fingerprint = self.fingerprint(call);
        for record in record::of_call(tx, &call.principal.id, &fingerprint)? {
            let same = record.is_about(call, &fingerprint) && record.asks_the_same(asks);
            let stands = match record.status_at(call.time) {
                Status::Pending | Status::Approved => true,
                Status::Rejected => record.expires_at > call.time,
                Status::Used | Status::Expired => false,
            };
            if same && stands {
                return Ok(Ok(Opened { record, new: false }));
            }
        }
        if record::pending(tx, &call.principal.id, limits::APPROVALS_PENDING_MAX)? {
            return Ok(Err(TooMuch::Waiting));
        }
        let record = Record::new(&self.key, call, fingerprint, asks)?;
        record::put(tx, &record)?;
        Ok(Ok(Opened { record, new: true }))
    }

    /// A call uses its approval, in the transaction that claims it. False when it cannot be used any more.
    ///
    /// # Errors
    /// The store's.
    pub fn use_up(&self, tx: &mut Tx<'_>, held: &Held, call: &Call) -> Result<bool, StoreError> {
        let Some(record) = record::find(tx, &held.id)? else { return Ok(false) };
        if record.status_at(call.time) != Status::Approved {
            return Ok(false);
        }
        let key = call.key.clone().unwrap_or_else(|| held.key());
        let used = Used { call: call.id.to_string(), key: key.as_str().to_owned(), at: call.time };
        record::put(tx, &Record { status: Status::Used, used: Some(used), ..record })?;
        Ok(true)
    }

    /// The call that used it was not executed: it may be used once, still.
    ///
    /// # Errors
    /// The store's.
    pub fn give_back(&self, tx: &mut Tx<'_>, id: &str) -> Result<(), StoreError> {
        match record::find(tx, id)? {
            Some(record) if record.status == Status::Used => {
                record::put(tx, &Record { status: Status::Approved, used: None, ..record })
            }
            _ => Ok(()),
        }
    }

    /// A person decides. Who it is comes from their credential.
    ///
    /// # Errors
    /// When it is not theirs to decide, or there is nothing to decide any more; the store's. Then nothing has changed.
    pub fn decide(
        &self,
        tx: &mut Tx<'_>,
        now: Timestamp,
        id: &str,
        actor: &Actor,
        say: Say,
    ) -> Result<Record, DecideError> {
        if !matches!(actor.kind(), Kind::Owner | Kind::Approver) {
            return Err(DecideError::NotADecider(actor.name().to_owned()));
        }
        let shown = || id.chars().take(80).collect::<String>();
        let mut record = record::find(tx, id)?.ok_or_else(|| DecideError::Unknown(shown()))?;
        if record.agent_id == actor.id() {
            return Err(DecideError::Own(shown()));
        }
        let status = record.status_at(now);
        if status != Status::Pending {
            return Err(DecideError::Over(shown(), status.as_str()));
        }
        if record.decisions.iter().any(|decision| decision.person_id == actor.id()) {
            return Err(DecideError::Again(shown(), actor.name().to_owned()));
        }
        let reason = match &say {
            Say::Approve => None,
            Say::Reject { reason } => Some(reason.chars().take(limits::REASON_CHARS_MAX).collect()),
        };
        let (person_id, person) = (actor.id().to_owned(), actor.name().to_owned());
        record.decisions.push(Decision { person_id, person, approve: say == Say::Approve, reason, at: now });
        let agreed = record.decisions.iter().filter(|decision| decision.approve).count();
        if say != Say::Approve {
            record.status = Status::Rejected;
        } else if agreed >= usize::from(record.quorum) {
            record.status = Status::Approved;
        }
        if record.status != Status::Pending {
            record.sealed = None;
        }
        record::put(tx, &record)?;
        Ok(record)
    }

    /// What exactly is asked about a call that waits; none once it was decided.
    ///
    /// # Errors
    /// When what is kept cannot be opened.
    pub fn exactly(&self, record: &Record) -> Result<Option<Exactly>, StoreError> {
        record.exactly(&self.key)
    }

    /// Two calls are the same when tool and canonical arguments are.
    fn fingerprint(&self, call: &Call) -> [u8; 32] {
        self.key.mac("approval", &[call.tool.name.as_bytes(), call.arguments.canonical().as_bytes()])
    }
}

fn held(record: &Record) -> Held {
    Held { id: record.id.clone(), asks: record.asks.clone(), quorum: record.quorum }
}

fn used_by(record: &Record) -> Option<Standing> {
    let key = IdempotencyKey::stored(&record.used.as_ref()?.key);
    Some(Standing::Used { id: record.id.clone(), key })
}

fn no_such(id: &str) -> Refusal {
    let shown: String = id.chars().take(80).collect();
    let message = format!("there is no approval `{shown}` of yours; repeat the call without it, and a person is asked");
    Refusal::new(Code::InvalidArguments, message)
}

/// What the approval that a call refers to does for it.
fn named(record: Record, call: &Call, fingerprint: &[u8; 32]) -> Result<Standing, Refusal> {
    let id = &record.id;
    if record.fingerprint != *fingerprint {
        let message = format!(
            "approval `{id}` is for another call, of `{}`: repeat that call exactly, or call without the approval",
            record.tool
        );
        return Err(Refusal::new(Code::InvalidArguments, message).approval(id));
    }
    match record.status_at(call.time) {
        Status::Pending => Ok(Standing::None),
        Status::Approved if record.definition == call.tool.digest => Ok(Standing::Held(held(&record))),
        // The tool is not any more what was agreed to: whoever asks is asked again.
        Status::Approved => Ok(Standing::None),
        Status::Used => Ok(used_by(&record).unwrap_or(Standing::None)),
        Status::Rejected => Err(rejected(&record)),
        Status::Expired => {
            let message = format!(
                "approval `{id}` expired at {}: repeat the call without it, and a person is asked again",
                record.expires_at
            );
            Err(Refusal::new(Code::ApprovalExpired, message).approval(id).details(record.details()))
        }
    }
}

/// The refusal of a call that a person said no to.
#[must_use]
pub fn rejected(record: &Record) -> Refusal {
    let why = record.reason().map_or_else(String::new, |reason| format!(": {reason}"));
    let message = format!(
        "a person said no to this call{why}; it is not asked about again before {}; do something else",
        record.expires_at
    );
    Refusal::new(Code::ApprovalRejected, message).approval(&record.id).details(record.details())
}

/// The refusal of a call that waits for a person.
#[must_use]
pub fn required(record: &Record) -> Refusal {
    let message = format!(
        "a person has to agree first: {}. Approval `{}` is asked for until {}; repeat exactly the same call once it is approved",
        record.summary(),
        record.id,
        record.expires_at
    );
    Refusal::new(Code::ApprovalRequired, message).approval(&record.id).details(record.details())
}
