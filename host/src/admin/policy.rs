//! Policies: what decides.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Admin, AdminError};
use crate::catalog::Tool;
use crate::clock::Timestamp;
use crate::identity::{self, Actor};
use crate::policy::{self, MatrixError, Policies, PolicySet, ReloadError, Reloaded};
use crate::store::{Read, StoreError};
use crate::task;

impl Admin {
    pub(super) async fn policy_reload(&self, actor: &Actor) -> Result<Value, AdminError> {
        changed(self.gate()?.policies.reload(actor).await)
    }

    pub(super) async fn policy_rollback(&self, actor: &Actor) -> Result<Value, AdminError> {
        changed(self.gate()?.policies.rollback(actor).await)
    }

    pub(super) async fn policy_matrix(&self, mut roles: Vec<String>) -> Result<Value, AdminError> {
        let gate = self.gate()?;
        let set = in_force(&gate.policies)?;
        roles.extend(agents_roles(&self.store)?);
        policy_matrix(set, gate.catalog.tools(), roles, self.clock.now()).await
    }
}

/// What a reload came to. That the directory is broken is an answer, which a program can read.
fn changed(done: Result<Reloaded, ReloadError>) -> Result<Value, AdminError> {
    match done {
        Ok(Reloaded { generation, digest, changed, differs }) => {
            let mut answer = json!({ "ok": true, "generation": generation, "digest": digest, "changed": changed });
            if let (Some(differs), Some(answer)) = (differs, answer.as_object_mut()) {
                answer.insert("differs".into(), differs.into());
            }
            Ok(answer)
        }
        Err(ReloadError::Problems(problems)) => Ok(json!({ "ok": false, "problems": problems })),
        Err(ReloadError::NotRunning) => Err(AdminError::NotRunning),
        Err(ReloadError::Store(error)) => Err(error.into()),
        Err(error) => Err(AdminError::Usage(error.to_string())),
    }
}

fn in_force(policies: &Policies) -> Result<Arc<PolicySet>, AdminError> {
    let none = || policies.why().unwrap_or_else(|| "there are no policies".into());
    policies.set().map_err(|_| AdminError::NoPolicy(none()))
}

/// The set in force: its generation and digest, whether the directory holds another and why, and its policies in order.
///
/// # Errors
/// When there is no set.
pub fn policy_list(policies: &Policies) -> Result<Value, AdminError> {
    let set = in_force(policies)?;
    let differs = policies.differs();
    Ok(json!({
        "generation": set.generation(),
        "digest": set.digest(),
        "differs": differs.is_some(),
        "reason": differs,
        "policies": set.list(),
    }))
}

/// What each role may do with each tool: these roles, and those in the policies' settings.
///
/// # Errors
/// When there are too many of them.
pub async fn policy_matrix(
    set: Arc<PolicySet>,
    tools: Vec<Arc<Tool>>,
    roles: Vec<String>,
    now: Timestamp,
) -> Result<Value, AdminError> {
    let asked = task::blocking(move || policy::matrix(&set, &tools, &roles, now)).await;
    let matrix = asked.map_err(|error: MatrixError| AdminError::Usage(error.to_string()))?;
    let row = |row: &policy::Row| {
        let cells: serde_json::Map<String, Value> =
            matrix.roles.iter().cloned().zip(row.cells.iter().map(|cell| json!(cell))).collect();
        json!({ "tool": row.tool, "roles": cells })
    };
    let tools: Vec<Value> = matrix.rows.iter().map(row).collect();
    Ok(json!({ "generation": matrix.generation, "roles": matrix.roles, "tools": tools }))
}

/// The roles of the registered agents.
///
/// # Errors
/// When the store cannot be read.
pub fn agents_roles(read: &dyn Read) -> Result<Vec<String>, StoreError> {
    Ok(identity::agents(read)?.into_iter().flat_map(|agent| agent.roles).collect())
}
