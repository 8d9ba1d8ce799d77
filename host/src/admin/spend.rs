//! Spending: what stands on the accounts.

use std::time::Duration;

use serde_json::Value;

use super::{Admin, AdminError};
use crate::config::span;
use crate::identity::{self, RegisterError};
use crate::ledger::{self, Row};

impl Admin {
    pub(super) fn spend(&self, account: Option<&str>, window: Option<&str>) -> Result<Value, AdminError> {
        let parsed: Option<Result<Duration, _>> = window.map(span::parse);
        let span = parsed.transpose().map_err(|error| AdminError::Usage(error.to_string()))?;
        let account = account.map(|account| self.account(account)).transpose()?;
        let rows = ledger::statement(&self.store, self.clock.now(), account.as_deref(), span)?;
        Ok(rows.iter().map(Row::told).collect::<Vec<_>>().into())
    }

    /// An account by its name in the ledger, or an agent's own by the agent's name or id.
    fn account(&self, name: &str) -> Result<String, AdminError> {
        if !ledger::statement(&self.store, self.clock.now(), Some(name), None)?.is_empty() {
            return Ok(name.to_owned());
        }
        let agent = name.strip_prefix("agent:").unwrap_or(name);
        match identity::find_agent(&self.store, agent) {
            Ok(agent) => Ok(format!("agent:{}", agent.id)),
            Err(RegisterError::Unknown(_)) => {
                let name: String = name.chars().take(80).collect();
                Err(AdminError::Usage(format!(
                    "nothing was ever spent on an account `{name}`, and no agent is called so; `portcullis spend show` shows all"
                )))
            }
            Err(error) => Err(error.into()),
        }
    }
}
