//! The names in `policies.toml` that a typing error turns into nothing: a role that no agent has, a tool that there is
//! not. The gate does not need this to decide; `doctor` and `agent add` do, to say what was probably meant.
//!
//! Settings are a policy's own affair. What is looked at is what the bundled policies have in common: an object `roles`,
//! whose members have the lists `allow` and `confirm`, lists called `tools`, and texts called `account`.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use toml::{Table, Value};

use super::file::FILE;
use super::limits;

/// What stands in a policy file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The roles that the settings of any policy know.
    pub roles: BTreeSet<String>,
    /// Each policy's name with the patterns of tools in its `tools`, and in its settings.
    pub tools: Vec<Pattern>,
    /// Accounts that a policy's settings name.
    pub accounts: BTreeSet<String>,
    /// Each policy's name, and its module.
    pub modules: Vec<(String, String)>,
}

/// A pattern of tools' names, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The policy.
    pub policy: String,
    /// As written.
    pub pattern: String,
    /// It stands in the policy's settings, and not in the list of the calls that it is asked about.
    pub in_settings: bool,
}

/// The names in the policy file of a directory; none when it cannot be read, which loading it says better.
#[must_use]
pub fn names(directory: &Path) -> Option<Names> {
    let most = u64::try_from(limits::FILE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut text = String::new();
    std::fs::File::open(directory.join(FILE)).ok()?.take(most).read_to_string(&mut text).ok()?;
    let table: Table = toml::from_str(&text).ok()?;
    let mut names = Names::default();
    for policy in table.get("policy").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table) {
        names.policy(policy);
    }
    Some(names)
}

impl Names {
    fn policy(&mut self, policy: &Table) {
        let text = |key: &str| policy.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = text("name");
        self.modules.push((name.clone(), text("module")));
        self.patterns(&name, policy.get("tools"), false);
        let Some(settings) = policy.get("settings").and_then(Value::as_table) else { return };
        self.settings(&name, settings);
        let roles = settings.get("roles").and_then(Value::as_table);
        for (role, rules) in roles.into_iter().flatten() {
            self.roles.insert(role.clone());
            for list in ["allow", "confirm"] {
                self.patterns(&name, rules.get(list), true);
            }
        }
    }

    /// Lists of tools and accounts, however deep. TOML bounds the depth.
    fn settings(&mut self, policy: &str, table: &Table) {
        self.patterns(policy, table.get("tools"), true);
        self.accounts.extend(table.get("account").and_then(Value::as_str).map(str::to_owned));
        for value in table.values() {
            match value {
                Value::Table(inner) => self.settings(policy, inner),
                Value::Array(items) => {
                    items.iter().filter_map(Value::as_table).for_each(|inner| self.settings(policy, inner));
                }
                _ => {}
            }
        }
    }

    fn patterns(&mut self, policy: &str, list: Option<&Value>, in_settings: bool) {
        let list = list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let pattern = |text: &str| Pattern { policy: policy.to_owned(), pattern: text.to_owned(), in_settings };
        self.tools.extend(list.map(pattern));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_tools_and_accounts_are_found() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(names(directory.path()), None);
        let text = r#"
[[policy]]
name = "rbac"
module = "bundled:rbac"
[policy.settings.roles.reader]
allow = ["a__*"]
[policy.settings.roles.writer]
inherits = ["reader"]
confirm = ["a__write"]
[[policy]]
name = "caps"
module = "caps.wasm"
tools = ["a__pay"]
[[policy.settings.charges]]
tools = ["a__buy"]
account = "team"
"#;
        std::fs::write(directory.path().join(FILE), text).unwrap();
        let found = names(directory.path()).unwrap();
        assert_eq!(found.roles.iter().collect::<Vec<_>>(), ["reader", "writer"]);
        let of = |inside: bool| -> Vec<&str> {
            found.tools.iter().filter(|p| p.in_settings == inside).map(|p| p.pattern.as_str()).collect()
        };
        assert_eq!(of(true), ["a__*", "a__write", "a__buy"]);
        assert_eq!(of(false), ["a__pay"]);
        assert!(found.accounts.contains("team"));
        assert_eq!(found.modules[1], ("caps".to_owned(), "caps.wasm".to_owned()));
        std::fs::write(directory.path().join(FILE), "[[policy").unwrap();
        assert_eq!(names(directory.path()), None);
    }
}
