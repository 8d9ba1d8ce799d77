//! `portcullis.toml`, read and checked.

use std::path::PathBuf;
use std::time::Duration;

/// An upstream MCP server that is a child process.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Its name: the first part of its tools' names.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Where it runs: the configuration's folder.
    pub directory: PathBuf,
    /// Names of environment variables that it gets besides PATH, HOME, LANG and TMPDIR.
    pub env: Vec<String>,
    /// Its tools appear as `name__tool`.
    pub prefix: bool,
    /// How long it has to answer a call.
    pub timeout: Duration,
}
