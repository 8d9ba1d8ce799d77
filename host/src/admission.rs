//! How often: token buckets by address, before it is known who calls, and by principal and tool after.
//!
//! A call takes one token from each bucket that its limits name, or none at all. The buckets live in memory: a restart
//! fills them. What cannot be counted, because too many buckets are in use, is refused.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::clock::Clock;
use crate::identity::Principal;
use crate::refusal::{Code, Refusal};

mod bucket;
mod fold;
mod limit;
mod rate;
mod table;
#[cfg(test)]
mod tests;

pub use fold::{Fold, FoldKey, Folder};
pub use limit::{Limit, LimitError, Per, Route, ToolGlob};
pub use rate::{BadRate, Rate};
pub use table::AddressKey;

use table::{Key, Table};

/// Evidence that a call took its tokens. Only [`Admission::principal`] makes one.
#[derive(Debug)]
#[must_use]
pub struct Admitted(());

/// A bucket is empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit `{limit}` is used up for {}", self.whose())]
pub struct RateLimited {
    /// The limit's name.
    pub limit: String,
    /// Whose bucket it is.
    pub per: Per,
    /// How long until the call has its tokens, if nobody else takes them; in whole milliseconds, rounded up. For a
    /// newcomer that finds no room: when there can be room at the earliest.
    pub retry_after: Duration,
}

impl RateLimited {
    fn whose(&self) -> &'static str {
        match self.per {
            Per::Agent => "this agent",
            Per::Address => "this address",
        }
    }
}

impl From<RateLimited> for Refusal {
    fn from(limited: RateLimited) -> Self {
        let (whole, ms) = (limited.retry_after.as_secs(), limited.retry_after.subsec_millis());
        let seconds = format!("{whole}.{ms:03}");
        let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
        let message = format!("The call was not made: {limited}. Wait {seconds} s, then make the same call again.");
        Refusal::new(Code::RateLimited, message)
            .retry_after(limited.retry_after)
            .details(json!({ "limit": limited.limit }))
    }
}

/// All limits and their buckets.
#[derive(Debug)]
pub struct Admission {
    clock: Clock,
    limits: Vec<Limit>,
    /// The buckets of each limit, in the limits' order.
    tables: Mutex<Vec<Table>>,
}

impl Admission {
    /// Buckets for these limits, all full, and for those of [`Limit::defaults`] that none of these takes the place of.
    #[must_use]
    pub fn new(limits: Vec<Limit>, clock: Clock) -> Self {
        let limits = Limit::with_defaults(limits);
        let tables = limits.iter().map(|_| Table::default()).collect();
        Self { clock, limits, tables: Mutex::new(tables) }
    }

    /// Takes the tokens that a request costs its address, whoever sends it: from the limits by address that name no
    /// tools. Requests without an address, which come from this machine, share one bucket.
    ///
    /// # Errors
    /// When a bucket is empty; nothing was taken then.
    pub fn address(&self, address: Option<IpAddr>, route: Route) -> Result<(), RateLimited> {
        let address = AddressKey::new(address);
        self.take(|limit| {
            let due = limit.per == Per::Address && limit.tools.is_empty() && limit.on_route(route);
            due.then_some((limit.rate, Key::Address(address)))
        })
    }

    /// Takes the tokens that a request costs its principal: from the limits by agent, and from those by address that
    /// name its tool. A quarantined principal has buckets of its own where the limit has a rate for them.
    ///
    /// # Errors
    /// When a bucket is empty; nothing was taken then.
    pub fn principal(
        &self,
        principal: &Principal,
        tool: Option<&str>,
        route: Route,
        address: Option<IpAddr>,
    ) -> Result<Admitted, RateLimited> {
        let address = AddressKey::new(address);
        self.take(|limit| {
            if !limit.on_route(route) || !limit.on_tool(tool) {
                return None;
            }
            match (limit.per, limit.quarantined.filter(|_| principal.quarantined)) {
                (Per::Address, _) => (!limit.tools.is_empty()).then_some((limit.rate, Key::Address(address))),
                (Per::Agent, Some(rate)) => Some((rate, Key::Quarantined(principal.id.clone()))),
                (Per::Agent, None) => Some((limit.rate, Key::Principal(principal.id.clone()))),
            }
        })?;
        Ok(Admitted(()))
    }

    /// Takes a token from the bucket that `choose` names in each limit, or none at all.
    fn take(&self, choose: impl Fn(&Limit) -> Option<(Rate, Key)>) -> Result<(), RateLimited> {
        // A panic cannot leave a bucket half changed: each is one number and a time.
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.monotonic();
        let mut due = Vec::new();
        let mut refused: Option<RateLimited> = None;
        for (limit, table) in self.limits.iter().zip(tables.iter_mut()) {
            let Some((rate, key)) = choose(limit) else { continue };
            match table.wait(&key, now) {
                None => due.push((table, key, rate)),
                Some(wait) if refused.as_ref().is_none_or(|longest| wait > longest.retry_after) => {
                    refused = Some(RateLimited { limit: limit.name.clone(), per: limit.per, retry_after: wait });
                }
                Some(_) => {}
            }
        }
        match refused {
            Some(refused) => Err(refused),
            None => {
                due.into_iter().for_each(|(table, key, rate)| table.take(key, rate, now));
                Ok(())
            }
        }
    }
}
