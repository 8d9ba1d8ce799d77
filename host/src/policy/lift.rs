//! What a policy said, checked: a verdict that passes no bound. Everything else is nonsense, and refuses.

use std::time::Duration;

use super::guest::portcullis::policy::types;
use super::limits;
use crate::json;
use crate::ledger::{Account, Charge, Limit};
use crate::verdict::{Denial, Obligations, Question, Verdict};

/// Something in a verdict that no policy has reason to say.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Nonsense {
    #[error("the {0} of its verdict has {1} bytes, more than the {2} allowed")]
    TooLong(&'static str, usize, usize),
    #[error("its verdict has {1} {0}, more than the {2} allowed")]
    TooMany(&'static str, usize, usize),
    #[error("the window of a limit in its verdict is {0} ms: 1 ms to 366 days are allowed")]
    Window(u64),
    #[error("the pointer of its verdict is none: {0}")]
    Pointer(#[from] json::PointerError),
    #[error("its verdict asks a person without saying what")]
    EmptyQuestion,
    #[error("its verdict asks a person and gives no time to answer")]
    NoTime,
}

/// Checks a verdict.
pub(super) fn verdict(said: types::Verdict) -> Result<Verdict, Nonsense> {
    Ok(match said {
        types::Verdict::Deny(said) => Verdict::Deny(denial(said)?),
        types::Verdict::Ask(said) => Verdict::Ask(question(said)?),
        types::Verdict::Allow(said) => Verdict::Allow(obligations(said)?),
        types::Verdict::Pass(said) => Verdict::Pass(obligations(said)?),
    })
}

fn denial(said: types::Denial) -> Result<Denial, Nonsense> {
    if let Some(pointer) = &said.pointer {
        bounded("pointer", pointer, limits::POINTER_BYTES_MAX)?;
        json::pointer_tokens(pointer)?;
    }
    bounded("reason", &said.reason, limits::SENTENCE_BYTES_MAX)?;
    Ok(Denial { reason: said.reason, pointer: said.pointer, tags: tags(said.tags)? })
}

fn question(said: types::Question) -> Result<Question, Nonsense> {
    bounded("summary", &said.summary, limits::SENTENCE_BYTES_MAX)?;
    if said.summary.trim().is_empty() {
        return Err(Nonsense::EmptyQuestion);
    }
    if said.expires_s == Some(0) {
        return Err(Nonsense::NoTime);
    }
    Ok(Question {
        summary: said.summary,
        expires_s: said.expires_s,
        quorum: said.quorum.max(1),
        obligations: obligations(said.obligations)?,
    })
}

fn obligations(said: types::Obligations) -> Result<Obligations, Nonsense> {
    counted("charges", said.charges.len(), limits::CHARGES_MAX)?;
    let charges = said.charges.into_iter().map(charge).collect::<Result<_, _>>()?;
    Ok(Obligations { charges, tags: tags(said.tags)? })
}

fn charge(said: types::Charge) -> Result<Charge, Nonsense> {
    bounded("charge's id", &said.id, limits::NAME_BYTES_MAX)?;
    bounded("charge's amount", &said.money.amount, limits::AMOUNT_BYTES_MAX)?;
    bounded("charge's currency", &said.money.currency, limits::NAME_BYTES_MAX)?;
    counted("limits of a charge", said.limits.len(), limits::CHARGE_LIMITS_MAX)?;
    let account = match said.account {
        types::Account::Agent => Account::Agent,
        types::Account::Owner => Account::Owner,
        types::Account::Payee(name) => {
            bounded("charge's payee", &name, limits::NAME_BYTES_MAX)?;
            Account::Payee(name)
        }
        types::Account::Named(name) => {
            bounded("charge's account", &name, limits::NAME_BYTES_MAX)?;
            Account::Named(name)
        }
    };
    Ok(Charge {
        id: said.id,
        account,
        amount: said.money.amount,
        currency: said.money.currency,
        limits: said.limits.into_iter().map(limit).collect::<Result<_, _>>()?,
    })
}

fn limit(said: types::Limit) -> Result<Limit, Nonsense> {
    bounded("limit's amount", &said.max, limits::AMOUNT_BYTES_MAX)?;
    bounded("limit's unit", &said.unit, limits::NAME_BYTES_MAX)?;
    let window = match said.span {
        types::Span::PerTransaction => None,
        types::Span::RollingMs(ms) => {
            let window = Duration::from_millis(ms);
            if window.is_zero() || window > crate::limits::WINDOW_MAX {
                return Err(Nonsense::Window(ms));
            }
            Some(window)
        }
    };
    let ask = matches!(said.exceed, types::Exceed::Ask);
    Ok(Limit { max: said.max, unit: said.unit, window, ask, agreed: None })
}

fn tags(said: Vec<String>) -> Result<Vec<String>, Nonsense> {
    counted("tags", said.len(), limits::TAGS_MAX)?;
    said.iter().try_for_each(|tag| bounded("tag", tag, limits::TAG_BYTES_MAX))?;
    Ok(said)
}

fn bounded(what: &'static str, text: &str, max: usize) -> Result<(), Nonsense> {
    if text.len() > max { Err(Nonsense::TooLong(what, text.len(), max)) } else { Ok(()) }
}

fn counted(what: &'static str, count: usize, max: usize) -> Result<(), Nonsense> {
    if count > max { Err(Nonsense::TooMany(what, count, max)) } else { Ok(()) }
}

/// Cuts a text to a number of bytes, at a character's end.
pub(super) fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}
