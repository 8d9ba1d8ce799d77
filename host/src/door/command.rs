//! The command line's side of the socket: `POST /v1/command`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;

use crate::admin::{Admin, Command};

/// What the Unix socket serves. Who may speak there is the socket's affair.
pub fn commands(admin: Admin) -> Router {
    Router::new().route("/v1/command", post(command)).with_state(admin)
}

async fn command(State(admin): State<Admin>, Json(command): Json<Command>) -> Response {
    match admin.run(command).await {
        Ok(answer) => (StatusCode::OK, Json(answer)).into_response(),
        Err(error) => {
            let body = json!({ "message": error.to_string() });
            (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
        }
    }
}
