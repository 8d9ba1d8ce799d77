//! Which tool is meant: names, definitions and their digests, visibility, argument schemas.

/// What a server says of a tool, with the protocol's cautious defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Annotations {
    /// Default false.
    pub read_only: bool,
    /// Default true.
    pub destructive: bool,
    /// Default false.
    pub idempotent: bool,
    /// Default true.
    pub open_world: bool,
}

impl Default for Annotations {
    fn default() -> Self {
        Self { read_only: false, destructive: true, idempotent: false, open_world: true }
    }
}

/// A tool that the gate knows.
#[derive(Debug)]
pub struct Tool {
    /// The upstream server's name.
    pub server: String,
    /// The name agents use, with the server's prefix.
    pub name: String,
    /// The name its server uses.
    pub upstream_name: String,
    /// What its server says of it.
    pub annotations: Annotations,
    /// `sha256:` and the hexadecimal digest of the canonical definition.
    pub digest: String,
    /// The definition as the server gave it (`Tool` of the MCP schema), under the name agents use.
    pub definition: crate::json::Value,
    /// JSON pointers of arguments that no guest and no log may see.
    pub secret_arguments: Vec<String>,
}
