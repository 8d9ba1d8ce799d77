//! The command line's side of the socket: `POST /v1/command`.

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};

use super::{Peer, answer, body, credential};
use crate::admin::{Admin, Command};
use crate::call::Origin;
use crate::gate::Gate;
use crate::identity::Actor;

/// What the Unix socket serves. Who may speak there is the socket's affair.
pub fn commands(gate: Arc<Gate>, admin: Admin) -> Router {
    Router::new().route("/v1/command", post(command)).with_state((gate, admin))
}

type Behind = (Arc<Gate>, Admin);

/// Whoever brings a credential acts as its holder; whoever brings none, as the user that the operating system says.
async fn actor(gate: &Gate, peer: Peer, request: &mut Request) -> Result<Actor, &'static str> {
    let Peer::User(uid) = peer else { return Err("commands come in by the gate's socket") };
    if !request.headers().contains_key(AUTHORIZATION) {
        return Ok(Actor::local(uid));
    }
    // What cannot be read is nobody's, and not the user's.
    let credential = credential::take(request.headers_mut());
    let Ok(principal) = gate.authenticate(credential, None, Origin::Rest).await else {
        return Err("the credential in PORTCULLIS_PERSON_KEY is not valid, or not any more");
    };
    Actor::person(&principal)
        .ok_or("the credential in PORTCULLIS_PERSON_KEY is an agent's, and commands are for persons")
}

async fn command(
    State((gate, admin)): State<Behind>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<Peer>>,
    mut request: Request,
) -> Response {
    let refused = |message: &str| answer::problem(StatusCode::UNPROCESSABLE_ENTITY, "refused", message);
    let actor = match actor(&gate, peer, &mut request).await {
        Ok(actor) => actor,
        Err(why) => return refused(why),
    };
    let Ok(bytes) = body::read(request.into_body()).await else { return refused("the command did not arrive whole") };
    let command: Command = match serde_json::from_slice(&bytes) {
        Ok(command) => command,
        Err(error) => return refused(&format!("the gate does not know this command; is it another version? {error}")),
    };
    match admin.run(&actor, command).await {
        Ok(value) => (StatusCode::OK, Json(value)).into_response(),
        Err(error) => refused(&error.to_string()),
    }
}
