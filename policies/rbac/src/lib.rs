//! Roles, and the tools that each may use. What no role grants is refused.
//!
//! A role has what it allows itself and what the roles it inherits allow. A tool that any of a principal's roles wants
//! confirmed is asked about, whatever other roles allow: adding a role never takes a question away.

mod roles;

use portcullis_guest::{Call, Context, Denial, Policy, Principal, Problem, Tool, Verdict, Visibility};

pub use roles::{Grant, Role, Roles, Settings};

/// The policy.
pub struct Rbac(Roles);

impl Policy for Rbac {
    const NAME: &'static str = "rbac";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Allows the tools that a principal's roles grant and refuses all others.";
    const SCHEMA: &'static str = include_str!("../settings.schema.json");
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, Vec<Problem>> {
        Roles::new(settings).map(Self)
    }

    fn evaluate(&self, call: &Call, _: &Context) -> Result<Verdict, Denial> {
        let (tool, principal) = (&call.tool.name, &call.principal);
        match self.0.grant(&principal.roles, tool) {
            Some(Grant::Allow) => Ok(Verdict::allow()),
            Some(Grant::Confirm) => Ok(Verdict::ask(format!("`{}` wants to use `{tool}`", principal.name))),
            None if principal.roles.is_empty() => Err(Denial::new(format!(
                "`{}` has no roles, so it may not use `{tool}`; its owner can give it one",
                principal.name
            ))),
            None => Err(Denial::new(format!(
                "none of the roles `{}` may use `{tool}`; the owner can allow it to one of them",
                principal.roles.join("`, `")
            ))),
        }
    }

    fn visible(&self, tool: &Tool, principal: &Principal) -> Visibility {
        match self.0.grant(&principal.roles, &tool.name) {
            Some(_) => Visibility::Maybe,
            None => Visibility::Never,
        }
    }
}

portcullis_guest::export!(Rbac);
