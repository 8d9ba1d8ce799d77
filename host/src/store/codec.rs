//! The changes of a group as bytes.
//!
//! One after the other, in key order: a tag (1 put, 0 delete), the key's length (u32, little-endian) and the key; for a
//! put the value's length and the value.

use super::StoreError;
use super::keys::KEY_BYTES_MAX;
use super::tx::Changes;

/// What one change may weigh, in bytes, as it is written. More than the largest answer of an upstream.
pub(super) const CHANGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What a put takes besides its key and value, in bytes.
const PUT_BYTES: usize = 9;

const DELETE: u8 = 0;
const PUT: u8 = 1;

/// What changes weigh, in bytes, when no key and not the whole is larger than may be.
pub(super) fn weigh(changes: &Changes) -> Result<usize, StoreError> {
    let mut total = 0_usize;
    for (key, value) in changes {
        if key.len() > KEY_BYTES_MAX {
            let (length, start) = (key.len(), key.get(..32).unwrap_or_default().escape_ascii());
            return Err(StoreError::TooLarge(format!(
                "the key `{start}…` has {length} bytes, at most {KEY_BYTES_MAX} are allowed"
            )));
        }
        total = total
            .saturating_add(PUT_BYTES)
            .saturating_add(key.len())
            .saturating_add(value.as_ref().map_or(0, Vec::len));
    }
    if total > CHANGE_BYTES_MAX {
        return Err(StoreError::TooLarge(format!("it has {total} bytes, at most {CHANGE_BYTES_MAX} are allowed")));
    }
    Ok(total)
}

/// Appends changes to a buffer.
pub(super) fn encode(changes: &Changes, into: &mut Vec<u8>) -> Result<(), StoreError> {
    for (key, value) in changes {
        into.push(if value.is_some() { PUT } else { DELETE });
        encode_bytes(key, into)?;
        if let Some(value) = value {
            encode_bytes(value, into)?;
        }
    }
    Ok(())
}

fn encode_bytes(bytes: &[u8], into: &mut Vec<u8>) -> Result<(), StoreError> {
    let length =
        u32::try_from(bytes.len()).map_err(|_| StoreError::TooLarge(format!("{} bytes in one value", bytes.len())))?;
    into.extend(length.to_le_bytes());
    into.extend(bytes);
    Ok(())
}

/// The changes in these bytes; nothing when they are not what [`encode`] writes.
pub(super) fn decode(mut from: &[u8]) -> Option<Changes> {
    let mut changes = Changes::new();
    while let Some((tag, rest)) = from.split_first() {
        let (key, rest) = decode_bytes(rest)?;
        let (value, rest) = match *tag {
            PUT => decode_bytes(rest).map(|(value, rest)| (Some(value.to_vec()), rest))?,
            DELETE => (None, rest),
            _ => return None,
        };
        changes.insert(key.to_vec(), value);
        from = rest;
    }
    Some(changes)
}

fn decode_bytes(from: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = from.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(changes in proptest::collection::btree_map(any::<Vec<u8>>(), any::<Option<Vec<u8>>>(), 0..20)) {
            let mut bytes = Vec::new();
            encode(&changes, &mut bytes).unwrap();
            prop_assert_eq!(decode(&bytes), Some(changes.clone()));
            if let Some(cut) = bytes.len().checked_sub(1) {
                prop_assert_ne!(decode(&bytes[..cut]), Some(changes));
            }
        }

        #[test]
        fn anything_is_decoded_or_refused(bytes: Vec<u8>) {
            decode(&bytes);
        }
    }

    #[test]
    fn ceilings() {
        let put = |key: usize, value: usize| Changes::from([(vec![b'k'; key], Some(vec![0; value]))]);
        assert_eq!(weigh(&put(KEY_BYTES_MAX, CHANGE_BYTES_MAX - KEY_BYTES_MAX - PUT_BYTES)).unwrap(), CHANGE_BYTES_MAX);
        assert!(matches!(weigh(&put(KEY_BYTES_MAX, CHANGE_BYTES_MAX - KEY_BYTES_MAX)), Err(StoreError::TooLarge(_))));
        assert!(matches!(weigh(&put(KEY_BYTES_MAX + 1, 0)), Err(StoreError::TooLarge(_))));
    }
}
