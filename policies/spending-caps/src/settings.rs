//! The settings: what counts as spending, and how much of it there may be.

use portcullis_guest::{Amount, Currency, CurrencyFrom, Exceed, Glob, Limit, Pointer, Problem, Span, Window};
use serde::{Deserialize, Deserializer, de};

use crate::threshold::Threshold;

/// The unit of limits on how many charges there are.
const COUNT: &str = "count";

/// The settings of `spending-caps`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    charges: Vec<Rule>,
    limits: Vec<LimitSetting>,
    auto_approve_under: Option<Threshold>,
}

/// Which calls spend, and where their arguments say how much.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    tools: Vec<Glob>,
    pub(crate) amount: Pointer,
    pub(crate) currency: CurrencyFrom,
    pub(crate) payee: Option<Pointer>,
    #[serde(default)]
    pub(crate) account: AccountOf,
}

impl Rule {
    pub(crate) fn matches(&self, tool: &str) -> bool {
        Glob::any(&self.tools, tool)
    }
}

/// Whose spending it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum AccountOf {
    #[default]
    Agent,
    Owner,
    Payee,
    Named(String),
}

impl<'de> Deserialize<'de> for AccountOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(match text.as_str() {
            "agent" => Self::Agent,
            "owner" => Self::Owner,
            "payee" => Self::Payee,
            name if name.is_empty() || name.trim() != name => {
                return Err(de::Error::custom(
                    "an account is `agent`, `owner`, `payee`, or a name without spaces around it",
                ));
            }
            _ => Self::Named(text),
        })
    }
}

/// One limit, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitSetting {
    max: Amount,
    currency: Option<Currency>,
    unit: Option<Unit>,
    per: Option<Per>,
    window: Option<Window>,
    #[serde(default)]
    exceed: Exceeding,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    Count,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Per {
    Transaction,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Exceeding {
    #[default]
    Deny,
    Ask,
}

/// Settings without problems.
pub(crate) struct Caps {
    pub(crate) rules: Vec<Rule>,
    limits: Vec<Limit>,
    pub(crate) auto_approve_under: Option<Threshold>,
}

impl Caps {
    pub(crate) fn new(settings: Settings) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        if settings.charges.is_empty() {
            problems.push(Problem::new("/charges", "nothing is charged; add a rule, or leave the policy out"));
        }
        if !settings.limits.iter().any(|limit| limit.currency.is_some()) {
            problems
                .push(Problem::new("/limits", "without a limit in a currency every charge would be refused; add one"));
        }
        let limits = settings.limits.iter().enumerate().map(|(index, limit)| limit.check(index));
        let mut good = Vec::new();
        for limit in limits {
            match limit {
                Ok(limit) => good.push(limit),
                Err(problem) => problems.push(problem),
            }
        }
        let caps = Self { rules: settings.charges, limits: good, auto_approve_under: settings.auto_approve_under };
        // A limit that is wrong covers nothing, which would only repeat its own problem.
        if problems.is_empty() {
            problems = caps.check_rules();
        }
        if problems.is_empty() { Ok(caps) } else { Err(problems) }
    }

    fn check_rules(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let at = |rest: &str| format!("/charges/{index}{rest}");
            if rule.tools.is_empty() {
                problems.push(Problem::new(at("/tools"), "the rule matches no tool; name one, or leave the rule out"));
            }
            if rule.account == AccountOf::Payee && rule.payee.is_none() {
                problems.push(Problem::new(
                    at("/account"),
                    "the payee's account needs `payee`, the pointer of the argument that names the payee",
                ));
            }
            if let CurrencyFrom::Const(currency) = &rule.currency
                && self.limits(currency).is_none()
            {
                let message =
                    format!("no limit is in `{currency}`, so every charge would be refused; add a limit in it");
                problems.push(Problem::new(at("/currency/const"), message));
            }
        }
        if let Some(threshold) = &self.auto_approve_under
            && self.limits(&threshold.currency).is_none()
        {
            let message =
                format!("no limit is in `{}`, so nothing in it passes; use a limit's currency", threshold.currency);
            problems.push(Problem::new("/auto_approve_under/currency", message));
        }
        problems
    }

    /// The limits that a charge in this currency is under; none when none of them is in it.
    pub(crate) fn limits(&self, currency: &Currency) -> Option<Vec<Limit>> {
        let covered = self.limits.iter().any(|limit| limit.unit == currency.as_str());
        let applies = |limit: &&Limit| limit.unit == currency.as_str() || limit.unit == COUNT;
        covered.then(|| self.limits.iter().filter(applies).cloned().collect())
    }

    /// The currencies that there are limits in, for a sentence.
    pub(crate) fn currencies(&self) -> String {
        let mut units: Vec<&str> = self.limits.iter().map(|limit| limit.unit.as_str()).collect();
        units.retain(|unit| *unit != COUNT);
        units.sort_unstable();
        units.dedup();
        format!("`{}`", units.join("`, `"))
    }
}

impl LimitSetting {
    fn check(&self, index: usize) -> Result<Limit, Problem> {
        let problem = |message: &str| Problem::new(format!("/limits/{index}"), message);
        let unit = match (&self.currency, &self.unit) {
            (Some(currency), None) => currency.to_string(),
            (None, Some(Unit::Count)) => COUNT.to_owned(),
            _ => return Err(problem("a limit has either a `currency` such as `EUR`, or the `unit` `count`")),
        };
        let span = match (&self.per, self.window) {
            (Some(Per::Transaction), None) => Span::PerTransaction,
            (None, Some(window)) => Span::RollingMs(window.ms()),
            _ => return Err(problem("a limit has either a `window` such as `24h`, or `per` `transaction`")),
        };
        if unit == COUNT && span == Span::PerTransaction {
            return Err(problem("a call is always one call; count them in a `window` such as `1h`"));
        }
        if unit == COUNT && !self.max.is_whole() {
            return Err(problem("charges are counted in whole numbers; write a `max` such as `10`"));
        }
        let exceed = match self.exceed {
            Exceeding::Deny => Exceed::Deny,
            Exceeding::Ask => Exceed::Ask,
        };
        Ok(Limit { max: self.max.to_string(), unit, span, exceed })
    }
}
