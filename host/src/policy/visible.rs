//! Which tools a principal sees. A tool is listed when no enforcing policy that applies says `never`; whatever goes
//! wrong hides it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::judge;
use super::limits;
use super::set::PolicySet;
use crate::catalog::Tool;
use crate::clock::Clock;
use crate::identity::Principal;

/// Answers that were given, for one policy set.
#[derive(Default)]
pub(super) struct Seen(Mutex<HashMap<Key, bool>>);

/// Everything that an answer depends on besides the set: the principal's digest, the tool's name and definition.
type Key = ([u8; 32], String, String);

impl Seen {
    fn get(&self, key: &Key) -> Option<bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    fn keep(&self, key: Key, visible: bool) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= limits::VISIBLE_CACHED_MAX {
            answers.clear();
        }
        answers.insert(key, visible);
    }
}

/// What is known already: an answer for each tool, or its key.
pub(super) fn known(set: &PolicySet, principal: &Principal, tools: &[Arc<Tool>]) -> Vec<Result<bool, Key>> {
    let who = digest(principal);
    let known = |tool: &Arc<Tool>| {
        let key = (who, tool.name.clone(), tool.digest.clone());
        set.seen.get(&key).ok_or(key)
    };
    tools.iter().map(known).collect()
}

/// Asks the policies about tools, for a bounded time. A policy that has failed once is not asked again for this listing:
/// the tools it is about are hidden.
pub(super) fn ask(set: &PolicySet, principal: &Principal, tools: Vec<(Arc<Tool>, Key)>, clock: &Clock) -> Vec<bool> {
    let who = judge::principal(principal);
    let until = clock.monotonic().saturating_add(limits::VISIBLE);
    let mut failed: HashSet<&str> = HashSet::new();
    let mut answer = |(tool, key): (Arc<Tool>, Key)| {
        if clock.monotonic() > until {
            return false;
        }
        let asked = judge::tool(&tool);
        for entry in set.policies.iter().filter(|entry| entry.enforces() && entry.applies(&tool.name)) {
            if failed.contains(entry.listed.name.as_str()) {
                return false;
            }
            match entry.sandbox.visible(&asked, &who) {
                Ok(true) => {}
                Ok(false) => {
                    set.seen.keep(key, false);
                    return false;
                }
                Err(failure) => {
                    tracing::warn!(policy = entry.listed.name, tool = tool.name, %failure, "a policy failed: tools are hidden");
                    failed.insert(&entry.listed.name);
                    return false;
                }
            }
        }
        set.seen.keep(key, true);
        true
    };
    tools.into_iter().map(&mut answer).collect()
}

fn digest(principal: &Principal) -> [u8; 32] {
    let Principal { id, name, kind, owner, roles, trust, claims, .. } = principal;
    let all = serde_json::json!([id, name, kind, owner, roles, trust, claims]);
    Sha256::digest(all.to_string()).into()
}
