//! The REST door: `GET /v1/tools`, `POST /v1/tools/{name}`, and what agents ask about themselves: `GET
//! /v1/approvals/{id}`, `GET /v1/audit/events` and `GET /v1/spend`.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use super::body::{self, BodyError};
use super::{Door, Pipeline, answer, credential};
use crate::call::{Arguments, BadArguments, BadKey, IdempotencyKey, Origin};
use crate::identity::Principal;
use crate::json::JsonError;
use crate::{call, limits};

/// draft-ietf-httpapi-idempotency-key-header-07
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// What `dev.portcullis/approval` is in the `_meta` of an MCP request.
const APPROVAL: HeaderName = HeaderName::from_static("portcullis-approval");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// `GET /v1/tools`: the definitions of the tools that the caller sees.
pub(super) async fn tools<G: Pipeline>(State(door): State<Door<G>>, mut request: Request) -> Response {
    let principal = match caller(&door, &mut request).await {
        Ok(principal) => principal,
        Err(refused) => return refused,
    };
    match door.gate.tools(&principal, Origin::Rest, None).await {
        Ok(tools) => {
            let definitions: Vec<String> = tools.iter().map(|tool| tool.definition.to_text()).collect();
            answer::json_text(StatusCode::OK, format!(r#"{{"tools":[{}]}}"#, definitions.join(",")))
        }
        Err(refused) => answer::refusal(&refused),
    }
}

/// `GET /v1/approvals/{id}`: how an approval of the caller's stands.
pub(super) async fn approval<G: Pipeline>(
    State(door): State<Door<G>>,
    id: Result<Path<String>, PathRejection>,
    mut request: Request,
) -> Response {
    let principal = match caller(&door, &mut request).await {
        Ok(principal) => principal,
        Err(refused) => return refused,
    };
    let Ok(Path(id)) = id else {
        return answer::problem(StatusCode::BAD_REQUEST, "bad_path", "the approval's id is not UTF-8");
    };
    match door.gate.approval(&principal, &id, Origin::Rest).await {
        Ok(Some(approval)) => answer::json_text(StatusCode::OK, approval.to_string()),
        Ok(None) => answer::problem(StatusCode::NOT_FOUND, "not_found", "there is no such approval of yours"),
        Err(refused) => answer::refusal(&refused),
    }
}

/// `GET /v1/audit/events`: what happened, newest first, a page at a time.
pub(super) async fn events<G: Pipeline>(State(door): State<Door<G>>, mut request: Request) -> Response {
    let principal = match caller(&door, &mut request).await {
        Ok(principal) => principal,
        Err(refused) => return refused,
    };
    let Ok(Query(parameters)) = Query::try_from_uri(request.uri()) else { return bad_query() };
    match door.gate.events(&principal, parameters, Origin::Rest).await {
        Ok(page) => answer::json_text(StatusCode::OK, page),
        Err(refused) => answer::refusal(&refused),
    }
}

/// `GET /v1/spend`: what is spent and held.
pub(super) async fn spending<G: Pipeline>(State(door): State<Door<G>>, mut request: Request) -> Response {
    let principal = match caller(&door, &mut request).await {
        Ok(principal) => principal,
        Err(refused) => return refused,
    };
    let Ok(Query(parameters)) = Query::try_from_uri(request.uri()) else { return bad_query() };
    match door.gate.spending(&principal, parameters, Origin::Rest).await {
        Ok(rows) => answer::json_text(StatusCode::OK, rows),
        Err(refused) => answer::refusal(&refused),
    }
}

/// Who asks.
async fn caller<G: Pipeline>(door: &Door<G>, request: &mut Request) -> Result<Arc<Principal>, Response> {
    let address = super::address(request.extensions());
    let credential = credential::take(request.headers_mut());
    let principal = door.gate.authenticate(credential, address, Origin::Rest).await;
    principal.map_err(|refused| answer::refusal(&refused))
}

fn bad_query() -> Response {
    answer::problem(StatusCode::BAD_REQUEST, "invalid_arguments", "the query string of the address cannot be read")
}

/// `POST /v1/tools/{name}`: a call; the body is its arguments.
pub(super) async fn call<G: Pipeline>(
    State(door): State<Door<G>>,
    tool: Result<Path<String>, PathRejection>,
    mut request: Request,
) -> Response {
    let principal = match caller(&door, &mut request).await {
        Ok(principal) => principal,
        Err(refused) => return refused,
    };
    let Ok(Path(tool)) = tool else {
        return answer::problem(StatusCode::BAD_REQUEST, "bad_path", "the tool's name is not UTF-8");
    };
    let (parts, body) = request.into_parts();
    let request = call::Request {
        tool,
        arguments: arguments(body::read(body).await),
        key: key(&parts.headers),
        approval: approval_header(&parts.headers),
        origin: Origin::Rest,
        address: super::address(&parts.extensions),
        request_id: request_id(&parts.headers),
        session: None,
        server: None,
    };
    match door.gate.call(principal, request).await {
        Ok(answered) => match answer::call_result(&answered, false) {
            Some(text) => {
                let mut response = answer::json_text(StatusCode::OK, text);
                if answered.replayed {
                    response.headers_mut().insert(answer::REPLAYED, HeaderValue::from_static("true"));
                }
                response
            }
            None => answer::problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "the kept answer is not an object; tell the gate's owner",
            ),
        },
        Err(refused) => answer::refusal(&refused),
    }
}

fn arguments(body: Result<Vec<u8>, BodyError>) -> Result<Arguments, BadArguments> {
    let bytes = body.map_err(|error| match error {
        BodyError::TooLarge(found) => {
            BadArguments::Json(Arc::new(JsonError::TooLarge { found, max: limits::BODY_BYTES_MAX }))
        }
        BodyError::Incomplete => BadArguments::Incomplete,
    })?;
    Arguments::parse(&bytes)
}

fn key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, BadKey> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => IdempotencyKey::parse(value.to_str().map_err(|_| BadKey)?.trim()).map(Some),
        // Which of two is meant is not for a gate to guess.
        (Some(_), Some(_)) => Err(BadKey),
    }
}

/// The approval that the call refers to.
fn approval_header(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(APPROVAL)?.to_str().ok()?;
    Some(text.chars().take(limits::REQUEST_ID_CHARS_MAX).collect())
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    Some(text.chars().take(limits::REQUEST_ID_CHARS_MAX).collect())
}
