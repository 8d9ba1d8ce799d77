//! One token bucket, in whole numbers.

use std::time::Duration;

use super::rate::Rate;

/// How full a bucket was at some moment.
///
/// A token is as many units as the rate's span has nanoseconds, so that each nanosecond adds as many units as the rate
/// has tokens, and nothing is ever rounded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    units: u128,
    at: Duration,
    rate: Rate,
}

impl Bucket {
    pub(super) fn full(rate: Rate, now: Duration) -> Self {
        Self { units: capacity(rate), at: now, rate }
    }

    /// How long until there is a token; none: there is one.
    pub(super) fn wait(&self, now: Duration) -> Option<Duration> {
        self.until(token(self.rate), now)
    }

    /// How long until it is full; none: it is.
    pub(super) fn until_full(&self, now: Duration) -> Option<Duration> {
        self.until(capacity(self.rate), now)
    }

    /// Takes a token; of an empty bucket, what there is.
    pub(super) fn take(&mut self, now: Duration) {
        self.units = self.units_at(now).saturating_sub(token(self.rate));
        self.at = self.at.max(now);
    }

    fn units_at(&self, now: Duration) -> u128 {
        let added = now.saturating_sub(self.at).as_nanos().saturating_mul(self.rate.count().into());
        self.units.saturating_add(added).min(capacity(self.rate))
    }

    fn until(&self, level: u128, now: Duration) -> Option<Duration> {
        let missing = level.saturating_sub(self.units_at(now));
        // A rate has at least one token, and what a bucket lacks comes back within a day.
        let nanos = missing.div_ceil(u128::from(self.rate.count()));
        (nanos > 0).then(|| Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

/// The units of one token.
fn token(rate: Rate) -> u128 {
    rate.per().as_nanos()
}

/// The units of a full bucket.
fn capacity(rate: Rate) -> u128 {
    token(rate).saturating_mul(rate.count().into())
}
