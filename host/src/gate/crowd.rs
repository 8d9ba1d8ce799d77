//! How many calls are being handled: bounded for all and for each principal, in number and in bytes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::refusal;
use crate::limits;
use crate::refusal::{Code, Refusal};

/// The calls that are being handled.
#[derive(Clone, Debug, Default)]
pub struct Crowd(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    all: Load,
    by_principal: HashMap<String, Load>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Load {
    calls: usize,
    bytes: usize,
}

impl Load {
    fn fits(self, bytes: usize, calls_max: usize, bytes_max: usize) -> bool {
        self.calls < calls_max && self.bytes.saturating_add(bytes) <= bytes_max
    }

    fn add(&mut self, bytes: usize) {
        self.calls = self.calls.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn take(&mut self, bytes: usize) {
        self.calls = self.calls.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// One call's place; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Crowd,
    principal: String,
    bytes: usize,
}

impl Crowd {
    /// A place for a call with arguments of so many bytes.
    pub(super) fn enter(&self, principal: &str, bytes: usize) -> Result<Place, Refusal> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = counts.by_principal.get(principal).copied().unwrap_or_default();
        let whose = if !own.fits(bytes, limits::CALLS_PER_PRINCIPAL_MAX, limits::CALLS_BYTES_PER_PRINCIPAL_MAX) {
            "of yours"
        } else if !counts.all.fits(bytes, limits::CALLS_MAX, limits::CALLS_BYTES_MAX) {
            "at this gate"
        } else {
            counts.all.add(bytes);
            counts.by_principal.entry(principal.to_owned()).or_default().add(bytes);
            return Ok(Place { crowd: self.clone(), principal: principal.to_owned(), bytes });
        };
        let message =
            format!("too many calls {whose} have not ended yet, so nothing was done; repeat the call in a moment");
        Err(refusal(Code::Overloaded, message).retry_after(limits::RETRY_CROWDED))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all.take(self.bytes);
        if let Some(own) = counts.by_principal.get_mut(&self.principal) {
            own.take(self.bytes);
            if own.calls == 0 {
                counts.by_principal.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_bounds_and_places_come_back() {
        let crowd = Crowd::default();
        let mut places: Vec<Place> =
            (0..limits::CALLS_PER_PRINCIPAL_MAX).map(|_| crowd.enter("a", 1).unwrap()).collect();
        assert_eq!(crowd.enter("a", 1).unwrap_err().code, Code::Overloaded);
        let other = crowd.enter("b", 1).unwrap();
        places.pop();
        places.push(crowd.enter("a", 1).unwrap());
        drop((places, other));
        assert!(crowd.0.lock().unwrap().by_principal.is_empty());

        let half = limits::CALLS_BYTES_PER_PRINCIPAL_MAX / 2;
        let large = [crowd.enter("a", half).unwrap(), crowd.enter("a", half).unwrap()];
        assert!(crowd.enter("a", 1).is_err());
        let more = [crowd.enter("b", half).unwrap(), crowd.enter("b", half).unwrap()];
        assert!(crowd.enter("c", 1).unwrap_err().message.contains("at this gate"));
        drop((large, more));
        assert!(crowd.enter("c", 1).is_ok());
    }
}
