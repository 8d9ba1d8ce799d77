//! The permit: made in one place, after every layer agreed and the claim is durable; spent in one place.

use std::sync::Arc;

use crate::call::Call;

/// The right to call an upstream once. Not `Clone`, not to be made outside of this module.
#[derive(Debug)]
pub struct Permit {
    call: Arc<Call>,
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
