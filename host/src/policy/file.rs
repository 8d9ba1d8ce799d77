//! `policies.toml`: which policies there are, in order. Every problem is found, not only the first.

use std::io::Read as _;
use std::path::{Component as PathPart, Path};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::Serialize;
use toml::{Table, Value};

use super::limits;
use super::{bundled, settings};

/// The file's name in the policy directory.
pub const FILE: &str = "policies.toml";

/// Whether a policy's verdict counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
    pub(super) pin: Option<String>,
    /// Canonical JSON.
    pub(super) settings: Arc<str>,
    pub(super) bytes: Arc<[u8]>,
}

/// Reads a policy directory.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn read(directory: &Path) -> Result<Vec<Written>, Vec<Problem>> {
    let whole = |message: String| vec![Problem { policy: None, message }];
    let dir = Dir::open_ambient_dir(directory, ambient_authority())
        .map_err(|error| whole(format!("the policy directory `{}` cannot be opened: {error}", directory.display())))?;
    let text = bounded(&dir, FILE, limits::FILE_BYTES_MAX)
        .map_err(|why| whole(format!("it {why}; create it in `{}`, with a `[[policy]]` in it", directory.display())))?;
    let text = String::from_utf8(text).map_err(|_| whole("it is not UTF-8 text".to_owned()))?;
    let table: Table = toml::from_str(&text).map_err(|error| whole(format!("it is not TOML: {error}")))?;

    let mut problems = Problems::default();
    problems.unknown(&table, &["policy"]);
    let entries = match table.get("policy") {
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(_) => return Err(whole("`policy` is no list: write `[[policy]]`".to_owned())),
        None => &[],
    };
    if entries.is_empty() {
        problems.push("it names no policy: add a `[[policy]]` with a `name` and a `module`".to_owned());
    }
    if entries.len() > limits::POLICIES_MAX {
        return Err(whole(format!(
            "it names {} policies, more than the {} allowed",
            entries.len(),
            limits::POLICIES_MAX
        )));
    }
    let mut policies: Vec<Written> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        problems.policy = None;
        let Value::Table(entry) = entry else {
            problems.push(format!("policy {} is no table: write `[[policy]]`", index.saturating_add(1)));
            continue;
        };
        policies.extend(problems.entry(&dir, index, entry));
    }
    if problems.found.is_empty() { Ok(policies) } else { Err(problems.found) }
}

/// Reads a file inside a directory, and never one outside: absolute paths, `..` and symbolic links that lead out do
/// not open.
fn bounded(dir: &Dir, path: &str, bytes_max: usize) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "is missing".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    // Opening a pipe would wait for its other end.
    if !dir.metadata(path).map_err(cannot)?.is_file() {
        return Err("is not a file".to_owned());
    }
    let most = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    dir.open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(cannot)?;
    if bytes.len() > bytes_max {
        return Err(format!("has more than the {bytes_max} bytes allowed"));
    }
    Ok(bytes)
}

#[derive(Default)]
struct Problems {
    /// The policy that is being read.
    policy: Option<String>,
    names: Vec<String>,
    found: Vec<Problem>,
}

impl Problems {
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
        self.unknown(entry, &["name", "module", "mode", "tools", "digest", "settings"]);
        let mode = self.mode(entry);
        let (patterns, tools) = self.tools(entry);
        let pin = self.pin(entry);
        let settings = self.settings(entry);
        let (module, bytes) = self.module(dir, entry)?;
        if self.found.len() > before {
            return None;
        }
        Some(Written { name, module, mode, patterns, tools, pin, settings: settings?, bytes })
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
            None => component(dir, module).map(Arc::from),
        };
        match bytes {
            Ok(bytes) => Some((module.to_owned(), bytes)),
            Err(why) => {
                self.push(why);
                None
            }
        }
    }
}

fn component(dir: &Dir, module: &str) -> Result<Vec<u8>, String> {
    let inside = Path::new(module).components().all(|part| matches!(part, PathPart::Normal(_) | PathPart::CurDir));
    if !inside || !module.ends_with(".wasm") {
        return Err(format!(
            "the module `{module}` is not allowed: it is `bundled:NAME`, or the path of a `.wasm` file inside of the policy directory"
        ));
    }
    bounded(dir, module, limits::COMPONENT_BYTES_MAX).map_err(|why| format!("the module `{module}` {why}"))
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
