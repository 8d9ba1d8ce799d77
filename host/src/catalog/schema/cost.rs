//! What checking arguments costs at most, known before it is done: a schema of a few lines can have a validator look at
//! one value 2^n times, through references that fan out or that come back to themselves.
//!
//! The measure is how often a subschema is applied to one value, by the value's level: the arguments are level 0, their
//! members level 1. What is applied to the same value (`allOf`, `$ref` …) adds up; a value is only one of the members.

use super::graph::Graph;
use crate::json::Value;
use crate::limits;

/// Subschemas that may be applied to one value.
pub(super) const APPLIED_MAX: u64 = 100_000;

/// Levels that arguments may have under every usable schema, at least.
const LEVELS_MIN: usize = 3;

/// Subschemas applied in one check of arguments.
const WORK_MAX: u64 = 4_000_000;

/// Memory for the validator's tree of errors, in bytes; where it could need more, no place is named.
const ERRORS_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One error of that tree without the texts it copies, in bytes.
const ERROR_BYTES: u64 = 512;

/// The cost of a schema.
pub(super) struct Cost {
    /// Subschemas applied to one value, by its level.
    applied: Vec<u64>,
    /// Bytes of the schema that one error can copy.
    quoted: u64,
}

/// Why arguments are not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TooCostly {
    /// They have more levels than this.
    Levels(usize),
    /// They have too many values.
    Values,
}

impl Cost {
    /// Measures a schema.
    ///
    /// # Errors
    /// Why it cannot be used, whatever the arguments.
    pub(super) fn of(schema: &Value) -> Result<Self, String> {
        let graph = Graph::of(schema)?;
        let cost = Self { applied: graph.applied(limits::ARGUMENTS.depth_max.saturating_add(1)), quoted: graph.quoted };
        if cost.levels() < LEVELS_MIN {
            return Err(format!("its references fan out into more than {APPLIED_MAX} subschemas"));
        }
        Ok(cost)
    }

    /// Levels that arguments may have.
    fn levels(&self) -> usize {
        self.applied.iter().take_while(|applied| **applied <= APPLIED_MAX).count()
    }

    /// Whether a misfit of these arguments can be told with its place.
    ///
    /// # Errors
    /// When they cannot be checked at all.
    pub(super) fn admit(&self, arguments: &Value) -> Result<bool, TooCostly> {
        let mut shape = Shape::default();
        shape.add(arguments, 0, 0);
        let levels = self.levels();
        if shape.values.len() > levels {
            return Err(TooCostly::Levels(levels));
        }
        let work = shape
            .values
            .iter()
            .zip(&self.applied)
            .fold(0_u64, |sum, (values, applied)| sum.saturating_add(values.saturating_mul(*applied)));
        if work > WORK_MAX {
            return Err(TooCostly::Values);
        }
        let error = ERROR_BYTES.saturating_add(self.quoted).saturating_add(shape.path).saturating_add(shape.keys);
        Ok(work.saturating_mul(error) <= ERRORS_BYTES_MAX)
    }
}

/// What arguments look like.
#[derive(Default)]
struct Shape {
    /// Values, by level.
    values: Vec<u64>,
    /// Bytes of the longest path.
    path: u64,
    /// Bytes of the keys of the object that has most.
    keys: u64,
}

impl Shape {
    fn add(&mut self, value: &Value, level: usize, path: u64) {
        if self.values.len() <= level {
            self.values.resize(level.saturating_add(1), 0);
        }
        if let Some(values) = self.values.get_mut(level) {
            *values = values.saturating_add(1);
        }
        self.path = self.path.max(path);
        let below = level.saturating_add(1);
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.add(item, below, path.saturating_add(8))),
            Value::Object(members) => {
                let mut keys = 0_u64;
                for (key, member) in members {
                    let bytes = u64::try_from(key.len()).unwrap_or(u64::MAX);
                    keys = keys.saturating_add(bytes);
                    self.add(member, below, path.saturating_add(bytes.saturating_mul(2)).saturating_add(1));
                }
                self.keys = self.keys.max(keys);
            }
            _ => {}
        }
    }
}
