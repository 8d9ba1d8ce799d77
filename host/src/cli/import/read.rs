//! What a client's configuration says, in the shapes that clients use: `mcpServers` (Claude Desktop, Cursor and most
//! others), `servers` (VS Code's mcp.json), and `mcp.servers` (VS Code's settings.json). Comments and trailing commas are
//! read as VS Code does.

use std::collections::BTreeMap;

use jsonc_parser::{ParseOptions, parse_to_serde_value};
use serde::Deserialize;

use crate::audit::mask;

/// Servers of one file.
const SERVERS_MAX: usize = 256;

/// Servers by their names, each not yet read: one that is odd is no reason to leave the others out.
pub(super) type Entries = BTreeMap<String, serde_json::Value>;

/// A file.
#[derive(Deserialize)]
#[serde(expecting = "an object with `mcpServers` or `servers`")]
struct File {
    #[serde(rename = "mcpServers")]
    mcp_servers: Option<Entries>,
    servers: Option<Entries>,
    mcp: Option<Inner>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `servers`")]
struct Inner {
    servers: Option<Entries>,
}

/// One server, as clients write it. What only a client can do with it is left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, expecting = "an object with a `command` or a `url`")]
pub(super) struct Entry {
    pub(super) command: Option<String>,
    pub(super) args: Vec<String>,
    pub(super) env: BTreeMap<String, serde_json::Value>,
    pub(super) env_file: Option<String>,
    pub(super) cwd: Option<String>,
    pub(super) url: Option<String>,
    pub(super) headers: BTreeMap<String, String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) disabled: bool,
}

impl Entry {
    /// Reads one.
    pub(super) fn read(value: &serde_json::Value) -> Result<Self, String> {
        Self::deserialize(value).map_err(|error| mask::text(&error.to_string()))
    }
}

/// The servers of a file by their names.
pub(super) fn entries(text: &str) -> Result<Entries, String> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    // A byte order mark is what some editors begin with.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file: File = parse_to_serde_value(text, &options).map_err(|error| mask::text(&error.to_string()))?;
    let found = file.mcp_servers.or(file.servers).or(file.mcp.and_then(|mcp| mcp.servers));
    let servers = found.ok_or("it has neither `mcpServers` nor `servers`, as MCP clients' configurations have")?;
    if servers.len() > SERVERS_MAX {
        return Err(format!("it has {} servers, more than the {SERVERS_MAX} that are read", servers.len()));
    }
    Ok(servers)
}
