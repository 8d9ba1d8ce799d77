//! From what a server offers to a tool of the catalog.

use std::sync::Arc;

use super::pin::{self, Noted};
use super::schema::{BadSchema, Schema};
use super::{Tool, promise};
use crate::config::{ServerConfig, ToolConfig};
use crate::json::Value;
use crate::limits;
use crate::upstream::Offered;

/// Why a server's tool is not taken into the catalog.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum BadTool {
    /// Its name cannot be used.
    #[error("its name has other characters than letters, digits, `_`, `-`, `.` and `/`, or is too long")]
    Name,
    /// The gate's own tools have that name.
    #[error("its name begins with `{GATE}`, as those of the gate's own tools do")]
    Gate,
    /// Its definition is not an object.
    #[error("its definition is not an object")]
    Definition,
    /// Its definition is larger than anybody would keep or read.
    #[error("its definition has {found} bytes, more than the {max} allowed", max = limits::DEFINITION_BYTES_MAX)]
    TooLarge {
        /// Bytes there are, in canonical form.
        found: usize,
    },
    /// Its arguments cannot be checked.
    #[error("its input schema cannot be used: {0}")]
    Schema(#[from] BadSchema),
}

/// What the names of the gate's own tools begin with.
const GATE: &str = "gate__";

/// A tool under the name agents use. The digest covers the definition as the server gave it, in canonical form, which comes
/// with it.
pub(super) fn tool(server: &ServerConfig, offered: Offered, rules: &[ToolConfig]) -> Result<Noted, BadTool> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let name = if server.prefix { format!("{}__{}", server.name, offered.name) } else { offered.name.clone() };
    if offered.name.is_empty() || !name.chars().all(fine) || name.len() > limits::TOOL_NAME_CHARS_MAX {
        return Err(BadTool::Name);
    }
    if name.starts_with(GATE) {
        return Err(BadTool::Gate);
    }
    let text = offered.definition.canonical();
    if text.len() > limits::DEFINITION_BYTES_MAX {
        return Err(BadTool::TooLarge { found: text.len() });
    }
    let digest = pin::digest(text.as_bytes());
    let mut definition = offered.definition;
    let Value::Object(members) = &mut definition else { return Err(BadTool::Definition) };
    for (key, value) in members.iter_mut() {
        if key == "name" {
            *value = Value::String(name.clone());
        }
    }
    let definition = promise::in_definition(definition);
    let rule = rules.iter().find(|rule| rule.name == name);
    let tool = Arc::new(Tool {
        server: server.name.clone(),
        upstream_name: offered.name,
        annotations: offered.annotations,
        digest,
        definition,
        schema: Schema::compile(&offered.input_schema)?,
        secret_arguments: rule.map(|rule| rule.secret_arguments.clone()).unwrap_or_default(),
        idempotency: rule.map(|rule| rule.idempotency).unwrap_or_default(),
        idempotent: rule.is_some_and(|rule| rule.idempotent),
        release_on_error: rule.is_some_and(|rule| rule.release_on_error),
        name,
    });
    Ok(Noted { tool, text })
}
