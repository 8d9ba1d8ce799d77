//! What decides when the policy directory changes. Read, compiled, configured and tried off the path of calls; then the
//! whole set is swapped at once. A call that has begun ends with the set that it began with.
//!
//! | the directory | what decides |
//! |---|---|
//! | holds the set in force | that set, in its generation |
//! | holds another good set | that one, from the moment at which the store has it |
//! | is broken | the last good set, here or out of the store |
//! | has no `policies.toml`, or an empty one | nothing |
//! | holds what a rollback left | the set that was rolled back to |

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::engine::Engine;
use super::file::{self, Content, Problem, Reading};
use super::fingerprint::Fingerprint;
use super::kept::{self, Force, KeptSet};
use super::limits;
use super::set::PolicySet;
use crate::audit::{Entry, Status};
use crate::call::CorrelationId;
use crate::clock::Clock;
use crate::identity::Actor;
use crate::store::{Store, StoreError};

/// What decides, and what is the matter with the directory.
#[derive(Clone)]
pub(super) struct Standing {
    /// The set, or what keeps it from being one.
    pub(super) set: Result<Arc<PolicySet>, String>,
    /// Why the directory does not hold what is in force; none when it does.
    pub(super) differs: Option<String>,
}

/// The standing that all share; swapped as a whole.
pub(super) type Shared = Arc<RwLock<Standing>>;

pub(super) fn standing(shared: &Shared) -> Standing {
    shared.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// What a reload or a rollback came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reloaded {
    /// The generation in force.
    pub generation: u64,
    /// The digest of its set.
    pub digest: String,
    /// Whether another set was put in force.
    pub changed: bool,
    /// Why the directory does not hold what is in force; none when it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differs: Option<String>,
}

/// Why another set was not put in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Everything that is wrong with the directory.
    #[error("{}", problems(.0))]
    Problems(Vec<Problem>),
    /// The set could not be kept, so it did not take force.
    #[error("the policies could not be kept, so what was in force stays: {0}")]
    Store(#[from] StoreError),
    /// There is nothing to go back to.
    #[error("no set before the one in force is kept, so there is nothing to go back to: change the policy directory")]
    NothingBefore,
    /// No randomness.
    #[error("the system has no randomness: {0}")]
    Random(#[from] getrandom::Error),
    /// Too many ask at once.
    #[error("other reloads are going on: try again in a moment")]
    Busy,
    /// Nothing here reloads.
    #[error("the gate that these policies decide for is not running")]
    NotRunning,
}

/// Problems as one line.
pub(super) fn problems(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

/// What the thread that reloads works with.
pub(super) struct Reloader {
    engine: Engine,
    directory: PathBuf,
    store: Store,
    clock: Clock,
    shared: Shared,
    /// The last set that was good.
    last: Option<Arc<PolicySet>>,
    /// The files that the last reading depended on, as they were.
    seen: Option<(Vec<String>, Fingerprint)>,
    /// When what failed for a reason outside of the directory is tried again.
    retry: Option<Duration>,
}

impl Reloader {
    pub(super) fn new(engine: Engine, directory: &Path, store: Store, clock: Clock) -> Self {
        let standing = Standing { set: Err("the policies are not loaded yet".to_owned()), differs: None };
        let shared = Arc::new(RwLock::new(standing));
        Self { engine, directory: directory.to_owned(), store, clock, shared, last: None, seen: None, retry: None }
    }

    pub(super) fn shared(&self) -> Shared {
        Arc::clone(&self.shared)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether a file that the policies depend on is another than when it was read.
    pub(super) fn stirred(&self) -> bool {
        self.seen.as_ref().is_none_or(|(files, print)| Fingerprint::of(&self.directory, files) != *print)
    }

    /// Whether something that failed is to be tried again.
    pub(super) fn due(&self) -> bool {
        self.retry.is_some_and(|at| self.clock.monotonic() >= at)
    }

    /// Brings into force what the directory holds; nobody gives an order when the gate sees a change itself.
    ///
    /// # Errors
    /// Why that is not in force now.
    pub(super) fn reload(&mut self, by: Option<&Actor>) -> Result<Reloaded, ReloadError> {
        self.retry = None;
        let done = self.read().and_then(|reading| self.take(reading, by));
        self.settle(done)
    }

    /// Brings the set before the one in force into force again; what the directory holds now is left.
    ///
    /// # Errors
    /// Why what was in force stays.
    pub(super) fn rollback(&mut self, by: &Actor) -> Result<Reloaded, ReloadError> {
        let done = self.back(by);
        if done.is_err() {
            // What was read was not taken.
            self.seen = None;
        }
        done
    }

    fn back(&mut self, by: &Actor) -> Result<Reloaded, ReloadError> {
        let reading = self.read()?;
        if let Content::Absent(problem) = reading.content {
            return Err(ReloadError::Problems(vec![problem]));
        }
        let force = kept::force(&self.store)?;
        let current = kept::set(&self.store, force.generation)?;
        let before = match current.as_ref().and_then(|set| set.before) {
            Some(before) => kept::set(&self.store, before)?.ok_or(ReloadError::NothingBefore)?,
            None => return Err(ReloadError::NothingBefore),
        };
        let set = self.load_kept(before)?;
        let entry = about(&set, self.entry("policy.rollback", Status::Completed, Some(by))?)
            .metadata("before", force.generation);
        let left = Some(reading.identity);
        let force = Force { generation: set.generation(), highest: force.highest, left, failed: None };
        kept::put_in_force(&self.store, force, None, entry)?;
        Ok(self.stand(&set, true, Some(LEFT.to_owned())))
    }

    /// Reads the directory until it reads the same twice, so that no half of a change is taken for the whole.
    fn read(&mut self) -> Result<Reading, ReloadError> {
        for _ in 0..limits::READS_MAX {
            let first = file::read(&self.directory);
            let print = Fingerprint::of(&self.directory, &first.files);
            let again = file::read(&self.directory);
            if again.identity == first.identity {
                self.seen = Some((again.files.clone(), print));
                return Ok(again);
            }
        }
        self.seen = None;
        let message = "it, or what it names, changes while it is read: it is read again when it has come to rest";
        Err(ReloadError::Problems(vec![Problem { policy: None, message: message.to_owned() }]))
    }

    fn take(&mut self, reading: Reading, by: Option<&Actor>) -> Result<Reloaded, ReloadError> {
        let force = kept::force(&self.store)?;
        let Reading { identity, content, .. } = reading;
        match content {
            Content::Absent(problem) => {
                let why = problem.to_string();
                self.note_failure(force, identity, std::slice::from_ref(&problem), by);
                self.set_standing(Standing { set: Err(why.clone()), differs: Some(why) });
                Err(ReloadError::Problems(vec![problem]))
            }
            // Somebody who says so takes it after all.
            _ if by.is_none() && force.left.as_ref() == Some(&identity) => self.stay(&force),
            Content::Broken(problems) => Err(self.refuse(force, identity, problems, by)),
            Content::Written(written) => {
                let next = force.highest.saturating_add(1);
                match PolicySet::load(&self.engine, written, next, self.last.as_deref()) {
                    Ok(set) => self.put(set, force, by),
                    Err(problems) => Err(self.refuse(force, identity, problems, by)),
                }
            }
        }
    }

    /// A good set: the one that was in force last, or a new one.
    fn put(&mut self, set: PolicySet, force: Force, by: Option<&Actor>) -> Result<Reloaded, ReloadError> {
        if let Some(last) = &self.last {
            if last.digest() == set.digest() {
                return self.put_known(Arc::clone(last), force, by);
            }
        } else if let Some(kept) = kept::set(&self.store, force.generation)?
            && kept.digest == set.digest()
        {
            return self.put_known(Arc::new(set.numbered(kept.generation)), force, by);
        }
        self.put_new(set, force, by)
    }

    /// The set that is in force anyway. That the directory holds it again, after it did not, is written down.
    fn put_known(&mut self, set: Arc<PolicySet>, force: Force, by: Option<&Actor>) -> Result<Reloaded, ReloadError> {
        if force.left.is_some() || force.failed.is_some() {
            let entry = about(&set, self.entry(RELOAD, Status::Completed, by)?).metadata("changed", false);
            kept::note(&self.store, Force { left: None, failed: None, ..force }, entry)?;
        }
        Ok(self.stand(&set, false, None))
    }

    fn put_new(&mut self, set: PolicySet, force: Force, by: Option<&Actor>) -> Result<Reloaded, ReloadError> {
        let entry = about(&set, self.entry(RELOAD, Status::Completed, by)?)
            .metadata("changed", true)
            .metadata("before", force.generation);
        let kept = KeptSet::of(&set, force.generation);
        kept::keep_components(&self.store, &set)?;
        let force = Force { generation: kept.generation, highest: kept.generation, left: None, failed: None };
        kept::put_in_force(&self.store, force, Some(kept), entry)?;
        tracing::info!(generation = set.generation(), digest = set.digest(), "a policy set takes force");
        Ok(self.stand(&Arc::new(set), true, None))
    }

    /// The directory is broken: the last good set goes on.
    fn refuse(&mut self, force: Force, identity: String, found: Vec<Problem>, by: Option<&Actor>) -> ReloadError {
        let why = problems(&found);
        tracing::error!(why, "the policy directory does not load");
        self.note_failure(force.clone(), identity, &found, by);
        let set = match self.last_good(&force) {
            Ok(Some(set)) => Ok(set),
            Ok(None) => Err(why.clone()),
            Err(error) => Err(format!("{why}; and the last good set cannot be used: {error}")),
        };
        let differs = match &set {
            Ok(set) => {
                format!("generation {} goes on deciding, because the directory does not load: {why}", set.generation())
            }
            Err(why) => why.clone(),
        };
        self.set_standing(Standing { set, differs: Some(differs) });
        ReloadError::Problems(found)
    }

    /// The directory holds what a rollback left.
    fn stay(&mut self, force: &Force) -> Result<Reloaded, ReloadError> {
        let error = match self.last_good(force) {
            Ok(Some(set)) => return Ok(self.stand(&set, false, Some(LEFT.to_owned()))),
            Ok(None) => ReloadError::NothingBefore,
            Err(error) => error,
        };
        let why = format!("{LEFT}; and the set that they were rolled back to cannot be used: {error}");
        self.set_standing(Standing { set: Err(why.clone()), differs: Some(why) });
        Err(error)
    }

    /// Writes down that the directory is of no use, once for each content.
    fn note_failure(&self, force: Force, identity: String, found: &[Problem], by: Option<&Actor>) {
        if force.failed.as_ref() == Some(&identity) {
            return;
        }
        let noted = self.entry(RELOAD, Status::Failed, by).map_err(ReloadError::from).and_then(|entry| {
            let entry = entry.metadata("generation", force.generation).metadata("problems", json!(found));
            Ok(kept::note(&self.store, Force { failed: Some(identity), ..force }, entry)?)
        });
        if let Err(error) = noted {
            tracing::error!(%error, "that the policy directory does not load could not be written down");
        }
    }

    /// The set that was in force last, from before or out of the store.
    fn last_good(&mut self, force: &Force) -> Result<Option<Arc<PolicySet>>, ReloadError> {
        if let Some(last) = &self.last {
            return Ok(Some(Arc::clone(last)));
        }
        let kept = kept::set(&self.store, force.generation)?;
        let set = kept.map(|kept| self.load_kept(kept)).transpose()?;
        self.last.clone_from(&set);
        Ok(set)
    }

    fn load_kept(&self, kept: KeptSet) -> Result<Arc<PolicySet>, ReloadError> {
        let (generation, digest) = (kept.generation, kept.digest.clone());
        let written = kept::written(&self.store, kept)?;
        let set =
            PolicySet::load(&self.engine, written, generation, self.last.as_deref()).map_err(ReloadError::Problems)?;
        if set.digest() != digest {
            let damaged = format!("the kept policy set of generation {generation} is not what was kept");
            return Err(StoreError::Damaged(damaged).into());
        }
        Ok(Arc::new(set))
    }

    fn stand(&mut self, set: &Arc<PolicySet>, changed: bool, differs: Option<String>) -> Reloaded {
        self.last = Some(Arc::clone(set));
        self.set_standing(Standing { set: Ok(Arc::clone(set)), differs: differs.clone() });
        Reloaded { generation: set.generation(), digest: set.digest().to_owned(), changed, differs }
    }

    fn set_standing(&self, standing: Standing) {
        *self.shared.write().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    /// What failed for a reason outside of the directory is told, and tried again later.
    fn settle(&mut self, done: Result<Reloaded, ReloadError>) -> Result<Reloaded, ReloadError> {
        if let Err(error) = &done {
            let outside = !matches!(error, ReloadError::Problems(_));
            if outside || self.seen.is_none() {
                let why = error.to_string();
                tracing::error!(why, "the policies were not reloaded");
                let set = standing(&self.shared).set.map_err(|_| why.clone());
                self.set_standing(Standing { set, differs: Some(why) });
            }
            if outside {
                self.retry = Some(self.clock.monotonic().saturating_add(limits::RETRY_RELOAD));
            }
        }
        done
    }

    fn entry(&self, action: &str, status: Status, by: Option<&Actor>) -> Result<Entry, getrandom::Error> {
        let entry = Entry::new(self.clock.now(), CorrelationId::random()?, action, status);
        Ok(match by {
            Some(actor) => entry.actor(actor),
            // The gate itself.
            None => entry.metadata("kind", "gate"),
        })
    }
}

/// The action in the audit log.
const RELOAD: &str = "policy.reload";

/// What is said while the directory holds what a rollback left.
const LEFT: &str = "the policies were rolled back: what the policy directory holds is not in force until it changes, or `portcullis \
                    policy reload` takes it";

/// An entry about a set.
fn about(set: &PolicySet, entry: Entry) -> Entry {
    let policy = |listed: super::set::Listed| {
        json!({
            "name": listed.name,
            "module": listed.module,
            "digest": listed.digest,
            "settings_digest": listed.settings_digest,
            "mode": listed.mode,
            "tools": listed.tools,
        })
    };
    let policies: Vec<serde_json::Value> = set.list().into_iter().map(policy).collect();
    entry.metadata("generation", set.generation()).metadata("digest", set.digest()).metadata("policies", policies)
}
