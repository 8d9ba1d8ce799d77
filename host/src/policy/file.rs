//! The policy directory: `policies.toml` says which policies there are, in order. Every problem is found, not only the
//! first.

use std::io::Read as _;
use std::path::{Component as PathPart, Path};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt as _};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::arguments::sha256;
use super::limits;
use super::{bundled, settings};

/// The file's name in the policy directory.
pub const FILE: &str = "policies.toml";

/// Whether a policy's verdict counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It counts.
    Enforce,
    /// It is asked and recorded, and never counts.
    Monitor,
}

/// Something that keeps the policies from being loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The policy, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.policy {
            Some(policy) => write!(f, "`{FILE}`: policy `{policy}`: {}", self.message),
            None => write!(f, "`{FILE}`: {}", self.message),
        }
    }
}

/// One `[[policy]]`, read and checked, with the component that it names.
pub(super) struct Written {
    pub(super) name: String,
    pub(super) module: String,
    pub(super) mode: Mode,
    /// As written; empty for all tools.
    pub(super) patterns: Vec<String>,
    pub(super) tools: Option<GlobSet>,
    /// Canonical JSON.
    pub(super) settings: Arc<str>,
    pub(super) bytes: Arc<[u8]>,
    /// Its test vectors: the file, and what is in it.
    pub(super) vectors: Option<(String, String)>,
}

/// What stands in a policy directory.
pub(super) struct Reading {
    /// `sha256:…` over everything that was read: the same content reads the same, wherever and whenever.
    pub(super) identity: String,
    /// The files that it depends on, there or not.
    pub(super) files: Vec<String>,
    pub(super) content: Content,
}

/// See [`Reading`].
pub(super) enum Content {
    /// There is no `policies.toml`, or nothing in it: nobody has said what may be done.
    Absent(Problem),
    /// Something is wrong: all of it.
    Broken(Vec<Problem>),
    /// Policies.
    Written(Vec<Written>),
}

/// Reads a policy directory.
pub(super) fn read(directory: &Path) -> Reading {
    let mut reader = Reader { files: vec![FILE.to_owned()], ..Reader::default() };
    let content = reader.directory(directory);
    let said = match &content {
        Content::Absent(problem) => problem.to_string(),
        _ => reader.found.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"),
    };
    let identity = sha256(serde_json::json!([reader.digests, said]).to_string().as_bytes());
    Reading { identity, files: reader.files, content }
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("is missing")]
    Missing,
    #[error("{0}")]
    Other(String),
}

impl Unread {
    fn not_a_file() -> Self {
        Self::Other("is not a file".to_owned())
    }
}

impl From<std::io::Error> for Unread {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Other(format!("cannot be read: {error}")),
        }
    }
}

/// Reads a file inside a directory, and never one outside: absolute paths, `..` and symbolic links that lead out do
/// not open.
fn bounded(dir: &Dir, path: &str, bytes_max: usize) -> Result<Vec<u8>, Unread> {
    // Opening a device can do something by itself, so it is looked at first.
    if !dir.metadata(path)?.is_file() {
        return Err(Unread::not_a_file());
    }
    let file = open(dir, path)?;
    let most = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        return Err(Unread::Other(format!("has more than the {bytes_max} bytes allowed")));
    }
    Ok(bytes)
}

/// Opens a file, and nothing else. Another can have taken its place since anybody looked: a pipe would wait for its other
/// end, and the thread that reloads the policies with it for ever. So nothing is waited for, and it is what was opened that
/// counts.
fn open(dir: &Dir, path: &str) -> Result<File, Unread> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = dir.open_with(path, &options)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(Unread::not_a_file()) }
}

#[derive(Default)]
struct Reader {
    /// The policy that is being read.
    policy: Option<String>,
    names: Vec<String>,
    found: Vec<Problem>,
    files: Vec<String>,
    /// Of what was read, in order.
    digests: Vec<String>,
}

impl Reader {
    fn directory(&mut self, directory: &Path) -> Content {
        let problem = |message: String| Problem { policy: None, message };
        let dir = match Dir::open_ambient_dir(directory, ambient_authority()).map_err(Unread::from) {
            Ok(dir) => dir,
            Err(error) => {
                let at = directory.display();
                let said = problem(format!("the policy directory `{at}` {error}; create it, with this file in it"));
                return if matches!(error, Unread::Missing) { Content::Absent(said) } else { self.broken(said) };
            }
        };
        let create = format!("create it in `{}`, with a `[[policy]]` in it", directory.display());
        let text = match bounded(&dir, FILE, limits::FILE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(Unread::Missing) => return Content::Absent(problem(format!("it is missing; {create}"))),
            Err(error) => return self.broken(problem(format!("it {error}; {create}"))),
        };
        self.digests.push(sha256(&text));
        let Ok(text) = String::from_utf8(text) else {
            return self.broken(problem("it is not UTF-8 text".to_owned()));
        };
        match toml::from_str(&text) {
            Ok(table) => self.table(&dir, &table),
            Err(error) => self.broken(problem(format!("it is not TOML: {error}"))),
        }
    }

    fn broken(&mut self, problem: Problem) -> Content {
        self.found.push(problem);
        Content::Broken(self.found.clone())
    }

    fn table(&mut self, dir: &Dir, table: &Table) -> Content {
        self.unknown(table, &["policy"]);
        let entries = match table.get("policy") {
            Some(Value::Array(entries)) => entries.as_slice(),
            Some(_) => {
                self.push("`policy` is no list: write `[[policy]]`".to_owned());
                return Content::Broken(self.found.clone());
            }
            None => &[],
        };
        if entries.is_empty() {
            self.push("it names no policy: add a `[[policy]]` with a `name` and a `module`".to_owned());
            // A misspelt key is a mistake; a file without any is empty.
            if let [empty] = self.found.as_slice() {
                return Content::Absent(empty.clone());
            }
        }
        if entries.len() > limits::POLICIES_MAX {
            let (named, most) = (entries.len(), limits::POLICIES_MAX);
            self.push(format!("it names {named} policies, more than the {most} allowed"));
            return Content::Broken(self.found.clone());
        }
        let mut policies: Vec<Written> = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            self.policy = None;
            let Value::Table(entry) = entry else {
                self.push(format!("policy {} is no table: write `[[policy]]`", index.saturating_add(1)));
                continue;
            };
            policies.extend(self.entry(dir, index, entry));
        }
        if self.found.is_empty() { Content::Written(policies) } else { Content::Broken(self.found.clone()) }
    }

    fn push(&mut self, message: String) {
        self.found.push(Problem { policy: self.policy.clone(), message });
    }

    fn unknown(&mut self, table: &Table, known: &[&str]) {
        for key in table.keys().filter(|key| !known.contains(&key.as_str())) {
            let nearest =
                known.iter().max_by(|a, b| strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b)));
            let nearest = nearest.map(|nearest| format!(": did you mean `{nearest}`?")).unwrap_or_default();
            self.push(format!("the key `{key}` is unknown{nearest}"));
        }
    }

    fn text<'t>(&mut self, table: &'t Table, key: &str) -> Option<&'t str> {
        match table.get(key) {
            Some(Value::String(text)) => Some(text),
            Some(_) => {
                self.push(format!("`{key}` is no string"));
                None
            }
            None => None,
        }
    }

    /// One entry; none when something is wrong that has been said.
    fn entry(&mut self, dir: &Dir, index: usize, entry: &Table) -> Option<Written> {
        let before = self.found.len();
        let name = match self.text(entry, "name") {
            Some(name) => name.to_owned(),
            None => {
                self.push(format!("policy {} has no `name`: give it one, such as `rbac`", index.saturating_add(1)));
                String::new()
            }
        };
        self.policy = Some(name.clone()).filter(|name| !name.is_empty());
        if self.policy.is_some() && self.names.contains(&name) {
            self.push("another policy has the same name: give each a name of its own".to_owned());
        }
        self.names.push(name.clone());
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if entry.contains_key("name")
            && (name.is_empty() || name.len() > limits::NAME_CHARS_MAX || !name.chars().all(fine))
        {
            self.push(format!("a name has 1 to {} letters, digits, `-`, `_` and `.`", limits::NAME_CHARS_MAX));
        }
        self.unknown(entry, &["name", "module", "mode", "tools", "digest", "settings", "vectors"]);
        let mode = self.mode(entry);
        let (patterns, tools) = self.tools(entry);
        let pin = self.pin(entry);
        let settings = self.settings(entry);
        let vectors = self.vectors(dir, entry);
        let (module, bytes) = self.module(dir, entry)?;
        let digest = sha256(&bytes);
        if let Some(pin) = pin.filter(|pin| *pin != digest) {
            self.push(format!(
                "the module `{module}` is `{digest}`, but `{pin}` is pinned: put that component back, or change `digest` if you trust this one"
            ));
        }
        self.digests.push(digest);
        if self.found.len() > before {
            return None;
        }
        Some(Written { name, module, mode, patterns, tools, settings: settings?, bytes, vectors })
    }

    fn mode(&mut self, entry: &Table) -> Mode {
        match self.text(entry, "mode") {
            None | Some("enforce") => Mode::Enforce,
            Some("monitor") => Mode::Monitor,
            Some(other) => {
                self.push(format!("the mode `{other}` is unknown: it is `enforce` or `monitor`"));
                Mode::Enforce
            }
        }
    }

    fn tools(&mut self, entry: &Table) -> (Vec<String>, Option<GlobSet>) {
        let patterns: Vec<String> = match entry.get("tools") {
            None => return (Vec::new(), None),
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(_) => Vec::new(),
        };
        let written = entry.get("tools").and_then(Value::as_array).map_or(0, Vec::len);
        if patterns.is_empty() || patterns.len() != written || patterns.len() > limits::TOOL_PATTERNS_MAX {
            self.push(format!(
                "`tools` is a list of 1 to {} patterns such as `market__*`; leave it out to ask about all tools",
                limits::TOOL_PATTERNS_MAX
            ));
            return (patterns, None);
        }
        match globs(&patterns) {
            Ok(set) => (patterns, Some(set)),
            Err(why) => {
                self.push(why);
                (patterns, None)
            }
        }
    }

    fn pin(&mut self, entry: &Table) -> Option<String> {
        let pin = self.text(entry, "digest")?;
        let digits = pin.strip_prefix("sha256:").unwrap_or_default();
        if digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Some(pin.to_owned());
        }
        self.push(format!("the digest `{pin}` is none: it is `sha256:` and 64 lower-case hexadecimal digits"));
        None
    }

    fn settings(&mut self, entry: &Table) -> Option<Arc<str>> {
        let table = match entry.get("settings") {
            None => &Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => {
                self.push("`settings` is no table: write `[policy.settings]`".to_owned());
                return None;
            }
        };
        match settings::canonical(table) {
            Ok(text) if text.len() <= limits::SETTINGS_BYTES_MAX => Some(text.into()),
            Ok(text) => {
                self.push(format!(
                    "its settings have {} bytes as JSON, more than the {} allowed",
                    text.len(),
                    limits::SETTINGS_BYTES_MAX
                ));
                None
            }
            Err(why) => {
                self.push(why);
                None
            }
        }
    }

    fn module(&mut self, dir: &Dir, entry: &Table) -> Option<(String, Arc<[u8]>)> {
        let Some(module) = self.text(entry, "module") else {
            if !entry.contains_key("module") {
                self.push(
                    "it has no `module`: `bundled:NAME`, or the path of a `.wasm` file in the directory".to_owned(),
                );
            }
            return None;
        };
        let bytes = match module.strip_prefix("bundled:") {
            Some(name) => bundled::component(name)
                .map(Arc::from)
                .ok_or_else(|| format!("there is no bundled policy `{name}`: there are {}", listed(bundled::names()))),
            None => self.file(dir, "module", module, ".wasm", limits::COMPONENT_BYTES_MAX).map(Arc::from),
        };
        match bytes {
            Ok(bytes) => Some((module.to_owned(), bytes)),
            Err(why) => {
                self.push(why);
                None
            }
        }
    }

    fn vectors(&mut self, dir: &Dir, entry: &Table) -> Option<(String, String)> {
        let path = self.text(entry, "vectors")?;
        let read = self.file(dir, "file of vectors", path, ".json", limits::VECTORS_BYTES_MAX);
        let text = read.and_then(|bytes| {
            self.digests.push(sha256(&bytes));
            String::from_utf8(bytes).map_err(|_| format!("the file of vectors `{path}` is not UTF-8 text"))
        });
        match text {
            Ok(text) => Some((path.to_owned(), text)),
            Err(why) => {
                self.push(why);
                None
            }
        }
    }

    /// A file that an entry names.
    fn file(&mut self, dir: &Dir, what: &str, path: &str, ending: &str, bytes_max: usize) -> Result<Vec<u8>, String> {
        let inside = Path::new(path).components().all(|part| matches!(part, PathPart::Normal(_) | PathPart::CurDir));
        if !inside || !path.ends_with(ending) {
            let or = if ending == ".wasm" { "`bundled:NAME`, or " } else { "" };
            return Err(format!(
                "the {what} `{path}` is not allowed: it is {or}the path of a `{ending}` file inside of the policy directory"
            ));
        }
        self.files.push(path.to_owned());
        bounded(dir, path, bytes_max).map_err(|why| format!("the {what} `{path}` {why}"))
    }
}

/// A set of tool patterns; none for all tools.
///
/// # Errors
/// Why one of them is none.
pub(super) fn tools(patterns: &[String]) -> Result<Option<GlobSet>, String> {
    if patterns.is_empty() { Ok(None) } else { globs(patterns).map(Some) }
}

fn globs(patterns: &[String]) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let bad = |why: &dyn std::fmt::Display| format!("the tool pattern `{pattern}` is none: {why}");
        if pattern.is_empty() || pattern.len() > limits::TOOL_PATTERN_CHARS_MAX {
            return Err(bad(&format!("it has 1 to {} characters", limits::TOOL_PATTERN_CHARS_MAX)));
        }
        // The same dialect as in the settings of the bundled policies.
        if let Some(other) = pattern.chars().find(|c| matches!(c, '[' | ']' | '{' | '}' | '\\' | '!')) {
            return Err(bad(&format!("`{other}` is no part of one; `*` is any run of characters and `?` exactly one")));
        }
        set.add(GlobBuilder::new(pattern).build().map_err(|error| bad(error.kind()))?);
    }
    set.build().map_err(|error| format!("the tool patterns are too large: {error}"))
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        return "none in this build".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::fs::{FileType, Mode as Access};
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn a_pipe_in_the_place_of_a_file_is_not_waited_for() {
        let at = tempfile::tempdir().unwrap();
        std::fs::write(at.path().join("file"), "text").unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at.path().join("pipe"), FileType::Fifo, Access::RUSR, 0).unwrap();
        let dir = Dir::open_ambient_dir(at.path(), ambient_authority()).unwrap();
        assert_eq!(bounded(&dir, "file", 4).unwrap(), b"text");
        let (done, opened) = mpsc::channel();
        // As if it had come after the first look. A thread of its own, so that a failure ends.
        let asked = crate::task::thread("test pipe", move || {
            let errors = [open(&dir, "pipe").map(drop), open(&dir, ".").map(drop), bounded(&dir, "pipe", 4).map(drop)];
            done.send(errors.map(|read| read.unwrap_err().to_string()))
        });
        asked.unwrap();
        assert_eq!(opened.recv_timeout(Duration::from_secs(10)).unwrap(), ["is not a file"; 3]);
    }
}
