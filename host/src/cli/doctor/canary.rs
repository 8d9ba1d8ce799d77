//! Canaries: requests and calls that a gate must refuse. One that is let through means that the gate does not hold.
//!
//! Those with a key are made by an agent of their own, whose role no policy knows, and who is revoked at the end. Nothing
//! can happen even if a call of a real tool is let through: only such tools are called, without arguments, whose server says
//! that they only read, or whose schema refuses a call without arguments.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::Value;
use zeroize::Zeroizing;

use super::finding::Findings;
use crate::admin::Command;
use crate::cli::client;
use crate::config::Config;
use crate::identity::{NewAgent, Status};
use crate::refusal::causes;

mod http;

use http::{Answer, Sent, send as request};

/// What the canaries' agent is called, before some random digits.
const NAME: &str = "doctor-";
/// Its role. A policy that knows it is found out.
const ROLE: &str = "doctor-canary";
/// A credential of the right form that nobody has.
const WRONG_KEY: &str = "pk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const STRANGE_HOST: &str = "portcullis-doctor.invalid";
const STRANGE_ORIGIN: &str = "https://portcullis-doctor.invalid";
const MCP_HELLO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// Sends all of them to the gate that runs.
pub(super) async fn send(config: &Config, gate: &Value, found: &mut Findings) {
    let door = |key: &str| gate.get(key).and_then(Value::as_str).and_then(|text| text.parse().ok()).map(from_here);
    let (Some(agents), Some(owners)) = (door("agents"), door("owners")) else {
        let todo = "start it with `portcullis serve`, and repeat this";
        return found.warning("canaries", "the gate that runs has no doors for HTTP, so none were sent", todo);
    };
    let mut cage = Cage { found, sent: 0 };
    cage.strangers(agents, owners).await;
    cage.agent(config, gate, agents, owners).await;
    let sent = cage.sent;
    found.else_ok("canaries", format!("all {sent} were refused"));
}

/// An address that can be connected to: a door that listens everywhere listens here.
fn from_here(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), address.port()),
        _ => address,
    }
}

/// Counts canaries, and tells of those that were let through.
struct Cage<'a> {
    found: &'a mut Findings,
    sent: usize,
}

impl Cage<'_> {
    /// A request that must be answered with this status.
    async fn must_be(&mut self, status: u16, what: &str, door: SocketAddr, sent: Sent<'_>) {
        self.sent = self.sent.saturating_add(1);
        match request(door, sent).await {
            Ok(answer) if answer.status == status => {}
            Ok(answer) if answer.status < 400 => self.let_through(what, &answer),
            Ok(answer) => {
                let what =
                    format!("{what} at {door}{} was answered with {}, not with {status}", sent.path, answer.status);
                self.found.warning("canaries", what, "see whether that is a gate, and whether it is busy");
            }
            Err(error) => {
                let what = format!("{what} could not be sent to {door}{}: {error}", sent.path);
                self.found.problem("canaries", what, "see whether a firewall or another process is there");
            }
        }
    }

    fn let_through(&mut self, what: &str, answer: &Answer) {
        let what = format!("LET THROUGH: {what} was answered with {}", answer.status);
        self.found.problem("canaries", what, "stop this gate now: it does not hold; then look for the reason");
    }

    /// Requests without a right to anything, at both doors.
    async fn strangers(&mut self, agents: SocketAddr, owners: SocketAddr) {
        let places = [(agents, "/v1/tools", None), (agents, "/mcp", Some(MCP_HELLO)), (owners, "/v1/agents", None)];
        for (door, path, body) in places {
            let sent = Sent { path, body, ..Sent::default() };
            self.must_be(401, "a request without a credential", door, sent).await;
            let wrong = Sent { key: Some(WRONG_KEY), ..sent };
            self.must_be(401, "a request with a wrong credential", door, wrong).await;
            let host = Sent { host: Some(STRANGE_HOST), ..sent };
            self.must_be(403, "a request for another host", door, host).await;
            let origin = Sent { origin: Some(STRANGE_ORIGIN), ..sent };
            self.must_be(403, "a request from a page of another site", door, origin).await;
        }
    }

    /// Calls of an agent that may do nothing.
    async fn agent(&mut self, config: &Config, gate: &Value, agents: SocketAddr, owners: SocketAddr) {
        let (name, key) = match add(config).await {
            Ok(added) => added,
            Err(why) => {
                let todo = "repeat this as the gate's user, or as an owner";
                return self.found.warning("canaries", format!("no agent could be added for calls: {why}"), todo);
            }
        };
        let key = Some(key.as_str());
        let owner = Sent { path: "/v1/agents", key, ..Sent::default() };
        self.must_be(403, "an agent's key at the owners' door", owners, owner).await;
        self.listing(agents, key).await;
        let missing = format!("/v1/tools/{name}__no_such_tool");
        self.call(agents, &missing, key, "a call of a tool that does not exist").await;
        match harmless(gate) {
            Some(tool) => {
                let path = format!("/v1/tools/{tool}");
                self.call(agents, &path, key, &format!("a call of `{tool}` by an agent without a known role")).await;
            }
            None => self.found.ok("canaries", "no tool is safe to be called, so no real one was"),
        }
        let revoke = Command::AgentStatus { name: name.clone(), status: Status::Revoked };
        if let Err(error) = client::run(config, revoke).await {
            let what = format!("the canaries' agent `{name}` could not be revoked: {}", causes(&error));
            self.found.problem("canaries", what, format!("run `portcullis agent revoke {name}`"));
        } else {
            let sent = Sent { path: "/v1/tools", key, ..Sent::default() };
            self.must_be(401, "a revoked key", agents, sent).await;
        }
    }

    /// What an agent without a known role is shown.
    async fn listing(&mut self, door: SocketAddr, key: Option<&str>) {
        let Ok(answer) = request(door, Sent { path: "/v1/tools", key, ..Sent::default() }).await else { return };
        let tools = answer.body.get("tools").and_then(Value::as_array).into_iter().flatten();
        let name = |tool: &Value| tool.get("name").and_then(Value::as_str).map(str::to_owned);
        // The gate's own tools are everybody's.
        let shown = tools.filter_map(name).filter(|name| !name.starts_with("gate__")).count();
        if shown > 0 {
            let what = format!("an agent whose role no policy knows is shown {shown} tools");
            let todo = "let `rbac` decide in front of the other policies, or `visible` say never in your own";
            self.found.warning("canaries", what, todo);
        }
    }

    /// A call that must be refused before it reaches a tool.
    async fn call(&mut self, door: SocketAddr, path: &str, key: Option<&str>, what: &str) {
        self.sent = self.sent.saturating_add(1);
        let sent = Sent { path, body: Some("{}"), key, ..Sent::default() };
        let answer = match request(door, sent).await {
            Ok(answer) => answer,
            Err(error) => {
                let todo = "see whether the gate is busy";
                return self.found.problem("canaries", format!("{what} could not be sent: {error}"), todo);
            }
        };
        let code = answer.body.get("code").and_then(Value::as_str).unwrap_or_default();
        match code {
            "unknown_tool" | "denied" | "tool_withheld" | "no_policy" | "policy_fault" | "policy_limit" => {}
            // The schema is looked at before policies are asked: whether they would have refused is not known.
            "invalid_arguments" | "approval_required" | "rate_limited" | "overloaded" | "store_unavailable" => {
                let what = format!("{what} was not refused by a policy, but with `{code}`");
                self.found.warning("canaries", what, "see with `portcullis policy list` which policy grants it");
            }
            _ => self.let_through(what, &answer),
        }
    }
}

/// An agent of the canaries' own, and its key.
async fn add(config: &Config) -> Result<(String, Zeroizing<String>), String> {
    let mut digits = [0_u8; 4];
    getrandom::fill(&mut digits).map_err(|error| error.to_string())?;
    let name = digits.iter().fold(NAME.to_owned(), |name, byte| format!("{name}{byte:02x}"));
    let new = NewAgent { name: name.clone(), roles: vec![ROLE.to_owned()], owner: None, trust: 0 };
    let added = client::run(config, Command::AgentAdd(new)).await.map_err(|error| causes(&error))?;
    let key = added.get("key").and_then(Value::as_str).ok_or("the gate gave no key")?;
    Ok((name, Zeroizing::new(key.to_owned())))
}

/// A tool of which a call without arguments changes nothing: one that only reads, or whose schema refuses such a call. The
/// first kind says more, for its call reaches the policies.
fn harmless(gate: &Value) -> Option<&str> {
    let tools = gate.get("tools").and_then(Value::as_array)?;
    let is = |tool: &&Value, key: &str| tool.get(key) == Some(&Value::Bool(true));
    let reads = tools.iter().find(|tool| is(tool, "read_only") && !is(tool, "needs_arguments"));
    let tool = reads.or_else(|| tools.iter().find(|tool| is(tool, "needs_arguments")))?;
    // It goes into a path.
    tool.get("name").and_then(Value::as_str).filter(|name| !name.contains('/'))
}
