//! What policies may ask the gate for, out of the store.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::identity::Principal;
use crate::ledger::{self, Account};
use crate::limits;
use crate::policy::Facts;
use crate::store::keys::{Key, Prefix};
use crate::store::{Read, Store};

/// The facts of one call: everything is as of the call's time, for its principal.
pub(super) struct StoreFacts {
    store: Store,
    principal: Arc<Principal>,
    now: Timestamp,
}

impl StoreFacts {
    pub(super) fn new(store: Store, principal: Arc<Principal>, now: Timestamp) -> Self {
        Self { store, principal, now }
    }
}

impl Facts for StoreFacts {
    fn spent(&self, account: &Account, currency: &str, window: Duration) -> Result<String, String> {
        let account = ledger::account_name(account, &self.principal).map_err(|error| error.to_string())?;
        ledger::spent(&self.store, self.now, &account, currency, window)
            .map(|sum| sum.normalize().to_string())
            .map_err(|error| error.to_string())
    }

    fn calls(&self, window: Duration) -> Result<u64, String> {
        let since = self.now.minus(window.min(limits::WINDOW_MAX)).plus(Duration::from_millis(1));
        let (_, to) = Key::new(Prefix::Call).text(&self.principal.id).range();
        let from = Key::new(Prefix::Call).text(&self.principal.id).number(since.0);
        let mut count = 0_u64;
        self.store
            .scan(&from, &to, false, &mut |_, _| {
                count = count.saturating_add(1);
                ControlFlow::Continue(())
            })
            .map_err(|error| error.to_string())?;
        Ok(count)
    }
}
