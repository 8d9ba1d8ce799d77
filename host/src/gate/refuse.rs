//! Refusals of the gate's own, and how they get into the audit log.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::trail::Trail;
use super::{Gate, Refused, refusal};
use crate::admission::{AddressKey, Fold, FoldKey};
use crate::audit::{self, mask};
use crate::call::{CorrelationId, Origin};
use crate::config::span;
use crate::identity::Principal;
use crate::ledger::{DueError, Exceeded, ReserveError, amount};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::StoreError;

/// How long a caller waits before it tries a store again that could not commit.
const STORE_RETRY: Duration = Duration::from_secs(5);

/// A new correlation id; without randomness there is no id, and without an id no call.
pub(super) fn correlation_id() -> Result<CorrelationId, Box<Refused>> {
    CorrelationId::random().map_err(|error| {
        let refusal =
            refusal(Code::Overloaded, "the gate has no randomness for a correlation id; try again").private(error);
        Box::new(Refused { correlation_id: CorrelationId::NONE, refusal, replayed: false })
    })
}

pub(super) fn unauthenticated(given: bool) -> Refusal {
    let what = if given { "the credential is not valid, or not any more" } else { "there is no credential" };
    refusal(
        Code::Unauthenticated,
        format!("{what}; send `Authorization: Bearer pk_…` with an API key that the gate's owner made"),
    )
}

pub(super) fn store(error: &StoreError) -> Refusal {
    refusal(Code::StoreUnavailable, "the gate cannot make anything durable now, so nothing was done; try again later")
        .retry_after(STORE_RETRY)
        .private(error)
}

/// `executed`: whether the tool is known to have run.
pub(super) fn unknown_outcome(executed: Option<bool>, why: &str) -> Refusal {
    let ran = if executed == Some(true) { "the tool ran" } else { "the tool may have run" };
    refusal(
        Code::OutcomeUnknown,
        format!(
            "{ran}, but its outcome is not known: {why}; it is not executed again until the gate's owner has resolved it"
        ),
    )
    .details(json!({ "executed": executed }))
}

pub(super) fn due(error: &DueError) -> Refusal {
    match error {
        DueError::Amount(_) | DueError::Window(_) | DueError::Account => {
            refusal(Code::PolicyFault, "a policy asked for a charge that cannot be booked, so the call was not made")
                .private(error)
        }
        DueError::Currency(_) | DueError::Uncovered { .. } => {
            refusal(Code::Denied, format!("the call was not made: {error}"))
        }
    }
}

pub(super) fn reserve(error: &ReserveError) -> Refusal {
    match error {
        ReserveError::Exceeded(exceeded) => cap(exceeded),
        ReserveError::Ask(exceeded) => exceeded.first().map_or_else(room_again, cap),
        ReserveError::Overflow(_) => refusal(Code::Denied, format!("the call was not made: {error}")),
        ReserveError::Store(error) => store(error),
    }
}

/// A limit was in the way a moment ago, and is not any more.
pub(super) fn room_again() -> Refusal {
    refusal(Code::Overloaded, "what is left to spend has just changed, so the call was not made: repeat it")
        .retry_after(limits::RETRY_IN_PROGRESS)
}

/// What a person is asked where a call would pass a limit.
pub(super) fn limit_passed(exceeded: &Exceeded) -> String {
    let unit = if exceeded.counts { "charges" } else { &exceeded.currency };
    let shown = |value| amount::show(value, unit);
    let span = exceeded.window.map_or_else(|| "for one call".to_owned(), |window| format!("in {}", span::show(window)));
    format!(
        "pass the limit of {} {unit} {span} on account `{}`: {} is spent or held, this call asks for {}",
        shown(exceeded.limit),
        exceeded.account,
        shown(exceeded.spent),
        shown(exceeded.requested)
    )
}

fn cap(exceeded: &Exceeded) -> Refusal {
    let unit = if exceeded.counts { "charges" } else { &exceeded.currency };
    let so_far = exceeded
        .window
        .map_or_else(String::new, |_| format!("{} is spent or held and ", amount::show(exceeded.spent, unit)));
    let shown = |value| amount::show(value, unit);
    let window = exceeded.window.map_or_else(|| "transaction".to_owned(), span::show);
    let span = exceeded.window.map_or_else(|| "for one call".to_owned(), |window| format!("in {}", span::show(window)));
    let when = match (exceeded.resets_at, exceeded.window) {
        (Some(at), _) => format!("it fits again at {at}"),
        (None, Some(_)) => "it never fits: ask for less".to_owned(),
        (None, None) => "ask for less".to_owned(),
    };
    let account = &exceeded.account;
    let (limit, spent, requested) = (shown(exceeded.limit), shown(exceeded.spent), shown(exceeded.requested));
    refusal(
        Code::CapExceeded,
        format!(
            "the limit of {limit} {unit} {span} on account `{account}` would be passed: {so_far}this call asks for \
             {requested}; {when}"
        ),
    )
    .details(json!({
        "account": account,
        "currency": exceeded.currency,
        "unit": unit,
        "window": window,
        "limit": limit,
        "spent": spent,
        "requested": requested,
        "resets_at": exceeded.resets_at.map(|at| at.to_string()),
    }))
}

impl Gate {
    /// A call was refused before it began: that is written down too.
    pub(super) async fn refuse(&self, trail: Trail, refusal: Refusal, replayed: bool) -> Box<Refused> {
        tracing::info!(
            correlation_id = %trail.id,
            code = refusal.code.as_str(),
            private = refusal.private.as_deref().map(mask::text),
            "refused: {}",
            mask::text(&refusal.message)
        );
        let repeats = match (refusal.code, trail.principal_id()) {
            (Code::RateLimited, Some(id)) => self.fold(FoldKey::Principal(id.to_owned()), refusal.code),
            _ => Some(0),
        };
        if let Some(repeats) = repeats {
            self.write_down(trail.refused(&refusal, repeats)).await;
        }
        Box::new(Refused { correlation_id: trail.id, refusal, replayed })
    }

    /// Somebody without a principal was refused.
    pub(super) async fn turn_away(&self, address: Option<IpAddr>, refusal: Refusal) -> Box<Refused> {
        let correlation_id = match correlation_id() {
            Ok(id) => id,
            Err(refused) => return refused,
        };
        let whose = FoldKey::Address(AddressKey::new(address));
        if refusal.code != Code::StoreUnavailable
            && let Some(repeats) = self.fold(whose, refusal.code)
        {
            let trail = Trail::stranger(correlation_id, self.clock.now(), address);
            self.write_down(trail.refused(&refusal, repeats)).await;
        }
        Box::new(Refused { correlation_id, refusal, replayed: false })
    }

    /// A question that is no call, such as a listing of tools, was refused.
    pub(super) async fn refuse_question(
        &self,
        what: &str,
        who: &Arc<Principal>,
        origin: Origin,
        refusal: Refusal,
    ) -> Box<Refused> {
        match correlation_id() {
            Ok(id) => self.refuse(Trail::question(id, self.clock.now(), what, who, origin), refusal, false).await,
            Err(refused) => refused,
        }
    }

    /// How many refusals like this one were only counted before it, or none where this one is only counted, too.
    fn fold(&self, whose: FoldKey, code: Code) -> Option<u64> {
        match self.folder.fold(whose, code, self.clock.monotonic()) {
            Fold::Write { repeats } => Some(repeats),
            Fold::Count => None,
        }
    }

    /// Writes down how many refusals were only counted in minutes that are over. Called every so often; at the end,
    /// `all` of them.
    pub async fn write_folded(&self, all: bool) {
        let now = if all { Duration::MAX } else { self.clock.monotonic() };
        for (whose, code, count) in self.folder.drain_due(now) {
            if let Ok(id) = correlation_id() {
                self.write_down(Trail::folded(id, self.clock.now(), &whose, code, count)).await;
            }
        }
    }

    /// An entry of its own. The caller was refused anyway: where it cannot be written, the log says so.
    async fn write_down(&self, entry: audit::Entry) {
        let written: Result<u64, StoreError> = self.store.commit(move |tx| audit::append(tx, &entry)).await;
        if let Err(error) = written {
            tracing::error!(%error, "a refusal could not be written to the audit log");
        }
    }
}
