//! What the store keeps of claims.
//!
//! - under the agent and its key: the claim (open or answered);
//! - under the call's id: what is open;
//! - under the agent and the fingerprint: which open calls look the same;
//! - under the moment of expiry: which answered claim leaves then.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::call::{Call, IdempotencyKey};
use crate::clock::Timestamp;
use crate::ledger::Reservation;
use crate::store::keys::{Key, Prefix};
use crate::store::{Read, ReadJson, StoreError, Tx};

/// How many expired claims leave with each answered one. More than one, so that the rest shrinks.
const EXPIRED_PER_ANSWER: usize = 4;

/// A key that is taken.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) fingerprint: [u8; 32],
    pub(super) call: String,
    pub(super) state: ClaimState,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ClaimState {
    Open,
    Answered {
        #[serde(with = "base64_text")]
        sealed: Vec<u8>,
        expires_at: Timestamp,
    },
}

/// A call that has not ended, as far as the store knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The call's correlation id.
    pub call: String,
    /// The agent's id.
    pub agent: String,
    /// The tool.
    pub tool: String,
    /// The idempotency key.
    pub key: Option<String>,
    /// When it was permitted.
    pub started_at: Timestamp,
    /// Whether the tool is known to have run.
    pub executed: Option<bool>,
    /// It ended without a known outcome. Calls that were in flight when the gate died are not marked.
    pub unknown: bool,
    /// The money it holds.
    pub reservation: Reservation,
    /// The approval that it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    fingerprint: [u8; 32],
}

/// Bytes as base64 (RFC 4648, section 4): a quarter of what a JSON list of numbers takes.
mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

fn claim_key(agent: &str, key: &str) -> Vec<u8> {
    Key::new(Prefix::IdempotencyKey).text(agent).text(key).into()
}

fn open_key(call: &str) -> Vec<u8> {
    Key::new(Prefix::OpenCall).text(call).into()
}

fn twin_key(agent: &str, fingerprint: &[u8; 32], call: &str) -> Vec<u8> {
    Key::new(Prefix::Twin).text(agent).bytes(fingerprint).text(call).into()
}

fn expiry_key(at: Timestamp, agent: &str, key: &str) -> Vec<u8> {
    Key::new(Prefix::Expiry).number(at.0).text(agent).text(key).into()
}

/// The claim on a key, unless it has expired.
pub(super) fn claim(
    read: &dyn Read,
    agent: &str,
    key: &IdempotencyKey,
    now: Timestamp,
) -> Result<Option<Claim>, StoreError> {
    let found: Option<Claim> = read.get_json(&claim_key(agent, key.as_str()))?;
    Ok(found.filter(|claim| !matches!(claim.state, ClaimState::Answered { expires_at, .. } if expires_at <= now)))
}

/// What is open under a call's id.
pub(super) fn open(read: &dyn Read, call: &str) -> Result<Option<Open>, StoreError> {
    read.get_json(&open_key(call))
}

/// An open call of the agent that looks the same.
pub(super) fn twin(read: &dyn Read, agent: &str, fingerprint: &[u8; 32]) -> Result<Option<Open>, StoreError> {
    let (from, to) = Key::new(Prefix::Twin).text(agent).bytes(fingerprint).range();
    let mut call = None;
    read.scan(&from, &to, false, &mut |_, value| {
        call = Some(String::from_utf8_lossy(value).into_owned());
        ControlFlow::Break(())
    })?;
    match call {
        Some(call) => open(read, &call),
        None => Ok(None),
    }
}

/// Open calls that a call with this fingerprint takes the place of: that of its key, or its twin without one.
pub(super) fn lost(read: &dyn Read, call: &Call, fingerprint: &[u8; 32]) -> Result<Vec<Open>, StoreError> {
    if !call.tool.idempotent {
        return Ok(Vec::new());
    }
    let found = match &call.key {
        Some(key) => match claim(read, &call.principal.id, key, call.time)? {
            Some(Claim { state: ClaimState::Open, call, .. }) => open(read, &call)?,
            _ => None,
        },
        None => twin(read, &call.principal.id, fingerprint)?.filter(|open| open.key.is_none()),
    };
    Ok(found.into_iter().collect())
}

/// All calls that have not ended, by id.
///
/// # Errors
/// The store's.
pub fn open_calls(read: &dyn Read) -> Result<Vec<Open>, StoreError> {
    read.all_json(Prefix::OpenCall)
}

/// Whether a call is open, still.
///
/// # Errors
/// The store's.
pub fn is_open(read: &dyn Read, call: &Open) -> Result<bool, StoreError> {
    Ok(open(read, &call.call)?.is_some())
}

pub(super) fn put_open(
    tx: &mut Tx<'_>,
    call: &Call,
    fingerprint: [u8; 32],
    reservation: Reservation,
    approval: Option<&str>,
) -> Result<Open, StoreError> {
    let open = Open {
        call: call.id.to_string(),
        agent: call.principal.id.clone(),
        tool: call.tool.name.clone(),
        key: call.key.as_ref().map(|key| key.as_str().to_owned()),
        started_at: call.time,
        executed: None,
        unknown: false,
        reservation,
        approval: approval.map(str::to_owned),
        fingerprint,
    };
    tx.put_json(open_key(&open.call), &open)?;
    tx.put(twin_key(&open.agent, &fingerprint, &open.call), open.call.as_bytes());
    if let Some(key) = &open.key {
        let claim = Claim { fingerprint, call: open.call.clone(), state: ClaimState::Open };
        tx.put_json(claim_key(&open.agent, key), &claim)?;
    }
    Ok(open)
}

/// The call is not open any more.
pub(super) fn end(tx: &mut Tx<'_>, open: &Open) {
    tx.delete(open_key(&open.call));
    tx.delete(twin_key(&open.agent, &open.fingerprint, &open.call));
}

/// The key is free again.
pub(super) fn forget(tx: &mut Tx<'_>, open: &Open) {
    if let Some(key) = &open.key {
        tx.delete(claim_key(&open.agent, key));
    }
}

pub(super) fn put_answer(
    tx: &mut Tx<'_>,
    open: &Open,
    key: &str,
    sealed: Vec<u8>,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    let claim = Claim {
        fingerprint: open.fingerprint,
        call: open.call.clone(),
        state: ClaimState::Answered { sealed, expires_at },
    };
    tx.put_json(claim_key(&open.agent, key), &claim)?;
    tx.put_json(expiry_key(expires_at, &open.agent, key), &(open.agent.as_str(), key, expires_at))
}

pub(super) fn put_unknown(tx: &mut Tx<'_>, open: &Open, executed: Option<bool>) -> Result<(), StoreError> {
    tx.put_json(open_key(&open.call), &Open { unknown: true, executed, ..open.clone() })
}

/// Removes a few claims whose time is over. A claim that was made anew since then has another time and stays.
pub(super) fn drop_expired(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    let from = Key::new(Prefix::Expiry);
    let to = Key::new(Prefix::Expiry).number(now.0.saturating_add(1));
    let mut due = Vec::new();
    tx.scan(&from, &to, false, &mut |key, value| {
        due.push((key.to_vec(), serde_json::from_slice::<(String, String, Timestamp)>(value)));
        if due.len() < EXPIRED_PER_ANSWER { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    for (entry, value) in due {
        let (agent, key, at) =
            value.map_err(|error| StoreError::Damaged(format!("an expiry is not readable: {error}")))?;
        let claim_key = claim_key(&agent, &key);
        let claim: Option<Claim> = tx.get_json(&claim_key)?;
        if matches!(claim, Some(Claim { state: ClaimState::Answered { expires_at, .. }, .. }) if expires_at == at) {
            tx.delete(claim_key);
        }
        tx.delete(entry);
    }
    Ok(())
}
