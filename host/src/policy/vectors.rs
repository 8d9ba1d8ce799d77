//! A policy's own test vectors, run on the component: each case in a sandbox as a call would be, both from the
//! configured snapshot, where there is one, and configured anew.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::arguments::Arguments;
use super::engine::{Engine, EngineError};
use super::guest;
use super::imports::{Facts, Zones};
use super::load::{self, LoadError, Prepared};
use super::sandbox::{Input, Sandbox};
use super::{lift, limits};
use crate::json;
use crate::ledger::{Account, Charge};
use crate::verdict::{Obligations, Verdict};
use format::{CallIn, Expect, FactsIn, ProblemOut, Vector, Vectors, VisibleOut};

mod format;

/// What became of the cases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VectorReport {
    /// How many cases there are.
    pub cases: usize,
    /// How many of them are as expected.
    pub passed: usize,
    /// Those that are not.
    pub differ: Vec<Difference>,
    /// Whether a snapshot was tried besides.
    pub snapshotted: bool,
}

/// A case that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The case's name.
    pub name: String,
    /// What the policy said instead.
    pub found: String,
}

/// Why vectors cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// The file is not one of vectors.
    #[error("the vectors do not read: {0}")]
    Format(#[source] serde_json::Error),
    /// More cases than are run.
    #[error("there are {0} cases, more than the {max} allowed", max = limits::VECTOR_CASES_MAX)]
    TooMany(usize),
    /// The component is no policy.
    #[error("the component does not load: {0}")]
    Load(#[from] LoadError),
    /// This machine cannot run policies.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Runs vectors (`policies/README.md` says how they are written) on a component.
///
/// # Errors
/// When the vectors do not read or the component does not load.
pub fn run_vectors(component: &[u8], vectors: &str) -> Result<VectorReport, VectorError> {
    run(&Engine::new()?, component, vectors, usize::MAX)
}

/// The same, up to so many cases that are not as expected.
pub(super) fn run(
    engine: &Engine,
    component: &[u8],
    vectors: &str,
    differ_max: usize,
) -> Result<VectorReport, VectorError> {
    let vectors: Vectors = serde_json::from_str(vectors).map_err(VectorError::Format)?;
    if vectors.cases.len() > limits::VECTOR_CASES_MAX {
        return Err(VectorError::TooMany(vectors.cases.len()));
    }
    let bytes: Arc<[u8]> = component.into();
    // The settings that most cases share may be ones that the policy refuses: then each case stands for itself.
    let shared = canonical(&vectors.settings).unwrap_or_default();
    let prepared = load::run(engine, move |engine| load::examined(engine, &bytes, &shared))?;
    let snapshot = prepared.snapshot.as_ref().ok();
    let mut report = VectorReport { cases: vectors.cases.len(), snapshotted: snapshot.is_some(), ..Default::default() };
    for vector in &vectors.cases {
        // A snapshot holds the shared settings, accepted or not.
        let snapshot = snapshot.filter(|_| vector.settings.is_none());
        match case(&prepared.fresh, snapshot, vector, &vectors.settings) {
            Ok(()) => report.passed = report.passed.saturating_add(1),
            Err(found) => report.differ.push(Difference { name: vector.name.clone(), found }),
        }
        if report.differ.len() >= differ_max {
            break;
        }
    }
    Ok(report)
}

fn canonical(raw: &RawValue) -> Result<String, String> {
    let bounds = json::Bounds { bytes_max: limits::SETTINGS_BYTES_MAX, ..crate::limits::ARGUMENTS };
    json::parse(raw.get().as_bytes(), bounds)
        .map(|value| value.canonical())
        .map_err(|error| format!("its settings: {error}"))
}

fn case(fresh: &Prepared, snapshot: Option<&Prepared>, vector: &Vector, shared: &RawValue) -> Result<(), String> {
    let settings = canonical(vector.settings.as_deref().unwrap_or(shared))?;
    let (_, _, problems) =
        fresh.sandbox.configure(&settings).map_err(|failure| format!("`configure` fails: {failure}"))?;
    match &vector.expect {
        Expect::Problems(wanted) => return same_problems(&problems, wanted),
        _ if !problems.is_empty() => return Err(format!("the settings have problems: {problems:?}")),
        _ => {}
    }
    let call = vector.call.as_ref().ok_or("the case has no `call`")?;
    let configured = fresh.sandbox.clone().configured_each_time(settings.into());
    compare(&configured, call, vector)?;
    match snapshot {
        Some(snapshot) => {
            compare(&snapshot.sandbox, call, vector).map_err(|found| format!("from the snapshot: {found}"))
        }
        None => Ok(()),
    }
}

fn compare(sandbox: &Sandbox, call: &CallIn, vector: &Vector) -> Result<(), String> {
    let said = said(call);
    if let Expect::Visible(wanted) = &vector.expect {
        let found =
            sandbox.visible(&said.tool, &said.principal).map_err(|failure| format!("`visible` fails: {failure}"))?;
        let found = if found { VisibleOut::Maybe } else { VisibleOut::Never };
        return if found == *wanted { Ok(()) } else { Err("`visible` said the opposite".to_owned()) };
    }
    let text = call.arguments.as_ref().map_or("{}", |raw| raw.get());
    let value =
        json::parse(text.as_bytes(), crate::limits::ARGUMENTS).map_err(|error| format!("its arguments: {error}"))?;
    let arguments = Arguments::without(value, &[]).map_err(|error| error.to_string())?;
    let facts = Arc::new(vector.facts.clone());
    let zones = Some(Arc::new(zones(&vector.facts)));
    let input = Input { call: said, arguments: Arc::new(arguments), facts, zones, seed: [0; 16] };
    let found = sandbox.evaluate(&input).0.map_err(|failure| format!("`evaluate` fails: {failure}"))?;
    if same_verdict(&found, &vector.expect) { Ok(()) } else { Err(format!("it said {found:?}")) }
}

fn same_problems(found: &[guest::Problem], wanted: &[ProblemOut]) -> Result<(), String> {
    let same = found.len() == wanted.len()
        && found
            .iter()
            .zip(wanted)
            .all(|(found, wanted)| found.pointer == wanted.pointer && found.message.contains(&wanted.message));
    if same { Ok(()) } else { Err(lift::cut(format!("the problems are {found:?}"), limits::SENTENCE_BYTES_MAX)) }
}

fn same_verdict(found: &Verdict, wanted: &Expect) -> bool {
    match (found, wanted) {
        (Verdict::Deny(found), Expect::Deny(wanted)) => {
            found.reason.contains(&wanted.reason) && found.pointer == wanted.pointer && found.tags == wanted.tags
        }
        (Verdict::Ask(found), Expect::Ask(wanted)) => {
            found.summary.contains(&wanted.summary)
                && found.expires_s == wanted.expires_s
                && found.quorum == wanted.quorum.unwrap_or(1)
                && same_due(&found.obligations, &wanted.charges, &wanted.tags)
        }
        (Verdict::Allow(found), Expect::Allow(wanted)) | (Verdict::Pass(found), Expect::Pass(wanted)) => {
            same_due(found, &wanted.charges, &wanted.tags)
        }
        _ => false,
    }
}

fn same_due(found: &Obligations, charges: &[format::ChargeOut], tags: &[String]) -> bool {
    found.tags == tags && found.charges == charges.iter().map(Charge::from).collect::<Vec<_>>()
}

fn said(call: &CallIn) -> guest::Call {
    let given = &call.principal;
    let mut roles = given.roles.clone();
    roles.sort();
    let claim = |(name, value): (&String, &String)| guest::portcullis::policy::types::Claim {
        name: name.clone(),
        value: value.clone(),
    };
    let principal = guest::Principal {
        id: given.id.clone().unwrap_or_else(|| "ag_test".to_owned()),
        name: given.name.clone().unwrap_or_else(|| "test".to_owned()),
        kind: given.kind.clone().unwrap_or_else(|| "agent".to_owned()),
        owner: given.owner.clone(),
        roles,
        trust: given.trust.unwrap_or(50),
        claims: given.claims.iter().map(claim).collect(),
    };
    let annotations = guest::portcullis::policy::types::Annotations {
        read_only: false,
        destructive: true,
        idempotent: false,
        open_world: true,
    };
    let tool = guest::Tool {
        server: call.tool.split_once("__").map_or(call.tool.as_str(), |(server, _)| server).to_owned(),
        name: call.tool.clone(),
        annotations,
        definition: format!("sha256:{}", "0".repeat(64)),
    };
    guest::Call { id: "0".repeat(32), tool, principal, time_ms: call.time_ms, approved: call.approved }
}

fn zones(facts: &FactsIn) -> Zones {
    let zone = |at: &format::LocalTimeIn| {
        let local = guest::portcullis::policy::facts::ZonedTime {
            month: at.month,
            day: at.day,
            year: at.year,
            weekday: at.weekday,
            hour: at.hour,
            minute: at.minute,
            second: at.second,
        };
        (at.zone.clone(), local)
    };
    facts.local_time.iter().map(zone).collect()
}

impl Facts for FactsIn {
    fn spent(&self, account: &Account, currency: &str, window: Duration) -> Result<String, String> {
        let named =
            |fact: &&format::SpentIn| fact.account == *account && fact.currency == currency && fact.window.0 == window;
        Ok(self.spent.iter().find(named).map_or("0", |fact| &fact.amount).to_owned())
    }

    fn calls(&self, window: Duration) -> Result<u64, String> {
        Ok(self.calls.iter().find(|fact| fact.window.0 == window).map_or(0, |fact| fact.count))
    }
}
