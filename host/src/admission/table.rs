//! The buckets of one limit.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use super::bucket::Bucket;
use super::rate::Rate;

/// Buckets that are not full, of one limit: about 16 MB. An attacker with more addresses than that only locks out
/// other newcomers, and only until buckets fill.
pub(super) const BUCKETS_MAX: usize = 65_536;

/// An address as buckets know it: an IPv4 address, the first 64 bits of an IPv6 address, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressKey(Option<IpAddr>);

impl AddressKey {
    /// The key of an address. An IPv4 address written as one of IPv6 is the same.
    #[must_use]
    pub fn new(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::from((v6.to_bits() & !u128::from(u64::MAX)).to_be_bytes()),
            v4 => v4,
        }))
    }
}

impl std::fmt::Display for AddressKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(IpAddr::V6(v6)) => write!(f, "{v6}/64"),
            Some(v4) => write!(f, "{v4}"),
            None => f.write_str("local"),
        }
    }
}

/// Whose bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    Address(AddressKey),
    Principal(String),
    /// Held back: a bucket of its own, so that neither rate touches the other's.
    Quarantined(String),
}

/// The buckets that are not known to be full; a bucket that is not here is full.
#[derive(Debug, Default)]
pub(super) struct Table {
    buckets: HashMap<Key, Bucket>,
    /// For each bucket, a time before which it is not full, the earliest first: once there, it is looked at again.
    not_full_before: BinaryHeap<Reverse<(Duration, Key)>>,
}

impl Table {
    /// How long until this key has a token, in whole milliseconds, rounded up; none: it has one, and [`Table::take`]
    /// may follow.
    pub(super) fn wait(&mut self, key: &Key, now: Duration) -> Option<Duration> {
        let wait = match self.buckets.get(key) {
            Some(bucket) => bucket.wait(now),
            None => self.make_room(now),
        };
        wait.map(whole_ms)
    }

    /// Takes a token.
    pub(super) fn take(&mut self, key: Key, rate: Rate, now: Duration) {
        if let Some(bucket) = self.buckets.get_mut(&key) {
            bucket.take(now);
            return;
        }
        let mut bucket = Bucket::full(rate, now);
        bucket.take(now);
        let full = now.saturating_add(bucket.until_full(now).unwrap_or_default());
        self.not_full_before.push(Reverse((full, key.clone())));
        self.buckets.insert(key, bucket);
    }

    /// How many buckets there are, and how many are looked after.
    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.buckets.len(), self.not_full_before.len())
    }

    /// Forgets a full bucket when there is no room for another; how long to wait when none is full.
    fn make_room(&mut self, now: Duration) -> Option<Duration> {
        while self.buckets.len() >= BUCKETS_MAX {
            // INVARIANT: each bucket has one place in the heap, so the heap is not empty here.
            let Reverse((time, key)) = self.not_full_before.pop()?;
            if time > now {
                self.not_full_before.push(Reverse((time, key)));
                return Some(time.saturating_sub(now));
            }
            match self.buckets.get(&key).and_then(|bucket| bucket.until_full(now)) {
                Some(more) => self.not_full_before.push(Reverse((now.saturating_add(more), key))),
                None => drop(self.buckets.remove(&key)),
            }
        }
        None
    }
}

fn whole_ms(wait: Duration) -> Duration {
    Duration::from_millis(u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}
