//! Which calls a person has to agree to: all of a tool's, those of agents that are not trusted enough, or those over an
//! amount.
//!
//! All rules that apply to a call make one question. The policy asks again when the call comes back after a person
//! agreed: the gate, which knows what was agreed to, lets it through then. It never allows a call itself.

mod settings;
mod summary;
mod when;

use portcullis_guest::{Call, Context, Denial, Policy, Problem, Question, Verdict};

use settings::Rule;
pub use settings::Settings;

/// Bytes of the summaries of one question together: below the 4096 that the gate takes.
const QUESTION_BYTES_MAX: usize = 4000;

/// The policy.
pub struct Approvals(Vec<Rule>);

impl Policy for Approvals {
    const NAME: &'static str = "approvals";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Asks a person before calls that its rules name, and passes all others.";
    const SCHEMA: &'static str = include_str!("../settings.schema.json");
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, Vec<Problem>> {
        settings.check().map(Self)
    }

    fn evaluate(&self, call: &Call, context: &Context) -> Result<Verdict, Denial> {
        let mut asking = Vec::new();
        for rule in &self.0 {
            if rule.asks(call, context)? {
                asking.push(rule);
            }
        }
        if asking.is_empty() {
            return Ok(Verdict::pass());
        }
        let mut summaries = Vec::new();
        for rule in &asking {
            let summary = rule.summary(call, context);
            if !summaries.contains(&summary) {
                summaries.push(summary);
            }
        }
        Ok(Verdict::Ask(Question {
            expires_s: asking.iter().filter_map(|rule| rule.expires_s()).min(),
            quorum: asking.iter().map(|rule| rule.quorum.get()).max().unwrap_or(1),
            ..Question::new(one_sentence(summaries))
        }))
    }
}

/// All summaries. Where they are too long together each is cut to its share, so that none hides another.
fn one_sentence(mut summaries: Vec<String>) -> String {
    let separators = summaries.len().saturating_sub(1) * "; ".len();
    let whole: usize = summaries.iter().map(String::len).sum();
    if whole + separators > QUESTION_BYTES_MAX {
        let share = (QUESTION_BYTES_MAX - separators) / summaries.len();
        for summary in summaries.iter_mut().filter(|summary| summary.len() > share) {
            summary.truncate(summary.floor_char_boundary(share - '…'.len_utf8()));
            summary.push('…');
        }
    }
    summaries.join("; ")
}

portcullis_guest::export!(Approvals);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_summary_hides_another() {
        let long = |letter: &str| letter.repeat(3_000);
        let said = one_sentence(vec![long("é"), "short".to_owned(), long("b")]);
        assert!(said.len() <= QUESTION_BYTES_MAX, "{}", said.len());
        let parts: Vec<_> = said.split("; ").collect();
        assert_eq!(parts.len(), 3);
        assert!(parts[0].ends_with("é…") && parts[1] == "short" && parts[2].ends_with("b…"));

        let many = one_sentence((0..settings::RULES_MAX).map(|index| format!("{index:02}{}", long("x"))).collect());
        assert!(many.len() <= QUESTION_BYTES_MAX, "{}", many.len());
        assert!((0..settings::RULES_MAX).all(|index| many.contains(&format!("{index:02}xxxx"))));
    }

    #[test]
    fn summaries_that_fit_are_whole() {
        let half = "x".repeat(QUESTION_BYTES_MAX / 2 - 1);
        let said = one_sentence(vec![half.clone(), half.clone()]);
        assert_eq!(said, format!("{half}; {half}"));
        assert_eq!(said.len(), QUESTION_BYTES_MAX);
    }
}
