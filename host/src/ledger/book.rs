//! The book itself: one line for each charge that was let through, in the store, in the order of time.

use std::ops::ControlFlow;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::due::{Bound, Due};
use super::{amount, statement};
use crate::call::CorrelationId;
use crate::clock::Timestamp;
use crate::limits;
use crate::store::keys::{Key, Prefix};
use crate::store::{Read, ReadJson, StoreError, Tx};

/// One charge in the book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What was charged.
    #[serde(with = "rust_decimal::serde::str")]
    pub amount: Decimal,
    /// The call has not ended, or its outcome is not known.
    pub held: bool,
}

/// Where the charges of one call stand in the book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation(Vec<Place>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    account: String,
    currency: String,
    at: Timestamp,
    call: String,
    number: u64,
}

impl Reservation {
    /// The accounts and currencies that it holds money on.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|place| (place.account.as_str(), place.currency.as_str()))
    }
}

impl Place {
    fn key(&self) -> Vec<u8> {
        Key::new(Prefix::Ledger)
            .text(&self.account)
            .text(&self.currency)
            .number(self.at.0)
            .text(&self.call)
            .number(self.number)
            .into()
    }
}

/// A limit that a call would pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The account.
    pub account: String,
    /// The currency of the charge.
    pub currency: String,
    /// The limit is on how many charges there are.
    pub counts: bool,
    /// How far back spending counts; none is this one call.
    pub window: Option<Duration>,
    /// The limit.
    pub limit: Decimal,
    /// What is spent or held within the window.
    pub spent: Decimal,
    /// What this call asks for.
    pub requested: Decimal,
    /// Both together.
    pub total: Decimal,
    /// When as much has left the window as this call needs; none when it never fits.
    pub resets_at: Option<Timestamp>,
}

/// Why nothing was reserved.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReserveError {
    /// A limit would be passed.
    #[error("a limit would be passed")]
    Exceeded(Box<Exceeded>),
    /// Limits would be passed that a person can agree to pass, and no other.
    #[error("a limit would be passed that a person can agree to pass")]
    Ask(Vec<Exceeded>),
    /// A sum is larger than is counted exactly.
    #[error("the sum on account `{0}` is larger than can be counted exactly")]
    Overflow(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The lines of an account in a currency since a moment (included), oldest first.
pub(super) fn lines(
    read: &dyn Read,
    account: &str,
    currency: &str,
    since: Timestamp,
    each: &mut dyn FnMut(Timestamp, Line),
) -> Result<(), StoreError> {
    let (prefix, to) = Key::new(Prefix::Ledger).text(account).text(currency).range();
    let from = Key::new(Prefix::Ledger).text(account).text(currency).number(since.0);
    let mut damaged = None;
    read.scan(&from, &to, false, &mut |key, value| {
        let at =
            key.get(prefix.len()..prefix.len() + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        match (at, serde_json::from_slice::<Line>(value)) {
            (Some(at), Ok(line)) => {
                each(Timestamp(at), line);
                ControlFlow::Continue(())
            }
            _ => {
                damaged =
                    Some(StoreError::Damaged(format!("a line of account `{account}` in {currency} is not readable")));
                ControlFlow::Break(())
            }
        }
    })?;
    damaged.map_or(Ok(()), Err)
}

/// The currencies that an account has lines in.
pub(super) fn currencies(read: &dyn Read, account: &str) -> Result<Vec<String>, StoreError> {
    let (mut from, to) = Key::new(Prefix::Ledger).text(account).range();
    let skip = from.len();
    let mut found = Vec::new();
    loop {
        let mut next = None;
        read.scan(&from, &to, false, &mut |key, _| {
            let rest = key.get(skip..).unwrap_or_default();
            next = rest.split(|byte| *byte == 0).next().map(|name| String::from_utf8_lossy(name).into_owned());
            ControlFlow::Break(())
        })?;
        match next {
            Some(currency) => {
                (_, from) = Key::new(Prefix::Ledger).text(account).text(&currency).range();
                found.push(currency);
            }
            None => return Ok(found),
        }
    }
}

/// The first moment that still counts: a line exactly one window old does not.
pub(super) fn opening(now: Timestamp, window: Duration) -> Timestamp {
    now.minus(window).plus(Duration::from_millis(1))
}

/// The time of the book: it never goes back, so a clock that does frees no money.
fn book_time(tx: &mut Tx<'_>, now: Timestamp) -> Result<Timestamp, StoreError> {
    let key: Vec<u8> = Key::new(Prefix::Meta).text("ledger-time").into();
    let last: Timestamp = tx.get_json(&key)?.unwrap_or_default();
    let at = now.max(last);
    if at > last {
        tx.put_json(key, &at)?;
    }
    Ok(at)
}

/// Checks every limit of every charge and holds the money. Nothing is written when a limit would be passed.
///
/// # Errors
/// [`ReserveError::Exceeded`] for the first limit that would be passed; when a sum cannot be counted; the store's.
pub fn reserve(tx: &mut Tx<'_>, now: Timestamp, call: CorrelationId, due: &[Due]) -> Result<Reservation, ReserveError> {
    if due.is_empty() {
        return Ok(Reservation::default());
    }
    let now = book_time(tx, now)?;
    let ask = check(tx, now, due)?;
    if !ask.is_empty() {
        return Err(ReserveError::Ask(ask));
    }
    let mut reservation = Reservation::default();
    for one in due {
        statement::remember(tx, one)?;
        for (number, amount) in (0..).zip(&one.amounts) {
            let place = Place {
                account: one.account.clone(),
                currency: one.currency.clone(),
                at: now,
                call: call.to_string(),
                number,
            };
            tx.put_json(place.key(), &Line { amount: *amount, held: true })?;
            reservation.0.push(place);
        }
    }
    Ok(reservation)
}

/// Checks every limit of every charge, and holds nothing: the limits that would be passed unless a person agrees.
///
/// # Errors
/// [`ReserveError::Exceeded`] for the first limit that would be passed; when a sum cannot be counted; the store's.
pub fn check(read: &dyn Read, now: Timestamp, due: &[Due]) -> Result<Vec<Exceeded>, ReserveError> {
    let mut ask = Vec::new();
    for one in due {
        check_one(read, now, one, &mut ask)?;
    }
    Ok(ask)
}

fn check_one(read: &dyn Read, now: Timestamp, due: &Due, ask: &mut Vec<Exceeded>) -> Result<(), ReserveError> {
    let overflow = || ReserveError::Overflow(due.account.clone());
    let longest = due.limits.iter().filter_map(|bound| bound.window).max().unwrap_or_default();
    let (mut book, mut counted) = (Vec::new(), Vec::new());
    if !longest.is_zero() {
        lines(read, &due.account, &due.currency, opening(now, longest), &mut |at, line| book.push((at, line.amount)))?;
    }
    if due.limits.iter().any(|bound| bound.counts) {
        for currency in currencies(read, &due.account)? {
            let each = &mut |at, _: Line| counted.push((at, Decimal::ONE));
            lines(read, &due.account, &currency, opening(now, longest), each)?;
        }
        counted.sort();
    }
    let requested = sum(due.amounts.iter().copied()).ok_or_else(overflow)?;
    for bound in &due.limits {
        let book = if bound.counts { &counted } else { &book };
        let requested = if bound.counts { Decimal::from(due.charges) } else { requested };
        let counted: Vec<(Timestamp, Decimal)> = match bound.window {
            Some(window) => {
                let since = opening(now, window);
                book.iter().filter(|(at, _)| *at >= since).copied().collect()
            }
            None => Vec::new(),
        };
        let spent = sum(counted.iter().map(|(_, amount)| *amount)).ok_or_else(overflow)?;
        let total = amount::add(spent, requested).ok_or_else(overflow)?;
        if total > bound.agreed.unwrap_or(bound.max).max(bound.max) {
            let exceeded = Exceeded {
                account: due.account.clone(),
                currency: due.currency.clone(),
                counts: bound.counts,
                window: bound.window,
                limit: bound.max,
                spent,
                requested,
                total,
                resets_at: resets_at(bound, &counted, total),
            };
            if bound.ask {
                ask.push(exceeded);
            } else {
                return Err(ReserveError::Exceeded(Box::new(exceeded)));
            }
        }
    }
    Ok(())
}

fn sum(amounts: impl Iterator<Item = Decimal>) -> Option<Decimal> {
    amounts.into_iter().try_fold(Decimal::ZERO, amount::add)
}

/// When enough of what is counted has left the window.
fn resets_at(bound: &Bound, counted: &[(Timestamp, Decimal)], total: Decimal) -> Option<Timestamp> {
    let window = bound.window?;
    let mut left = total;
    for (at, amount) in counted {
        left = left.checked_sub(*amount)?;
        if left <= bound.max {
            return Some(at.plus(window));
        }
    }
    None
}

/// The call went through: what was held is spent.
///
/// # Errors
/// The store's.
pub fn settle(tx: &mut Tx<'_>, reservation: &Reservation) -> Result<(), StoreError> {
    for place in &reservation.0 {
        let key = place.key();
        let line: Line = tx
            .get_json(&key)?
            .ok_or_else(|| StoreError::Damaged(format!("a reservation on account `{}` is missing", place.account)))?;
        tx.put_json(key, &Line { held: false, ..line })?;
    }
    Ok(())
}

/// The call was not executed: what was held is free again.
pub fn release(tx: &mut Tx<'_>, reservation: &Reservation) {
    for place in &reservation.0 {
        tx.delete(place.key());
    }
}

/// What is spent or held on an account in the last so long.
///
/// # Errors
/// The store's; [`ReserveError::Overflow`].
pub fn spent(
    read: &dyn Read,
    now: Timestamp,
    account: &str,
    currency: &str,
    window: Duration,
) -> Result<Decimal, ReserveError> {
    let window = window.min(limits::WINDOW_MAX);
    let mut total = Some(Decimal::ZERO);
    lines(read, account, currency, opening(now, window), &mut |_, line| {
        total = total.and_then(|sum| amount::add(sum, line.amount));
    })?;
    total.ok_or_else(|| ReserveError::Overflow(account.to_owned()))
}
