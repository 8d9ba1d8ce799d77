//! How the verdicts of many policies become one. Nothing here can fail into an allow.

use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::ledger::Charge;

/// What the host has to do when the call goes through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obligations {
    /// Money to reserve.
    pub charges: Vec<Charge>,
    /// Words for the audit log.
    pub tags: Vec<String>,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// One sentence for the agent and the log.
    pub reason: String,
    /// The JSON pointer (RFC 6901) of the argument at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Words for the audit log.
    pub tags: Vec<String>,
}

/// What a person is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// One sentence that says what would be done.
    pub summary: String,
    /// How long the question stays open, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u32>,
    /// How many persons have to agree; at least 1.
    pub quorum: u8,
    /// What the host has to do when the call goes through after all.
    pub obligations: Obligations,
}

/// Which policy, exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// Its name.
    pub policy: String,
    /// `sha256:…` of its component.
    pub digest: String,
    /// `sha256:…` of its settings.
    pub settings_digest: String,
}

/// A limit that a call would pass, and how far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitPassed {
    /// The account's name in the ledger.
    pub account: String,
    /// The currency of the charge.
    pub currency: String,
    /// It limits how many charges there are.
    pub counts: bool,
    /// How far back spending counts; none is the one call.
    pub window: Option<Duration>,
    /// The limit.
    #[serde(with = "rust_decimal::serde::str")]
    pub max: Decimal,
    /// What would stand on the account with the call.
    #[serde(with = "rust_decimal::serde::str")]
    pub total: Decimal,
}

impl LimitPassed {
    /// Whether it is the same limit, whatever was spent meanwhile.
    #[must_use]
    pub fn is_of(&self, other: &Self) -> bool {
        let which = |one: &Self| (one.account.clone(), one.currency.clone(), one.counts, one.window, one.max);
        which(self) == which(other)
    }
}

/// What one policy wants a person asked about a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The policy.
    pub author: Author,
    /// One sentence that says what would be done.
    pub summary: String,
    /// How long the question stays open, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u32>,
    /// How many persons have to agree; at least 1.
    pub quorum: u8,
    /// It is about this limit of the policy, which the call would pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitPassed>,
}

/// What one policy said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No.
    Deny(Denial),
    /// Ask a person.
    Ask(Question),
    /// Yes.
    Allow(Obligations),
    /// No opinion.
    Pass(Obligations),
}

/// What all of them said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Combined {
    /// A policy said no: its name and why.
    Denied(String, Denial),
    /// Nobody said yes.
    Ungranted,
    /// Nobody said no; these policies want a person asked, and this is to be done afterwards.
    Asked(Vec<(String, Question)>, Obligations),
    /// Somebody said yes, and nobody anything against it.
    Allowed(Obligations),
}

/// `deny` beats `ask` beats `allow`; `pass` has no opinion; without an `allow` or `ask` the call is denied. All
/// obligations are collected. Only the verdicts of enforcing policies belong here.
#[must_use]
pub fn combine(verdicts: impl IntoIterator<Item = (String, Verdict)>) -> Combined {
    let mut obligations = Obligations::default();
    let mut questions = Vec::new();
    let mut granted = false;
    for (policy, verdict) in verdicts {
        let due = match verdict {
            Verdict::Deny(denial) => return Combined::Denied(policy, denial),
            Verdict::Ask(question) => {
                let due = question.obligations.clone();
                questions.push((policy, question));
                due
            }
            Verdict::Allow(due) => {
                granted = true;
                due
            }
            Verdict::Pass(due) => due,
        };
        obligations.charges.extend(due.charges);
        obligations.tags.extend(due.tags);
    }
    if !questions.is_empty() {
        Combined::Asked(questions, obligations)
    } else if granted {
        Combined::Allowed(obligations)
    } else {
        Combined::Ungranted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(tag: &str) -> Obligations {
        Obligations { charges: Vec::new(), tags: vec![tag.into()] }
    }

    fn ask(tag: &str) -> Verdict {
        Verdict::Ask(Question { summary: String::new(), expires_s: None, quorum: 1, obligations: tagged(tag) })
    }

    fn deny() -> Verdict {
        Verdict::Deny(Denial { reason: "no".into(), pointer: None, tags: Vec::new() })
    }

    fn all(verdicts: Vec<Verdict>) -> Combined {
        combine(verdicts.into_iter().enumerate().map(|(index, verdict)| (index.to_string(), verdict)))
    }

    #[test]
    fn nobody_asked_and_nobody_granting_is_no_permission() {
        assert_eq!(all(vec![]), Combined::Ungranted);
        assert_eq!(all(vec![Verdict::Pass(tagged("a")), Verdict::Pass(tagged("b"))]), Combined::Ungranted);
    }

    #[test]
    fn deny_beats_ask_beats_allow_in_any_order() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let verdict = |which| match which {
                0 => deny(),
                1 => ask("ask"),
                _ => Verdict::Allow(tagged("allow")),
            };
            assert!(matches!(all(order.iter().map(|which| verdict(*which)).collect()), Combined::Denied(..)));
            let rest = order.iter().filter(|which| **which != 0).map(|which| verdict(*which)).collect();
            assert!(matches!(all(rest), Combined::Asked(..)));
        }
    }

    #[test]
    fn obligations_of_allow_ask_and_pass_are_all_collected() {
        let Combined::Asked(questions, due) =
            all(vec![Verdict::Pass(tagged("a")), ask("b"), Verdict::Allow(tagged("c")), ask("d")])
        else {
            panic!("expected a question")
        };
        assert_eq!(questions.len(), 2);
        assert_eq!(due.tags, ["a", "b", "c", "d"]);
        assert_eq!(
            all(vec![Verdict::Pass(tagged("a")), Verdict::Allow(tagged("b"))]),
            Combined::Allowed(Obligations { charges: vec![], tags: vec!["a".into(), "b".into()] })
        );
    }
}
