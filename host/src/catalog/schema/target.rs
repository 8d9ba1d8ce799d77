//! Where a reference inside a schema leads.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

use crate::json::Value;

/// The named places of a schema.
pub(super) struct Resources<'a> {
    root: &'a Value,
    /// Every object below an `$id`, with the outermost and all inner ones that have one above it.
    bases: HashMap<*const Value, &'a Value>,
    /// What has an `$id`, but for the root.
    inner: Vec<&'a Value>,
    /// What has an anchor, by its name.
    anchors: HashMap<&'a str, Vec<&'a Value>>,
}
