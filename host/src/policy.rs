//! May it: every policy that applies is asked, each in a fresh sandbox, and their verdicts become one.
//!
//! What this layer promises: [`Allowed`] exists only when every enforcing policy that applies to a call was asked
//! about exactly this call and none refused, failed or wants a person asked. A policy can read what `wit/policy.wit`
//! says and nothing else, uses no more than [`limits`] say, keeps nothing from one call to the next, and cannot hold
//! up the calls of others for longer than its fuel lasts. What it does not promise: that a policy is right.
//!
//! The gate calls [`Policies::judge`] and [`Policies::visible`]; the command line calls [`check`],
//! [`inspect`] and [`run_vectors`]. Nothing outside of this module knows
//! that policies are WebAssembly.
//!
//! In reading order: `file` and `settings` say which policies there are; `load`, with `snapshot`, makes one ready;
//! `set` holds them; `judge` and `visible` ask them, each time in a `sandbox` with the `imports` of the contract, on
//! the threads of the `pool`; `lift` checks what they said.

use std::path::Path;
use std::sync::Arc;

mod arguments;
pub mod build;
pub mod bundled;
mod engine;
mod file;
mod guest;
mod imports;
mod inspect;
mod judge;
mod lift;
pub mod limits;
mod load;
mod pool;
mod sandbox;
mod set;
mod settings;
mod snapshot;
mod vectors;
mod visible;
mod wasi;

pub use engine::{Engine, EngineError};
pub use file::{FILE, Mode, Problem};
pub use imports::{Facts, Read};
pub use inspect::{InspectError, Inspection, Section, check, inspect};
pub use judge::{Allowed, Answer, Asked, Decision, Failure, Judged, Questions};
pub use load::{Description, LoadError, SettingsProblem};
pub use sandbox::PolicyFailure;
pub use set::{Listed, PolicySet};
pub use vectors::{Difference, VectorError, VectorReport, run_vectors};

use crate::approval::Held;
use crate::call::Call;
use crate::catalog::Tool;
use crate::clock::Clock;
use crate::identity::Principal;
use crate::refusal::{Code, Refusal};
use pool::{Pool, PoolError};

/// The policies of a gate, and the threads that ask them. Cheap to clone.
#[derive(Clone)]
pub struct Policies(Arc<Inner>);

struct Inner {
    pool: Pool,
    clock: Clock,
    /// The set, or what keeps it from being one.
    set: Result<Arc<PolicySet>, String>,
}

impl Policies {
    /// Loads a policy directory; returns when that has succeeded or failed. A directory that is missing, empty or
    /// broken is no error: there is no set then, and [`Policies::why`] says why.
    ///
    /// # Errors
    /// When this machine cannot run policies at all.
    pub fn open(directory: &Path, clock: Clock) -> Result<Self, EngineError> {
        let engine = Engine::new()?;
        let pool = Pool::start(engine.threads(), limits::SLOT_WAIT)?;
        let set = PolicySet::load(&engine, directory, 1)
            .map(Arc::new)
            .map_err(|problems| problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; "));
        Ok(Self(Arc::new(Inner { pool, clock, set })))
    }

    /// The set that decides.
    ///
    /// # Errors
    /// `no_policy`, when there is none.
    pub fn set(&self) -> Result<Arc<PolicySet>, Refusal> {
        self.0.set.clone().map_err(|why| {
            let message = "this gate has no policies to decide with, so it refuses every call: tell its owner, who finds \
                           the reason in the gate's log and with `portcullis policy check`";
            Refusal::new(Code::NoPolicy, message).private(why)
        })
    }

    /// Why there is no set: what is wrong, with which file, and what would be right.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        self.0.set.as_ref().err().cloned()
    }

    /// Asks the policies about a call, with the approval that is held for it. Once it has begun, it goes on when its
    /// caller leaves.
    pub async fn judge(
        &self,
        set: &Arc<PolicySet>,
        call: &Arc<Call>,
        held: Option<Held>,
        facts: Arc<dyn Facts>,
    ) -> Judged {
        let (set, asked, clock) = (Arc::clone(set), Arc::clone(call), self.0.clock.clone());
        let judged = self.0.pool.run(move || judge::judge(&set, &asked, held, facts, &clock)).await;
        judged.unwrap_or_else(|error| Judged::undecided(undecided(&error)))
    }

    /// Which of these tools the principal sees.
    pub async fn visible(&self, set: &Arc<PolicySet>, principal: &Arc<Principal>, tools: &[Arc<Tool>]) -> Vec<bool> {
        let known = visible::known(set, principal, tools);
        let asked: Vec<_> = tools
            .iter()
            .zip(&known)
            .filter_map(|(tool, known)| known.as_ref().err().map(|key| (Arc::clone(tool), key.clone())))
            .collect();
        let mut answers = Vec::new();
        if !asked.is_empty() {
            let (set, principal, clock) = (Arc::clone(set), Arc::clone(principal), self.0.clock.clone());
            let job = move || visible::ask(&set, &principal, asked, &clock);
            answers = self.0.pool.run(job).await.unwrap_or_default();
        }
        let mut answers = answers.into_iter();
        // Whatever was not answered is hidden.
        known.into_iter().map(|known| known.unwrap_or_else(|_| answers.next().unwrap_or(false))).collect()
    }
}

fn undecided(error: &PoolError) -> Refusal {
    match error {
        PoolError::Overloaded => {
            let message = "the gate has too much to decide, so nothing was done: repeat the call in a moment";
            Refusal::new(Code::Overloaded, message).retry_after(limits::RETRY_OVERLOADED)
        }
        PoolError::Panicked => {
            let message =
                "the gate failed while it decided, so the call is refused and nothing was done: tell its owner";
            Refusal::new(Code::PolicyFault, message)
        }
    }
    .private(error)
}

#[cfg(test)]
mod tests;
