//! `POST /v1/attach` on the socket: a client brings its server along, and takes it away when its connection ends.
//!
//! The answer's first line says how the server stands, once it was tried. The answer then goes on, without another byte,
//! until the client leaves or the gate stops; so there is no lease to renew and nothing to forget.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use hyper::body::Frame;
use serde_json::json;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::Peer;
use crate::admin::{Admin, NewServer};
use crate::catalog::Attached;
use crate::identity::Actor;

/// The route. Answers end when `stop` is cancelled.
pub fn attach(admin: Admin, stop: CancellationToken) -> Router {
    Router::new().route("/v1/attach", post(held)).with_state((admin, stop))
}

async fn held(
    State((admin, stop)): State<(Admin, CancellationToken)>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<Peer>>,
    Json(new): Json<NewServer>,
) -> Response {
    let Peer::User(uid) = peer else { return StatusCode::NOT_FOUND.into_response() };
    let attached = match admin.attach(&Actor::local(uid), new).await {
        Ok(attached) => attached,
        Err(error) => {
            let body = json!({ "message": error.to_string() });
            return (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response();
        }
    };
    let Some(problems) = stop.run_until_cancelled(attached.tried()).await else {
        let body = json!({ "message": "the gate is stopping" });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    };
    let line = format!("{}\n", json!({ "problems": problems }));
    let held = Held { line: Some(line.into()), stopped: Box::pin(stop.cancelled_owned()), _attached: attached };
    Response::new(Body::new(held))
}

/// An answer that lasts as long as the client and the gate.
struct Held {
    line: Option<Bytes>,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    _attached: Attached,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.line.take() {
            Some(line) => Poll::Ready(Some(Ok(Frame::data(line)))),
            None => self.stopped.as_mut().poll(cx).map(|()| None),
        }
    }
}
