//! What each role may do with each tool: every policy is asked about a call without arguments, by an agent that has this
//! one role. It shows the rules, not the future: what a call's arguments, the time of day or the money spent would change,
//! it cannot know.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::arguments::Arguments;
use super::imports::{Facts, Read};
use super::sandbox::Input;
use super::set::{Entry, PolicySet};
use super::{guest, judge, limits};
use crate::catalog::Tool;
use crate::clock::Timestamp;
use crate::json;
use crate::ledger::Account;
use crate::verdict::{Combined, Verdict, combine};

/// The trust of the agent that is asked about: the middle, as in test vectors.
const TRUST: u8 = 50;

/// What a role may do with a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cell {
    /// Call it.
    Allow,
    /// Call it, when a person agrees.
    Ask,
    /// Nothing.
    Deny,
    /// It is for the arguments, the time or the money spent to say.
    Depends,
}

impl Cell {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
            Self::Depends => "depends",
        }
    }
}

/// One tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name.
    pub tool: String,
    /// A cell for each role.
    pub cells: Vec<Cell>,
}

/// Tools and roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Matrix {
    /// The generation of the set that was asked.
    pub generation: u64,
    /// The columns, sorted.
    pub roles: Vec<String>,
    /// The tools, sorted.
    pub rows: Vec<Row>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum MatrixError {
    /// More than is answered.
    #[error("{tools} tools and {roles} roles are more than a matrix of {max} cells", max = limits::MATRIX_CELLS_MAX)]
    TooLarge {
        /// How many tools.
        tools: usize,
        /// How many roles.
        roles: usize,
    },
    /// The gate failed.
    #[error("the gate could not ask its policies: {0}")]
    Failed(String),
}

/// Asks a set about each of these tools for each of these roles, and for those that a policy's settings have under
/// `roles`. Blocks: each cell is some decisions.
///
/// # Errors
/// When there are too many cells.
pub fn matrix(set: &PolicySet, tools: &[Arc<Tool>], roles: &[String], now: Timestamp) -> Result<Matrix, MatrixError> {
    let mut roles: Vec<String> = roles.iter().cloned().chain(set.policies.iter().flat_map(named)).collect();
    roles.sort();
    roles.dedup();
    if tools.len().saturating_mul(roles.len()) > limits::MATRIX_CELLS_MAX {
        return Err(MatrixError::TooLarge { tools: tools.len(), roles: roles.len() });
    }
    let empty = Arguments::without(json::Value::Object(Vec::new()), &[]);
    let arguments = Arc::new(empty.map_err(|error| MatrixError::Failed(error.to_string()))?);
    let mut asker = Asker { set, arguments, now, failed: HashSet::new() };
    let mut rows: Vec<Row> = tools
        .iter()
        .map(|tool| Row { tool: tool.name.clone(), cells: roles.iter().map(|role| asker.cell(tool, role)).collect() })
        .collect();
    rows.sort_by(|a, b| a.tool.cmp(&b.tool));
    Ok(Matrix { generation: set.generation(), roles, rows })
}

/// The roles in a policy's settings: the keys of an object `roles`.
fn named(entry: &Entry) -> Vec<String> {
    let settings: serde_json::Value = serde_json::from_str(&entry.settings).unwrap_or_default();
    let roles = settings.get("roles").and_then(serde_json::Value::as_object);
    roles.into_iter().flat_map(|roles| roles.keys().cloned()).collect()
}

struct Asker<'a> {
    set: &'a PolicySet,
    arguments: Arc<Arguments>,
    now: Timestamp,
    /// Policies that failed once: they are not asked again, for one that loops would take its time for each cell.
    failed: HashSet<&'a str>,
}

impl Asker<'_> {
    fn cell(&mut self, tool: &Tool, role: &str) -> Cell {
        let principal = guest::Principal {
            id: "ag_matrix".to_owned(),
            name: "matrix".to_owned(),
            kind: "agent".to_owned(),
            owner: None,
            roles: vec![role.to_owned()],
            trust: TRUST,
            claims: Vec::new(),
        };
        let asked = judge::tool(tool);
        let call = guest::Call {
            id: "0".repeat(32),
            tool: asked.clone(),
            principal: principal.clone(),
            time_ms: self.now.0,
            approved: false,
        };
        let facts = Arc::new(NoFacts);
        let input = Input { call, arguments: Arc::clone(&self.arguments), facts, zones: None, seed: [0; 16] };
        let mut verdicts = Vec::new();
        let mut depends = false;
        let counts = |entry: &&Entry| entry.enforces() && entry.applies(&tool.name);
        for entry in self.set.policies.iter().filter(counts) {
            let name = entry.listed.name.as_str();
            // A tool that is hidden from a role cannot be called by it; whatever fails refuses.
            if self.failed.contains(name) {
                return Cell::Deny;
            }
            let verdict = match entry.sandbox.visible(&asked, &principal) {
                Ok(true) => entry.sandbox.evaluate(&input),
                Ok(false) => return Cell::Deny,
                Err(failure) => (Err(failure), Vec::new()),
            };
            match verdict {
                (Err(_), _) => {
                    self.failed.insert(name);
                    return Cell::Deny;
                }
                (Ok(verdict), reads) => {
                    if hangs(&verdict, &reads) {
                        depends = true;
                    } else if matches!(verdict, Verdict::Deny(_)) {
                        return Cell::Deny;
                    } else {
                        verdicts.push((name.to_owned(), verdict));
                    }
                }
            }
        }
        if depends {
            return Cell::Depends;
        }
        match combine(verdicts) {
            Combined::Allowed(_) => Cell::Allow,
            Combined::Asked(..) => Cell::Ask,
            Combined::Denied(..) | Combined::Ungranted => Cell::Deny,
        }
    }
}

/// Whether another call of the same tool by the same role may get another verdict: this one hangs on arguments, which are
/// not there, or it refuses because of something besides the call.
fn hangs(verdict: &Verdict, reads: &[Read]) -> bool {
    let argument = |read: &Read| read.what == "arguments" || read.pointer().is_some();
    match verdict {
        Verdict::Deny(denial) => denial.pointer.is_some() || !reads.is_empty(),
        _ => reads.iter().any(argument),
    }
}

/// Nothing was spent, and nothing called.
struct NoFacts;

impl Facts for NoFacts {
    fn spent(&self, _: &Account, _: &str, _: Duration) -> Result<String, String> {
        Ok("0".to_owned())
    }

    fn calls(&self, _: Duration) -> Result<u64, String> {
        Ok(0)
    }
}
