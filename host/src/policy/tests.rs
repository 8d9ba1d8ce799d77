//! Real components, written by hand in `tests/guests`, in real sandboxes.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::load::{self, LoadError, Loaded};
use super::*;
use crate::call::{Arguments, CorrelationId, Origin};
use crate::clock::Timestamp;
use crate::ledger::Account;

mod files;
mod hostile;
mod judging;
mod matrices;
mod measure;
mod reading;
mod reloading;
mod snapshots;

/// One engine for all tests that need no pool.
fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new().unwrap())
}

fn guests(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A component around the fields of one core module; exports that it does not have are the defaults.
fn component_text(fields: &str) -> String {
    let defaults = guests("defaults.wat");
    let mut core = guests("data.wat") + fields;
    for form in defaults.split("\n(").skip(1) {
        let name = form.split('"').nth(1).unwrap();
        if !fields.contains(&format!("(export \"{name}\")")) {
            core.push_str(&format!("\n({form}"));
        }
    }
    format!(
        "(component {} (core module $m {core}) (core instance $i (instantiate $m)) {})",
        guests("contract.wat"),
        guests("exports.wat")
    )
}

fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

fn guest(file: &str) -> Vec<u8> {
    assemble(&component_text(&guests(file)))
}

fn load(bytes: &[u8], settings: &str) -> Result<Loaded, LoadError> {
    load::load(engine(), bytes.into(), settings.into())
}

/// Why a component does not load.
fn refused(bytes: &[u8]) -> LoadError {
    match load(bytes, "{}") {
        Ok(_) => panic!("it loaded"),
        Err(error) => error,
    }
}

struct NoFacts;

impl Facts for NoFacts {
    fn spent(&self, _: &Account, _: &str, _: Duration) -> Result<String, String> {
        Ok("12.50".into())
    }

    fn calls(&self, _: Duration) -> Result<u64, String> {
        Err("the store is closed".into())
    }
}

fn tool(name: &str, secrets: &[&str]) -> Arc<Tool> {
    let mut tool = Tool::for_test("market", name);
    tool.name = name.to_owned();
    tool.secret_arguments = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    Arc::new(tool)
}

fn call_of(tool: Arc<Tool>, arguments: &str) -> Arc<Call> {
    Arc::new(Call {
        id: CorrelationId::random().unwrap(),
        time: Timestamp(1_772_366_400_000),
        principal: Arc::new(Principal::for_test("ag_1", &["support"])),
        tool,
        arguments: Arguments::parse(arguments.as_bytes()).unwrap(),
        key: None,
        approval: None,
        origin: Origin::Rest,
        address: None,
        request_id: None,
    })
}

fn call(arguments: &str) -> Arc<Call> {
    call_of(tool("market__create_deal", &[]), arguments)
}

/// A policy directory: components by file name, and `policies.toml`.
fn directory(policies: &str, components: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), policies).unwrap();
    for (name, bytes) in components {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

fn open(policies: &str, components: &[(&str, Vec<u8>)]) -> Policies {
    Policies::open(directory(policies, components).path(), Clock::system()).unwrap()
}

async fn judged(policies: &Policies, call: &Arc<Call>) -> Judged {
    policies.judge(&policies.set().unwrap(), call, None, Arc::new(NoFacts)).await
}

fn code(judged: &Judged) -> &'static str {
    match &judged.outcome {
        Ok(Answer::Allowed(_)) => "allowed",
        Ok(Answer::Asked(_)) => "asked",
        Err(refusal) => refusal.code.as_str(),
    }
}
