//! From bytes to a policy that can be asked: everything that can be wrong with a component is found here, before any
//! call depends on it. Compilation runs on a thread of its own with a deadline, never on the path of a call.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, Linker};

use super::engine::Engine;
use super::guest;
use super::sandbox::{Exports, PolicyFailure, Sandbox, State};
use super::{lift, limits, snapshot, wasi};
use crate::task;

/// The interfaces of the contract that a policy may import.
const CONTRACT: [&str; 4] = [
    "portcullis:policy/types@0.1.0",
    "portcullis:policy/json@0.1.0",
    "portcullis:policy/arguments@0.1.0",
    "portcullis:policy/facts@0.1.0",
];

/// Something that is wrong with a policy's settings, as the policy says it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SettingsProblem {
    /// Where: a JSON pointer (RFC 6901) into the settings; empty for the whole.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Why a component is not a policy that can be asked.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Too many bytes.
    #[error("it has {0} bytes, more than the {max} that a component may have", max = limits::COMPONENT_BYTES_MAX)]
    TooLarge(usize),
    /// Not WebAssembly at all.
    #[error("it is not WebAssembly: build it as a component, for example with `portcullis policy build`")]
    NotWasm,
    /// WebAssembly, but no component.
    #[error("it is a core module, not a component: make a component of it with `wasm-tools component new`")]
    CoreModule,
    /// Not a component that this engine takes.
    #[error("it is not a component that this gate can run: {0}")]
    Invalid(String),
    /// It wants more than a policy can do.
    #[error("it imports `{import}`, {why}")]
    Import {
        /// The import's name.
        import: String,
        /// Why it does not get it.
        why: &'static str,
    },
    /// A component of the other world.
    #[error("it is a result policy (it exports `review`, not `evaluate`): this version of the gate does not run these")]
    ResultPolicy,
    /// An export is missing.
    #[error("it does not export `{0}`: a policy exports all of the world `policy` in `wit/policy.wit`")]
    Missing(&'static str),
    /// An export is something else.
    #[error("its `{name}` is not that of the contract in `wit/policy.wit`: {why}")]
    WrongType {
        /// The export.
        name: &'static str,
        /// What is different.
        why: String,
    },
    /// It failed before it was ever asked about a call.
    #[error("its `{call}` fails: {failure}")]
    Failed {
        /// What was called.
        call: &'static str,
        /// How it ended.
        failure: PolicyFailure,
    },
    /// What it says of itself passes a bound.
    #[error("its `describe` returns a {what} of {found} bytes, more than the {max} allowed")]
    Description {
        /// Which part.
        what: &'static str,
        /// Bytes there are.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// It does not take its settings.
    #[error("it does not take its settings: {}", settings(.0))]
    Settings(Vec<SettingsProblem>),
    /// It took too long.
    #[error("it was not compiled and configured within {} s", limits::LOAD.as_secs())]
    TooSlow,
    /// The loader itself failed.
    #[error("the gate failed while it loaded it; this is an error of the gate")]
    Panicked,
    /// No thread to be had.
    #[error("no thread could be started to load it: {0}")]
    Thread(#[source] std::io::Error),
}

fn settings(problems: &[SettingsProblem]) -> String {
    let shown: Vec<String> = problems
        .iter()
        .map(|problem| match problem.pointer.as_str() {
            "" => problem.message.clone(),
            pointer => format!("`{pointer}`: {}", problem.message),
        })
        .collect();
    shown.join("; ")
}

/// What a policy says of itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its version (Semantic Versioning).
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// The JSON Schema (2020-12) of its settings.
    pub settings_schema: String,
}

/// A policy that can be asked.
pub(super) struct Loaded {
    pub(super) sandbox: Sandbox,
    pub(super) description: Description,
    /// Why there is no snapshot, where there is none.
    pub(super) not_snapshotted: Option<String>,
}

/// Loads a component with its settings (canonical JSON), on a thread of its own. A thread that passes its deadline
/// is left to its end: there is no way to stop a compiler.
pub(super) fn load(engine: &Engine, bytes: Arc<[u8]>, settings: Arc<str>) -> Result<Loaded, LoadError> {
    run(engine, move |engine| configured(engine, &bytes, &settings))
}

/// Does something with a component on a thread of its own, for as long as loading may take.
pub(super) fn run<T: Send + 'static>(
    engine: &Engine,
    body: impl FnOnce(&Engine) -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    let (done, result) = mpsc::sync_channel(1);
    let engine = engine.clone();
    task::thread("policy-load", move || {
        // Whoever asked may have stopped to wait.
        let _ = done.send(body(&engine));
    })
    .map_err(LoadError::Thread)?;
    match result.recv_timeout(limits::LOAD) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(LoadError::TooSlow),
        Err(RecvTimeoutError::Disconnected) => Err(LoadError::Panicked),
    }
}

fn configured(engine: &Engine, bytes: &[u8], settings: &Arc<str>) -> Result<Loaded, LoadError> {
    head(bytes)?;
    let (sandbox, not_snapshotted) = match snapshotted(engine, bytes, settings, accepted)? {
        Ok(prepared) => (prepared.sandbox, None),
        Err(why) => {
            let prepared = prepare(engine, bytes)?;
            let (_, _, problems) = configure(&prepared.sandbox, settings)?;
            accepted(problems)?;
            (prepared.sandbox.configured_each_time(Arc::clone(settings)), Some(why))
        }
    };
    let description = describe(&sandbox)?;
    Ok(Loaded { sandbox, description, not_snapshotted })
}

/// A component that was looked at, rather than loaded to decide.
pub(super) struct Examined {
    pub(super) fresh: Prepared,
    /// With the settings, whether it accepts them or not; or why there is none.
    pub(super) snapshot: Result<Prepared, String>,
}

pub(super) fn examined(engine: &Engine, bytes: &[u8], settings: &str) -> Result<Examined, LoadError> {
    head(bytes)?;
    let fresh = prepare(engine, bytes)?;
    let snapshot = match snapshotted(engine, bytes, settings, |_| Ok(())) {
        Ok(snapshot) => snapshot,
        Err(error) => Err(error.to_string()),
    };
    Ok(Examined { fresh, snapshot })
}

/// The configured snapshot of a component, or why there is none.
fn snapshotted(
    engine: &Engine,
    bytes: &[u8],
    settings: &str,
    accept: fn(Vec<guest::Problem>) -> Result<(), LoadError>,
) -> Result<Result<Prepared, String>, LoadError> {
    let instrumented = match snapshot::instrument(bytes) {
        Ok(instrumented) => instrumented,
        Err(why) => return Ok(Err(why)),
    };
    let prepared = match prepare(engine, &instrumented.bytes) {
        Ok(prepared) => prepared,
        // It may be the instrumentation that does not compile.
        Err(LoadError::Invalid(why)) => return Ok(Err(why)),
        Err(error) => return Err(error),
    };
    if prepared.imports.iter().any(|import| wasi::stubs(import)) {
        return Ok(Err("it imports WASI, whose handles a snapshot cannot keep".to_owned()));
    }
    let (store, instance, problems) = configure(&prepared.sandbox, settings)?;
    accept(problems)?;
    let bytes = match instrumented.snapshot(store, instance) {
        Ok(bytes) => bytes,
        Err(why) => return Ok(Err(why)),
    };
    Ok(prepare(engine, &bytes).map_err(|error| format!("its snapshot does not load: {error}")))
}

/// The first eight bytes (WebAssembly binary format): magic, version, layer.
fn head(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.len() > limits::COMPONENT_BYTES_MAX {
        return Err(LoadError::TooLarge(bytes.len()));
    }
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some(b"\0asm\x01\0\0\0") => Err(LoadError::CoreModule),
        Some(head) if head.starts_with(b"\0asm") => {
            Err(LoadError::Invalid("it is of another version of the component format".to_owned()))
        }
        _ => Err(LoadError::NotWasm),
    }
}

/// A compiled component whose imports and exports are those of the contract.
pub(super) struct Prepared {
    pub(super) sandbox: Sandbox,
    pub(super) imports: Vec<String>,
}

fn prepare(engine: &Engine, bytes: &[u8]) -> Result<Prepared, LoadError> {
    let invalid =
        |error: wasmtime::Error| LoadError::Invalid(lift::cut(format!("{error:#}"), limits::SENTENCE_BYTES_MAX));
    let component = Component::from_binary(engine.wasm(), bytes).map_err(invalid)?;
    let exported = |name: &str| component.get_export_index(None, name).is_some();
    if exported("review") && !exported("evaluate") {
        return Err(LoadError::ResultPolicy);
    }
    let imports = imports(engine, &component)?;
    let mut linker: Linker<State> = Linker::new(engine.wasm());
    guest::Policy::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state).map_err(invalid)?;
    if imports.iter().any(|import| wasi::stubs(import)) {
        wasi::link(&mut linker).map_err(invalid)?;
    }
    let exports = Exports::of(&component).map_err(LoadError::Missing)?;
    let pre = linker.instantiate_pre(&component).map_err(invalid)?;
    let sandbox = Sandbox::new(pre, exports);
    sandbox.check_types().map_err(|(name, failure)| match (name, failure) {
        ("start", failure) => LoadError::Failed { call: "start", failure },
        (name, failure) => LoadError::WrongType { name, why: failure.to_string() },
    })?;
    Ok(Prepared { sandbox, imports })
}

fn imports(engine: &Engine, component: &Component) -> Result<Vec<String>, LoadError> {
    let ty = component.component_type();
    let mut names = Vec::new();
    for (name, import) in ty.imports(engine.wasm()) {
        // A type on its own gives a component nothing that it can do.
        if matches!(import.ty, ComponentItem::Type(_)) {
            continue;
        }
        if !CONTRACT.contains(&name) && !wasi::stubs(name) {
            return Err(LoadError::Import { import: name.to_owned(), why: forbidden(name) });
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

fn forbidden(import: &str) -> &'static str {
    if import.starts_with("portcullis:policy/answer@") {
        "which only result policies have; this version of the gate does not run these"
    } else if import.starts_with("portcullis:policy/") {
        "which this gate does not have: it speaks `portcullis:policy@0.1.0`"
    } else {
        "which no policy gets: a policy has the imports in `wit/policy.wit`, and no network, files or clock"
    }
}

type Configured = (wasmtime::Store<State>, wasmtime::component::Instance, Vec<guest::Problem>);

fn configure(sandbox: &Sandbox, settings: &str) -> Result<Configured, LoadError> {
    sandbox.configure(settings).map_err(|failure| LoadError::Failed { call: "configure", failure })
}

fn accepted(problems: Vec<guest::Problem>) -> Result<(), LoadError> {
    if problems.is_empty() {
        return Ok(());
    }
    let more = problems.len().saturating_sub(limits::PROBLEMS_MAX);
    let mut listed: Vec<SettingsProblem> = problems
        .into_iter()
        .take(limits::PROBLEMS_MAX)
        .map(|problem| SettingsProblem {
            pointer: lift::cut(problem.pointer, limits::POINTER_BYTES_MAX),
            message: lift::cut(problem.message, limits::SENTENCE_BYTES_MAX),
        })
        .collect();
    if more > 0 {
        listed.push(SettingsProblem { pointer: String::new(), message: format!("and {more} more problems") });
    }
    Err(LoadError::Settings(listed))
}

pub(super) fn describe(sandbox: &Sandbox) -> Result<Description, LoadError> {
    let said = sandbox.describe().map_err(|failure| LoadError::Failed { call: "describe", failure })?;
    let bounded = |what, text: String, max| {
        if text.len() > max { Err(LoadError::Description { what, found: text.len(), max }) } else { Ok(text) }
    };
    Ok(Description {
        name: bounded("name", said.name, limits::DESCRIPTION_BYTES_MAX)?,
        version: bounded("version", said.version, limits::DESCRIPTION_BYTES_MAX)?,
        summary: bounded("summary", said.summary, limits::SENTENCE_BYTES_MAX)?,
        settings_schema: bounded("settings schema", said.settings_schema, limits::SCHEMA_BYTES_MAX)?,
    })
}
