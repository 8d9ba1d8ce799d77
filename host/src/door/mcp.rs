//! The MCP door: streamable HTTP, the revision 2026-07-28, and the older ones with their sessions ([`Sessions`]).
//!
//! `rmcp` speaks the protocol: versions, headers, methods, errors. What must stay exact goes around it, by an
//! [`Exchange`] that travels with the HTTP request: the arguments on the way in, the result on the way out. The handler
//! gives `rmcp` an empty result with a mark that only this request has; where the mark comes out, the real result is
//! put in its place, and where it does not, the answer is an error.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestMethod, CompleteRequestParams,
    CompleteResult, ErrorCode, Implementation, JsonObject, ListPromptsRequestMethod, ListPromptsResult,
    ListResourceTemplatesRequestMethod, ListResourceTemplatesResult, ListResourcesRequestMethod, ListResourcesResult,
    ListToolsResult, MetaObject, PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};

use super::body::{self, CallParts, Message, Rejected};
use super::session::{SESSION_ID, Sessions};
use super::{Door, Pipeline, answer, credential};
use crate::call::{self, CorrelationId, Origin};
use crate::identity::Principal;
use crate::{json, limits};

/// Where the mark stands in a placeholder's `_meta`. It never leaves this process.
const MARK: &str = "dev.portcullis/placeholder";

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// JSON-RPC 2.0: the server's own fault.
const INTERNAL_ERROR: i32 = -32603;

/// The tool may have run by then.
const NOT_SPLICED: &str = "the answer could not be put together, but a call may have been executed: look for it in the \
                           audit log, or send it with the same idempotency key";

/// What a handler and the request that it serves share.
struct Exchange {
    principal: Arc<Principal>,
    address: Option<IpAddr>,
    origin: Origin,
    session: Option<String>,
    server: Option<String>,
    mark: String,
    call: Mutex<Option<CallParts>>,
    result: Mutex<Option<String>>,
}

impl Exchange {
    fn meta(&self) -> MetaObject {
        MetaObject(JsonObject::from_iter([(MARK.to_owned(), self.mark.clone().into())]))
    }

    fn take_call(&self) -> Option<CallParts> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set_result(&self, text: String) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    fn take_result(&self) -> Option<String> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// `rmcp`'s side of the door.
pub(super) type Service<G> = StreamableHttpService<Handler<G>, NeverSessionManager>;

/// The door's service for a gate.
pub(super) fn service<G: Pipeline>(gate: Arc<G>) -> Service<G> {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(limits::BODY_BYTES_MAX)
        // The same for every door: `guard`.
        .disable_allowed_hosts()
        .disable_allowed_origins();
    let factory = move || Ok(Handler { gate: Arc::clone(&gate) });
    StreamableHttpService::new(factory, Arc::new(NeverSessionManager::default()), config)
}

/// One HTTP request.
pub(super) async fn handle<G: Pipeline>(State(door): State<Door<G>>, mut request: Request) -> Response {
    let address = super::address(request.extensions());
    let credential = credential::take(request.headers_mut());
    let principal = match door.gate.authenticate(credential, address, door.origin).await {
        Ok(principal) => principal,
        // What a stranger sent is not read, so its id is not known.
        Err(refused) => return answer::refusal_rpc(&refused),
    };
    if request.method() != Method::POST {
        return door.mcp.handle(request).await.map(Body::new);
    }
    if !body::is_json(request.headers()) {
        return rejection(&Rejected::media_type());
    }
    let (mut parts, body) = request.into_parts();
    let message = body::read(body).await.map_err(Rejected::from).and_then(|bytes| body::message(&bytes));
    let Message { text, call, id, method } = match message {
        Ok(message) => message,
        Err(rejected) => return rejection(&rejected),
    };
    // The handshake begins a session: the one that its client had does not matter any more.
    let begins = method.as_deref() == Some("initialize");
    let session =
        if begins || is_modern(&parts.headers) { Ok(None) } else { door.sessions.named(&parts.headers, &principal) };
    let Ok(session) = session else { return rejection(&Rejected::unknown_session(id)) };
    let Ok(mark) = CorrelationId::random() else { return fault("the system has no randomness to give") };
    let exchange = Arc::new(Exchange {
        principal,
        address,
        origin: door.origin,
        session,
        server: server(&door, &parts),
        mark: mark.to_string(),
        call: Mutex::new(call),
        result: Mutex::default(),
    });
    parts.headers.remove(CONTENT_LENGTH);
    parts.extensions.insert(Arc::clone(&exchange));
    let response = door.mcp.handle(Request::from_parts(parts, Body::from(text))).await.map(Body::new);
    match exchange.take_result() {
        // The type was right: this is how `rmcp` answers JSON that is no message.
        None if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE => rejection(&Rejected::not_jsonrpc()),
        None if begins => begun(response, &door.sessions, &exchange.principal).await,
        None => response,
        Some(result) => spliced(response, &exchange.mark, &result).await,
    }
}

/// Whether a request says that it is of a revision without sessions.
fn is_modern(headers: &HeaderMap) -> bool {
    let version = headers.get(PROTOCOL_VERSION).and_then(|value| value.to_str().ok());
    version.is_some_and(|version| version >= ProtocolVersion::V_2026_07_28.as_str())
}

/// The one server whose tools the client wants to see. Names of servers need no decoding.
fn server<G>(door: &Door<G>, parts: &Parts) -> Option<String> {
    let query = parts.uri.query().filter(|_| door.origin == Origin::Stdio)?;
    query.split('&').find_map(|pair| pair.strip_prefix("server=")).map(str::to_owned)
}

/// The answer to a handshake; one that succeeded begins a session.
async fn begun(response: Response, sessions: &Sessions, principal: &Principal) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = body::read(body).await else { return fault("the handshake's answer was lost; connect again") };
    let welcomed = parts.status == StatusCode::OK
        && json::parse(&bytes, limits::ARGUMENTS).is_ok_and(|answer| answer.get("result").is_some());
    if welcomed {
        let id = sessions.begin(principal).ok().and_then(|id| HeaderValue::try_from(id).ok());
        let Some(id) = id else { return fault("the system has no randomness to give") };
        parts.headers.insert(SESSION_ID, id);
    }
    Response::from_parts(parts, Body::from(bytes))
}

fn rejection(rejected: &Rejected) -> Response {
    let status = StatusCode::from_u16(rejected.status).unwrap_or(StatusCode::BAD_REQUEST);
    answer::json_text(status, rejected.to_text())
}

fn fault(message: &str) -> Response {
    let rejected = Rejected { status: 500, code: INTERNAL_ERROR, message: message.to_owned(), id: "null".to_owned() };
    tracing::error!(message, "the MCP door failed");
    rejection(&rejected)
}

/// The response with the real result in the place of the placeholder.
async fn spliced(response: Response, mark: &str, result: &str) -> Response {
    let (mut parts, body) = response.into_parts();
    let text = match body::read(body).await {
        Ok(bytes) if parts.status == StatusCode::OK => splice(&bytes, mark, result),
        _ => None,
    };
    let Some(text) = text else { return fault(NOT_SPLICED) };
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Response::from_parts(parts, Body::from(text))
}

/// Puts a result in the place of the placeholder with this mark; none when there is no such placeholder.
fn splice(response: &[u8], mark: &str, result: &str) -> Option<String> {
    let response = json::parse(response, limits::ARGUMENTS).ok()?;
    let marked = response.get("result")?.get("_meta")?.get(MARK)?.as_str()? == mark;
    let id = response.get("id")?.to_text();
    marked.then(|| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
}

/// What `rmcp` calls.
pub(super) struct Handler<G> {
    gate: Arc<G>,
}

type Context = RequestContext<RoleServer>;

/// The exchange of the HTTP request. Without it nothing is known of who asks: an error, never a call.
fn exchange(context: &Context) -> Result<&Arc<Exchange>, ErrorData> {
    let parts = context.extensions.get::<Parts>();
    parts
        .and_then(|parts| parts.extensions.get::<Arc<Exchange>>())
        .ok_or_else(|| ErrorData::internal_error("the request lost its credential on the way", None))
}

fn modern(context: &Context) -> bool {
    context.protocol_version().is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

impl<G: Pipeline> ServerHandler for Handler<G> {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("portcullis", env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        if request.is_some_and(|request| request.cursor.is_some()) {
            return Err(ErrorData::invalid_params("there is one page: ask for it without a cursor", None));
        }
        let exchange = exchange(&context)?;
        let tools = self.gate.tools(&exchange.principal, exchange.origin, exchange.server.as_deref()).await;
        let tools = tools.map_err(|refused| {
            let refusal = &refused.refusal;
            let code = ErrorCode(i32::from(refusal.code.status()));
            ErrorData::new(code, refusal.message.clone(), Some(refusal.body(refused.correlation_id)))
        })?;
        let definitions: Vec<String> = tools.iter().map(|tool| tool.definition.to_text()).collect();
        let fresh_ms = limits::TOOLS_FRESH.as_millis();
        let hints = if modern(&context) {
            format!(r#""resultType":"complete","ttlMs":{fresh_ms},"cacheScope":"private","#)
        } else {
            String::new()
        };
        exchange.set_result(format!(r#"{{{hints}"tools":[{}]}}"#, definitions.join(",")));
        let mut placeholder = ListToolsResult::with_all_items(Vec::new());
        placeholder.meta = Some(exchange.meta());
        Ok(placeholder)
    }

    async fn call_tool(&self, request: CallToolRequestParams, context: Context) -> Result<CallToolResponse, ErrorData> {
        let exchange = exchange(&context)?;
        let parts = exchange
            .take_call()
            .ok_or_else(|| ErrorData::internal_error("the call lost its arguments on the way", None))?;
        let CallParts { arguments, key, approval, request_id } = parts;
        let request = call::Request {
            // The name that was compared with the request's headers.
            tool: request.name.into_owned(),
            arguments,
            key,
            approval,
            origin: exchange.origin,
            address: exchange.address,
            request_id,
            session: exchange.session.clone(),
            server: exchange.server.clone(),
        };
        let modern = modern(&context);
        let result = match self.gate.call(Arc::clone(&exchange.principal), request).await {
            Ok(answered) => answer::call_result(&answered, modern)
                .ok_or_else(|| ErrorData::internal_error("the kept answer is not an object", None))?,
            Err(refused) => answer::refusal_result(&refused, modern),
        };
        exchange.set_result(result);
        let mut placeholder = CallToolResult::success(Vec::new());
        placeholder.meta = Some(exchange.meta());
        Ok(CallToolResponse::Complete(placeholder))
    }

    // `rmcp` would answer these with empty lists, as if the gate had prompts and resources.

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListPromptsRequestMethod>())
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListResourcesRequestMethod>())
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListResourceTemplatesRequestMethod>())
    }

    async fn complete(&self, _request: CompleteRequestParams, _context: Context) -> Result<CompleteResult, ErrorData> {
        Err(ErrorData::method_not_found::<CompleteRequestMethod>())
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(ProtocolVersion::KNOWN_VERSIONS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_replaces_the_placeholder_of_its_own_request_and_no_other() {
        let response =
            br#"{"jsonrpc":"2.0","id":"a\"b","result":{"content":[],"_meta":{"dev.portcullis/placeholder":"m1"}}}"#;
        assert_eq!(
            splice(response, "m1", r#"{"n":1e400}"#).unwrap(),
            r#"{"jsonrpc":"2.0","id":"a\"b","result":{"n":1e400}}"#
        );
        assert_eq!(splice(response, "m2", "{}"), None);
        for other in [
            &br#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#[..],
            br#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m1"}}"#,
            br#"{"id":1,"result":{"content":[{"dev.portcullis/placeholder":"m1"}]}}"#,
            b"data: {}",
            b"",
        ] {
            assert_eq!(splice(other, "m1", "{}"), None);
        }
    }

    #[tokio::test]
    async fn a_lost_answer_does_not_ask_for_the_call_again() {
        let response = answer::json_text(StatusCode::OK, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned());
        let fault = spliced(response, "m1", "{}").await;
        assert_eq!(fault.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let text = String::from_utf8(body::read(fault.into_body()).await.unwrap()).unwrap();
        assert!(text.contains("may have been executed") && text.contains("same idempotency key"), "{text}");
        assert!(!text.contains("again"), "{text}");
    }
}
