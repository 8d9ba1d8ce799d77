//! The permit: made in one place, after every layer agreed and the claim is durable; spent in one place.
//!
//! [`obtain`] is the only function that makes a [`Permit`]. It takes [`Agreed`], which holds one piece of evidence from
//! each layer, and no layer's evidence can be made outside of that layer. [`crate::upstream::Upstream::call`] is the only
//! function that takes a permit, by value: a call that skips a layer, or is sent twice, does not compile.

use std::sync::Arc;

use crate::admission::Admitted;
use crate::audit::{self, Entry};
use crate::call::Call;
use crate::idempotency::{Fresh, Idempotency, Open, RunningCall, Seen};
use crate::ledger::{self, Ceiling, Due, DueError, ReserveError};
use crate::policy::Allowed;
use crate::store::keys::{Key, Prefix};
use crate::store::{Store, Tx};
use crate::verdict::Obligations;

/// The right to call an upstream once. Not `Clone`, and not to be made outside of this module:
///
/// ```compile_fail,E0451
/// fn forge(call: std::sync::Arc<portcullis::call::Call>) -> portcullis::permit::Permit {
///     portcullis::permit::Permit { call }
/// }
/// ```
///
/// ```compile_fail,E0382
/// async fn twice(upstream: portcullis::upstream::Upstream, permit: portcullis::permit::Permit) {
///     upstream.call(permit).await;
///     upstream.call(permit).await;
/// }
/// ```
///
/// Once is fine:
///
/// ```
/// async fn once(upstream: portcullis::upstream::Upstream, permit: portcullis::permit::Permit) {
///     upstream.call(permit).await;
/// }
/// ```
#[derive(Debug)]
pub struct Permit {
    call: Arc<Call>,
}

/// What every layer said. The judged call is also the evidence of identity and catalog: only they make its parts.
#[derive(Debug)]
pub struct Agreed {
    /// Admission: not too often.
    pub admitted: Admitted,
    /// Idempotency: not done yet.
    pub fresh: Fresh,
    /// Policy: a policy said yes to this call, and none no.
    pub allowed: Allowed,
}

/// A call that has begun: what is needed to end it.
#[derive(Debug)]
pub struct Begun {
    /// What the store keeps of it until then.
    pub open: Open,
    /// It runs until this is dropped.
    pub running: RunningCall,
}

/// Why there is no permit.
#[derive(Debug)]
pub enum NotPermitted {
    /// Another call was quicker.
    Seen(Seen),
    /// What the policies want charged cannot be booked.
    Due(DueError),
    /// A limit would be passed, or the store said no.
    Reserve(ReserveError),
}

/// The first commit: claims the key, reserves the money and writes STARTED, in one durable group; and only then is there
/// a permit. `started` makes the entry out of what is charged.
///
/// # Errors
/// When another call with the same key was quicker, a limit would be passed, or the store cannot commit: then nothing is
/// claimed, reserved or written.
pub async fn obtain(
    agreed: Agreed,
    ceilings: &[Ceiling],
    started: impl FnOnce(&[Due], &Obligations) -> Entry,
    idempotency: &Idempotency,
    store: &Store,
) -> Result<(Permit, Begun), NotPermitted> {
    let Agreed { admitted: _, fresh: _, allowed } = agreed;
    let (call, obligations) = (Arc::clone(allowed.call()), allowed.obligations());
    let due = ledger::due(&obligations.charges, &call.principal, ceilings).map_err(NotPermitted::Due)?;
    let entry = started(&due, obligations);
    let running = idempotency.run(call.id);
    let (layer, claimed) = (idempotency.clone(), Arc::clone(&call));
    let committed: Result<Result<Open, Seen>, ReserveError> = store
        .commit(move |tx| {
            let reserve = |tx: &mut Tx<'_>| ledger::reserve(tx, claimed.time, claimed.id, &due);
            let open = match layer.claim(tx, &claimed, reserve)? {
                Ok(open) => open,
                Err(seen) => return Ok(Err(seen)),
            };
            let passed = Key::new(Prefix::Call).text(&claimed.principal.id).number(claimed.time.0);
            tx.put(passed.bytes(&claimed.id.bytes()), claimed.tool.name.as_bytes());
            audit::append(tx, &entry)?;
            Ok(Ok(open))
        })
        .await;
    match committed {
        Ok(Ok(open)) => Ok((Permit { call }, Begun { open, running })),
        Ok(Err(seen)) => Err(NotPermitted::Seen(seen)),
        Err(error) => Err(NotPermitted::Reserve(error)),
    }
}

impl Permit {
    /// The call it permits.
    #[must_use]
    pub fn call(&self) -> &Arc<Call> {
        &self.call
    }

    /// Gives the permit up: what comes back is the call that may now be sent, once.
    #[must_use]
    pub fn spend(self) -> Arc<Call> {
        self.call
    }

    /// A permit for unit tests of the upstream layer.
    #[cfg(test)]
    #[must_use]
    pub fn for_test(call: Arc<Call>) -> Self {
        Self { call }
    }
}
