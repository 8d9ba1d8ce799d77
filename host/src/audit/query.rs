//! What somebody asks of the log: parameters as text, from a query string, a command line or a tool's arguments.

use serde::{Deserialize, Serialize};

use super::entry::Status;
use super::log::{Cursor, ENTRIES_MAX, Filter};
use crate::clock::Timestamp;
use crate::config::span;

/// Characters of a parameter's value.
const VALUE_CHARS_MAX: usize = 256;

/// The names of the parameters, for those who wrote another.
const NAMES: &str = "`agent`, `tool`, `code`, `status`, `since`, `until`, `cursor` and `limit`";

/// What is asked for. Everything that is set has to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// The principal's id or name.
    pub agent: Option<String>,
    /// The action: a tool's name, or a change such as `agent.add`.
    pub tool: Option<String>,
    /// The refusal's code.
    pub code: Option<String>,
    /// The status.
    pub status: Option<String>,
    /// At this time or later: RFC 3339, or a span such as `24h`, which is so long ago.
    pub since: Option<String>,
    /// Before this time; written as `since` is.
    pub until: Option<String>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// Entries in the page: 1 to 1,000, by default 100.
    pub limit: Option<String>,
}

/// A query that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadQuery {
    /// There is no such parameter.
    #[error("there is no parameter `{0}`; there are {NAMES}")]
    Unknown(String),
    /// A parameter stands twice.
    #[error("the parameter `{0}` stands twice; say it once")]
    Twice(String),
    /// A value makes no sense.
    #[error("the parameter `{parameter}` cannot be used: {why}")]
    Value {
        /// Which.
        parameter: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl BadQuery {
    /// The name of the parameter that is wrong.
    #[must_use]
    pub fn parameter(&self) -> &str {
        match self {
            Self::Unknown(name) | Self::Twice(name) => name,
            Self::Value { parameter, .. } => parameter,
        }
    }
}

impl Query {
    /// Takes parameters as they come in a query string.
    ///
    /// # Errors
    /// When there is no such parameter, or it stands twice.
    pub fn from_pairs(pairs: Vec<(String, String)>) -> Result<Self, BadQuery> {
        let mut query = Self::default();
        for (name, value) in pairs {
            let place = match name.as_str() {
                "agent" => &mut query.agent,
                "tool" => &mut query.tool,
                "code" => &mut query.code,
                "status" => &mut query.status,
                "since" => &mut query.since,
                "until" => &mut query.until,
                "cursor" => &mut query.cursor,
                "limit" => &mut query.limit,
                _ => return Err(BadQuery::Unknown(name.chars().take(VALUE_CHARS_MAX).collect())),
            };
            if place.replace(value).is_some() {
                return Err(BadQuery::Twice(name));
            }
        }
        Ok(query)
    }

    /// What it means at this time.
    ///
    /// # Errors
    /// When a value makes no sense.
    pub fn filter(&self, now: Timestamp) -> Result<Filter, BadQuery> {
        Ok(Filter {
            agent: text("agent", self.agent.as_ref())?,
            tool: text("tool", self.tool.as_ref())?,
            code: text("code", self.code.as_ref())?,
            status: parsed("status", self.status.as_ref(), |word| {
                word.parse::<Status>().map_err(|error| error.to_string())
            })?,
            since: parsed("since", self.since.as_ref(), |text| time(text, now))?,
            until: parsed("until", self.until.as_ref(), |text| time(text, now))?,
            cursor: parsed("cursor", self.cursor.as_ref(), |text| {
                text.parse::<Cursor>().map_err(|error| error.to_string())
            })?,
            limit: parsed("limit", self.limit.as_ref(), limit)?,
            ..Filter::default()
        })
    }
}

/// A value as it is: none is an empty one, which would fit nothing.
fn text(parameter: &'static str, value: Option<&String>) -> Result<Option<String>, BadQuery> {
    parsed(parameter, value, |text| Ok(text.to_owned()))
}

fn parsed<T>(
    parameter: &'static str,
    value: Option<&String>,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, BadQuery> {
    let Some(value) = value else { return Ok(None) };
    let parse = |value: &str| match value.chars().count() {
        0 => Err("it is empty; leave it out, or give it a value".to_owned()),
        VALUE_CHARS_MAX.. => Err(format!("it has more than {} characters", VALUE_CHARS_MAX - 1)),
        _ => parse(value),
    };
    parse(value).map(Some).map_err(|why| BadQuery::Value { parameter, why })
}

fn limit(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=ENTRIES_MAX).contains(number));
    number.ok_or_else(|| format!("`{text}` is not a whole number from 1 to {ENTRIES_MAX}"))
}

fn time(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(span) = span::parse(text) {
        return Ok(now.minus(span));
    }
    let at: Option<jiff::Timestamp> = text.parse().ok();
    at.and_then(|at| u64::try_from(at.as_millisecond()).ok()).map(Timestamp).ok_or_else(|| {
        format!(
            "`{text}` is neither a time such as `2026-03-01T12:00:00Z` nor a span such as `24h`, which is so long ago"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_772_366_400_000);

    fn of(pairs: &[(&str, &str)]) -> Result<Filter, BadQuery> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Query::from_pairs(pairs)?.filter(NOW)
    }

    #[test]
    fn parameters_are_taken_as_they_are_meant() {
        let filter = of(&[
            ("agent", "bob"),
            ("status", "started"),
            ("since", "24h"),
            ("until", "2026-03-01T12:00:00.5+01:00"),
            ("cursor", "e1f"),
            ("limit", "7"),
        ])
        .unwrap();
        assert_eq!(
            (filter.agent.as_deref(), filter.status, filter.limit),
            (Some("bob"), Some(Status::Started), Some(7))
        );
        assert_eq!(filter.since, Some(Timestamp(NOW.0 - 86_400_000)));
        assert_eq!(filter.until, Some(Timestamp(NOW.0 - 3_600_000 + 500)));
        assert_eq!(filter.cursor.map(|cursor| cursor.to_string()).as_deref(), Some("e1f"));
    }

    #[test]
    fn a_parameter_that_makes_no_sense_is_named() {
        let long = "x".repeat(256);
        for (name, value) in [
            ("colour", "red"),
            ("limit", "0"),
            ("limit", "1001"),
            ("limit", "-1"),
            ("limit", "ten"),
            ("since", "yesterday"),
            ("until", "1969-12-31T23:59:59Z"),
            ("cursor", "31"),
            ("status", "done"),
            ("agent", ""),
            ("tool", &long),
        ] {
            let bad = of(&[(name, value)]).unwrap_err();
            assert_eq!(bad.parameter(), name);
            assert!(bad.to_string().contains(&format!("`{name}`")), "{bad}");
        }
        assert_eq!(of(&[("limit", "1"), ("limit", "1")]).unwrap_err(), BadQuery::Twice("limit".into()));
    }
}
