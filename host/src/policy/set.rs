//! The policies that decide together: one set, in order, that never changes. A reload makes another.

use std::sync::Arc;

use globset::GlobSet;
use serde::Serialize;

use super::arguments::sha256;
use super::engine::Engine;
use super::file::{Mode, Problem, Written};
use super::load::{self, Description, LoadError, Loaded};
use super::sandbox::Sandbox;
use super::vectors;
use super::visible::Seen;
use super::{lift, limits};
use crate::refusal::causes;

/// A policy set.
pub struct PolicySet {
    generation: u64,
    digest: String,
    pub(super) policies: Vec<Entry>,
    /// Answers to `visible`, as long as this set decides.
    pub(super) seen: Seen,
}

/// One policy of a set.
pub(super) struct Entry {
    pub(super) listed: Listed,
    /// None: all tools.
    tools: Option<GlobSet>,
    pub(super) sandbox: Sandbox,
    /// What it was configured with: canonical JSON.
    pub(super) settings: Arc<str>,
    /// The component.
    pub(super) component: Arc<[u8]>,
}

/// What can be told of a policy in a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its name in `policies.toml`.
    pub name: String,
    /// `bundled:NAME`, or a path in the policy directory.
    pub module: String,
    /// `sha256:…` of the component.
    pub digest: String,
    /// `sha256:…` of its settings as canonical JSON.
    pub settings_digest: String,
    /// Whether its verdict counts.
    pub mode: Mode,
    /// Patterns of the tools that it is asked about; empty for all.
    pub tools: Vec<String>,
    /// Patterns of tools in its settings, in lists called `tools`, however deep.
    #[serde(skip)]
    pub settings_tools: Vec<String>,
    /// What it says of itself.
    pub description: Description,
    /// Why its configuration is done again for each decision; none where a snapshot holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_snapshotted: Option<String>,
}

impl Entry {
    /// Whether it is asked about this tool.
    pub(super) fn applies(&self, tool: &str) -> bool {
        self.tools.as_ref().is_none_or(|tools| tools.is_match(tool))
    }

    /// What it was loaded as, for another set.
    fn loaded(&self) -> Loaded {
        let Listed { description, not_snapshotted, .. } = self.listed.clone();
        Loaded { sandbox: self.sandbox.clone(), description, not_snapshotted }
    }

    /// Whether its verdict counts.
    pub(super) fn enforces(&self) -> bool {
        self.listed.mode == Mode::Enforce
    }
}

impl PolicySet {
    /// Makes policies ready to decide, and runs their test vectors. What another set of this engine has ready, the same
    /// component with the same settings, is not compiled and configured again.
    ///
    /// # Errors
    /// Everything that is wrong with them: a set is whole, or it is not.
    pub(super) fn load(
        engine: &Engine,
        written: Vec<Written>,
        generation: u64,
        ready: Option<&Self>,
    ) -> Result<Self, Vec<Problem>> {
        let ready = ready.map_or(&[][..], |set| set.policies.as_slice());
        let mut problems = Vec::new();
        let mut policies = Vec::with_capacity(written.len());
        for policy in written {
            let name = policy.name.clone();
            match entry(engine, policy, ready) {
                Ok(entry) => policies.push(entry),
                Err(messages) => {
                    let policy = |message| Problem { policy: Some(name.clone()), message };
                    problems.extend(messages.into_iter().map(policy));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let digest = digest(&policies);
        Ok(Self { generation, digest, policies, seen: Seen::default() })
    }

    /// Which set it is: each set that is put in force gets the next number, and keeps it over restarts and rollbacks.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The same set under another number.
    pub(super) fn numbered(self, generation: u64) -> Self {
        Self { generation, ..self }
    }

    /// `sha256:…` over everything that this set's verdicts depend on besides the call: the policies in order, each
    /// one's component, settings, mode and tools.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Patterns in the settings of policies that have no effect on any of these tools, and why: what their owner meant to
    /// limit or to ask about is probably not.
    #[must_use]
    pub fn unheeded(&self, tools: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for entry in &self.policies {
            let name = &entry.listed.name;
            for pattern in &entry.listed.settings_tools {
                // A server that is not here, still or not any more, is no spelling mistake.
                let server = pattern.split_once("__").map(|(server, _)| format!("{server}__"));
                if server.is_some_and(|server| !tools.iter().any(|tool| tool.starts_with(&server))) {
                    continue;
                }
                let Ok(glob) = globset::Glob::new(pattern) else { continue };
                let glob = glob.compile_matcher();
                let mut meant = tools.iter().filter(|tool| glob.is_match(tool)).peekable();
                if meant.peek().is_none() {
                    found.push(format!("the settings of policy `{name}` name `{pattern}`, and no tool is called so"));
                } else if !meant.any(|tool| entry.applies(tool)) {
                    found.push(format!(
                        "the settings of policy `{name}` name `{pattern}`, but its own `tools` leave these calls out: it is not \
                         asked about them"
                    ));
                }
            }
        }
        found
    }

    /// Policies that are asked about none of these tools: their patterns are probably not what their owner meant.
    #[must_use]
    pub fn idle<'a>(&'a self, tools: &[&str]) -> Vec<&'a Listed> {
        let idle = |entry: &&Entry| !tools.iter().any(|tool| entry.applies(tool));
        self.policies.iter().filter(idle).map(|entry| &entry.listed).collect()
    }

    /// Its policies, in order.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        self.policies.iter().map(|entry| entry.listed.clone()).collect()
    }
}

fn entry(engine: &Engine, written: Written, ready: &[Entry]) -> Result<Entry, Vec<String>> {
    let Written { name, module, mode, patterns, tools, settings, bytes, vectors } = written;
    let (digest, settings_digest) = (sha256(&bytes), sha256(settings.as_bytes()));
    let component = Arc::clone(&bytes);
    let same = |entry: &&Entry| entry.listed.digest == digest && entry.listed.settings_digest == settings_digest;
    let loaded = match ready.iter().find(same) {
        Some(entry) => Ok(entry.loaded()),
        None => load::load(engine, bytes, Arc::clone(&settings)),
    };
    let Loaded { sandbox, description, not_snapshotted } = loaded.map_err(|error| match error {
        LoadError::Settings(problems) => problems
            .into_iter()
            .map(|problem| format!("its settings at `{}`: {}", problem.pointer, problem.message))
            .collect(),
        error => vec![format!("the module `{module}` does not load: {error}")],
    })?;
    if let Some((file, text)) = vectors {
        passes(engine, &component, &file, &text)?;
    }
    let listed = Listed {
        name,
        module,
        digest,
        settings_digest,
        mode,
        tools: patterns,
        settings_tools: named_tools(&settings),
        description,
        not_snapshotted,
    };
    Ok(Entry { listed, tools, sandbox, settings, component })
}

/// Whether a component says what its vectors expect.
fn passes(engine: &Engine, component: &[u8], file: &str, text: &str) -> Result<(), Vec<String>> {
    let report = vectors::run(engine, component, text, limits::VECTORS_DIFFER_MAX)
        .map_err(|error| vec![format!("its vectors in `{file}` cannot be run: {}", causes(&error))])?;
    if report.cases == 0 {
        return Err(vec![format!("its vectors in `{file}` have no cases: write some, or leave `vectors` out")]);
    }
    if report.differ.is_empty() {
        return Ok(());
    }
    let differs = |case: &vectors::Difference| format!("it fails the case `{}` of `{file}`: {}", case.name, case.found);
    Err(report.differ.iter().map(|case| lift::cut(differs(case), limits::SENTENCE_BYTES_MAX)).collect())
}

/// What stands in lists called `tools` in settings, which are canonical JSON. That is how the bundled policies say which
/// calls a rule is about; what another policy means by it is its own affair.
fn named_tools(settings: &str) -> Vec<String> {
    fn collect(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(members) => {
                let named = members.get("tools").and_then(serde_json::Value::as_array);
                found.extend(named.into_iter().flatten().filter_map(|tool| tool.as_str().map(str::to_owned)));
                members.values().for_each(|value| collect(value, found));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Ok(settings) = serde_json::from_str(settings) {
        collect(&settings, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

fn digest(policies: &[Entry]) -> String {
    let all: Vec<serde_json::Value> = policies
        .iter()
        .map(|Entry { listed, .. }| {
            serde_json::json!([listed.name, listed.digest, listed.settings_digest, listed.mode, listed.tools])
        })
        .collect();
    sha256(serde_json::Value::from(all).to_string().as_bytes())
}
