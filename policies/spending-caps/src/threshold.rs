//! What passes without a question.

use portcullis_guest::{Amount, Call, Context, Currency, Denial, Window};
use serde::Deserialize;

use crate::Spend;

/// Amounts strictly under this pass, others are asked about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The smallest amount that is asked about.
    pub amount: Amount,
    /// Its currency. Amounts in another one are always asked about.
    pub currency: Currency,
    /// Count what was spent in this window too, so that splitting an amount does not get around the question.
    pub window: Option<Window>,
}

impl Threshold {
    /// What a person is asked about the call, if anything.
    pub(crate) fn question(&self, spends: &[Spend], call: &Call, context: &Context) -> Result<Option<String>, Denial> {
        for spend in spends {
            let who = format!("`{}` wants to spend {} {}", call.principal.name, spend.amount, spend.currency);
            let how = format!("{who} with `{}`", call.tool.name);
            if spend.currency != self.currency {
                return Ok(Some(format!("{how}; only amounts in {} pass unasked", self.currency)));
            }
            if self.total(spend, spends, context)? >= self.amount {
                let within = self.window.map(|window| format!(" in {window}")).unwrap_or_default();
                return Ok(Some(format!("{how}; less than {} {}{within} passes unasked", self.amount, self.currency)));
            }
        }
        Ok(None)
    }

    /// What the call charges the account of one of its charges in that currency, with what was spent in the window.
    fn total(&self, spend: &Spend, spends: &[Spend], context: &Context) -> Result<Amount, Denial> {
        let before = match self.window {
            Some(window) => context.spent(&spend.account, &self.currency, window)?,
            None => Amount::ZERO,
        };
        let same = |other: &&Spend| other.account == spend.account && other.currency == spend.currency;
        spends
            .iter()
            .filter(same)
            .try_fold(before, |sum, other| sum.checked_add(other.amount))
            .ok_or_else(|| Denial::new("the amounts are too large to be added up exactly; spend less at once"))
    }
}
