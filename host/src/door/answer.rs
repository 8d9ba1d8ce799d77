//! What goes back to a client: the one place where the gate's answers and refusals become HTTP and MCP.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::gate::{Answered, Refused};

/// Says that an answer is an earlier call's.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Something that is wrong with a request before it is a call.
pub(super) fn problem(status: StatusCode, code: &'static str, message: &str) -> Response {
    (status, Json(json!({"code": code, "message": message}))).into_response()
}

/// A JSON text as a response.
pub(super) fn json_text(status: StatusCode, text: String) -> Response {
    (status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}

/// A refusal at the REST door.
pub(super) fn refusal(refused: &Refused) -> Response {
    with_headers(refused, refused.refusal.body(refused.correlation_id))
}

/// A refusal of a whole HTTP request at the MCP door: a JSON-RPC error. Its code is the HTTP status, which is outside of the
/// range that JSON-RPC keeps for itself.
pub(super) fn refusal_rpc(refused: &Refused) -> Response {
    let refusal = &refused.refusal;
    let error = json!({
        "code": refusal.code.status(),
        "message": refusal.message,
        "data": refusal.body(refused.correlation_id),
    });
    with_headers(refused, json!({ "jsonrpc": "2.0", "id": null, "error": error }))
}

fn with_headers(refused: &Refused, body: serde_json::Value) -> Response {
    let refusal = &refused.refusal;
    let status = StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    if let Some(wait_s) = refusal.retry_after_s() {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait_s));
    }
    if refused.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="portcullis""#));
    }
    response
}

/// A refusal as the text of a `CallToolResult`: a sentence for the model, the facts for programs.
pub(super) fn refusal_result(refused: &Refused, modern: bool) -> String {
    let mut result = json!({
        "content": [{"type": "text", "text": refused.refusal.message}],
        "structuredContent": refused.refusal.body(refused.correlation_id),
        "isError": true,
    });
    if modern && let Some(members) = result.as_object_mut() {
        members.insert("resultType".into(), "complete".into());
    }
    result.to_string()
}

/// An answer as the text of a `CallToolResult`: what the upstream wrote, and what the gate says of it. None when the
/// kept text is not an object, which the upstream layer rules out.
pub(super) fn call_result(answered: &Answered, modern: bool) -> Option<String> {
    let rest = answered.answer.result.trim_start().strip_prefix('{')?.trim_start();
    let kind = if modern { r#""resultType":"complete","# } else { "" };
    let decision = json!({
        "correlation_id": answered.correlation_id.to_string(),
        "generation": answered.generation,
        "replayed": answered.replayed,
    });
    let comma = if rest.starts_with('}') { "" } else { "," };
    Some(format!(r#"{{{kind}"_meta":{{"dev.portcullis/decision":{decision}}}{comma}{rest}"#))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::call::{CorrelationId, ToolAnswer};
    use crate::refusal::{Code, Refusal};

    fn answered(result: &str) -> Answered {
        Answered {
            correlation_id: CorrelationId::random().unwrap(),
            generation: 7,
            answer: ToolAnswer { result: result.into(), is_error: false },
            replayed: true,
        }
    }

    #[test]
    fn a_result_gets_the_decision_and_keeps_its_text() {
        let kept = answered(r#" { "structuredContent":{"n":1099.10,"e":1e400}}"#);
        let id = kept.correlation_id;
        let meta = format!(
            r#""_meta":{{"dev.portcullis/decision":{{"correlation_id":"{id}","generation":7,"replayed":true}}}}"#
        );
        assert_eq!(
            call_result(&kept, true).unwrap(),
            format!(r#"{{"resultType":"complete",{meta},"structuredContent":{{"n":1099.10,"e":1e400}}}}"#)
        );
        let empty = Answered { correlation_id: id, ..answered("{ }") };
        assert_eq!(call_result(&empty, false).unwrap(), format!("{{{meta}}}"));
        assert_eq!(call_result(&answered("[]"), false), None);
        assert_eq!(call_result(&answered(""), false), None);
    }

    #[test]
    fn a_refusal_has_its_headers() {
        let of = |refusal| refusal_response(refusal);
        let response = of(Refusal::new(Code::RateLimited, "slow down").retry_after(Duration::from_millis(1001)));
        assert_eq!((response.status().as_u16(), &response.headers()[RETRY_AFTER]), (429, &HeaderValue::from(2)));
        let response = of(Refusal::new(Code::Unauthenticated, "who are you"));
        assert_eq!(response.status().as_u16(), 401);
        assert_eq!(response.headers()[WWW_AUTHENTICATE], r#"Bearer realm="portcullis""#);
        let response = of(Refusal::new(Code::Denied, "no"));
        assert!(!response.headers().contains_key(RETRY_AFTER) && !response.headers().contains_key(WWW_AUTHENTICATE));
    }

    fn refusal_response(why: Refusal) -> Response {
        super::refusal(&Refused { correlation_id: CorrelationId::random().unwrap(), refusal: why, replayed: false })
    }
}
