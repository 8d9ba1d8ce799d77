//! How much may be spent: by one call, in rolling windows, and without asking a person.
//!
//! For each rule that matches the tool, the policy reads an amount and a currency from the arguments and says a charge
//! with the limits that it is under. The gate checks and reserves it at the commit, so that a limit holds under any number
//! of parallel calls. The policy never allows a call: a spending cap grants nothing.

mod settings;
mod threshold;

use portcullis_guest::{
    Account, Amount, Call, Charge, Context, Currency, CurrencyFrom, Denial, Obligations, Pointer, Policy, Problem,
    Question, Verdict, is_unseen,
};

pub use settings::Settings;
use settings::{AccountOf, Caps, Rule};

/// The policy.
pub struct SpendingCaps(Caps);

impl Policy for SpendingCaps {
    const NAME: &'static str = "spending-caps";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Charges what a call spends, under limits for one call and for rolling windows.";
    const SCHEMA: &'static str = include_str!("../settings.schema.json");
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, Vec<Problem>> {
        Caps::new(settings).map(Self)
    }

    fn evaluate(&self, call: &Call, context: &Context) -> Result<Verdict, Denial> {
        let matching = self.0.rules.iter().enumerate().filter(|(_, rule)| rule.matches(&call.tool.name));
        let spends =
            matching.map(|(index, rule)| self.spend(index, rule, call, context)).collect::<Result<Vec<_>, _>>()?;
        let question = self.0.auto_approve_under.as_ref().map(|threshold| threshold.question(&spends, call, context));
        let obligations = Obligations { charges: spends.into_iter().map(Charge::from).collect(), tags: Vec::new() };
        Ok(match question.transpose()?.flatten() {
            Some(summary) => Verdict::Ask(Question { obligations, ..Question::new(summary) }),
            None => Verdict::Pass(obligations),
        })
    }
}

/// One charge, before it is text.
struct Spend {
    id: String,
    account: Account,
    amount: Amount,
    currency: Currency,
    limits: Vec<portcullis_guest::Limit>,
}

impl From<Spend> for Charge {
    fn from(spend: Spend) -> Self {
        let money = spend.amount.of(&spend.currency);
        Self { id: spend.id, account: spend.account, money, limits: spend.limits }
    }
}

impl SpendingCaps {
    fn spend(&self, index: usize, rule: &Rule, call: &Call, context: &Context) -> Result<Spend, Denial> {
        let amount = context.amount(&rule.amount)?;
        let currency = context.currency(&rule.currency)?;
        let payee = rule.payee.as_ref().map(|pointer| payee(pointer, context)).transpose()?;
        let limits = self.0.limits(&currency).ok_or_else(|| {
            let denial = Denial::new(format!(
                "nothing may be spent in `{currency}`: the limits are in {}; use one of these",
                self.0.currencies()
            ));
            match &rule.currency {
                CurrencyFrom::Pointer(pointer) => denial.at(pointer.as_str()),
                CurrencyFrom::Const(_) => denial,
            }
        })?;
        let account = match (&rule.account, payee) {
            (AccountOf::Agent, _) => Account::Agent,
            (AccountOf::Owner, _) if call.principal.owner.is_none() => {
                return Err(Denial::new(format!(
                    "`{}` has no owner whose account could be charged; the gate's owner can register it under one",
                    call.principal.name
                )));
            }
            (AccountOf::Owner, _) => Account::Owner,
            (AccountOf::Named(name), _) => Account::Named(name.clone()),
            (AccountOf::Payee, Some(payee)) => Account::Payee(payee),
            (AccountOf::Payee, None) => {
                return Err(Denial::new("the charge has no payee, and is the payee's to account for"));
            }
        };
        Ok(Spend { id: index.to_string(), account, amount, currency, limits })
    }
}

/// Who receives. One payee must not have two accounts, so a name that another program might trim, or that looks like
/// another one, is refused.
fn payee(pointer: &Pointer, context: &Context) -> Result<String, Denial> {
    let payee = context.text(pointer)?;
    if payee.is_empty() || payee.trim() != payee || payee.contains(is_unseen) {
        return Err(Denial::new(format!(
            "the argument `{}` is refused: a payee's name is not empty, has no spaces around it and nothing that cannot be seen",
            pointer.as_str()
        ))
        .at(pointer.as_str()));
    }
    Ok(payee)
}

portcullis_guest::export!(SpendingCaps);
