//! `portcullis policy build`: from a Rust crate to a component.
//!
//! The same sources and the same toolchain give the same bytes, wherever they are checked out: the flags are fixed here
//! and not left to a workspace's profile, the paths of this machine are mapped away, and dependencies are those of
//! `Cargo.lock`. The component ends with a custom section, [`SECTION`], which says what it was built from.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;
use sha2::{Digest, Sha256};

mod section;
mod sources;
#[cfg(test)]
mod tests;

pub use section::{BuiltFrom, SECTION, built_from};
pub use sources::{SourcesError, sources};

/// What Rust calls the target.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The linker that makes a component of a core module. It comes with rustup's toolchains.
const LINKER: &str = "wasm-component-ld";

/// How a policy is compiled, as cargo's environment says it. Small, because a gate compiles it at every start; checked
/// arithmetic, because a policy counts money; one code generation unit, because the bytes have to repeat.
pub(super) const PROFILE: &[(&str, &str)] = &[
    ("CARGO_INCREMENTAL", "0"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "false"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
    ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", LINKER),
];

/// What of the caller's environment would change the bytes.
const NOT_INHERITED: &[&str] = &["RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_BOOTSTRAP"];

/// Bytes of a failed tool's output that an error shows.
const OUTPUT_BYTES_MAX: usize = 8 * 1024;

/// A component that was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of the component, as `policies.toml` pins it: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// What it was built from.
    pub from: BuiltFrom,
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Not a Rust crate.
    #[error(
        "`{0}` has no `Cargo.toml`, and only Rust policies are built here; build others with their language's tools"
    )]
    NotACrate(PathBuf),
    /// A crate that makes no component.
    #[error(
        "the crate `{0}` makes no component; add `[lib]` with `crate-type = [\"cdylib\", \"rlib\"]` to its `Cargo.toml`"
    )]
    NotACdylib(String),
    /// The standard library for the target is not installed.
    #[error(
        "this Rust toolchain cannot build for {TARGET}; run `rustup target add {TARGET}`, or `scripts/install-wasm-target.sh` where rustup cannot fetch it"
    )]
    NoTarget,
    /// No linker.
    #[error("this Rust toolchain has no `{LINKER}`; use a toolchain from rustup, or `cargo install {LINKER} --locked`")]
    NoLinker,
    /// A tool that could not be started.
    #[error("`{tool}` could not be started: {source}; is it on the path?")]
    Tool {
        /// Its name.
        tool: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A tool that failed.
    #[error("`{tool}` failed:\n{output}")]
    Failed {
        /// What was run.
        tool: &'static str,
        /// The start of what it wrote.
        output: String,
    },
    /// An answer of a tool that makes no sense.
    #[error("`{tool}` answered what cannot be read: {source}")]
    Answer {
        /// What was run.
        tool: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// A file.
    #[error("`{path}`: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The sources could not be read.
    #[error(transparent)]
    Sources(#[from] SourcesError),
}

/// Builds the policy crate in `dir` and writes the component to `out`. Without `out` it goes into the folder `dist`
/// beside the crate where there is one (as in this repository), else into `dist` inside the crate, under the name of the
/// crate's folder.
///
/// # Errors
/// When it does not compile, or something it takes is missing; the error says what to do.
pub fn build(dir: &Path, out: Option<&Path>) -> Result<Built, BuildError> {
    let dir = std::fs::canonicalize(dir).map_err(|source| BuildError::File { path: dir.to_owned(), source })?;
    let manifest = dir.join("Cargo.toml");
    if !manifest.is_file() {
        return Err(BuildError::NotACrate(dir));
    }
    let rust = Toolchain::find(&dir)?;
    let layout = Layout::find(&dir, &manifest)?;
    let artifact = compile(&dir, &manifest, &rust, &layout)?;
    let file = |path: &Path, source| BuildError::File { path: path.to_owned(), source };
    let mut component = std::fs::read(&artifact).map_err(|source| file(&artifact, source))?;

    let from = BuiltFrom { sources: sources(&dir)?, rustc: rust.version };
    section::append(&mut component, &from);
    let path = out.map_or_else(|| default_out(&dir), Path::to_owned);
    write(&path, &component).map_err(|source| file(&path, source))?;
    Ok(Built { path, bytes: component.len() as u64, digest: digest(&component), from })
}

/// SHA-256 as components are pinned by: `sha256:` and 64 hexadecimal digits.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The toolchain that is in force in a folder.
struct Toolchain {
    /// As `rustc --version` says.
    version: String,
    commit: String,
    sysroot: PathBuf,
}

impl Toolchain {
    fn find(dir: &Path) -> Result<Self, BuildError> {
        let ask = |args: &[&str]| run("rustc", Command::new("rustc").args(args).current_dir(dir));
        let verbose = ask(&["--version", "--verbose"])?;
        let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?.trim());
        let field = |name: &str| verbose.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let host = field("host:").unwrap_or_default();
        let own = sysroot.join("lib/rustlib").join(host).join("bin");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let file = format!("{LINKER}{}", std::env::consts::EXE_SUFFIX);
        if !std::env::split_paths(&path).chain([own]).any(|folder| folder.join(&file).is_file()) {
            return Err(BuildError::NoLinker);
        }
        // A folder without libraries is what a failed installation leaves.
        let libraries = sysroot.join("lib/rustlib").join(TARGET).join("lib");
        if !std::fs::read_dir(libraries).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(BuildError::NoTarget);
        }
        Ok(Self {
            version: verbose.lines().next().unwrap_or_default().to_owned(),
            commit: field("commit-hash:").unwrap_or("unknown").to_owned(),
            sysroot,
        })
    }
}

/// Where cargo keeps what.
struct Layout {
    workspace: PathBuf,
    target: PathBuf,
    /// The file that cargo leaves.
    library: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

impl Layout {
    fn find(dir: &Path, manifest: &Path) -> Result<Self, BuildError> {
        let tool = "cargo metadata";
        let mut cargo = Command::new("cargo");
        cargo
            .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
            .arg(manifest)
            .current_dir(dir);
        let answer = run(tool, &mut cargo)?;
        let metadata: Metadata = serde_json::from_str(&answer).map_err(|source| BuildError::Answer { tool, source })?;
        let package = metadata
            .packages
            .into_iter()
            .find(|package| package.manifest_path == manifest)
            .ok_or_else(|| BuildError::NotACrate(dir.to_owned()))?;
        let library = package
            .targets
            .iter()
            .find(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))
            .ok_or(BuildError::NotACdylib(package.name))?;
        // Its own: the flags differ from those of other builds, and would make those start again. And one for each
        // checkout: where many share a target directory, cargo can take one's artifact for the other's, and the
        // component would name sources that it was not built from.
        let checkout = digest(metadata.workspace_root.as_os_str().as_encoded_bytes());
        let checkout: String = checkout.chars().skip("sha256:".len()).take(16).collect();
        Ok(Self {
            target: metadata.target_directory.join("policies").join(checkout),
            workspace: metadata.workspace_root,
            library: format!("{}.wasm", library.name.replace('-', "_")),
        })
    }
}

fn compile(dir: &Path, manifest: &Path, rust: &Toolchain, layout: &Layout) -> Result<PathBuf, BuildError> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--release", "--lib", "--target", TARGET, "--manifest-path"]).arg(manifest);
    cargo.arg("--target-dir").arg(&layout.target).current_dir(dir);
    if layout.workspace.join("Cargo.lock").is_file() {
        cargo.arg("--locked");
    }
    for name in NOT_INHERITED {
        cargo.env_remove(name);
    }
    cargo.envs(PROFILE.iter().copied()).env("CARGO_ENCODED_RUSTFLAGS", flags(rust, layout));
    run("cargo build", &mut cargo)?;
    Ok(layout.target.join(TARGET).join("release").join(&layout.library))
}

/// Compiler flags, as cargo takes them: separated by 0x1f.
fn flags(rust: &Toolchain, layout: &Layout) -> OsString {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).unwrap_or_default();
    let library = rust.sysroot.join("lib/rustlib/src/rust");
    // The last one that fits counts: a workspace below one of the others stays a workspace.
    let mapped = [
        (home, "/cargo".to_owned()),
        (library, format!("/rustc/{}", rust.commit)),
        (layout.workspace.clone(), "/policy".to_owned()),
    ];
    let mut flags = OsString::new();
    for (from, to) in mapped.into_iter().filter(|(from, _)| !from.as_os_str().is_empty()) {
        if !flags.is_empty() {
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(from);
        flags.push(format!("={to}"));
    }
    flags
}

fn default_out(dir: &Path) -> PathBuf {
    let beside = dir.parent().map(|parent| parent.join("dist")).filter(|dist| dist.is_dir());
    let name = dir.file_name().unwrap_or(dir.as_os_str());
    beside.unwrap_or_else(|| dir.join("dist")).join(name).with_added_extension("wasm")
}

/// By rename, so that a gate that reloads never reads half of it.
fn write(path: &Path, component: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().permissions(readable()).tempfile_in(folder)?;
    std::io::Write::write_all(&mut file, component)?;
    file.persist(path)?;
    Ok(())
}

/// A component is no secret; a temporary file's permissions would keep other users from reading it.
fn readable() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o644)
}

/// Runs a tool and gives what it wrote to its standard output.
fn run(tool: &'static str, command: &mut Command) -> Result<String, BuildError> {
    let Output { status, stdout, stderr } = command.output().map_err(|source| BuildError::Tool { tool, source })?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    // The first error is the one to read.
    let kept = stderr.get(..OUTPUT_BYTES_MAX).unwrap_or(&stderr);
    let output = String::from_utf8_lossy(kept).trim().to_owned();
    Err(BuildError::Failed { tool, output })
}
