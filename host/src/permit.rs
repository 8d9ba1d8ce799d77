//! The permit: made in one place, after every layer agreed and the claim is durable; spent in one place.
//!
//! [`obtain`] is the only function that makes a [`Permit`]. It takes [`Agreed`], which holds one piece of evidence from
//! each layer, and no layer's evidence can be made outside of that layer. [`crate::upstream::Upstream::call`] is the only
//! function that takes a permit, by value: a call that skips a layer, or is sent twice, does not compile.

use std::sync::Arc;

use crate::admission::Admitted;
use crate::approval::{Approvals, Held};
use crate::audit::{self, Entry};
use crate::call::Call;
use crate::idempotency::{Fresh, Idempotency, Open, RunningCall, Seen};
use crate::ledger::{self, Ceiling, Due, DueError, ReserveError};
use crate::policy::{Allowed, Asked};
use crate::store::keys::{Key, Prefix};
use crate::store::{Store, StoreError, Tx};
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
    /// Policy: a policy said yes to this call, and none no; with the approval that this rests on, where it does.
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
    /// Limits would be passed that a person can agree to pass.
    Ask(Box<Asked>),
    /// The approval that it rests on was used, or ran out, meanwhile.
    Approval(String),
}

/// The layers that have a part in the first commit.
#[derive(Clone, Copy)]
pub struct Layers<'a> {
    /// Which claims the key.
    pub idempotency: &'a Idempotency,
    /// Which uses the approval.
    pub approvals: &'a Approvals,
    /// What the host itself limits.
    pub ceilings: &'a [Ceiling],
    /// Where it is made durable.
    pub store: &'a Store,
}

impl From<StoreError> for NotPermitted {
    fn from(error: StoreError) -> Self {
        Self::Reserve(error.into())
    }
}

/// The first commit: claims the key, reserves the money, uses the approval and writes STARTED, in one durable group; and
/// only then is there a permit. `started` makes the entry out of what is charged.
///
/// # Errors
/// When another call with the same key or approval was quicker, a limit would be passed, or the store cannot commit: then
/// nothing is claimed, reserved, used or written.
pub async fn obtain(
    agreed: Agreed,
    started: impl FnOnce(&[Due], &Obligations) -> Entry,
    layers: Layers<'_>,
) -> Result<(Permit, Begun), NotPermitted> {
    let Agreed { admitted: _, fresh: _, allowed } = agreed;
    let (call, obligations) = (Arc::clone(allowed.call()), allowed.obligations());
    let due = ledger::due(&obligations.charges, &call.principal, layers.ceilings).map_err(NotPermitted::Due)?;
    let entry = started(&due, obligations);
    let running = layers.idempotency.run(call.id);
    let (idempotency, approvals) = (layers.idempotency.clone(), layers.approvals.clone());
    let begun = layers.store.commit(move |tx| {
        let (call, approval) = (allowed.call(), allowed.approval());
        let reserve = |tx: &mut Tx<'_>| ledger::reserve(tx, call.time, call.id, &due);
        let open = match idempotency.claim(tx, call, approval.map(Held::id), reserve) {
            Ok(Ok(open)) => open,
            Ok(Err(seen)) => return Err(NotPermitted::Seen(seen)),
            Err(ReserveError::Ask(_)) => return Err(NotPermitted::Ask(Box::new(allowed.into_asked()))),
            Err(error) => return Err(NotPermitted::Reserve(error)),
        };
        if let Some(held) = approval
            && !approvals.use_up(tx, held, call)?
        {
            return Err(NotPermitted::Approval(held.id().to_owned()));
        }
        let passed = Key::new(Prefix::Call).text(&call.principal.id).number(call.time.0);
        tx.put(passed.bytes(&call.id.bytes()), call.tool.name.as_bytes());
        audit::append(tx, &entry)?;
        Ok(open)
    });
    let open = begun.await?;
    Ok((Permit { call }, Begun { open, running }))
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
