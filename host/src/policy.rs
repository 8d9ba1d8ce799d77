//! May it: every policy that applies is asked, each in a fresh sandbox, and their verdicts become one.
//!
//! What this layer promises: [`Allowed`] exists only when every enforcing policy that applies to a call was asked
//! about exactly this call and none refused, failed or wants a person asked. A policy can read what `wit/policy.wit`
//! says and nothing else, uses no more than [`limits`] say, keeps nothing from one call to the next, and cannot hold
//! up the calls of others for longer than its fuel lasts. What it does not promise: that a policy is right.
//!
//! The gate calls [`Policies::judge`] and [`Policies::visible`]; owners' commands call [`Policies::reload`],
//! [`Policies::rollback`] and [`matrix`]; the command line calls [`check`], [`inspect`] and [`run_vectors`]. Nothing
//! outside of this module knows that policies are WebAssembly.
//!
//! In reading order: `file` and `settings` say which policies there are; `load`, with `snapshot`, makes one ready;
//! `set` holds them; `judge` and `visible` ask them, each time in a `sandbox` with the `imports` of the contract, on
//! the threads of the `pool`; `lift` checks what they said. `watch` notices, with a `fingerprint`, that the directory
//! changes; `reload` brings what it holds into force; `kept` is the store's part in that.

use std::path::Path;
use std::sync::{Arc, RwLock};

mod arguments;
pub mod build;
pub mod bundled;
mod engine;
mod file;
mod fingerprint;
mod guest;
mod imports;
mod inspect;
mod judge;
mod kept;
mod lift;
pub mod limits;
mod load;
mod matrix;
mod names;
mod pool;
mod reload;
mod sandbox;
mod set;
mod settings;
mod snapshot;
mod vectors;
mod visible;
mod wasi;
mod watch;

pub use engine::{Engine, EngineError};
pub use file::{FILE, Mode, Problem};
pub use imports::{Facts, Read};
pub use inspect::{InspectError, Inspection, Section, check, inspect};
pub use judge::{Allowed, Answer, Asked, Decision, Failure, Judged, Questions};
pub use load::{Description, LoadError, SettingsProblem};
pub use matrix::{Cell, Matrix, MatrixError, Row, matrix};
pub use names::{Names, Pattern, names};
pub use reload::{ReloadError, Reloaded};
pub use sandbox::PolicyFailure;
pub use set::{Listed, PolicySet};
pub use vectors::{Difference, VectorError, VectorReport, run_vectors};

use crate::approval::Held;
use crate::call::Call;
use crate::catalog::Tool;
use crate::clock::Clock;
use crate::identity::{Actor, Principal};
use crate::refusal::{Code, Refusal};
use crate::store::Store;
use pool::{Pool, PoolError};
use reload::{Reloader, Shared, Standing};
use watch::Desk;

/// The policies of a gate, and the threads that ask them. Cheap to clone.
#[derive(Clone)]
pub struct Policies(Arc<Inner>);

struct Inner {
    pool: Pool,
    clock: Clock,
    standing: Shared,
    /// Where reloads are asked for; nowhere, where the directory was only looked at.
    desk: Option<Desk>,
}

impl Policies {
    /// The policies of a gate: what is in the directory, or, where that is broken, what the store has as the last good
    /// set. From then on changes of the directory are taken by themselves. Returns when the first loading has succeeded
    /// or failed, which is no error: [`Policies::why`] says why there is no set. Blocks.
    ///
    /// # Errors
    /// When this machine cannot run policies at all.
    pub fn start(directory: &Path, store: Store, clock: Clock) -> Result<Self, EngineError> {
        let engine = Engine::new()?;
        let pool = Pool::start(engine.threads(), limits::SLOT_WAIT)?;
        let mut reloader = Reloader::new(engine, directory, store, clock.clone());
        // What became of it is in the standing, and in the log.
        let _ = reloader.reload(None);
        let standing = reloader.shared();
        let desk = Some(Desk::open(reloader, clock.clone())?);
        Ok(Self(Arc::new(Inner { pool, clock, standing, desk })))
    }

    /// What is in a policy directory now, without a gate: nothing is kept, and no change is seen. Blocks.
    ///
    /// # Errors
    /// When this machine cannot run policies at all.
    pub fn open(directory: &Path, clock: Clock) -> Result<Self, EngineError> {
        let engine = Engine::new()?;
        let pool = Pool::start(engine.threads(), limits::SLOT_WAIT)?;
        let set = inspect::open(&engine, directory).map(Arc::new).map_err(|found| reload::problems(&found));
        let standing = Arc::new(RwLock::new(Standing { set, differs: None }));
        Ok(Self(Arc::new(Inner { pool, clock, standing, desk: None })))
    }

    /// The set that decides. A call asks once, and everything about it is decided by that set.
    ///
    /// # Errors
    /// `no_policy`, when there is none.
    pub fn set(&self) -> Result<Arc<PolicySet>, Refusal> {
        reload::standing(&self.0.standing).set.map_err(|why| {
            let message = "this gate has no policies to decide with, so it refuses every call: tell its owner, who finds \
                           the reason in the gate's log and with `portcullis policy check`";
            Refusal::new(Code::NoPolicy, message).private(why)
        })
    }

    /// Why there is no set: what is wrong, with which file, and what would be right.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        reload::standing(&self.0.standing).set.err()
    }

    /// Why the directory does not hold what is in force, or may not: it is broken, was rolled back, or nobody looks at it.
    /// None when it does.
    #[must_use]
    pub fn differs(&self) -> Option<String> {
        if self.0.desk.as_ref().is_some_and(Desk::ended) {
            return Some(
                "the thread that reloads policies has ended, so changes are not seen: restart the gate".into(),
            );
        }
        reload::standing(&self.0.standing).differs
    }

    /// Brings what the directory holds into force, now.
    ///
    /// # Errors
    /// Why it is not in force; then what was in force still is, unless the directory has no policies at all.
    pub async fn reload(&self, actor: &Actor) -> Result<Reloaded, ReloadError> {
        self.desk()?.reload(actor.clone()).await
    }

    /// Brings the set before the one in force into force again, until the directory changes; over restarts, too.
    ///
    /// # Errors
    /// Why what was in force still is.
    pub async fn rollback(&self, actor: &Actor) -> Result<Reloaded, ReloadError> {
        self.desk()?.rollback(actor.clone()).await
    }

    fn desk(&self) -> Result<&Desk, ReloadError> {
        self.0.desk.as_ref().ok_or(ReloadError::NotRunning)
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
    ///
    /// # Errors
    /// `overloaded`, when there was no thread to ask the policies on.
    pub async fn visible(
        &self,
        set: &Arc<PolicySet>,
        principal: &Arc<Principal>,
        tools: &[Arc<Tool>],
    ) -> Result<Vec<bool>, Refusal> {
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
            answers = match self.0.pool.run(job).await {
                Ok(answers) => answers,
                Err(PoolError::Panicked) => Vec::new(),
                // Who hears that there is no such tool does not come back when there is room again.
                Err(error @ PoolError::Overloaded) => return Err(undecided(&error)),
            };
        }
        let mut answers = answers.into_iter();
        // Whatever was not answered is hidden.
        Ok(known.into_iter().map(|known| known.unwrap_or_else(|_| answers.next().unwrap_or(false))).collect())
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
