//! What stands on the accounts, beside the limits that the last charge came with.
//!
//! Limits belong to policies, and come with each charge: those of the last one are remembered for whoever asks. They are
//! told, never checked.

use std::ops::ControlFlow;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::amount;
use super::book::{currencies, lines, opening};
use super::due::Due;
use crate::clock::Timestamp;
use crate::config::span;
use crate::store::keys::{Key, Prefix};
use crate::store::{Read, ReadJson, StoreError, Tx};

/// How far back spending counts where no limit says so.
const WINDOW: Duration = Duration::from_secs(24 * 3600);

/// What stands on one account in one currency, in the last so long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The account's name, such as `agent:ag_…`.
    pub account: String,
    /// An ISO 4217 code, or `count`.
    pub currency: String,
    /// How far back.
    pub window: Duration,
    /// The lowest limit on such a window that the last charge came with.
    pub limit: Option<Decimal>,
    /// What calls that have ended have spent.
    pub spent: Decimal,
    /// What is held for calls that have not ended, or whose outcome is not known.
    pub held: Decimal,
}

impl Row {
    /// As programs read it; amounts are exact decimal numbers as text.
    #[must_use]
    pub fn told(&self) -> Value {
        let Self { account, currency, window, limit, spent, held } = self;
        json!({
            "account": account,
            "currency": currency,
            "window": span::show(*window),
            "limit": limit.map(|limit| amount::show(limit, currency)),
            "spent": amount::show(*spent, currency),
            "held": amount::show(*held, currency),
        })
    }
}

/// A limit on amounts in a rolling window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    #[serde(with = "rust_decimal::serde::str")]
    max: Decimal,
    window: Duration,
}

fn limits_key(account: &str, currency: &str) -> Vec<u8> {
    Key::new(Prefix::Limit).text(account).text(currency).into()
}

/// Remembers the limits of a charge, where they are others than the last one's.
pub(super) fn remember(tx: &mut Tx<'_>, due: &Due) -> Result<(), StoreError> {
    let mut limits: Vec<Known> = due
        .limits
        .iter()
        .filter(|bound| !bound.counts)
        .filter_map(|bound| bound.window.map(|window| Known { max: bound.max, window }))
        .collect();
    limits.sort_by_key(|known| (known.window, known.max));
    limits.dedup_by_key(|known| known.window);
    let key = limits_key(&due.account, &due.currency);
    let before: Option<Vec<Known>> = tx.get_json(&key)?;
    if before.as_ref() != Some(&limits) {
        tx.put_json(key, &limits)?;
    }
    Ok(())
}

/// What stands on the accounts, or on one of them: a row for each window that is limited, or for the one that is asked for.
///
/// # Errors
/// The store's.
pub fn statement(
    read: &dyn Read,
    now: Timestamp,
    account: Option<&str>,
    window: Option<Duration>,
) -> Result<Vec<Row>, StoreError> {
    let places: Vec<(String, String)> = match account {
        Some(account) => {
            let of = |currency| (account.to_owned(), currency);
            currencies(read, account)?.into_iter().map(of).collect()
        }
        None => places(read)?,
    };
    let mut rows = Vec::new();
    for (account, currency) in places {
        let known: Vec<Known> = read.get_json(&limits_key(&account, &currency))?.unwrap_or_default();
        let windows: Vec<Duration> = match window {
            Some(window) => vec![window],
            None if known.is_empty() => vec![WINDOW],
            None => known.iter().map(|known| known.window).collect(),
        };
        for window in windows {
            let limit = known.iter().find(|known| known.window == window).map(|known| known.max);
            let (mut spent, mut held) = (Decimal::ZERO, Decimal::ZERO);
            lines(read, &account, &currency, opening(now, window), &mut |_, line| {
                let side = if line.held { &mut held } else { &mut spent };
                *side = side.saturating_add(line.amount);
            })?;
            rows.push(Row { account: account.clone(), currency: currency.clone(), window, limit, spent, held });
        }
    }
    Ok(rows)
}

/// Every account in every currency that it has lines in.
fn places(read: &dyn Read) -> Result<Vec<(String, String)>, StoreError> {
    let (prefix, to) = Key::new(Prefix::Ledger).range();
    let mut places: Vec<(String, String)> = Vec::new();
    read.scan(&prefix, &to, false, &mut |key, _| {
        let mut parts = key.get(prefix.len()..).unwrap_or_default().split(|byte| *byte == 0);
        let mut part = || parts.next().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
        let place = (part(), part());
        if places.last() != Some(&place) {
            places.push(place);
        }
        ControlFlow::Continue(())
    })?;
    Ok(places)
}
