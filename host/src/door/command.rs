//! The command line's side of the socket: `POST /v1/command`.

use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use serde_json::json;

use super::Peer;
use crate::admin::{Admin, Command};
use crate::identity::Actor;

/// What the Unix socket serves. Who may speak there is the socket's affair.
pub fn commands(admin: Admin) -> Router {
    Router::new().route("/v1/command", post(command)).with_state(admin)
}

async fn command(
    State(admin): State<Admin>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<Peer>>,
    Json(command): Json<Command>,
) -> Response {
    let Peer::User(uid) = peer else { return StatusCode::NOT_FOUND.into_response() };
    match admin.run(&Actor::local(uid), command).await {
        Ok(answer) => (StatusCode::OK, Json(answer)).into_response(),
        Err(error) => {
            let body = json!({ "message": error.to_string() });
            (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
        }
    }
}
