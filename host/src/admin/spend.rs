//! Spending: what stands on the accounts.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Admin, AdminError};
use crate::config::span;
use crate::ledger::{self, Row, amount};

impl Admin {
    pub(super) fn spend(&self, account: Option<&str>, window: Option<&str>) -> Result<Value, AdminError> {
        let parsed: Option<Result<Duration, _>> = window.map(span::parse);
        let span = parsed.transpose().map_err(|error| AdminError::Usage(error.to_string()))?;
        let rows = ledger::statement(&self.store, self.clock.now(), account, span)?;
        Ok(rows.iter().map(shown).collect::<Vec<_>>().into())
    }
}

/// A row as programs read it; amounts are exact decimal numbers as text.
pub(crate) fn shown(row: &Row) -> Value {
    let Row { account, currency, window, limit, spent, held } = row;
    json!({
        "account": account,
        "currency": currency,
        "window": span::show(*window),
        "limit": limit.map(|limit| amount::show(limit, currency)),
        "spent": amount::show(*spent, currency),
        "held": amount::show(*held, currency),
    })
}
