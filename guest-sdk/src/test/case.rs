//! One call and what the gate would know about it.

use std::collections::BTreeMap;

use super::document::Document;
use crate::context::Source;
use crate::{
    Account, Annotations, Call, Claim, Policy, Principal, Problem, Tool, Value, Verdict, Visibility, Window, ZonedTime,
    export, settings,
};

/// A policy with these settings, as JSON.
///
/// # Panics
/// When the settings have problems; the message lists them. See [`problems`].
#[must_use]
#[expect(clippy::panic, reason = "in a test, a panic is the answer")]
pub fn configured<P: Policy>(settings: &str) -> P {
    settings::read(settings).unwrap_or_else(|problems| panic!("the settings have problems: {problems:#?}"))
}

/// What is wrong with these settings, as JSON.
#[must_use]
pub fn problems<P: Policy>(settings: &str) -> Vec<Problem> {
    settings::read::<P>(settings).err().unwrap_or_default()
}

/// One call, its arguments, and the facts that the gate would tell.
#[derive(Clone, Debug)]
pub struct Case {
    call: Call,
    arguments: Document,
    spent: Vec<(Account, String, u64, String)>,
    calls: BTreeMap<u64, u64>,
    local_times: BTreeMap<String, ZonedTime>,
}

impl Case {
    /// A call of a tool, by an agent without roles, with no arguments. The part of the name before `__` is the server.
    #[must_use]
    pub fn call(tool: &str) -> Self {
        let principal = Principal {
            id: "ag_test".into(),
            name: "test".into(),
            kind: "agent".into(),
            owner: None,
            roles: Vec::new(),
            trust: 50,
            claims: Vec::new(),
        };
        let tool = Tool {
            server: tool.split_once("__").map_or(tool, |(server, _)| server).to_owned(),
            name: tool.to_owned(),
            annotations: Annotations { read_only: false, destructive: true, idempotent: false, open_world: true },
            definition: format!("sha256:{}", "0".repeat(64)),
        };
        let id = "0".repeat(32);
        Self {
            call: Call { id, tool, principal, time_ms: 0, approved: false },
            arguments: Document::empty(),
            spent: Vec::new(),
            calls: BTreeMap::new(),
            local_times: BTreeMap::new(),
        }
    }

    /// One more role of the agent.
    #[must_use]
    pub fn role(mut self, role: &str) -> Self {
        self.call.principal.roles.push(role.to_owned());
        self.call.principal.roles.sort();
        self
    }

    /// Changes anything of the principal.
    #[must_use]
    pub fn principal(mut self, change: impl FnOnce(&mut Principal)) -> Self {
        change(&mut self.call.principal);
        self
    }

    /// One more claim of the principal's credential.
    #[must_use]
    pub fn claim(self, name: &str, value: &str) -> Self {
        let claim = Claim { name: name.to_owned(), value: value.to_owned() };
        self.principal(|principal| principal.claims.push(claim))
    }

    /// Changes anything of the tool.
    #[must_use]
    pub fn tool(mut self, change: impl FnOnce(&mut Tool)) -> Self {
        change(&mut self.call.tool);
        self
    }

    /// When the gate took the call: milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn time_ms(mut self, time_ms: u64) -> Self {
        self.call.time_ms = time_ms;
        self
    }

    /// A person has agreed already.
    #[must_use]
    pub fn approved(mut self) -> Self {
        self.call.approved = true;
        self
    }

    /// The arguments: the text of a JSON object, or `serde_json::json!({…})`. Numbers keep the text they are written in.
    ///
    /// # Panics
    /// When it is not a JSON object.
    #[must_use]
    #[expect(clippy::panic, reason = "in a test, a panic is the answer")]
    pub fn arguments(mut self, json: impl ToString) -> Self {
        let text = json.to_string();
        self.arguments = Document::parse(&text).unwrap_or_else(|why| panic!("not arguments: {why}: {text}"));
        self
    }

    /// What was spent on an account in a window such as `24h`. Of other accounts, currencies and windows nothing was.
    ///
    /// # Panics
    /// When the window is none.
    #[must_use]
    pub fn spent(mut self, account: Account, currency: &str, window: &str, amount: &str) -> Self {
        self.spent.push((account, currency.to_owned(), window_ms(window), amount.to_owned()));
        self
    }

    /// How many calls were let through in a window such as `1h`. In other windows there were none.
    ///
    /// # Panics
    /// When the window is none.
    #[must_use]
    pub fn calls(mut self, window: &str, count: u64) -> Self {
        self.calls.insert(window_ms(window), count);
        self
    }

    /// The local time in a zone. Other zones are unknown.
    #[must_use]
    pub fn local_time(mut self, zone: &str, time: ZonedTime) -> Self {
        self.local_times.insert(zone.to_owned(), time);
        self
    }

    /// What the policy says of the call.
    #[must_use]
    pub fn evaluate<P: Policy>(&self, policy: &P) -> Verdict {
        export::decide(policy, &self.call, self)
    }

    /// Whether the policy lists the tool for the principal.
    #[must_use]
    pub fn visible<P: Policy>(&self, policy: &P) -> Visibility {
        policy.visible(&self.call.tool, &self.call.principal)
    }
}

#[expect(clippy::panic, reason = "in a test, a panic is the answer")]
fn window_ms(text: &str) -> u64 {
    Window::parse(text).unwrap_or_else(|why| panic!("{why}")).ms()
}

impl Source for Case {
    fn get(&self, pointer: &str) -> Option<Value> {
        self.arguments.get(pointer)
    }

    fn canonical(&self) -> String {
        self.arguments.canonical()
    }

    fn spent(&self, account: &Account, currency: &str, window_ms: u64) -> String {
        let fact = self.spent.iter().find(|(a, c, w, _)| (a, c.as_str(), *w) == (account, currency, window_ms));
        fact.map_or("0", |(.., amount)| amount).to_owned()
    }

    fn calls(&self, window_ms: u64) -> u64 {
        self.calls.get(&window_ms).copied().unwrap_or(0)
    }

    fn local_time(&self, zone: &str) -> Result<ZonedTime, String> {
        self.local_times.get(zone).copied().ok_or_else(|| format!("`{zone}` is not a time zone of this case"))
    }
}
