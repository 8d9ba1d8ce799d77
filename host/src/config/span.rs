//! Spans of time as people write them: `90s`, `15m`, `24h`, `7d`, and `250ms`.

use std::time::Duration;

/// A text that is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a span of time: a whole number and `ms`, `s`, `m`, `h` or `d`, such as `24h`")]
pub struct BadSpan(pub String);

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a span of time.
///
/// # Errors
/// When the text is none, or too long to count in milliseconds.
pub fn parse(text: &str) -> Result<Duration, BadSpan> {
    let bad = || BadSpan(text.chars().take(40).collect());
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let (number, unit) = text.split_at(digits);
    let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
    let number: u64 = number.parse().map_err(|_| bad())?;
    number.checked_mul(*ms).map(Duration::from_millis).ok_or_else(bad)
}

/// Writes a span of time in the largest unit that says it exactly.
#[must_use]
pub fn show(span: Duration) -> String {
    let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let largest = UNITS.iter().rev().find(|(_, unit)| ms % unit == 0 && ms / unit > 0);
    let hours_rather_than_one_day = ms == 86_400_000;
    match largest {
        _ if hours_rather_than_one_day => "24h".to_owned(),
        Some((name, unit)) => format!("{}{name}", ms / unit),
        None => "0s".to_owned(),
    }
}
