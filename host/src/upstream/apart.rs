//! A session of its own for each principal (`share = "principal"`): bounded in number, and ended when it lies idle.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::slot::Slot;
use crate::clock::Clock;
use crate::{limits, task};

/// The sessions of one server, by the principals' ids.
pub(super) struct Apart {
    clock: Clock,
    max: usize,
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    of: HashMap<String, Seat>,
    stopped: bool,
}

struct Seat {
    slot: Arc<Slot>,
    /// Calls that run in it.
    running: usize,
    /// When the last one ended, on the clock's monotonic time.
    idle_since: Duration,
}

/// A principal's slot, while a call runs in it.
pub(super) struct Seated<'a> {
    apart: &'a Apart,
    id: String,
    slot: Arc<Slot>,
}

/// Why a principal has no session.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoSeat {
    /// As many as there can be are in use.
    #[error("all of the {0} sessions that it may have are in use: call again later")]
    Full(usize),
    /// The server was told to stop.
    #[error("it has been stopped")]
    Stopped,
}

impl Apart {
    /// Nobody has a session yet; at most `max` principals will at a time.
    pub(super) fn new(clock: Clock, max: usize) -> Self {
        Self { clock, max, seats: Mutex::default() }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot of a principal, for one call. Where there are too many, the one that is idle longest ends.
    pub(super) fn take(&self, id: &str) -> Result<Seated<'_>, NoSeat> {
        self.end_idle();
        let mut seats = self.seats();
        if seats.stopped {
            return Err(NoSeat::Stopped);
        }
        if !seats.of.contains_key(id) && seats.of.len() >= self.max {
            let idle = seats.of.iter().filter(|(_, seat)| seat.running == 0);
            let longest = idle.min_by_key(|(_, seat)| seat.idle_since).map(|(id, _)| id.clone());
            let seat = longest.and_then(|id| seats.of.remove(&id)).ok_or(NoSeat::Full(self.max))?;
            end(seat.slot);
        }
        let empty = || Seat { slot: Arc::default(), running: 0, idle_since: self.clock.monotonic() };
        let seat = seats.of.entry(id.to_owned()).or_insert_with(empty);
        seat.running = seat.running.saturating_add(1);
        Ok(Seated { apart: self, id: id.to_owned(), slot: Arc::clone(&seat.slot) })
    }

    /// Ends the sessions in which nothing has run for [`limits::UPSTREAM_IDLE`].
    pub(super) fn end_idle(&self) {
        let now = self.clock.monotonic();
        let idle = |seat: &Seat| seat.running == 0 && now.saturating_sub(seat.idle_since) >= limits::UPSTREAM_IDLE;
        let ended: Vec<_> = self.seats().of.extract_if(|_, seat| idle(seat)).collect();
        for (_, seat) in ended {
            end(seat.slot);
        }
    }

    /// Ends all and waits for it. There will be no others.
    pub(super) async fn stop(&self) {
        let ended = {
            let mut seats = self.seats();
            seats.stopped = true;
            std::mem::take(&mut seats.of)
        };
        let stopping: Vec<_> = ended.into_values().map(|seat| end(seat.slot)).collect();
        for stopped in stopping {
            // A panic is in the log.
            let _ = stopped.await;
        }
    }
}

fn end(slot: Arc<Slot>) -> tokio::task::JoinHandle<()> {
    task::spawn("upstream idle", async move { slot.stop().await })
}

impl Deref for Seated<'_> {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        &self.slot
    }
}

impl Drop for Seated<'_> {
    fn drop(&mut self) {
        let now = self.apart.clock.monotonic();
        if let Some(seat) = self.apart.seats().of.get_mut(&self.id) {
            seat.running = seat.running.saturating_sub(1);
            seat.idle_since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn seated(apart: &Apart) -> Vec<String> {
        let mut ids: Vec<_> = apart.seats().of.keys().cloned().collect();
        ids.sort();
        ids
    }

    #[tokio::test]
    async fn the_one_idle_longest_makes_room_and_one_in_use_does_not() {
        let clock = Clock::manual(Timestamp(0));
        let apart = Apart::new(clock.clone(), 2);
        let a = apart.take("a").unwrap();
        drop(apart.take("b").unwrap());
        clock.advance(Duration::from_secs(1));
        drop(a);
        drop(apart.take("c").unwrap());
        assert_eq!(seated(&apart), ["a", "c"]);
        let (a, again) = (apart.take("a").unwrap(), apart.take("a").unwrap());
        assert!(Arc::ptr_eq(&a.slot, &again.slot), "one for each");
        let c = apart.take("c").unwrap();
        drop(again);
        assert_eq!(apart.take("d").err(), Some(NoSeat::Full(2)));
        drop(a);
        drop((apart.take("d").unwrap(), c));
        assert_eq!(seated(&apart), ["c", "d"]);
    }

    #[tokio::test]
    async fn what_lies_idle_ends_and_what_runs_does_not() {
        let clock = Clock::manual(Timestamp(0));
        let apart = Apart::new(clock.clone(), 8);
        let runs = apart.take("runs").unwrap();
        drop(apart.take("idle").unwrap());
        clock.advance(limits::UPSTREAM_IDLE - Duration::from_millis(1));
        drop(apart.take("used").unwrap());
        apart.end_idle();
        assert_eq!(seated(&apart), ["idle", "runs", "used"]);
        clock.advance(Duration::from_millis(1));
        apart.end_idle();
        assert_eq!(seated(&apart), ["runs", "used"]);
        drop(runs);
        apart.stop().await;
        assert_eq!(apart.take("used").err(), Some(NoSeat::Stopped));
    }
}
