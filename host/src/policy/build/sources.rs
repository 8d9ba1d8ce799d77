//! The digest of everything that decides what a policy's component is.
//!
//! SHA-256 over labelled, length-prefixed parts, in this order:
//! 1. the version of this scheme, and the compiler settings of `policy build`;
//! 2. for the policy's crate and every crate it takes by path, by name: its `Cargo.toml`, what that inherits from the
//!    workspace, `build.rs`, `settings.schema.json`, and all files below `src` and `wit`, by path;
//! 3. every other package that these take according to `Cargo.lock`: name, version, checksum.
//!
//! Tests, vectors and pages are left out: changing them changes no component.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::{Table, Value};

const SCHEME: &str = "portcullis sources 1";
const FILES: &[&str] = &["Cargo.toml", "build.rs", "settings.schema.json"];
/// What goes into the component, or makes it: not `dev-dependencies`.
const KINDS: &[&str] = &["dependencies", "build-dependencies"];
const FOLDERS: &[&str] = &["src", "wit"];
/// Folders in folders; more means that a link goes in a circle.
const DEPTH_MAX: usize = 16;

/// Why there is no digest.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// A file that cannot be read.
    #[error("`{path}`: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is not what its name says.
    #[error("`{path}` does not parse: {source}")]
    Toml {
        /// Which.
        path: PathBuf,
        /// Why.
        source: toml::de::Error,
    },
    /// Too many folders in folders.
    #[error("`{0}` is more than {DEPTH_MAX} folders deep; does a link go in a circle?")]
    TooDeep(PathBuf),
    /// A file that should say something else.
    #[error("`{path}` {what}")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// The digest of a policy's sources: `sha256:` and 64 hexadecimal digits. The same wherever they are checked out.
///
/// # Errors
/// When a file that belongs to them cannot be read.
pub fn sources(dir: &Path) -> Result<String, SourcesError> {
    let mut crates = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        let one = Crate::read(&dir)?;
        if !crates.contains_key(&one.name) {
            open.extend_from_slice(&one.local);
            crates.insert(one.name.clone(), one);
        }
    }

    let mut parts = Parts(Sha256::new());
    parts.add("scheme", SCHEME.as_bytes());
    for (name, value) in super::PROFILE {
        parts.add(name, value.as_bytes());
    }
    for (name, one) in &crates {
        for (label, text) in &one.inherited {
            parts.add(&format!("{name}: {label}"), text.as_bytes());
        }
        for (path, content) in one.files()? {
            parts.add(&format!("{name}/{path}"), &content);
        }
    }
    for (package, checksum) in locked(&workspace(dir)?.0.join("Cargo.lock"), &crates)? {
        parts.add(&package, checksum.as_bytes());
    }
    Ok(parts.digest())
}

struct Parts(Sha256);

impl Parts {
    fn add(&mut self, label: &str, content: &[u8]) {
        for part in [label.as_bytes(), content] {
            self.0.update((part.len() as u64).to_be_bytes());
            self.0.update(part);
        }
    }

    fn digest(self) -> String {
        let hex: String = self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}")
    }
}

/// A crate that is part of the sources.
struct Crate {
    name: String,
    dir: PathBuf,
    /// What it takes from the workspace's manifest.
    inherited: BTreeMap<String, String>,
    /// The crates that it takes by path.
    local: Vec<PathBuf>,
    /// The packages that it takes, as `Cargo.lock` names them.
    takes: BTreeSet<String>,
}

impl Crate {
    fn read(dir: &Path) -> Result<Self, SourcesError> {
        let (workspace, root) = workspace(dir)?;
        let path = dir.join("Cargo.toml");
        let manifest = table(&path)?;
        let package = manifest.get("package").and_then(Value::as_table);
        let name = package.and_then(|package| package.get("name")).and_then(Value::as_str);
        let name = name.ok_or_else(|| SourcesError::Unusable { path, what: "has no package name".into() })?.to_owned();
        let mut one =
            Self { name, dir: dir.to_owned(), inherited: BTreeMap::new(), local: Vec::new(), takes: BTreeSet::new() };
        let shared = root.get("workspace").and_then(Value::as_table);
        for (key, value) in package.into_iter().flatten().filter(|(_, value)| inherits(value)) {
            let given = shared.and_then(|shared| shared.get("package")?.get(key)).unwrap_or(value);
            one.inherited.insert(format!("package.{key}"), given.to_string());
        }
        for (key, value) in dependencies(&manifest) {
            let (value, base) = if inherits(value) {
                let given = shared.and_then(|shared| shared.get("dependencies")?.get(key)).unwrap_or(value);
                one.inherited.insert(format!("dependencies.{key}"), given.to_string());
                (given, workspace.as_path())
            } else {
                (value, dir)
            };
            one.takes.insert(value.get("package").and_then(Value::as_str).unwrap_or(key).to_owned());
            if let Some(path) = value.get("path").and_then(Value::as_str) {
                one.local.push(base.join(path));
            }
        }
        Ok(one)
    }

    /// All files that count, by path with `/` on every system.
    fn files(&self) -> Result<BTreeMap<String, Vec<u8>>, SourcesError> {
        let mut files = BTreeMap::new();
        for name in FILES.iter().filter(|name| self.dir.join(name).is_file()) {
            files.insert((*name).to_owned(), read(&self.dir.join(name))?);
        }
        for name in FOLDERS.iter().filter(|name| self.dir.join(name).is_dir()) {
            walk(&self.dir.join(name), name, 0, &mut files)?;
        }
        Ok(files)
    }
}

/// Follows links: the SDK's `wit` is one.
fn walk(folder: &Path, label: &str, depth: usize, files: &mut BTreeMap<String, Vec<u8>>) -> Result<(), SourcesError> {
    if depth > DEPTH_MAX {
        return Err(SourcesError::TooDeep(folder.to_owned()));
    }
    let failed = |source| SourcesError::File { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let label = format!("{label}/{name}");
        if path.is_dir() {
            walk(&path, &label, depth + 1, files)?;
        } else {
            files.insert(label, read(&path)?);
        }
    }
    Ok(())
}

fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

fn dependencies(manifest: &Table) -> impl Iterator<Item = (&String, &Value)> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = std::iter::once(manifest).chain(targets.filter_map(Value::as_table));
    tables.flat_map(|table| KINDS.iter().filter_map(|kind| table.get(*kind)?.as_table())).flatten()
}

/// The nearest folder upwards whose manifest is a workspace's, with that manifest; else the crate itself.
fn workspace(dir: &Path) -> Result<(PathBuf, Table), SourcesError> {
    for folder in dir.ancestors() {
        let path = folder.join("Cargo.toml");
        if path.is_file() {
            let manifest = table(&path)?;
            if manifest.contains_key("workspace") {
                return Ok((folder.to_owned(), manifest));
            }
        }
    }
    Ok((dir.to_owned(), table(&dir.join("Cargo.toml"))?))
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Locked {
    /// Whether a line of another package's dependencies means this one: a name, with the version where there are
    /// several, with the source where that is not enough.
    fn is(&self, line: &str) -> bool {
        let mut words = line.split(' ');
        words.next() == Some(&self.name) && words.next().is_none_or(|version| version == self.version)
    }
}

/// The packages from elsewhere that the crates take, directly or not: name and version, with the checksum.
fn locked(path: &Path, crates: &BTreeMap<String, Crate>) -> Result<BTreeMap<String, String>, SourcesError> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    let lock: Lock = toml::from_str(&text).map_err(|source| SourcesError::Toml { path: path.to_owned(), source })?;
    // A crate's own lines also name what only its tests take.
    let mut open: Vec<&str> = Vec::new();
    for (name, one) in crates {
        let own = lock.package.iter().find(|package| package.source.is_none() && package.name == *name);
        let lines = own.into_iter().flat_map(|package| &package.dependencies);
        open.extend(lines.filter(|line| one.takes.contains(first_word(line))).map(String::as_str));
    }
    let mut found = BTreeMap::new();
    while let Some(line) = open.pop() {
        for package in lock.package.iter().filter(|package| package.is(line)) {
            if crates.contains_key(&package.name) && package.source.is_none() {
                continue;
            }
            let checksum = package.checksum.clone().or_else(|| package.source.clone()).unwrap_or_default();
            if found.insert(format!("{} {}", package.name, package.version), checksum).is_none() {
                open.extend(package.dependencies.iter().map(String::as_str));
            }
        }
    }
    Ok(found)
}

fn first_word(line: &str) -> &str {
    line.split(' ').next().unwrap_or(line)
}

fn table(path: &Path) -> Result<Table, SourcesError> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    toml::from_str(&text).map_err(|source| SourcesError::Toml { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Vec<u8>, SourcesError> {
    std::fs::read(path).map_err(|source| SourcesError::File { path: path.to_owned(), source })
}
