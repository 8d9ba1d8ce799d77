//! Reading the journal back when a store is opened.
//!
//! 1. Every segment is read and judged before anything is applied. Sequence numbers run without a gap, so a bad record
//!    is torn only where nothing can have come after it: at the end of the last segment, or where the next segment's
//!    header says that the rest is void. Anywhere else it is damage.
//! 2. Groups that the state does not have are applied, in order.
//! 3. What was torn is cut off.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::codec;
use super::journal::{Sealed, segment_number};
use super::record::{HEADER_BYTES, Header, Record};
use super::tx::Changes;

/// How far a sequence number may be ahead for a record after a bad one to be looked at: far more than a segment holds.
const AHEAD_MAX: u64 = 1 << 32;

/// What the journal holds.
pub(super) struct Found {
    /// Its segments: none is written to again.
    pub(super) segments: Vec<Sealed>,
    /// The sequence number of the last group, in the journal or in the state.
    pub(super) last: u64,
    /// The first number that no segment has.
    pub(super) next_number: u64,
}

/// A segment that was judged.
struct Judged {
    path: PathBuf,
    header: Header,
    /// Where its last record that counts ends, in bytes.
    end: usize,
    /// Its length, in bytes.
    length: usize,
    /// The sequence number of the last record that counts, here or before.
    last: u64,
}

/// Reads the journal in a folder and applies the groups after `applied`.
pub(super) fn recover(
    dir: &Path,
    applied: u64,
    apply: &mut dyn FnMut(u64, Changes) -> Result<(), StoreError>,
) -> Result<Found, StoreError> {
    let paths = segments(dir)?;
    let next_number = paths.last().map_or(1, |(number, _)| number.saturating_add(1));
    let (judged, torn_at_birth) = judge(&paths, applied)?;
    let last = judged.last().map_or(0, |segment| segment.last).max(applied);
    for segment in &judged {
        replay(segment, applied, apply)?;
    }
    cut(dir, &judged, &torn_at_birth)?;
    let segments = judged.into_iter().map(|segment| Sealed { path: segment.path, last: segment.last }).collect();
    Ok(Found { segments, last, next_number })
}

/// The segments in a folder, oldest first. Files with other names are somebody else's.
fn segments(dir: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|error| unreadable(dir, &error))? {
        let entry = entry.map_err(|error| unreadable(dir, &error))?;
        if let Some(number) = entry.file_name().to_str().and_then(segment_number) {
            found.push((number, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Judges all segments; also those that were torn while they were made, which hold nothing.
fn judge(paths: &[(u64, PathBuf)], applied: u64) -> Result<(Vec<Judged>, Vec<PathBuf>), StoreError> {
    let mut headers = Vec::new();
    let mut torn_at_birth = Vec::new();
    for (_, path) in paths {
        let bytes = read(path)?;
        match Header::parse(&bytes) {
            Some(header) => headers.push((path, header)),
            // The header is durable before the first record is written: nothing can be in a segment that has none.
            None if bytes.len() <= HEADER_BYTES => torn_at_birth.push(path.clone()),
            None => return Err(damaged(path, 0, "its header is not one that this version writes")),
        }
    }
    let mut judged: Vec<Judged> = Vec::new();
    let mut following = headers.iter().skip(1).map(|(_, header)| header.first);
    for (path, header) in &headers {
        let before = judged.last().map_or(0, |segment| segment.last);
        let due = before.max(applied).saturating_add(1);
        if header.first > due {
            let (at, offset) =
                judged.last().map_or((path.as_path(), 0), |segment| (segment.path.as_path(), segment.end));
            return Err(damaged(
                at,
                offset,
                &format!("the changes {due} to {} are missing", header.first.saturating_sub(1)),
            ));
        }
        if header.first <= before {
            return Err(damaged(
                path,
                0,
                &format!("it begins with change {}, which an earlier segment has", header.first),
            ));
        }
        judged.push(judge_one(path, *header, before, following.next())?);
    }
    Ok((judged, torn_at_birth))
}

/// Judges one segment. Records from `void_from` on do not count.
fn judge_one(path: &Path, header: Header, before: u64, void_from: Option<u64>) -> Result<Judged, StoreError> {
    let bytes = read(path)?;
    let mut next = header.first;
    let mut end = HEADER_BYTES;
    while void_from.is_none_or(|void_from| next < void_from) {
        let rest = bytes.get(end..).unwrap_or_default();
        match Record::parse(rest, header.salt, next..=next) {
            Some(record) => {
                end = end.saturating_add(record.bytes);
                next = next.saturating_add(1);
            }
            None if rest.is_empty() => break,
            None if void_from.is_some() => {
                return Err(damaged(path, end, "a record is not what was written, and others follow it"));
            }
            None => {
                refuse_good_after_bad(path, end, rest, header.salt, next)?;
                break;
            }
        }
    }
    let last = next.saturating_sub(1).max(before);
    Ok(Judged { path: path.to_owned(), header, end, length: bytes.len(), last })
}

/// After a bad record, the end of the last segment must be what one torn write leaves: no sound record in it.
fn refuse_good_after_bad(path: &Path, end: usize, rest: &[u8], salt: u32, next: u64) -> Result<(), StoreError> {
    let any = 1..=next.saturating_add(AHEAD_MAX);
    for skip in 1..rest.len() {
        if Record::parse(rest.get(skip..).unwrap_or_default(), salt, any.clone()).is_some() {
            return Err(damaged(path, end, "a record is not what was written, and others follow it"));
        }
    }
    if Record::parse(rest, salt, any).is_some() {
        return Err(damaged(path, end, &format!("change {next} should be here and another is")));
    }
    Ok(())
}

/// Applies what the state does not have.
fn replay(
    segment: &Judged,
    applied: u64,
    apply: &mut dyn FnMut(u64, Changes) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    if segment.last <= applied {
        return Ok(());
    }
    let bytes = read(&segment.path)?;
    let mut offset = HEADER_BYTES;
    while offset < segment.end {
        let rest = bytes.get(offset..).unwrap_or_default();
        let Some(record) = Record::parse(rest, segment.header.salt, segment.header.first..=segment.last) else {
            return Err(damaged(&segment.path, offset, "it changed while it was read"));
        };
        if record.sequence > applied {
            let changes = codec::decode(record.payload)
                .ok_or_else(|| damaged(&segment.path, offset, "a record holds something else than changes"))?;
            apply(record.sequence, changes)?;
        }
        offset = offset.saturating_add(record.bytes);
    }
    Ok(())
}

/// Cuts off what was torn: the end of the last segment, and segments that never came to be.
///
/// The end of an earlier segment stays: its next segment says that it is void.
fn cut(dir: &Path, judged: &[Judged], torn_at_birth: &[PathBuf]) -> Result<(), StoreError> {
    for path in torn_at_birth {
        tracing::warn!(path = %path.display(), "a journal segment was torn while it was made; it is removed");
        fs::remove_file(path).map_err(|error| unwritable(path, &error))?;
    }
    if let Some(last) = judged.last()
        && last.length > last.end
    {
        tracing::warn!(path = %last.path.display(), from = last.end, to = last.length, "the journal's end was torn; it is cut off");
        let end = u64::try_from(last.end).unwrap_or(u64::MAX);
        OpenOptions::new()
            .write(true)
            .open(&last.path)
            .and_then(|file| {
                file.set_len(end)?;
                file.sync_all()
            })
            .map_err(|error| unwritable(&last.path, &error))?;
    }
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| unwritable(dir, &error))
}

fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    fs::read(path).map_err(|error| unreadable(path, &error))
}

fn damaged(path: &Path, offset: usize, what: &str) -> StoreError {
    StoreError::Damaged(format!("`{}` at byte {offset}: {what}; restore a backup", path.display()))
}

fn unreadable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unreadable(format!("`{}`: {error}", path.display()))
}

fn unwritable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unwritable(format!("`{}`: {error}", path.display()))
}
