//! The bytes of a journal segment: a header, then records.
//!
//! Numbers are little-endian. Header: magic (8 bytes), version u32, salt u32, first sequence number u64, CRC-32C u32 of
//! all before it. Record: length of the payload u32, CRC-32C u32 of (length, sequence, payload) begun with the segment's
//! salt, sequence number u64, payload. The salt keeps bytes of another segment, or of a value that looks like a record,
//! from being taken for one.

use super::StoreError;
use super::codec::{self, CHANGE_BYTES_MAX};
use super::tx::Changes;

const MAGIC: &[u8; 8] = b"PCLSJRNL";
const VERSION: u32 = 1;

/// What a header takes, in bytes.
pub(super) const HEADER_BYTES: usize = 28;
/// What a record takes besides its payload, in bytes.
const RECORD_BYTES: usize = 16;
/// The largest payload, in bytes: a group that weighs as much as one change may takes no further one.
const PAYLOAD_BYTES_MAX: usize = 2 * CHANGE_BYTES_MAX;

/// What a segment begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// What the checksums of its records begin with.
    pub(super) salt: u32,
    /// The sequence number of its first record. Records with this or a higher number in earlier segments are void.
    pub(super) first: u64,
}

impl Header {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.salt.to_le_bytes());
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// The header at the beginning of a segment; nothing when there is none of this version.
    pub(super) fn parse(segment: &[u8]) -> Option<Self> {
        let (header, _) = segment.split_first_chunk::<HEADER_BYTES>()?;
        let (covered, crc) = header.split_last_chunk::<4>()?;
        let rest = covered.strip_prefix(MAGIC)?.strip_prefix(&VERSION.to_le_bytes())?;
        let (salt, rest) = rest.split_first_chunk::<4>()?;
        let (first, _) = rest.split_first_chunk::<8>()?;
        let sound = u32::from_le_bytes(*crc) == crc32c::crc32c(covered);
        sound.then(|| Self { salt: u32::from_le_bytes(*salt), first: u64::from_le_bytes(*first) })
    }
}

/// A record as bytes.
pub(super) fn encode(salt: u32, sequence: u64, changes: &Changes) -> Result<Vec<u8>, StoreError> {
    let mut payload = Vec::new();
    codec::encode(changes, &mut payload)?;
    let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= PAYLOAD_BYTES_MAX);
    let Some(length) = length else {
        return Err(StoreError::TooLarge(format!("a group has {} bytes", payload.len())));
    };
    let mut record = Vec::with_capacity(payload.len().saturating_add(RECORD_BYTES));
    record.extend(length.to_le_bytes());
    record.extend(checksum(salt, length.to_le_bytes(), sequence.to_le_bytes(), &payload).to_le_bytes());
    record.extend(sequence.to_le_bytes());
    record.extend(payload);
    Ok(record)
}

/// A record that is what was written.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) sequence: u64,
    pub(super) payload: &'a [u8],
    /// All that it takes in the segment, in bytes.
    pub(super) bytes: usize,
}

impl<'a> Record<'a> {
    /// The record at the beginning of these bytes, when its sequence number is one of `sequences` and it is sound.
    pub(super) fn parse(from: &'a [u8], salt: u32, sequences: std::ops::RangeInclusive<u64>) -> Option<Self> {
        let (length, rest) = from.split_first_chunk::<4>()?;
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        if !sequences.contains(&u64::from_le_bytes(*sequence)) {
            return None;
        }
        let payload = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        if payload.is_empty() || checksum(salt, *length, *sequence, payload) != u32::from_le_bytes(*crc) {
            return None;
        }
        let bytes = payload.len().checked_add(RECORD_BYTES)?;
        Some(Self { sequence: u64::from_le_bytes(*sequence), payload, bytes })
    }
}

fn checksum(salt: u32, length: [u8; 4], sequence: [u8; 8], payload: &[u8]) -> u32 {
    [&length[..], &sequence[..], payload].iter().fold(salt, |crc, part| crc32c::crc32c_append(crc, part))
}
