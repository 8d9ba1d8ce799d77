//! The shape of the file, before its values are checked.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{IdempotencyRule, Share};
use crate::admission::{Per, Route};

pub(super) const TOP: &[&str] = &["gate", "approvals", "server", "limit", "tool", "ceiling"];
pub(super) const APPROVALS: &[&str] = &["socket"];
pub(super) const GATE: &[&str] = &["listen", "admin", "data", "policies", "allowed_hosts", "allowed_origins"];
pub(super) const SERVER: &[&str] = &["name", "command", "url", "headers", "prefix", "share", "env", "timeout"];
pub(super) const LIMIT: &[&str] = &["name", "tools", "route", "rate", "per", "quarantined"];
pub(super) const TOOL: &[&str] = &["name", "idempotency", "idempotent", "on_error", "secret_arguments"];
pub(super) const CEILING: &[&str] = &["account", "max", "currency", "window", "per"];

#[derive(Deserialize)]
pub(super) struct File {
    #[serde(default)]
    pub(super) gate: Gate,
    #[serde(default)]
    pub(super) approvals: Approvals,
    #[serde(default)]
    pub(super) server: Vec<Server>,
    #[serde(default)]
    pub(super) limit: Vec<Limit>,
    #[serde(default)]
    pub(super) tool: Vec<Tool>,
    #[serde(default)]
    pub(super) ceiling: Vec<CeilingEntry>,
}

#[derive(Deserialize)]
#[serde(default)]
pub(super) struct Gate {
    pub(super) listen: String,
    pub(super) admin: String,
    pub(super) data: String,
    pub(super) policies: String,
    pub(super) allowed_hosts: Vec<String>,
    pub(super) allowed_origins: Vec<String>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8787".into(),
            admin: "127.0.0.1:8788".into(),
            data: "data".into(),
            policies: "policies".into(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
pub(super) struct Approvals {
    pub(super) socket: bool,
}

impl Default for Approvals {
    fn default() -> Self {
        Self { socket: true }
    }
}

#[derive(Deserialize)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) command: Option<Vec<String>>,
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) prefix: Option<bool>,
    #[serde(default)]
    pub(super) share: Share,
    pub(super) env: Option<Vec<String>>,
    pub(super) timeout: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Limit {
    pub(super) name: String,
    #[serde(default)]
    pub(super) tools: Vec<String>,
    pub(super) route: Option<Route>,
    pub(super) rate: String,
    #[serde(default)]
    pub(super) per: Per,
    pub(super) quarantined: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Tool {
    pub(super) name: String,
    #[serde(default)]
    pub(super) idempotency: IdempotencyRule,
    #[serde(default)]
    pub(super) idempotent: bool,
    pub(super) on_error: Option<OnError>,
    #[serde(default)]
    pub(super) secret_arguments: Vec<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnError {
    Keep,
    Release,
}

#[derive(Deserialize)]
pub(super) struct CeilingEntry {
    pub(super) account: String,
    pub(super) max: String,
    pub(super) currency: String,
    pub(super) window: Option<String>,
    pub(super) per: Option<String>,
}
