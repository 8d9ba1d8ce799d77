//! The owners' door: what persons do, over HTTP. Everyone here has a credential of a person's; what each kind may do is
//! `admin`'s to say. Nothing here is a tool, and a GET changes nothing.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{DoorOptions, answer, body, credential, guard, ready};
use crate::admin::{Admin, AdminError, Command, Fault};
use crate::approval;
use crate::audit;
use crate::call::Origin;
use crate::catalog::pin;
use crate::gate::Gate;
use crate::identity::{Actor, Kind, NewAgent, Status};

#[derive(Clone)]
struct Owners {
    gate: Arc<Gate>,
    admin: Admin,
}

/// The door for persons.
pub fn owners(gate: Arc<Gate>, admin: Admin, options: DoorOptions) -> Router {
    let at = Arc::clone(&gate);
    Router::new()
        .route("/v1/approvals", get(approvals))
        .route("/v1/approvals/{id}", get(approval))
        .route("/v1/approvals/{id}/approve", post(approve))
        .route("/v1/approvals/{id}/reject", post(reject))
        .route("/v1/outcomes", get(outcomes))
        .route("/v1/outcomes/{id}/resolve", post(resolve))
        .route("/v1/agents", get(agents).post(agent_add))
        .route("/v1/agents/{name}", get(agent))
        .route("/v1/agents/{name}/{status}", post(agent_status))
        .route("/v1/persons", get(persons).post(person_add))
        .route("/v1/persons/{name}/revoke", post(person_revoke))
        .route("/v1/policies", get(policies))
        .route("/v1/policies/reload", post(policies_reload))
        .route("/v1/policies/rollback", post(policies_rollback))
        .route("/v1/policies/matrix", get(policies_matrix))
        .route("/v1/spend", get(spend))
        .route("/v1/tools", get(tools))
        .route("/v1/tools/accept", post(tools_accept))
        .route("/v1/tools/{name}", get(tool))
        .route("/v1/audit/events", get(events))
        .route("/v1/audit/events/{id}", get(event))
        .route("/v1/audit/proof/inclusion", get(inclusion))
        .route("/v1/audit/verify", get(verify))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(move || async move { ready(&at.readiness()) }))
        .fallback(|| async { answer::problem(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            answer::problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path takes another method")
        })
        .layer(axum::middleware::from_fn_with_state(Arc::new(options), guard::check))
        .with_state(Owners { gate, admin })
}

impl Owners {
    /// Who asks.
    async fn person(&self, request: &mut Request) -> Result<Actor, Response> {
        let address = super::address(request.extensions());
        let credential = credential::take(request.headers_mut());
        let principal = self.gate.authenticate(credential, address, Origin::Rest).await;
        let principal = principal.map_err(|refused| answer::refusal(&refused))?;
        Actor::person(&principal).ok_or_else(|| {
            let message = "this door is for persons; agents come in at the address for agents";
            answer::problem(StatusCode::FORBIDDEN, "forbidden", message)
        })
    }

    async fn run(&self, mut request: Request, command: impl FnOnce() -> Command) -> Response {
        match self.person(&mut request).await {
            Ok(actor) => said(self.admin.run(&actor, command()).await),
            Err(response) => response,
        }
    }

    /// A command with a body, which is read once it is known who asks.
    async fn run_with<T: DeserializeOwned>(
        &self,
        mut request: Request,
        command: impl FnOnce(T) -> Command,
    ) -> Response {
        let actor = match self.person(&mut request).await {
            Ok(actor) => actor,
            Err(response) => return response,
        };
        match json_body(request).await {
            Ok(body) => said(self.admin.run(&actor, command(body)).await),
            Err(response) => response,
        }
    }
}

/// The body as JSON; an empty one is the empty object. Only what is declared as JSON is taken: a page of another origin
/// can send other types without being asked.
async fn json_body<T: DeserializeOwned>(request: Request) -> Result<T, Response> {
    let bad = |message: String| answer::problem(StatusCode::BAD_REQUEST, "invalid_body", &message);
    let (parts, content) = request.into_parts();
    let bytes = body::read(content).await.map_err(|_| bad("the body is too large or did not arrive whole".into()))?;
    if bytes.trim_ascii().is_empty() {
        return serde_json::from_str("{}").map_err(|error| bad(format!("a body is needed: {error}")));
    }
    if !body::is_json(&parts.headers) {
        let message = "send the body with `Content-Type: application/json`";
        return Err(answer::problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_body", message));
    }
    serde_json::from_slice(&bytes).map_err(|error| bad(format!("the body cannot be used: {error}")))
}

/// What came of a command.
fn said(done: Result<Value, AdminError>) -> Response {
    let error = match done {
        // What was asked for could not take force.
        Ok(value) if value.get("problems").is_some() => {
            return answer::json_text(StatusCode::UNPROCESSABLE_ENTITY, value.to_string());
        }
        Ok(value) => return answer::json_text(StatusCode::OK, value.to_string()),
        Err(error) => error,
    };
    let (status, code) = match error.fault() {
        Fault::Unknown => (StatusCode::NOT_FOUND, "not_found"),
        Fault::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
        Fault::Conflict => (StatusCode::CONFLICT, "conflict"),
        Fault::Invalid => (StatusCode::BAD_REQUEST, "invalid"),
        Fault::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    answer::problem(status, code, &error.to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    status: Option<approval::Status>,
}

async fn approvals(State(door): State<Owners>, Query(listed): Query<Listed>, request: Request) -> Response {
    door.run(request, || Command::ApprovalList { status: listed.status }).await
}

async fn approval(State(door): State<Owners>, Path(id): Path<String>, request: Request) -> Response {
    door.run(request, || Command::ApprovalShow { id }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn approve(State(door): State<Owners>, Path(id): Path<String>, request: Request) -> Response {
    door.run_with(request, |Nothing {}| Command::ApprovalDecide { id, say: approval::Say::Approve }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: String,
}

async fn reject(State(door): State<Owners>, Path(id): Path<String>, request: Request) -> Response {
    let say = |Reason { reason }| Command::ApprovalDecide { id, say: approval::Say::Reject { reason } };
    door.run_with(request, say).await
}

async fn outcomes(State(door): State<Owners>, request: Request) -> Response {
    door.run(request, || Command::OutcomeList).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Executed {
    executed: bool,
}

async fn resolve(State(door): State<Owners>, Path(id): Path<String>, request: Request) -> Response {
    door.run_with(request, |Executed { executed }| Command::OutcomeResolve { id, executed }).await
}

async fn agents(State(door): State<Owners>, request: Request) -> Response {
    door.run(request, || Command::AgentList).await
}

async fn agent(State(door): State<Owners>, Path(name): Path<String>, request: Request) -> Response {
    door.run(request, || Command::AgentShow { name }).await
}

async fn agent_add(State(door): State<Owners>, request: Request) -> Response {
    door.run_with(request, |new: NewAgent| Command::AgentAdd(new)).await
}

async fn agent_status(
    State(door): State<Owners>,
    Path((name, word)): Path<(String, String)>,
    request: Request,
) -> Response {
    let status = match word.as_str() {
        "quarantine" => Status::Quarantined,
        "release" => Status::Active,
        "revoke" => Status::Revoked,
        _ => return answer::problem(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path"),
    };
    door.run_with(request, |Nothing {}| Command::AgentStatus { name, status }).await
}

async fn persons(State(door): State<Owners>, request: Request) -> Response {
    door.run(request, || Command::PersonList).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPerson {
    name: String,
    kind: Kind,
}

async fn person_add(State(door): State<Owners>, request: Request) -> Response {
    door.run_with(request, |NewPerson { name, kind }| Command::PersonAdd { name, kind }).await
}

async fn person_revoke(State(door): State<Owners>, Path(name): Path<String>, request: Request) -> Response {
    door.run_with(request, |Nothing {}| Command::PersonRevoke { name }).await
}

async fn policies(State(door): State<Owners>, request: Request) -> Response {
    door.run(request, || Command::PolicyList).await
}

async fn policies_reload(State(door): State<Owners>, request: Request) -> Response {
    door.run_with(request, |Nothing {}| Command::PolicyReload).await
}

async fn policies_rollback(State(door): State<Owners>, request: Request) -> Response {
    door.run_with(request, |Nothing {}| Command::PolicyRollback).await
}

async fn policies_matrix(State(door): State<Owners>, request: Request) -> Response {
    door.run(request, || Command::PolicyMatrix { roles: Vec::new() }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accounts {
    account: Option<String>,
    window: Option<String>,
}

async fn spend(State(door): State<Owners>, Query(of): Query<Accounts>, request: Request) -> Response {
    door.run(request, || Command::SpendShow { account: of.account, window: of.window }).await
}

async fn verify(State(door): State<Owners>, request: Request) -> Response {
    door.run(request, || Command::AuditVerify).await
}

async fn tools(State(door): State<Owners>, request: Request) -> Response {
    door.run(request, || Command::ToolList).await
}

async fn tool(State(door): State<Owners>, Path(name): Path<String>, request: Request) -> Response {
    door.run(request, || Command::ToolShow { name }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    tools: Vec<pin::Accept>,
}

async fn tools_accept(State(door): State<Owners>, request: Request) -> Response {
    door.run_with(request, |Accepted { tools }| Command::ToolAccept { tools }).await
}

async fn events(State(door): State<Owners>, mut request: Request) -> Response {
    let actor = match door.person(&mut request).await {
        Ok(actor) => actor,
        Err(response) => return response,
    };
    let invalid = |message: &str| answer::problem(StatusCode::BAD_REQUEST, "invalid", message);
    let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(request.uri()) else {
        return invalid("the query string of the address cannot be read");
    };
    match audit::Query::from_pairs(pairs) {
        Ok(query) => said(door.admin.run(&actor, Command::AuditQuery { query }).await),
        Err(bad) => invalid(&bad.to_string()),
    }
}

async fn event(State(door): State<Owners>, Path(id): Path<String>, request: Request) -> Response {
    door.run(request, || Command::AuditShow { id }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfEntry {
    id: String,
}

async fn inclusion(State(door): State<Owners>, Query(OfEntry { id }): Query<OfEntry>, request: Request) -> Response {
    door.run(request, || Command::AuditProve { id }).await
}
