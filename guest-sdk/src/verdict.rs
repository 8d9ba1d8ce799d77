//! Short ways to say a verdict.

use crate::{Denial, Obligations, Problem, Question, Verdict};

impl Verdict {
    /// Yes, and nothing else to do.
    #[must_use]
    pub fn allow() -> Self {
        Self::Allow(Obligations::default())
    }

    /// No opinion, and nothing else to do.
    #[must_use]
    pub fn pass() -> Self {
        Self::Pass(Obligations::default())
    }

    /// Ask one person, in one sentence that says what would be done.
    #[must_use]
    pub fn ask(summary: impl Into<String>) -> Self {
        Self::Ask(Question::new(summary))
    }

    /// No, in one sentence: what is wrong, and what would be right.
    #[must_use]
    pub fn deny(reason: impl Into<String>) -> Self {
        Self::Deny(Denial::new(reason))
    }
}

impl From<Denial> for Verdict {
    fn from(denial: Denial) -> Self {
        Self::Deny(denial)
    }
}

impl Denial {
    /// A refusal, in one sentence: what is wrong, and what would be right.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), pointer: None, tags: Vec::new() }
    }

    /// Names the argument at fault, by its JSON pointer (RFC 6901).
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }
}

impl Question {
    /// A question to one person, in one sentence that says what would be done; it stays open as long as the gate's
    /// configuration says.
    #[must_use]
    pub fn new(summary: impl Into<String>) -> Self {
        Self { summary: summary.into(), expires_s: None, quorum: 1, obligations: Obligations::default() }
    }
}

#[expect(clippy::derivable_impls, reason = "the type is generated, and most generated types have no default")]
impl Default for Obligations {
    fn default() -> Self {
        Self { charges: Vec::new(), tags: Vec::new() }
    }
}

impl Problem {
    /// Something wrong with the settings: where, as a JSON pointer (RFC 6901), and what.
    #[must_use]
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}
