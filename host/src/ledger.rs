//! Is there money left: accounts, rolling windows, reserve, settle, release.
//!
//! Every charge is checked and reserved inside one store transaction, so a limit holds under any number of parallel
//! calls. What is held counts like what is spent: an outcome that is not known frees nothing.
//!
//! 1. [`due`] turns what policies said into checked, merged charges with the host's ceilings on top.
//! 2. [`reserve`] checks every limit and holds the money.
//! 3. [`settle`] or [`release`] ends the reservation, together with the call.

use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub mod amount;
mod book;
mod due;
mod statement;
#[cfg(test)]
mod tests;

pub use book::{Exceeded, Line, Reservation, ReserveError, check, release, reserve, settle, spent};
pub use due::{Due, DueError, account_name, due};
pub use statement::{Row, statement};

/// Whose spending a charge is added to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Account {
    /// The calling agent's.
    Agent,
    /// The agent's owner's: all the agents of one owner share it. An agent without an owner has its own.
    Owner,
    /// That of whoever receives.
    Payee(String),
    /// One with a name of its own.
    Named(String),
}

/// The most that may be spent, as a policy says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Exactly this passes. A decimal number.
    pub max: String,
    /// A currency, or `count`: how many charges there were.
    pub unit: String,
    /// How far back spending counts; none is this one call.
    pub window: Option<Duration>,
    /// A person is asked where the limit would be passed, instead of a refusal.
    pub ask: bool,
    /// A person has agreed that this call passes it, as far as this. A decimal number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed: Option<String>,
}

impl Limit {
    /// Whether it limits how many charges there are, not their amounts in this currency.
    #[must_use]
    pub fn counts(&self, currency: &str) -> bool {
        self.unit == amount::COUNT && currency != amount::COUNT
    }
}

/// Money that a call moves, as a policy says it: unchecked text until [`due`] takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Charges of one call with the same account, currency and id are one.
    pub id: String,
    /// Whose spending it is.
    pub account: Account,
    /// A decimal number.
    pub amount: String,
    /// An ISO 4217 code, or `count`.
    pub currency: String,
    /// What must not be passed.
    pub limits: Vec<Limit>,
}

/// A limit that the host holds, whatever policies say (`[[ceiling]]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// `agent`, `owner`, `payee` (each one's own), or the name of one account.
    pub account: String,
    /// Exactly this passes.
    pub max: Decimal,
    /// An ISO 4217 code, or `count`.
    pub currency: String,
    /// How far back spending counts; none is one call.
    pub window: Option<Duration>,
}
