//! `portcullis.toml`, read and checked.
//!
//! Every field has a bound and a documented default; an unknown key is an error that names the nearest known one.
//! Relative paths start at the file's folder.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::admission;
use crate::ledger::Ceiling;

pub mod keys;
mod load;
mod remote;
mod schema;
mod server;
pub mod span;
#[cfg(test)]
mod tests;
mod wrapped;

pub use wrapped::{CREDENTIAL, PERSON_CREDENTIAL, Variables};

pub use remote::{Field, Remote, Unset};
pub(crate) use server::OWN_SECRETS;

/// The name of the file when none is given.
pub const FILE: &str = "portcullis.toml";

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of the file.
    pub folder: PathBuf,
    /// Where agents come in. Default 127.0.0.1:8787.
    pub listen: SocketAddr,
    /// Where persons come in. Default 127.0.0.1:8788.
    pub admin: SocketAddr,
    /// Whoever runs the gate can decide on approvals through the Unix socket without a credential. Default true.
    pub approvals_by_socket: bool,
    /// Where the store is. Default `data`.
    pub data: PathBuf,
    /// Where `policies.toml` is. Default `policies`.
    pub policies: PathBuf,
    /// Names under which browsers and clients may address the gate, besides loopback and `listen`.
    pub allowed_hosts: Vec<String>,
    /// Origins that pages may call from, besides loopback.
    pub allowed_origins: Vec<String>,
    /// The upstream servers.
    pub servers: Vec<ServerConfig>,
    /// What the gate should know about tools.
    pub tools: Vec<ToolConfig>,
    /// Token buckets.
    pub limits: Vec<admission::Limit>,
    /// What the host itself limits.
    pub ceilings: Vec<Ceiling>,
}

/// An upstream MCP server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Its name: the first part of its tools' names.
    pub name: String,
    /// How it is reached.
    pub reach: Reach,
    /// Who uses one child or session of it together. Default all.
    pub share: Share,
    /// Its tools appear as `name__tool`. Default true; false only where there is a single server.
    pub prefix: bool,
    /// How long it has to answer a call. Default 60 s.
    pub timeout: Duration,
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub enum Reach {
    /// It is a child process, spoken to over its standard streams.
    Child(Program),
    /// It runs elsewhere, spoken to over streamable HTTP.
    Http(Remote),
}

/// A program that the gate starts.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Where it runs: the configuration's folder.
    pub directory: PathBuf,
    /// Names of environment variables that it gets besides PATH, HOME, LANG and TMPDIR.
    pub env: Vec<String>,
    /// Environment variables that it gets with these values: only a server of `portcullis wrap` has any.
    pub variables: Variables,
}

/// Who uses one child or session of a server together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    /// Everybody.
    #[default]
    All,
    /// Nobody: each principal has one of its own.
    Principal,
}

/// How calls without an idempotency key are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdempotencyRule {
    /// They are calls of their own, but for an identical one that has not ended.
    #[default]
    Optional,
    /// They are refused.
    Required,
    /// Their key comes from their arguments.
    Derive,
}

/// What the gate should know about a tool.
#[derive(Clone, Debug)]
pub struct ToolConfig {
    /// The name agents use.
    pub name: String,
    /// How calls without a key are treated.
    pub idempotency: IdempotencyRule,
    /// Calling it twice does no harm: an unknown outcome may be tried again.
    pub idempotent: bool,
    /// The money of a call that the tool itself failed is free again (`on_error = "release"`).
    pub release_on_error: bool,
    /// JSON pointers (RFC 6901) of arguments that no policy and no log may see.
    pub secret_arguments: Vec<String>,
}

/// A configuration that cannot be used. The message names the file, the place and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration `{}`: {source}; make one with `portcullis init DIR`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, or has values of the wrong type.
    #[error("`{}` is not a valid configuration: {what}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and what.
        what: String,
    },
    /// A key that does not exist.
    #[error("`{}`: {problem}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Which.
        problem: keys::UnknownKey,
    },
    /// A value that makes no sense.
    #[error("`{}`: {what}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Which, and what would be right.
        what: String,
    },
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// When the file cannot be read or used.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        load::load(path)
    }
}
