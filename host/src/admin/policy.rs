//! Policies: what decides.

use serde_json::{Value, json};

use super::AdminError;
use crate::policy::Policies;

/// The policies of a set, in order.
///
/// # Errors
/// When there is no set.
pub fn policy_list(policies: &Policies) -> Result<Value, AdminError> {
    let none = || policies.why().unwrap_or_else(|| "there are no policies".into());
    let set = policies.set().map_err(|_| AdminError::NoPolicy(none()))?;
    Ok(json!(set.list()))
}
