//! What a client's configuration says, in the shapes that clients use: `mcpServers` (Claude Desktop, Cursor and most
//! others), `servers` (VS Code's mcp.json), and `mcp.servers` (VS Code's settings.json). Comments and trailing commas are
//! read as VS Code does.

use std::collections::BTreeMap;

use jsonc_parser::{ParseOptions, parse_to_serde_value};
use serde::Deserialize;

/// Servers of one file.
const SERVERS_MAX: usize = 256;

/// A file.
#[derive(Deserialize)]
struct File {
    #[serde(rename = "mcpServers")]
    mcp_servers: Option<BTreeMap<String, Entry>>,
    servers: Option<BTreeMap<String, Entry>>,
    mcp: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    servers: Option<BTreeMap<String, Entry>>,
}

/// One server, as clients write it. What only a client can do with it is left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
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

/// The servers of a file by their names.
pub(super) fn entries(text: &str) -> Result<BTreeMap<String, Entry>, String> {
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
    let file: File = parse_to_serde_value(text, &options).map_err(|error| error.to_string())?;
    let found = file.mcp_servers.or(file.servers).or(file.mcp.and_then(|mcp| mcp.servers));
    let servers = found.ok_or("it has neither `mcpServers` nor `servers`, as MCP clients' configurations have")?;
    if servers.len() > SERVERS_MAX {
        return Err(format!("it has {} servers, more than the {SERVERS_MAX} that are read", servers.len()));
    }
    Ok(servers)
}
