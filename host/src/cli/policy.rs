//! `portcullis policy …`

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::show::{self, Tone};
use super::{Failure, client, load, out};
use crate::admin::{self, AdminError, Command};
use crate::clock::Clock;
use crate::policy::{self, Policies, build, bundled};
use crate::refusal::causes;
use crate::task;

mod matrix;

/// What stands before the name of a policy that comes with the gate.
const BUNDLED: &str = "bundled:";

#[derive(Debug, Subcommand)]
pub(super) enum Words {
    /// Show the policies in force, or those that would be if the gate ran
    List {
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Put what the policy directory holds into force, now
    Reload {
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Put the set before the one in force into force again, until the policy directory changes
    Rollback {
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what each role may do with each tool
    ///
    /// The policies are asked about a call without arguments: allow, ask (a person has to agree), deny, or depends (the
    /// arguments, the time or the money spent decide). Arguments can change an allow or an ask, too. No tool is called.
    Matrix {
        /// A role besides those of the registered agents and those in the policies' settings
        #[arg(long, value_name = "ROLE")]
        role: Vec<String>,
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a component is, what it imports and whether it can be snapshotted
    Inspect {
        /// A .wasm file, or `bundled:NAME`
        file: PathBuf,
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Load a policy directory without a gate and say everything that is wrong with it
    Check {
        /// The directory with policies.toml
        directory: PathBuf,
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Run a policy's test vectors against its component
    Test {
        /// The policy's directory (vectors.json, and the component in `dist`), or `bundled:NAME`
        directory: PathBuf,
        /// The component, where it is somewhere else
        #[arg(long, value_name = "FILE")]
        component: Option<PathBuf>,
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Build a Rust policy into a component
    Build {
        /// The directory of the policy's crate
        directory: PathBuf,
        /// Where to put the component
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(config: &Path, words: Words) -> Result<(), Failure> {
    match words {
        Words::List { json } => list(config, json).await,
        Words::Reload { json } => change(config, &Command::PolicyReload, json).await,
        Words::Rollback { json } => change(config, &Command::PolicyRollback, json).await,
        Words::Matrix { role, json } => matrix::run(config, role, json).await,
        Words::Inspect { file, json } => task::blocking(move || inspect(&file, json)).await,
        Words::Check { directory, json } => task::blocking(move || check(&directory, json)).await,
        Words::Test { directory, component, json } => {
            task::blocking(move || test(&directory, component.as_deref(), json)).await
        }
        Words::Build { directory, out, json } => {
            task::blocking(move || build_one(&directory, out.as_deref(), json)).await
        }
    }
}

fn said(error: &dyn std::error::Error) -> Failure {
    Failure::Said(causes(error))
}

async fn list(config: &Path, json: bool) -> Result<(), Failure> {
    let config = load(config)?;
    let answer = match client::ask(&config, &Command::PolicyList).await? {
        Some(answer) => answer,
        None => {
            let opened = task::blocking(move || Policies::open(&config.policies, Clock::system())).await;
            admin::policy_list(&opened.map_err(|error| said(&error))?).map_err(|error| said(&error))?
        }
    };
    let out = out();
    if json {
        return Ok(out.json(&answer)?);
    }
    let line = |label: &str, key: &str| format!("{label:11} {}", show::cell(answer.get(key)));
    out.line(&line("generation", "generation"))?;
    out.line(&line("digest", "digest"))?;
    if let Some(reason) = answer.get("reason").and_then(Value::as_str) {
        out.line(&format!("{}  {}", out.tone(Tone::Bad, "differs"), show::plain(reason)))?;
    }
    let columns = ["name", "module", "mode", "tools", "digest"];
    let row = |policy: &Value| columns.iter().map(|column| show::cell(policy.get(*column))).collect();
    let policies = answer.get("policies").and_then(Value::as_array);
    let rows: Vec<Vec<String>> = policies.into_iter().flatten().map(row).collect();
    Ok(out.table(&columns, &rows)?)
}

/// A reload or a rollback, on the gate that runs.
async fn change(config: &Path, command: &Command, json: bool) -> Result<(), Failure> {
    let config = load(config)?;
    let answer = client::ask(&config, command).await?.ok_or(client::ClientError::Admin(AdminError::NotRunning))?;
    let (out, ok) = (out(), answer.get("ok") == Some(&Value::Bool(true)));
    if json {
        out.json(&answer)?;
    } else if ok {
        let changed = answer.get("changed") == Some(&Value::Bool(true));
        let word = if changed { "in force" } else { "unchanged" };
        let (generation, digest) = (show::cell(answer.get("generation")), show::cell(answer.get("digest")));
        out.line(&format!("{}  generation {generation}  {digest}", out.tone(Tone::Good, word)))?;
        if let Some(differs) = answer.get("differs").and_then(Value::as_str) {
            out.line(&show::plain(differs))?;
        }
    } else {
        for problem in answer.get("problems").and_then(Value::as_array).into_iter().flatten() {
            let policy = problem.get("policy").and_then(Value::as_str).map(|name| format!("policy `{name}`: "));
            let message = format!("{}{}", policy.unwrap_or_default(), show::cell(problem.get("message")));
            out.line(&format!("{}  {}", out.tone(Tone::Bad, "wrong"), show::plain(&message)))?;
        }
    }
    if ok { Ok(()) } else { Err(Failure::No) }
}

/// The bytes of a component: a file, or one that comes with the gate.
fn component(file: &Path) -> Result<Vec<u8>, Failure> {
    if let Some(name) = file.to_str().and_then(|file| file.strip_prefix(BUNDLED)) {
        let known =
            || Failure::Said(format!("there is no bundled policy `{name}`; there are {}", bundled::names().join(", ")));
        return bundled::component(name).map(<[u8]>::to_vec).ok_or_else(known);
    }
    fs::read(file).map_err(|error| Failure::Said(format!("cannot read `{}`: {error}", file.display())))
}

fn inspect(file: &Path, json: bool) -> Result<(), Failure> {
    let inspected = policy::inspect(&component(file)?)
        .map_err(|error| Failure::Said(format!("`{}` is not a policy: {}", file.display(), causes(&error))))?;
    let out = out();
    if json {
        return Ok(out.json(&json!(inspected))?);
    }
    let description = &inspected.description;
    out.line(&format!(
        "{} {}",
        out.tone(Tone::Loud, &show::plain(&description.name)),
        show::plain(&description.version)
    ))?;
    out.line(&format!("  {}", show::plain(&description.summary)))?;
    out.line(&format!("digest    {}", inspected.digest))?;
    out.line(&format!("size      {} bytes", inspected.size))?;
    let snapshot = inspected.not_snapshotted.as_ref().map_or("yes: every decision starts configured".into(), |why| {
        format!("no, it is configured for each decision: {}", show::plain(why))
    });
    out.line(&format!("snapshot  {snapshot}"))?;
    let mut label = "imports";
    for import in &inspected.imports {
        out.line(&format!("{label:9} {import}"))?;
        label = "";
    }
    Ok(())
}

fn check(directory: &Path, json: bool) -> Result<(), Failure> {
    let problems = policy::check(directory).map_err(|error| said(&error))?;
    let out = out();
    if json {
        let listed: Vec<Value> =
            problems.iter().map(|problem| json!({ "policy": problem.policy, "message": problem.message })).collect();
        out.json(&json!({ "ok": problems.is_empty(), "problems": listed }))?;
    } else if problems.is_empty() {
        out.line(&format!("{}  {}", out.tone(Tone::Good, "ok"), directory.display()))?;
    } else {
        let bad = out.tone(Tone::Bad, "wrong");
        for problem in &problems {
            let lines: Vec<String> = problem.to_string().lines().map(show::plain).collect();
            out.line(&format!("{bad}  {}", lines.join("\n       ")))?;
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::No) }
}

/// Where a policy's component is: told, or `dist/NAME.wasm` in its directory or beside it.
fn find_component(directory: &Path) -> Result<PathBuf, Failure> {
    let directory = fs::canonicalize(directory)
        .map_err(|error| Failure::Said(format!("cannot find `{}`: {error}", directory.display())))?;
    let file = format!("{}.wasm", directory.file_name().unwrap_or_default().to_string_lossy());
    let places = [directory.join("dist").join(&file), directory.join("../dist").join(&file), directory.join(&file)];
    places.iter().find(|place| place.is_file()).cloned().ok_or_else(|| {
        Failure::Said(format!(
            "there is no component for `{}`: build one with `portcullis policy build`, or name it with `--component`",
            directory.display()
        ))
    })
}

fn test(directory: &Path, given: Option<&Path>, json: bool) -> Result<(), Failure> {
    let bundled = directory.to_str().and_then(|text| text.strip_prefix(BUNDLED));
    let (bytes, vectors) = match bundled {
        Some(name) => (component(directory)?, bundled::vectors(name).unwrap_or_default().to_owned()),
        None => {
            let file = given.map_or_else(|| find_component(directory), |file| Ok(file.to_owned()))?;
            let table = directory.join("vectors.json");
            let read = |error| Failure::Said(format!("cannot read `{}`: {error}", table.display()));
            (component(&file)?, fs::read_to_string(&table).map_err(read)?)
        }
    };
    let report = policy::run_vectors(&bytes, &vectors).map_err(|error| said(&error))?;
    let out = out();
    if json {
        out.json(&json!(report))?;
    } else {
        for case in &report.differ {
            out.line(&format!(
                "{}  {}: {}",
                out.tone(Tone::Bad, "differs"),
                show::plain(&case.name),
                show::plain(&case.found)
            ))?;
        }
        let tone = if report.differ.is_empty() { Tone::Good } else { Tone::Bad };
        out.line(&format!("{}  {} of {} cases", out.tone(tone, "passed"), report.passed, report.cases))?;
    }
    if report.differ.is_empty() { Ok(()) } else { Err(Failure::No) }
}

fn build_one(directory: &Path, to: Option<&Path>, json: bool) -> Result<(), Failure> {
    let built = build::build(directory, to).map_err(|error| said(&error))?;
    let out = out();
    if json {
        let path = built.path.display().to_string();
        return Ok(out.json(&json!({ "path": path, "bytes": built.bytes, "digest": built.digest }))?);
    }
    out.line(&format!("{}  {}  {} bytes", out.tone(Tone::Good, "built"), built.path.display(), built.bytes))?;
    Ok(out.line(&format!("digest {}", built.digest))?)
}
