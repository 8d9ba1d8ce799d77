//! Looking for entries.

use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use super::{ENTRIES_MAX, TAIL_BYTES_MAX, each, size};
use crate::audit::entry::{Entry, Status};
use crate::clock::Timestamp;
use crate::store::{Read, StoreError};

/// Entries looked at in one query: a rare match must not hold up the reader of a long log.
const EXAMINED_MAX: usize = 10_000;

/// Entries in one page when the caller does not say.
pub const LIMIT_DEFAULT: usize = 100;

/// Which entries are meant: those that fit everything that is set.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only entries of the principal with this id: what a principal may see who may not see all.
    pub own: Option<String>,
    /// The principal's id or name.
    pub agent: Option<String>,
    /// The action: a tool's name, or a change such as `agent.add`.
    pub tool: Option<String>,
    /// The refusal's code.
    pub code: Option<String>,
    /// The status.
    pub status: Option<Status>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
    /// Entries in the page: by default 100, at most [`ENTRIES_MAX`].
    pub limit: Option<usize>,
    /// Entries looked at for the page: by default, and at most, 10,000.
    pub examined_max: Option<usize>,
    /// Bytes in the page, by default, and at most, 8 MiB; the entry that passes it is still in it.
    pub bytes_max: Option<usize>,
}

/// Where a page ended. Its text means nothing to anybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(u64);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{:x}", self.0)
    }
}

/// A text that is no cursor.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a cursor; take the one that came with the page before")]
pub struct BadCursor(pub String);

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        text.strip_prefix('e')
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .map(Self)
            .filter(|cursor| cursor.to_string() == text)
            .ok_or_else(|| BadCursor(text.to_owned()))
    }
}

/// Some of the entries that were found.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The newest first. It can be empty although more follow: only so many entries are looked at for one page.
    pub entries: Vec<Entry>,
    /// Where to go on; none: the log has been looked through.
    pub next: Option<Cursor>,
}

/// The entries that fit, the newest first. What is appended between two pages changes neither.
///
/// # Errors
/// When the state or an entry cannot be read.
pub fn query(read: &dyn Read, filter: &Filter) -> Result<Page, StoreError> {
    let limit = filter.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, ENTRIES_MAX);
    let examined_max = filter.examined_max.unwrap_or(EXAMINED_MAX).clamp(1, EXAMINED_MAX);
    let bytes_max = filter.bytes_max.unwrap_or(TAIL_BYTES_MAX).min(TAIL_BYTES_MAX);
    let end = size(read)?;
    let end = filter.cursor.map_or(end, |cursor| cursor.0.min(end));
    let mut found = Vec::new();
    let (mut examined, mut bytes, mut lowest) = (0_usize, 0_usize, end);
    each(read, 0, end, true, &mut |index, entry, length| {
        lowest = index;
        examined += 1;
        if filter.fits(&entry) {
            bytes = bytes.saturating_add(length);
            found.push(entry);
        }
        if found.len() < limit && examined < examined_max && bytes < bytes_max {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    let stopped = found.len() >= limit || examined >= examined_max || bytes >= bytes_max;
    Ok(Page { entries: found, next: (stopped && lowest > 0).then_some(Cursor(lowest)) })
}

impl Filter {
    fn fits(&self, entry: &Entry) -> bool {
        let by = |name: &String| [entry.principal_id(), entry.principal_name()].contains(&Some(name.as_str()));
        self.own.as_ref().is_none_or(|own| entry.principal_id() == Some(own))
            && self.agent.as_ref().is_none_or(by)
            && self.tool.as_ref().is_none_or(|tool| entry.action() == tool)
            && self.code.as_ref().is_none_or(|code| entry.refusal_code() == Some(code))
            && self.status.is_none_or(|status| entry.status() == status)
            && self.since.is_none_or(|since| entry.timestamp() >= since)
            && self.until.is_none_or(|until| entry.timestamp() < until)
    }
}
