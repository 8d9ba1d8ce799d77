//! The settings: which arguments are listed, and their lists.

use portcullis_guest::{Currency, Glob, Pointer, Problem};
use serde::{Deserialize, Deserializer, de};

use crate::value::Clean;

/// Rules of one policy: for a call in another currency each is compared with each.
const RULES_MAX: usize = 256;

/// The argument with a call's currency, when a rule does not say where it stands.
const CURRENCY: &str = "currency";

/// The settings of `allowlist`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    rules: Vec<RuleSetting>,
}

/// One rule, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleSetting {
    tools: Vec<Glob>,
    pointer: Pointer,
    allow: Vec<Allowed>,
    currency: Option<Currency>,
    currency_pointer: Option<Pointer>,
}

/// A value that is allowed, or a pattern of some.
#[derive(Debug)]
struct Allowed(Glob);

/// One rule without problems.
pub(crate) struct Rule {
    tools: Vec<Glob>,
    pub(crate) pointer: Pointer,
    allow: Vec<Allowed>,
    /// The currency that the rule is about, and where a call's currency stands.
    pub(crate) currency: Option<(Currency, Pointer)>,
}

impl Settings {
    pub(crate) fn check(self) -> Result<Vec<Rule>, Vec<Problem>> {
        let mut problems = Vec::new();
        if self.rules.is_empty() {
            problems.push(Problem::new("/rules", "nothing is listed; add a rule, or leave the policy out"));
        }
        if self.rules.len() > RULES_MAX {
            let count = self.rules.len();
            problems.push(Problem::new("/rules", format!("there are {count} rules; use at most {RULES_MAX}")));
        }
        let mut rules = Vec::new();
        for (index, rule) in self.rules.into_iter().enumerate() {
            match rule.check() {
                Ok(rule) => rules.push(rule),
                Err((rest, message)) => problems.push(Problem::new(format!("/rules/{index}{rest}"), message)),
            }
        }
        if problems.is_empty() { Ok(rules) } else { Err(problems) }
    }
}

impl RuleSetting {
    /// What is wrong is a pointer into the rule, and a sentence.
    fn check(self) -> Result<Rule, (&'static str, String)> {
        let wrong = |rest, message: &str| Err((rest, message.to_owned()));
        if self.tools.is_empty() {
            return wrong("/tools", "the rule matches no tool; name one, or leave the rule out");
        }
        if self.allow.is_empty() {
            return wrong("/allow", "the list is empty, so every call would be refused; add a value");
        }
        if self.currency.is_none() && self.currency_pointer.is_some() {
            return wrong("/currency_pointer", "the rule has no `currency`; name the one that it is about");
        }
        let pointer = self.currency_pointer.unwrap_or_else(|| Pointer::member(CURRENCY));
        let currency = self.currency.map(|currency| (currency, pointer));
        Ok(Rule { tools: self.tools, pointer: self.pointer, allow: self.allow, currency })
    }
}

impl Rule {
    pub(crate) fn matches(&self, tool: &str) -> bool {
        Glob::any(&self.tools, tool)
    }

    pub(crate) fn allows(&self, value: &Clean) -> bool {
        self.allow.iter().any(|allowed| allowed.0.matches(value.as_str()))
    }
}

impl<'de> Deserialize<'de> for Allowed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim() != text {
            let message = format!("`{text}` has spaces around it; values are compared without, so leave them out");
            return Err(de::Error::custom(message));
        }
        let clean = Clean::parse(&text).map_err(|why| de::Error::custom(format!("`{text}` {why}")))?;
        Glob::parse(clean.as_str()).map(Self).map_err(de::Error::custom)
    }
}
