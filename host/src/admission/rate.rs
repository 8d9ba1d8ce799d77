//! A rate: so many in so long.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The largest number in a rate: more than any gate can do in a second, and small enough to count exactly.
const COUNT_MAX: u32 = 1_000_000_000;

/// So many calls in so long, and as many at once. Written `10/min`, `100/s`, `5/h` or `1000/d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    per: Duration,
}

/// A text that is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRate {
    /// No slash, or something that is no number before it.
    #[error("`{0}` is not a rate; write a whole number and a span, such as `10/min`, `100/s`, `5/h` or `1000/d`")]
    Form(String),
    /// A span that is none of the four.
    #[error("`{span}` in the rate `{rate}` is not a span; there are `s`, `min`, `h` and `d`")]
    Span {
        /// The whole rate.
        rate: String,
        /// What stands behind the slash.
        span: String,
    },
    /// None, or too many.
    #[error("the number in the rate `{0}` is not between 1 and {COUNT_MAX}")]
    Count(String),
}

impl Rate {
    /// How many; also the burst. At least 1.
    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// In how long: a second, a minute, an hour or a day.
    #[must_use]
    pub fn per(self) -> Duration {
        self.per
    }

    /// The one of both that gives fewer in the long run.
    pub(super) fn slower(self, other: Self) -> Self {
        let in_the_others_span = |rate: Self, other: Self| u64::from(rate.count).saturating_mul(other.per.as_secs());
        if in_the_others_span(self, other) <= in_the_others_span(other, self) { self } else { other }
    }

    /// So many in a minute, at least one.
    pub(super) const fn per_minute(count: u32) -> Self {
        Self { count: if count == 0 { 1 } else { count }, per: Duration::from_secs(60) }
    }
}

impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, BadRate> {
        let form = || BadRate::Form(text.to_owned());
        let (number, span) = text.split_once('/').ok_or_else(form)?;
        let (number, span) = (number.trim(), span.trim());
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(form());
        }
        let seconds = match span {
            "s" => 1,
            "min" => 60,
            "h" => 3600,
            "d" => 24 * 3600,
            _ => return Err(BadRate::Span { rate: text.to_owned(), span: span.to_owned() }),
        };
        match number.parse() {
            Ok(count @ 1..=COUNT_MAX) => Ok(Self { count, per: Duration::from_secs(seconds) }),
            _ => Err(BadRate::Count(text.to_owned())),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = match self.per.as_secs() {
            1 => "s",
            60 => "min",
            3600 => "h",
            _ => "d",
        };
        write!(f, "{}/{span}", self.count)
    }
}
