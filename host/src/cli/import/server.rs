//! From a client's server to one of this gate, and what the user has to be told of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::read::{Entries, Entry};
use crate::audit::mask;
use crate::config::OWN_SECRETS;

/// What every server gets without being named.
const GIVEN: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];
/// A server's name has at most so many characters.
const NAME_CHARS_MAX: usize = 64;
/// Schemes of `Authorization` that stand in front of a secret.
const SCHEMES: [&str; 3] = ["Bearer ", "Basic ", "Token "];

/// A `[[server]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Imported {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) env: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) headers: BTreeMap<String, String>,
}

/// All servers that can be taken over, and what is to be said of these and of the others.
pub(super) fn import(entries: &Entries) -> (Vec<Imported>, Vec<String>) {
    let mut importing = Importing::default();
    for (name, entry) in entries {
        if let Err(why) = Entry::read(entry).and_then(|entry| importing.server(name, &entry)) {
            importing.notes.push(format!("`{name}` is left out: {why}"));
        }
    }
    (importing.done, importing.notes)
}

#[derive(Default)]
struct Importing {
    done: Vec<Imported>,
    notes: Vec<String>,
    /// The value that each variable has for the servers so far: the gate has one environment for all.
    values: BTreeMap<String, String>,
}

impl Importing {
    fn server(&mut self, given: &str, entry: &Entry) -> Result<(), String> {
        if entry.disabled {
            return Err("the client has it switched off".into());
        }
        let imported = match (&entry.command, &entry.url) {
            (Some(_), Some(_)) => {
                return Err("it has a `command` and a `url`; which is meant is not for a gate to guess".into());
            }
            (Some(program), None) => child(entry, program)?,
            (None, Some(url)) => remote(entry, url)?,
            (None, None) => return Err("it has neither a `command` nor a `url`".into()),
        };
        let name = self.name(given);
        if name != given {
            self.notes.push(format!("`{given}` is called `{name}` here: its tools are `{name}__…`"));
        }
        let imported = Imported { name: name.clone(), ..imported };
        let (env, headers) = (self.environment(&name, entry), self.headers(&name, entry));
        self.oddities(&name, entry, &imported.command);
        self.done.push(Imported { env, headers, ..imported });
        Ok(())
    }

    /// A legal name that no other has.
    fn name(&self, given: &str) -> String {
        let name = clean(given);
        let taken = |name: &str| self.done.iter().any(|server| server.name == name);
        if !taken(&name) {
            return name;
        }
        let stem: String = name.chars().take(NAME_CHARS_MAX.saturating_sub(4)).collect();
        (2..=self.done.len().saturating_add(2)).map(|n| format!("{stem}-{n}")).find(|name| !taken(name)).unwrap_or(name)
    }

    fn environment(&mut self, server: &str, entry: &Entry) -> Vec<String> {
        let mut names = Vec::new();
        for (name, value) in &entry.env {
            if OWN_SECRETS.contains(&name.as_str()) || name.is_empty() || name.contains(['=', '\0']) {
                self.notes
                    .push(format!("`{server}`: the variable `{name}` is left out: no server gets one of this name"));
                continue;
            }
            if GIVEN.contains(&name.as_str()) {
                self.notes.push(format!("`{server}`: it gets `{name}` as the gate has it, not as the client has it"));
                continue;
            }
            self.needed(server, name, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            names.push(name.clone());
        }
        names
    }

    fn headers(&mut self, server: &str, entry: &Entry) -> BTreeMap<String, String> {
        let mut headers = BTreeMap::new();
        for (name, value) in &entry.headers {
            let scheme = SCHEMES
                .into_iter()
                .find(|scheme| value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
            let secret = scheme.and_then(|scheme| value.get(scheme.len()..)).unwrap_or(value).trim();
            let variable = placeholder(secret).unwrap_or_else(|| variable(server, name));
            self.needed(server, &variable, secret);
            headers.insert(name.clone(), format!("{}${{{variable}}}", scheme.unwrap_or_default()));
        }
        headers
    }

    /// Says, once, that a variable must be set; and that two servers want it to be different, which it cannot.
    fn needed(&mut self, server: &str, variable: &str, value: &str) {
        match self.values.get(variable) {
            Some(other) if other != value => self.notes.push(format!(
                "`{server}` has another value for `{variable}` than the servers before it: the gate has one environment for \
                 all, so give it a variable of another name"
            )),
            Some(_) => {}
            None => {
                self.notes.push(format!(
                    "set `{variable}` in the gate's environment for `{server}`; its value was not copied"
                ));
                self.values.insert(variable.to_owned(), value.to_owned());
            }
        }
    }

    /// What a client does that the gate does not.
    fn oddities(&mut self, server: &str, entry: &Entry, command: &[String]) {
        let mut say = |what: &str| self.notes.push(format!("`{server}`: {what}"));
        if let Some(folder) = &entry.cwd {
            say(&format!(
                "the client runs it in `{folder}`; here it runs in the configuration's folder: make its paths whole"
            ));
        }
        if let Some(file) = &entry.env_file {
            say(&format!(
                "the client reads its variables from `{file}`; name them in `env`, and set them for the gate"
            ));
        }
        if command.iter().chain(&entry.url).any(|text| text.contains("${")) {
            say("it has a `${…}` that only the client fills in: put the value in its place");
        }
        if command.iter().any(|text| mask::text(text) != *text) {
            say(
                "one of its arguments looks like a secret, and is in the configuration now: better an environment variable",
            );
        }
        if entry.url.as_ref().is_some_and(|url| url.contains('?')) {
            say("its `url` has a query: if there is a secret in it, it is in the configuration now");
        }
    }
}

fn child(entry: &Entry, program: &str) -> Result<Imported, String> {
    if entry.kind.as_deref().is_some_and(|kind| kind != "stdio") {
        return Err(format!("it has a `command`, and the type `{}`", entry.kind.as_deref().unwrap_or_default()));
    }
    if program.is_empty() {
        return Err("its `command` is empty".into());
    }
    if program.rsplit('/').next() == Some("portcullis") && entry.args.first().is_some_and(|word| word == "wrap") {
        return Err("it is behind a gate already".into());
    }
    let command = std::iter::once(program.to_owned()).chain(entry.args.iter().cloned()).collect();
    Ok(Imported { name: String::new(), command, url: None, env: Vec::new(), headers: BTreeMap::new() })
}

fn remote(entry: &Entry, url: &str) -> Result<Imported, String> {
    let known = ["http", "streamable-http", "streamableHttp", "streamable_http"];
    match entry.kind.as_deref() {
        Some("sse") => {
            return Err(
                "it speaks the older HTTP+SSE transport, which this gate does not; ask its vendor for streamable HTTP"
                    .into(),
            );
        }
        Some(kind) if !known.contains(&kind) => return Err(format!("its type `{kind}` is not known")),
        _ => {}
    }
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("there is a user or a password in its `url`: put these into a header".into());
    }
    Ok(Imported {
        name: String::new(),
        command: Vec::new(),
        url: Some(url.to_owned()),
        env: Vec::new(),
        headers: BTreeMap::new(),
    })
}

/// The legal name that is most like a name: letters, digits, `-` and single `_`, none of these at an end.
pub(super) fn clean(given: &str) -> String {
    let mut name = String::new();
    for c in given.chars() {
        let c = if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
        let again = matches!(c, '-' | '_') && name.ends_with(c);
        if !again && name.len() < NAME_CHARS_MAX {
            name.push(c);
        }
    }
    let name = name.trim_matches(['-', '_']);
    match name {
        "" => "server".to_owned(),
        "gate" => "gate-server".to_owned(),
        name => name.to_owned(),
    }
}

/// The variable that a value is already: `${NAME}`, or `${env:NAME}` as VS Code writes it.
fn placeholder(value: &str) -> Option<String> {
    let inner = value.strip_prefix("${")?.strip_suffix('}')?;
    let name = inner.strip_prefix("env:").unwrap_or(inner);
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(fine) && !OWN_SECRETS.contains(&name)).then(|| name.to_owned())
}

/// A variable's name for a header: `GITHUB_AUTHORIZATION`.
fn variable(server: &str, header: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("{server}_{header}").chars().map(upper).collect()
}

/// Names that two servers have.
pub(super) fn duplicates<'a>(imported: &'a [Imported], there: &BTreeSet<String>) -> Vec<&'a str> {
    imported.iter().map(|server| server.name.as_str()).filter(|name| there.contains(*name)).collect()
}
