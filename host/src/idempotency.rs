//! Has this been done: claim, replay, conflict, unknown outcome.
//!
//! A call is claimed in the same transaction that reserves its money and writes STARTED to the audit log. While it runs
//! its claim is *open*; that it is in flight is known in memory only, so after a restart every open claim is unknown.
//! An unknown outcome is never executed again by itself: it stays until the owner resolves it.
//!
//! The scope is the agent: all its credentials share its keys. Only a call with a permit claims its key.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::call::{Call, CorrelationId, IdempotencyKey};
use crate::clock::Timestamp;
use crate::config::IdempotencyRule;
use crate::ledger::Reservation;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::seal::StoreKey;
use crate::store::{Read, StoreError, Tx};

mod record;
#[cfg(test)]
mod tests;

use record::{Claim, ClaimState};
pub use record::{Open, is_open, open_calls};

/// What is known of a call like this one.
#[derive(Debug)]
pub enum Seen {
    /// Nothing: it may be claimed.
    Fresh(Fresh),
    /// It was answered: the first call's id and what was kept.
    Answered(String, Kept),
    /// The key belongs to another call.
    Conflict,
    /// The first call has not ended.
    InFlight(String),
    /// The first call's outcome is not known.
    Unknown(String, Option<bool>),
}

/// Evidence that nothing was known of a call. Only [`Idempotency::look`] makes one, and a permit needs one.
#[derive(Debug)]
pub struct Fresh {
    fingerprint: [u8; 32],
}

/// What is kept of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// The tool's result.
    Result {
        /// The JSON text of the result.
        result: String,
        /// The tool says that it failed.
        is_error: bool,
    },
    /// The upstream's protocol error.
    Error {
        /// The JSON-RPC error code.
        code: i64,
        /// The upstream's message.
        message: String,
    },
    /// There was an answer, which nobody has: an owner found out that the call was executed.
    Resolved,
    /// Only the digest of an answer that was too large to keep.
    TooLarge {
        /// How large it was.
        bytes: usize,
        /// `sha256:` and the hexadecimal digest.
        digest: String,
    },
}

/// The calls that are running in this process.
#[derive(Clone, Debug, Default)]
struct Running(Arc<Calls>);

#[derive(Debug, Default)]
struct Calls {
    ids: Mutex<HashSet<String>>,
    ended: Notify,
}

/// One running call; it stops running when this is dropped.
#[derive(Debug)]
pub struct RunningCall {
    all: Running,
    id: String,
}

impl Running {
    fn ids(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, id: &str) -> bool {
        self.ids().contains(id)
    }

    fn start(&self, id: CorrelationId) -> RunningCall {
        let id = id.to_string();
        self.ids().insert(id.clone());
        RunningCall { all: self.clone(), id }
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        self.all.ids().remove(&self.id);
        self.all.0.ended.notify_waiters();
    }
}

/// The layer.
#[derive(Clone)]
pub struct Idempotency {
    key: Arc<StoreKey>,
    running: Running,
}

impl Idempotency {
    /// The layer, with the key that fingerprints and sealed answers are made with.
    #[must_use]
    pub fn new(key: Arc<StoreKey>) -> Self {
        Self { key, running: Running::default() }
    }

    /// Gives a call the key that its tool's rule wants.
    ///
    /// # Errors
    /// `invalid_arguments` where a key is required and there is none.
    pub fn with_key(&self, call: Call) -> Result<Call, Refusal> {
        match (call.tool.idempotency, &call.key) {
            (IdempotencyRule::Required, None) => Err(Refusal::new(
                Code::InvalidArguments,
                format!(
                    "`{}` needs an idempotency key, so that it is never done twice; send one in the header `Idempotency-Key` or \
                     in `_meta` as `dev.portcullis/idempotency-key`",
                    call.tool.name
                ),
            )),
            (IdempotencyRule::Derive, None) => {
                let key = IdempotencyKey::derived(&self.fingerprint(&call));
                Ok(Call { key: Some(key), ..call })
            }
            _ => Ok(call),
        }
    }

    /// A call starts to run. Before its claim is made: an open claim of a call that is not running is unknown.
    #[must_use]
    pub fn run(&self, id: CorrelationId) -> RunningCall {
        self.running.start(id)
    }

    /// Whether the call with this id is running.
    #[must_use]
    pub fn is_running(&self, id: &str) -> bool {
        self.running.has(id)
    }

    /// Returns when no call is running.
    pub async fn idle(&self) {
        loop {
            let ended = self.running.0.ended.notified();
            if self.running.ids().is_empty() {
                return;
            }
            ended.await;
        }
    }

    /// What is known of a call like this one.
    ///
    /// # Errors
    /// The store's.
    pub fn look(&self, read: &dyn Read, call: &Call) -> Result<Seen, StoreError> {
        let fingerprint = self.fingerprint(call);
        let agent = &call.principal.id;
        if let Some(key) = &call.key {
            if let Some(claim) = record::claim(read, agent, key, call.time)? {
                return self.seen(read, call, claim, fingerprint);
            }
        } else if !call.tool.idempotent
            && let Some(open) = record::twin(read, agent, &fingerprint)?
        {
            return self.twin(read, open, fingerprint);
        }
        Ok(Seen::Fresh(Fresh { fingerprint }))
    }

    fn seen(&self, read: &dyn Read, call: &Call, claim: Claim, fingerprint: [u8; 32]) -> Result<Seen, StoreError> {
        if claim.fingerprint != fingerprint {
            return Ok(Seen::Conflict);
        }
        match &claim.state {
            ClaimState::Answered { sealed, .. } => self.unseal(call, &claim.call, sealed),
            ClaimState::Open if self.running.has(&claim.call) => Ok(Seen::InFlight(claim.call)),
            ClaimState::Open => {
                // It may have ended between the two looks: its claim is answered before it stops running.
                let again = match &call.key {
                    Some(key) => record::claim(read, &call.principal.id, key, call.time)?,
                    None => None,
                };
                match again {
                    Some(Claim { state: ClaimState::Answered { sealed, .. }, call: first, .. }) => {
                        self.unseal(call, &first, &sealed)
                    }
                    Some(claim) if self.running.has(&claim.call) => Ok(Seen::InFlight(claim.call)),
                    Some(claim) => {
                        let open = record::open(read, &claim.call)?;
                        let executed = open.as_ref().and_then(|open| open.executed);
                        let open = open.map_or_else(|| (claim.call.clone(), executed), |open| (open.call, executed));
                        Ok(self.lost(open, call, Fresh { fingerprint }))
                    }
                    // Released: it was not executed.
                    None => Ok(Seen::Fresh(Fresh { fingerprint })),
                }
            }
        }
    }

    fn twin(&self, read: &dyn Read, open: Open, fingerprint: [u8; 32]) -> Result<Seen, StoreError> {
        if self.running.has(&open.call) {
            return Ok(Seen::InFlight(open.call));
        }
        // It may have ended between the two looks: what is open then is gone before it stops running.
        Ok(match record::open(read, &open.call)? {
            Some(open) => Seen::Unknown(open.call, open.executed),
            None => Seen::Fresh(Fresh { fingerprint }),
        })
    }

    /// A tool that is declared idempotent may be called again.
    #[expect(clippy::unused_self, reason = "reads as a question to the layer, like its neighbours")]
    fn lost(&self, open: (String, Option<bool>), call: &Call, fresh: Fresh) -> Seen {
        if call.tool.idempotent { Seen::Fresh(fresh) } else { Seen::Unknown(open.0, open.1) }
    }

    /// Two calls with the same fingerprint are the same call: same tool, same canonical arguments. Keyed, so that the
    /// store's file does not give arguments away to whoever guesses them.
    fn fingerprint(&self, call: &Call) -> [u8; 32] {
        self.key.mac("fingerprint", &[call.tool.name.as_bytes(), call.arguments.canonical().as_bytes()])
    }

    fn unseal(&self, call: &Call, first: &str, sealed: &[u8]) -> Result<Seen, StoreError> {
        let damaged = || StoreError::Damaged(format!("the answer kept for call `{first}` cannot be opened"));
        let aad = [call.principal.id.as_bytes(), b"\0", first.as_bytes()].concat();
        let plain = self.key.open("answer", &aad, sealed).map_err(|_| damaged())?;
        let kept = serde_json::from_slice(&plain).map_err(|_| damaged())?;
        Ok(Seen::Answered(first.to_owned(), kept))
    }

    /// Claims a call that uses this approval, in the transaction that permits it. What is known is looked at again: another
    /// call may have been quicker.
    ///
    /// # Errors
    /// The store's.
    pub fn claim(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        approval: Option<&str>,
        reservation: impl FnOnce(&mut Tx<'_>) -> Result<Reservation, crate::ledger::ReserveError>,
    ) -> Result<Result<Open, Seen>, crate::ledger::ReserveError> {
        let fresh = match self.look(tx, call)? {
            Seen::Fresh(fresh) => fresh,
            seen => return Ok(Err(seen)),
        };
        // Only a tool that is declared idempotent gets here over a call whose outcome is not known: this one takes its
        // place, money and all.
        let lost = record::lost(tx, call, &fresh.fingerprint)?;
        for lost in lost.into_iter().filter(|lost| !self.running.has(&lost.call)) {
            record::end(tx, &lost);
            crate::ledger::release(tx, &lost.reservation);
        }
        let reservation = reservation(tx)?;
        Ok(Ok(record::put_open(tx, call, fresh.fingerprint, reservation, approval)?))
    }

    /// The call was answered: the answer is kept under its key for [`limits::IDEMPOTENCY_TTL`].
    ///
    /// # Errors
    /// The store's.
    pub fn answered(&self, tx: &mut Tx<'_>, open: &Open, kept: &Kept, now: Timestamp) -> Result<(), StoreError> {
        record::end(tx, open);
        let Some(key) = &open.key else { return Ok(()) };
        let failed =
            |what: &str| StoreError::Unwritable(format!("the answer of call `{}` cannot be {what}", open.call));
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(kept).map_err(|_| failed("written down"))?);
        let aad = [open.agent.as_bytes(), b"\0", open.call.as_bytes()].concat();
        let sealed = self.key.seal("answer", &aad, &plain).map_err(|_| failed("sealed"))?;
        record::put_answer(tx, open, key, sealed, now.plus(limits::IDEMPOTENCY_TTL))?;
        record::drop_expired(tx, now)
    }

    /// An owner has found out that the call was executed: a retry is told so, and its answer is not known.
    ///
    /// # Errors
    /// The store's.
    pub fn resolved(&self, tx: &mut Tx<'_>, open: &Open, now: Timestamp) -> Result<(), StoreError> {
        self.answered(tx, open, &Kept::Resolved, now)
    }

    /// The call was not executed: it may come again.
    pub fn released(&self, tx: &mut Tx<'_>, open: &Open) {
        record::end(tx, open);
        record::forget(tx, open);
    }

    /// The outcome is not known: the claim stays. `executed` where the tool is known to have run.
    ///
    /// # Errors
    /// The store's.
    pub fn unknown(&self, tx: &mut Tx<'_>, open: &Open, executed: Option<bool>) -> Result<(), StoreError> {
        record::put_unknown(tx, open, executed)
    }
}
