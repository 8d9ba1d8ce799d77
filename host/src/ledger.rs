//! Is there money left: accounts, rolling windows, reserve, settle, release.
//!
//! Every charge is checked and reserved inside one store transaction, so a limit holds under any number of parallel
//! calls. What is held counts like what is spent: an outcome that is not known frees nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whose spending a charge is added to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Account {
    /// The calling agent's.
    Agent,
    /// The agent's owner's.
    Owner,
    /// A payee's.
    Payee(String),
    /// One with a name of its own.
    Named(String),
}

/// The most that may be spent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Exactly this passes. As the policy wrote it.
    pub max: String,
    /// A currency, or `count`.
    pub unit: String,
    /// None: this one call.
    pub window: Option<Duration>,
    /// A person is asked where the limit would be passed, instead of a refusal.
    pub ask: bool,
}

/// Money that a call moves, as a policy says it: unchecked text until [`reserve`] takes it.
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
