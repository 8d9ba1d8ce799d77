//! Spending: what stands on the accounts.

use serde_json::{Value, json};

use super::{Admin, AdminError};
use crate::config::span;
use crate::ledger::{self, amount};

impl Admin {
    pub(super) fn spend(&self, account: Option<String>, window: &str) -> Result<Value, AdminError> {
        let span = span::parse(window).map_err(|error| AdminError::Usage(error.to_string()))?;
        let rows = ledger::statement(&self.store, self.clock.now(), span)?;
        Ok(rows
            .into_iter()
            .filter(|(name, ..)| account.as_ref().is_none_or(|wanted| wanted == name))
            .map(|(account, currency, spent, held)| {
                let (spent, held) = (amount::show(spent, &currency), amount::show(held, &currency));
                json!({ "account": account, "currency": currency, "window": window, "spent": spent, "held": held })
            })
            .collect::<Vec<_>>()
            .into())
    }
}
