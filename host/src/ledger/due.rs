//! From what policies say to charges that can be booked.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;

use super::amount::{self, BadAmount};
use super::{Account, Ceiling, Charge};
use crate::identity::Principal;
use crate::limits;

/// All that one call charges to one account in one currency, with every limit on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The account's name in the ledger, such as `agent:ag_…`.
    pub account: String,
    /// An ISO 4217 code, or `count`.
    pub currency: String,
    /// The amounts, one for each charge.
    pub amounts: Vec<Decimal>,
    /// How many charges the call makes on this account, in all currencies.
    pub charges: usize,
    /// What must not be passed.
    pub limits: Vec<Bound>,
}

/// A checked limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Exactly this passes.
    pub max: Decimal,
    /// It limits how many charges there are, not their amounts.
    pub counts: bool,
    /// How far back spending counts; none is this one call.
    pub window: Option<Duration>,
    /// A person is asked where it would be passed.
    pub ask: bool,
    /// A person has agreed that the call passes it as far as this.
    pub agreed: Option<Decimal>,
}

/// Charges that cannot be booked.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum DueError {
    /// A policy said an amount that is none.
    #[error("a charge or its limit is malformed: {0}")]
    Amount(#[from] BadAmount),
    /// A policy said a window that is longer than is kept.
    #[error("a limit's window of {0:?} is longer than {max:?}", max = limits::WINDOW_MAX)]
    Window(Duration),
    /// Not a currency.
    #[error("`{0}` is not a currency: an upper-case code of ISO 4217 is needed, such as `EUR`")]
    Currency(String),
    /// An account without a name, or with characters no name has.
    #[error("an account needs a name of 1 to 200 characters without control characters")]
    Account,
    /// No limit in the charge's own currency: it could grow without end.
    #[error("no limit covers {currency} on account `{account}`, so nothing may be spent on it in {currency}")]
    Uncovered {
        /// The account.
        account: String,
        /// The currency.
        currency: String,
    },
}

/// The name an account has in the ledger. The kinds cannot be confused: no payee's name leads to another's account.
///
/// # Errors
/// When the account has no usable name.
pub fn account_name(account: &Account, principal: &Principal) -> Result<String, DueError> {
    let checked = |text: &str| {
        let fine = !text.is_empty() && text.chars().count() <= 200 && !text.chars().any(char::is_control);
        if fine { Ok(text.to_owned()) } else { Err(DueError::Account) }
    };
    Ok(match account {
        Account::Agent => format!("agent:{}", principal.id),
        Account::Owner => match &principal.owner {
            Some(owner) => format!("owner:{}", checked(owner)?),
            None => format!("agent:{}", principal.id),
        },
        Account::Payee(payee) => format!("payee:{}", checked(payee)?),
        Account::Named(text) => format!("account:{}", checked(text)?),
    })
}

fn ceiling_holds(ceiling: &Ceiling, account: &Account) -> bool {
    match account {
        Account::Agent => ceiling.account == "agent",
        Account::Owner => ceiling.account == "owner",
        Account::Payee(_) => ceiling.account == "payee",
        Account::Named(name) => ceiling.account == *name,
    }
}

/// Checks and merges the charges of one call: the same (account, currency, id) is one charge, the largest amount under
/// all the limits; different ids add up. A ceiling of the host's is one limit more; it covers nothing by itself.
///
/// # Errors
/// When a charge is malformed or not covered by a limit in its own currency.
pub fn due(charges: &[Charge], principal: &Principal, ceilings: &[Ceiling]) -> Result<Vec<Due>, DueError> {
    let mut merged: BTreeMap<(String, String), BTreeMap<&str, Decimal>> = BTreeMap::new();
    let mut bounds: BTreeMap<(String, String), Vec<Bound>> = BTreeMap::new();
    for charge in charges {
        if !amount::is_unit(&charge.currency) {
            return Err(DueError::Currency(charge.currency.chars().take(32).collect()));
        }
        let value = amount::parse(&charge.amount)?;
        let place = (account_name(&charge.account, principal)?, charge.currency.clone());
        let mut covered = false;
        let limits = bounds.entry(place.clone()).or_default();
        for limit in &charge.limits {
            if limit.window.is_some_and(|window| window > limits::WINDOW_MAX || window.is_zero()) {
                return Err(DueError::Window(limit.window.unwrap_or_default()));
            }
            let counts = limit.counts(&charge.currency);
            if limit.unit == charge.currency || counts {
                covered |= limit.unit == charge.currency;
                let agreed = limit.agreed.as_deref().map(amount::parse).transpose()?;
                let max = amount::parse(&limit.max)?;
                let bound = Bound { max, counts, window: limit.window, ask: limit.ask, agreed };
                if !limits.contains(&bound) {
                    limits.push(bound);
                }
            }
        }
        if !covered {
            return Err(DueError::Uncovered { account: place.0, currency: place.1 });
        }
        for ceiling in ceilings.iter().filter(|ceiling| ceiling_holds(ceiling, &charge.account)) {
            let counts = ceiling.currency == amount::COUNT && charge.currency != amount::COUNT;
            let bound = Bound { max: ceiling.max, counts, window: ceiling.window, ask: false, agreed: None };
            if (ceiling.currency == charge.currency || counts) && !limits.contains(&bound) {
                limits.push(bound);
            }
        }
        let largest = merged.entry(place).or_default().entry(&charge.id).or_default();
        *largest = value.max(*largest);
    }
    let mut charges: BTreeMap<String, usize> = BTreeMap::new();
    for ((account, _), by_id) in &merged {
        *charges.entry(account.clone()).or_default() += by_id.len();
    }
    Ok(merged
        .into_iter()
        .map(|(place, by_id)| {
            let limits = bounds.remove(&place).unwrap_or_default();
            let count = charges.get(&place.0).copied().unwrap_or_default();
            Due { account: place.0, currency: place.1, amounts: by_id.into_values().collect(), charges: count, limits }
        })
        .collect())
}
