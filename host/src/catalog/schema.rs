//! Argument schemas (JSON Schema, 2020-12 unless the schema names another draft). No reference leaves the schema, and
//! patterns run in linear time: a schema comes from a server and is as untrusted as anything else.

use jsonschema::{PatternOptions, Retrieve, Uri, Validator};

use self::cost::{Cost, TooCostly};
use crate::json::Value;

mod cost;
mod graph;
mod target;

/// Bytes of a schema, canonically written. Larger ones are not compiled.
const SCHEMA_BYTES_MAX: usize = 256 * 1024;

/// Characters of a misfit's pointer and of what is said about it; the rest is cut off.
const MISFIT_CHARS_MAX: usize = 200;

/// A compiled schema.
pub struct Schema {
    validator: Validator,
    cost: Cost,
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schema")
    }
}

/// Where arguments do not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// A JSON pointer (RFC 6901) into the arguments.
    pub pointer: String,
    /// What is wrong there. It does not quote values: they may be secret.
    pub message: String,
}

/// A schema that cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BadSchema {
    /// Too large.
    #[error("it has more than {SCHEMA_BYTES_MAX} bytes")]
    TooLarge,
    /// Not a schema, or one that refers to something outside of itself.
    #[error("it is not a usable JSON Schema: {0}")]
    Unusable(String),
}

/// Refuses every reference out of the schema.
struct Nowhere;

impl Retrieve for Nowhere {
    fn retrieve(&self, uri: &Uri<String>) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("it refers to `{uri}`, and references out of a schema are not followed").into())
    }
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// When it is too large or unusable.
    pub fn compile(schema: &Value) -> Result<Self, BadSchema> {
        if schema.to_text().len() > SCHEMA_BYTES_MAX {
            return Err(BadSchema::TooLarge);
        }
        let cost = Cost::of(schema).map_err(BadSchema::Unusable)?;
        jsonschema::options()
            .with_retriever(Nowhere)
            .with_pattern_options(PatternOptions::regex())
            .build(&schema.to_lossy())
            .map(|validator| Self { validator, cost })
            .map_err(|error| BadSchema::Unusable(error.to_string()))
    }

    /// Whether arguments fit. What was checked is what is forwarded, but for numbers that are no doubles: those are
    /// compared by the nearest double.
    ///
    /// # Errors
    /// The first place where they do not, or why that cannot be found out.
    pub fn check(&self, arguments: &Value) -> Result<(), Misfit> {
        let placed = self.cost.admit(arguments).map_err(|costly| match costly {
            TooCostly::Levels(levels) => Misfit::whole(&format!(
                "the arguments: this tool's recursive schema is checked for arguments of at most {levels} levels only; \
                 nest them less"
            )),
            TooCostly::Values => Misfit::whole(
                "the arguments: they have more values than can be checked by this tool's schema; send fewer",
            ),
        })?;
        let arguments = arguments.to_lossy();
        if self.validator.is_valid(&arguments) {
            return Ok(());
        }
        if !placed {
            return Err(Misfit::whole(
                "the arguments: they do not fit, and are too large for this schema to say where",
            ));
        }
        let Err(error) = self.validator.validate(&arguments) else {
            return Err(Misfit::whole("the arguments: they do not fit"));
        };
        let pointer = cut(error.instance_path().as_str());
        let place = if pointer.is_empty() { "the arguments" } else { pointer.as_str() };
        Err(Misfit { message: format!("{place}: {}", cut(&error.masked().to_string())), pointer })
    }
}

impl Misfit {
    /// One of the arguments as a whole.
    fn whole(message: &str) -> Self {
        Self { pointer: String::new(), message: message.to_owned() }
    }
}

fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(MISFIT_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
