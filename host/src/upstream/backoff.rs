//! When a server that does not run may be tried again.

use std::time::Duration;

use crate::limits::{UPSTREAM_RESTART_FIRST, UPSTREAM_RESTART_MAX, UPSTREAM_SETTLED};

/// The pauses between attempts at a server: each is twice the one before, from [`UPSTREAM_RESTART_FIRST`] to
/// [`UPSTREAM_RESTART_MAX`]. Where the last attempt is [`UPSTREAM_SETTLED`] ago, because it went well or because nobody
/// asked, they begin anew. All times are the clock's monotonic ones.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    ended: Duration,
    pause: Duration,
}

impl Backoff {
    /// How long until it may be tried.
    pub(super) fn wait(&self, now: Duration) -> Duration {
        self.last.as_ref().map_or(Duration::ZERO, |last| last.ended.saturating_add(last.pause).saturating_sub(now))
    }

    /// Forgets the attempts so far: the server answered, and a new session costs it little.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// Takes note of an attempt that lasted from `began` to `ended`.
    pub(super) fn tried(&mut self, began: Duration, ended: Duration) {
        let again = |last: &Last| began.saturating_sub(last.ended) < UPSTREAM_SETTLED;
        let pause = match self.last.take().filter(again) {
            Some(last) => last.pause.saturating_mul(2).min(UPSTREAM_RESTART_MAX),
            None => UPSTREAM_RESTART_FIRST,
        };
        self.last = Some(Last { ended, pause });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_minute() {
        let (mut backoff, mut now) = (Backoff::default(), s(100));
        assert_eq!(backoff.wait(now), s(0));
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            // A slow attempt: the pause counts from its end.
            backoff.tried(now, now + s(29));
            now += s(29);
            assert_eq!(backoff.wait(now), s(pause));
            now += s(pause);
            assert_eq!(backoff.wait(now), s(0));
        }
        backoff.tried(now, now);
        backoff.tried(now + s(59), now + s(59));
        assert_eq!(backoff.wait(now + s(59)), s(30));
        backoff.tried(now + s(119), now + s(119));
        assert_eq!(backoff.wait(now + s(119)), s(1));
    }
}
