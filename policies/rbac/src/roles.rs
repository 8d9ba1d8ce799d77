//! The settings: roles, what each grants, and which others each inherits.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_guest::{Glob, Pointer, Problem};
use serde::Deserialize;

/// The settings of `rbac`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The roles by name.
    pub roles: BTreeMap<String, Role>,
}

/// One role.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Role {
    /// Roles whose grants it has too.
    pub inherits: Vec<String>,
    /// Tools it may use.
    pub allow: Vec<Glob>,
    /// Tools it may use once a person has agreed, also where another role allows them.
    pub confirm: Vec<Glob>,
}

/// How a tool is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// At once.
    Allow,
    /// Once a person has agreed.
    Confirm,
}

/// The roles, each with all that it grants, inherited grants included.
#[derive(Debug)]
pub struct Roles(BTreeMap<String, Grants>);

#[derive(Debug, Default)]
struct Grants {
    allow: Vec<Glob>,
    confirm: Vec<Glob>,
}

impl Roles {
    /// Resolves inheritance.
    ///
    /// # Errors
    /// A problem for each role that inherits one that is unknown, or itself.
    pub fn new(settings: Settings) -> Result<Self, Vec<Problem>> {
        let roles = &settings.roles;
        let mut problems = Vec::new();
        for (name, role) in roles {
            for (index, parent) in role.inherits.iter().enumerate() {
                let at = Pointer::to(&[&"roles", name, &"inherits", &index]);
                if !roles.contains_key(parent) {
                    problems
                        .push(Problem::new(at, format!("there is no role `{parent}`; define it, or inherit another")));
                } else if ancestry(roles, parent).contains(name.as_str()) {
                    problems.push(Problem::new(
                        at,
                        format!("`{parent}` inherits `{name}` already; roles cannot go in a circle"),
                    ));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let resolve = |name: &String| {
            let mut grants = Grants::default();
            for role in ancestry(roles, name).into_iter().filter_map(|name| roles.get(name)) {
                grants.allow.extend_from_slice(&role.allow);
                grants.confirm.extend_from_slice(&role.confirm);
            }
            (name.clone(), grants)
        };
        Ok(Self(roles.keys().map(resolve).collect()))
    }

    /// How these roles together grant a tool, if they do. Roles that the settings do not know grant nothing.
    #[must_use]
    pub fn grant(&self, roles: &[String], tool: &str) -> Option<Grant> {
        let any = |globs: fn(&Grants) -> &Vec<Glob>| {
            roles.iter().filter_map(|role| self.0.get(role)).any(|grants| Glob::any(globs(grants), tool))
        };
        if any(|grants| &grants.confirm) {
            Some(Grant::Confirm)
        } else if any(|grants| &grants.allow) {
            Some(Grant::Allow)
        } else {
            None
        }
    }
}

/// A role and all that it inherits, directly or not.
fn ancestry<'a>(roles: &'a BTreeMap<String, Role>, name: &'a str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut open = vec![name];
    while let Some(name) = open.pop() {
        if seen.insert(name) {
            open.extend(roles.get(name).into_iter().flat_map(|role| role.inherits.iter().map(String::as_str)));
        }
    }
    seen
}
