//! The settings: rules, and which calls each is about.

use std::num::NonZeroU8;

use portcullis_guest::{Call, Context, Denial, Glob, Problem, Window};
use serde::Deserialize;

use crate::summary::Summary;
use crate::when::{Condition, When};

/// Rules of one policy: all of them may have to find room in one question.
pub(crate) const RULES_MAX: usize = 64;

/// The settings of `approvals`.
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
    summary: Option<Summary>,
    expires: Option<Window>,
    quorum: Option<NonZeroU8>,
    when: Option<When>,
}

/// One rule without problems.
pub(crate) struct Rule {
    tools: Vec<Glob>,
    summary: Summary,
    expires: Option<Window>,
    pub(crate) quorum: NonZeroU8,
    when: Condition,
}

impl Settings {
    pub(crate) fn check(self) -> Result<Vec<Rule>, Vec<Problem>> {
        let mut problems = Vec::new();
        if self.rules.is_empty() {
            problems
                .push(Problem::new("/rules", "nobody is asked about anything; add a rule, or leave the policy out"));
        }
        if self.rules.len() > RULES_MAX {
            let count = self.rules.len();
            problems.push(Problem::new("/rules", format!("there are {count} rules; use at most {RULES_MAX}")));
        }
        let mut rules = Vec::new();
        for (index, rule) in self.rules.into_iter().enumerate() {
            if rule.tools.is_empty() {
                let at = format!("/rules/{index}/tools");
                problems.push(Problem::new(at, "the rule matches no tool; name one, or leave the rule out"));
            }
            match rule.when.map(When::check).unwrap_or_else(|| Ok(Condition::always())) {
                Ok(when) => rules.push(Rule {
                    tools: rule.tools,
                    summary: rule.summary.unwrap_or_default(),
                    expires: rule.expires,
                    quorum: rule.quorum.unwrap_or(NonZeroU8::MIN),
                    when,
                }),
                Err((rest, message)) => problems.push(Problem::new(format!("/rules/{index}/when{rest}"), message)),
            }
        }
        if problems.is_empty() { Ok(rules) } else { Err(problems) }
    }
}

impl Rule {
    /// Whether a person is asked about the call.
    pub(crate) fn asks(&self, call: &Call, context: &Context) -> Result<bool, Denial> {
        if !Glob::any(&self.tools, &call.tool.name) {
            return Ok(false);
        }
        self.when.holds(call, context)
    }

    pub(crate) fn summary(&self, call: &Call, context: &Context) -> String {
        self.summary.fill(call, context)
    }

    /// How long the question stays open.
    pub(crate) fn expires_s(&self) -> Option<u32> {
        // A window is at most 366 days.
        self.expires.map(|window| u32::try_from(window.ms() / 1000).unwrap_or(u32::MAX))
    }
}
