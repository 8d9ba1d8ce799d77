//! What was found.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// It works, and is probably not what its owner wants.
    Warning,
    /// It does not work, or does not protect.
    Problem,
}

impl State {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at, in a word or two.
    pub(super) check: String,
    pub(super) state: State,
    /// How it is.
    pub(super) what: String,
    /// What to do.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub(super) todo: Option<String>,
}

/// All that was found, in the order in which it was looked at.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn ok(&mut self, check: &str, what: impl Into<String>) {
        self.add(check, State::Ok, what, None);
    }

    pub(super) fn warning(&mut self, check: &str, what: impl Into<String>, todo: impl Into<String>) {
        self.add(check, State::Warning, what, Some(todo.into()));
    }

    pub(super) fn problem(&mut self, check: &str, what: impl Into<String>, todo: impl Into<String>) {
        self.add(check, State::Problem, what, Some(todo.into()));
    }

    fn add(&mut self, check: &str, state: State, what: impl Into<String>, todo: Option<String>) {
        self.0.push(Finding { check: check.to_owned(), state, what: what.into(), todo });
    }

    pub(super) fn all(&self) -> &[Finding] {
        &self.0
    }

    pub(super) fn count(&self, state: State) -> usize {
        self.0.iter().filter(|finding| finding.state == state).count()
    }

    /// The worst that was said of something.
    pub(super) fn worst(&self, check: &str) -> State {
        let of = self.0.iter().filter(|finding| finding.check == check);
        of.map(|finding| finding.state).max().unwrap_or(State::Ok)
    }

    /// Says that something is as it should be, unless anything worse was said of it.
    pub(super) fn else_ok(&mut self, check: &str, what: impl Into<String>) {
        if self.worst(check) == State::Ok {
            self.ok(check, what);
        }
    }
}
