//! The doors in front of a gate that knows one caller and a few tools: what arrives behind them, and what goes back.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request as HttpRequest};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use super::{DoorOptions, Pipeline, Sessions, agents, serve, stdio};
use crate::call::{CorrelationId, Origin, Request, ToolAnswer};
use crate::catalog::Tool;
use crate::gate::{Answered, Credential, Readiness, Refused};
use crate::identity::Principal;
use crate::json;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::seal::StoreKey;

const EXACT: &str = r#"{"n":1099.10,"big":9007199254740993,"e":1e400}"#;
const DEFINITION: &str = r#"{"name":"s__echo","inputSchema":{"type":"object","maximum":1e400},"x-own":1.50}"#;
const MODERN: &str = "2026-07-28";

#[derive(Default)]
struct Behind {
    calls: Mutex<Vec<Request>>,
    addresses: Mutex<Vec<Option<IpAddr>>>,
    listed: Mutex<Vec<Option<String>>>,
}

fn refused<T>(refusal: Refusal) -> Result<T, Box<Refused>> {
    Err(Box::new(Refused { correlation_id: CorrelationId::random().unwrap(), refusal, replayed: false }))
}

impl Pipeline for Behind {
    async fn authenticate(
        self: &Arc<Self>,
        credential: Credential,
        address: Option<IpAddr>,
        _: Origin,
    ) -> Result<Arc<Principal>, Box<Refused>> {
        self.addresses.lock().unwrap().push(address);
        match credential.as_deref().map(String::as_str) {
            Some("good") => Ok(Arc::new(Principal::for_test("ag_1", &[]))),
            Some("flood") => refused(Refusal::new(Code::RateLimited, "slow").retry_after(Duration::from_secs(3))),
            _ => refused(Refusal::new(Code::Unauthenticated, "send a credential")),
        }
    }

    async fn call(self: &Arc<Self>, _: Arc<Principal>, request: Request) -> Result<Answered, Box<Refused>> {
        let name = request.tool.clone();
        let key = request.key.as_ref().ok().and_then(|key| key.as_ref().map(|key| key.as_str().to_owned()));
        let arguments = request.arguments.as_ref().map(|a| a.value().to_text()).map_err(ToString::to_string);
        let bad_key = request.key.is_err();
        self.calls.lock().unwrap().push(request);
        let arguments = match arguments {
            Ok(arguments) if !bad_key => arguments,
            Ok(_) => return refused(Refusal::new(Code::InvalidArguments, "bad key")),
            Err(why) => return refused(Refusal::new(Code::InvalidArguments, why)),
        };
        if name == "deny" {
            return refused(Refusal::new(Code::Denied, "a policy said no").policy("rbac"));
        }
        Ok(Answered {
            correlation_id: CorrelationId::random().unwrap(),
            generation: 3,
            answer: ToolAnswer {
                result: format!(r#"{{"content":[],"structuredContent":{arguments},"isError":{}}}"#, name == "fails"),
                is_error: name == "fails",
            },
            replayed: key.as_deref() == Some("seen"),
        })
    }

    async fn tools(
        self: &Arc<Self>,
        _: &Arc<Principal>,
        _: Origin,
        server: Option<&str>,
    ) -> Result<Vec<Arc<Tool>>, Box<Refused>> {
        self.listed.lock().unwrap().push(server.map(str::to_owned));
        let mut tool = Tool::for_test("s", "echo");
        tool.definition = json::parse(DEFINITION.as_bytes(), limits::ARGUMENTS).unwrap();
        Ok(vec![Arc::new(tool)])
    }

    async fn approval(
        self: &Arc<Self>,
        _: &Arc<Principal>,
        id: &str,
        _: Origin,
    ) -> Result<Option<serde_json::Value>, Box<Refused>> {
        Ok((id == "appr_1").then(|| serde_json::json!({ "id": id, "status": "pending" })))
    }

    async fn events(
        self: &Arc<Self>,
        _: &Arc<Principal>,
        parameters: Vec<(String, String)>,
        _: Origin,
    ) -> Result<String, Box<Refused>> {
        Ok(format!(r#"{{"asked":{}}}"#, json!(parameters)))
    }

    async fn spending(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
        parameters: Vec<(String, String)>,
        origin: Origin,
    ) -> Result<String, Box<Refused>> {
        self.events(principal, parameters, origin).await
    }

    fn readiness(&self) -> Readiness {
        Readiness { ready: false, degraded: true, reasons: vec!["no policies".into()] }
    }
}

struct Doors {
    _folder: TempDir,
    behind: Arc<Behind>,
    router: Router,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} {}", self.status, self.text))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Doors {
    fn new() -> Self {
        Self::with(agents)
    }

    fn with(router: impl FnOnce(Arc<Behind>, Sessions, DoorOptions) -> Router) -> Self {
        let behind = Arc::new(Behind::default());
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::new(Arc::new(StoreKey::open_or_create(folder.path()).unwrap()));
        let options =
            DoorOptions { listen: "127.0.0.1:8787".parse().unwrap(), allowed_hosts: vec![], allowed_origins: vec![] };
        Self { _folder: folder, router: router(Arc::clone(&behind), sessions, options), behind }
    }

    /// One request with the headers given, a good `Host`, and nothing else.
    async fn raw(&self, method: Method, uri: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = HttpRequest::builder().method(method).uri(uri).header("host", "127.0.0.1:8787");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let service = TowerToHyperService::new(self.router.clone());
        let response = service.call(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text: String::from_utf8(bytes.into()).unwrap() }
    }

    async fn rest(&self, tool: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![("authorization", "Bearer good"), ("content-type", "application/json")];
        all.extend(headers);
        self.raw(Method::POST, &format!("/v1/tools/{tool}"), &all, body).await
    }

    async fn mcp_raw(&self, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![
            ("authorization", "Bearer good"),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        all.extend(headers);
        self.raw(Method::POST, "/mcp", &all, body).await
    }

    /// A request of the revision 2026-07-28.
    async fn modern(&self, method: &str, members: &str, meta: &str) -> Answer {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":5,"method":"{method}","params":{{{members}"_meta":{{
                "io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{{}},
                "io.modelcontextprotocol/clientInfo":{{"name":"t","version":"1"}}{meta}}}}}}}"#
        );
        let mut headers = vec![("mcp-protocol-version", MODERN), ("mcp-method", method)];
        if method == "tools/call" {
            headers.push(("mcp-name", "echo"));
        }
        self.mcp_raw(&headers, &body).await
    }

    /// A request of the revision 2025-11-25.
    async fn legacy(&self, method: &str, params: &str) -> Answer {
        let body = format!(r#"{{"jsonrpc":"2.0","id":"l1","method":"{method}","params":{params}}}"#);
        self.mcp_raw(&[("mcp-protocol-version", "2025-11-25")], &body).await
    }

    fn calls(&self) -> usize {
        self.behind.calls.lock().unwrap().len()
    }

    fn last<T>(&self, read: impl FnOnce(&Request) -> T) -> T {
        read(self.behind.calls.lock().unwrap().last().unwrap())
    }
}

#[tokio::test]
async fn nobody_passes_either_door_without_a_credential() {
    let doors = Doors::new();
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    for (method, uri) in
        [(Method::POST, "/mcp"), (Method::GET, "/mcp"), (Method::GET, "/v1/tools"), (Method::POST, "/v1/tools/echo")]
    {
        for credential in ["Bearer bad", "Basic good", "good", ""] {
            let answer = doors.raw(method.clone(), uri, &[("authorization", credential)], list).await;
            assert_eq!(answer.status, 401, "{method} {uri}");
            let body = answer.json();
            let refusal = if uri == "/mcp" { &body["error"]["data"] } else { &body };
            assert_eq!(refusal["code"], "unauthenticated");
            if uri == "/mcp" {
                assert_eq!((&body["jsonrpc"], &body["id"]), (&json!("2.0"), &Value::Null));
                assert_eq!((&body["error"]["code"], &body["error"]["message"]), (&json!(401), &refusal["message"]));
            }
            assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="portcullis""#));
        }
        let twice = [("authorization", "Bearer good"), ("authorization", "Bearer good")];
        assert_eq!(doors.raw(method.clone(), uri, &twice, list).await.status, 401);
        let flood = doors.raw(method, uri, &[("authorization", "Bearer flood")], list).await;
        assert_eq!((flood.status, flood.header("retry-after")), (429, Some("3")));
        let body = flood.json();
        let refusal = if uri == "/mcp" { &body["error"]["data"] } else { &body };
        assert_eq!(refusal["code"], "rate_limited");
    }
    assert_eq!(doors.calls(), 0);
}

#[tokio::test]
async fn pages_of_other_origins_pass_neither_door() {
    let doors = Doors::new();
    for uri in ["/mcp", "/v1/tools/echo"] {
        let headers = [("authorization", "Bearer good"), ("origin", "https://evil.example")];
        let answer = doors.raw(Method::POST, uri, &headers, "{}").await;
        assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("forbidden_origin")));
        let answer = doors.raw(Method::POST, uri, &[("host", "evil.example")], "{}").await;
        // Two `Host` headers: the good one of every request here, and another.
        assert_eq!(answer.status, 400);
    }
    assert_eq!(doors.rest("echo", &[("origin", "http://localhost:3000")], "{}").await.status, 200);
    assert_eq!(doors.calls(), 1);
}

#[tokio::test]
async fn numbers_pass_the_rest_door_unchanged() {
    let doors = Doors::new();
    let answer = doors.rest("s__echo", &[("x-request-id", "r1"), ("idempotency-key", "\"k1\"")], EXACT).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains(&format!(r#""structuredContent":{EXACT}"#)), "{}", answer.text);
    assert!(answer.text.contains(r#""_meta":{"dev.portcullis/decision":{"correlation_id":""#), "{}", answer.text);
    assert_eq!(answer.header("idempotent-replayed"), None);
    doors.last(|request| {
        assert_eq!(request.arguments.as_ref().unwrap().value().to_text(), EXACT);
        assert_eq!((request.tool.as_str(), request.origin), ("s__echo", Origin::Rest));
        assert_eq!(request.request_id.as_deref(), Some("r1"));
        assert_eq!(request.key.as_ref().unwrap().as_ref().unwrap().as_str(), "k1");
    });
    let replay = doors.rest("echo", &[("idempotency-key", "seen")], "{}").await;
    assert_eq!((replay.status, replay.header("idempotent-replayed")), (200, Some("true")));
    assert_eq!(doors.rest("fails", &[], "{}").await.status, 200);
    let list = doors.raw(Method::GET, "/v1/tools", &[("authorization", "Bearer good")], "").await;
    assert_eq!(list.text, format!(r#"{{"tools":[{DEFINITION}]}}"#));
}

#[tokio::test]
async fn what_is_wrong_with_a_rest_call_is_a_refusal() {
    let doors = Doors::new();
    let json = ("content-type", "application/json");
    let auth = ("authorization", "Bearer good");
    for (headers, body) in [
        (&[auth, json][..], r#"{"a":1,"a":2}"#),
        (&[auth, json], "[]"),
        (&[auth, json], "nonsense"),
        (&[auth, json, ("idempotency-key", "a"), ("idempotency-key", "a")], "{}"),
        (&[auth, json, ("idempotency-key", "two words")], "{}"),
        (&[auth, json], &format!(r#"{{"a":"{}"}}"#, "x".repeat(limits::BODY_BYTES_MAX))),
    ] {
        let answer = doors.raw(Method::POST, "/v1/tools/echo", headers, body).await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("invalid_arguments")), "{headers:?}");
    }
    let denied = doors.rest("deny", &[], "{}").await;
    assert_eq!(denied.status, 403);
    assert_eq!((&denied.json()["code"], &denied.json()["policy"]), (&json!("denied"), &json!("rbac")));
    // A body is read as JSON whatever it is declared as: a page cannot send the credential along with a form.
    for (headers, body) in
        [(&[auth][..], ""), (&[auth], "{}"), (&[auth, ("content-type", "application/x-www-form-urlencoded")], "{}")]
    {
        let answer = doors.raw(Method::POST, "/v1/tools/echo", headers, body).await;
        assert_eq!(answer.status, 200, "{headers:?}");
    }
}

#[tokio::test]
async fn numbers_pass_the_mcp_door_unchanged_in_both_eras() {
    let doors = Doors::new();
    let meta = r#","dev.portcullis/idempotency-key":"seen","dev.portcullis/approval":"ap_1""#;
    let answer = doors.modern("tools/call", &format!(r#""name":"echo","arguments":{EXACT},"#), meta).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.text.starts_with(r#"{"jsonrpc":"2.0","id":5,"result":{"resultType":"complete","_meta":"#));
    assert!(answer.text.contains(&format!(r#""structuredContent":{EXACT}"#)), "{}", answer.text);
    assert!(answer.text.contains(r#""replayed":true"#) && !answer.text.contains("placeholder"), "{}", answer.text);
    doors.last(|request| {
        assert_eq!(request.arguments.as_ref().unwrap().value().to_text(), EXACT);
        assert_eq!((request.tool.as_str(), request.origin), ("echo", Origin::Mcp));
        assert_eq!(request.request_id.as_deref(), Some("5"));
        assert_eq!(request.key.as_ref().unwrap().as_ref().unwrap().as_str(), "seen");
        assert_eq!(request.approval.as_deref(), Some("ap_1"));
    });
    let answer = doors.legacy("tools/call", &format!(r#"{{"name":"echo","arguments":{EXACT}}}"#)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.text.starts_with(r#"{"jsonrpc":"2.0","id":"l1","result":{"_meta":"#), "{}", answer.text);
    assert!(answer.text.contains(&format!(r#""structuredContent":{EXACT}"#)), "{}", answer.text);
}

#[tokio::test]
async fn tools_are_listed_as_their_servers_wrote_them() {
    let doors = Doors::new();
    let modern = doors.modern("tools/list", "", "").await;
    assert!(
        modern.text.contains(&format!(
            r#""result":{{"resultType":"complete","ttlMs":30000,"cacheScope":"private","tools":[{DEFINITION}]}}"#
        )),
        "{}",
        modern.text
    );
    let legacy = doors.legacy("tools/list", "{}").await;
    assert!(legacy.text.contains(&format!(r#""result":{{"tools":[{DEFINITION}]}}"#)), "{}", legacy.text);
    assert_eq!(doors.legacy("tools/list", r#"{"cursor":"x"}"#).await.json()["error"]["code"], -32602);
}

#[tokio::test]
async fn a_refusal_over_mcp_is_a_result_that_arrives_whole() {
    let doors = Doors::new();
    let answer = doors.legacy("tools/call", r#"{"name":"deny","arguments":{}}"#).await;
    assert_eq!(answer.status, 200);
    let result = &answer.json()["result"];
    assert_eq!(result["isError"], true);
    assert_eq!(result["content"][0]["text"], "a policy said no");
    assert_eq!(
        (&result["structuredContent"]["code"], &result["structuredContent"]["policy"]),
        (&json!("denied"), &json!("rbac"))
    );
    for arguments in [r#"{"a":1,"a":2}"#, "[]"] {
        let call = format!(r#""name":"echo","arguments":{arguments},"#);
        let result = &doors.modern("tools/call", &call, "").await.json()["result"];
        assert_eq!(result["structuredContent"]["code"], "invalid_arguments", "{arguments}");
        assert_eq!(result["resultType"], "complete");
    }
    let wrong = doors.modern("tools/call", r#""name":"echo","#, r#","dev.portcullis/approval":7"#).await;
    assert_eq!(wrong.json()["result"]["structuredContent"]["code"], "invalid_arguments");
}

#[tokio::test]
async fn nothing_but_a_call_that_the_protocol_accepts_reaches_the_gate() {
    let doors = Doors::new();
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#;
    let batch = doors.mcp_raw(&[], &format!("[{call}]")).await;
    assert_eq!((batch.status, &batch.json()["error"]["code"]), (400, &json!(-32600)));
    let twice = doors.mcp_raw(&[], &call.replace(r#""id":1"#, r#""id":1,"id":1"#)).await;
    assert_eq!((twice.status, &twice.json()["error"]["code"]), (400, &json!(-32600)));
    let large = doors.mcp_raw(&[], &" ".repeat(limits::BODY_BYTES_MAX + 1)).await;
    assert_eq!(large.status, 413);
    let task = doors.legacy("tools/call", r#"{"name":"echo","arguments":{},"task":{}}"#).await;
    assert_eq!((task.status, &task.json()["error"]["code"]), (200, &json!(-32602)));
    let state = doors.modern("tools/call", r#""name":"echo","requestState":"x","#, "").await;
    assert_eq!(state.json()["error"]["code"], -32602);
    // The header names one tool, the body another.
    let answer = doors.modern("tools/call", r#""name":"deny","arguments":{},"#, "").await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &json!(-32020)));
    let unnamed = doors.legacy("tools/call", r#"{"arguments":{}}"#).await;
    assert!(unnamed.text.contains("error") || unnamed.status >= 400, "{}", unnamed.text);
    let notification = doors.mcp_raw(&[], &call.replace(r#""id":1,"#, "")).await;
    assert_eq!((notification.status, notification.text.as_str()), (202, ""));
    let two_types = doors.mcp_raw(&[("content-type", "text/plain")], call).await;
    assert_eq!(two_types.status, 415);
    assert_eq!(doors.raw(Method::GET, "/mcp", &[("authorization", "Bearer good")], "").await.status, 405);
    assert_eq!(doors.raw(Method::DELETE, "/mcp", &[("authorization", "Bearer good")], "").await.status, 405);
    assert_eq!(doors.calls(), 0);
}

#[tokio::test]
async fn what_is_no_jsonrpc_is_answered_with_a_jsonrpc_error() {
    let doors = Doors::new();
    let long_id =
        format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"tools/call","params":{{"name":"echo"}}}}"#, "x".repeat(129));
    for body in [
        "{}",
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":[],"method":"tools/call","params":{"name":"echo","arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        &long_id,
    ] {
        let answer = doors.mcp_raw(&[], body).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &json!(-32600)), "{body}");
    }
    assert_eq!(doors.calls(), 0);
}

#[tokio::test]
async fn both_handshakes_name_the_gate_and_promise_tools_only() {
    let doors = Doors::new();
    let discover = doors.modern("server/discover", "", "").await.json();
    assert!(discover["result"]["supportedVersions"].as_array().unwrap().contains(&json!(MODERN)), "{discover}");
    let params = r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}"#;
    let initialize = doors.legacy("initialize", params).await.json();
    assert_eq!(initialize["result"]["serverInfo"]["name"], "portcullis");
    assert_eq!(initialize["result"]["protocolVersion"], "2025-11-25");
    for result in [&discover["result"], &initialize["result"]] {
        assert_eq!(result["capabilities"], json!({"tools": {}}));
    }
    assert_eq!(doors.legacy("ping", "{}").await.json()["result"], json!({}));
    for method in ["prompts/list", "resources/list", "resources/templates/list", "tasks/list", "x/y"] {
        for answer in [doors.modern(method, "", "").await, doors.legacy(method, "{}").await] {
            assert_eq!(answer.json()["error"]["code"], -32601, "{method}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_answered_in_json() {
    let doors = Doors::new();
    let of = async |method, uri| {
        let answer = doors.raw(method, uri, &[], "").await;
        (answer.status, answer.json()["code"].as_str().map(str::to_owned))
    };
    assert_eq!(of(Method::GET, "/nowhere").await, (404, Some("not_found".into())));
    assert_eq!(of(Method::PUT, "/v1/tools").await, (405, Some("method_not_allowed".into())));
    assert_eq!(of(Method::GET, "/v1/tools/echo").await, (405, Some("method_not_allowed".into())));
    assert_eq!(doors.raw(Method::GET, "/healthz", &[], "").await.text, "ok");
    let ready = doors.raw(Method::GET, "/readyz", &[], "").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json(), json!({"ready": false, "degraded": true, "reasons": ["no policies"]}));
}

#[tokio::test]
async fn a_connection_tells_where_it_comes_from_and_ends_when_the_gate_stops() {
    let doors = Doors::new();
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = crate::task::spawn("test door", serve(listener, doors.router.clone(), stop.clone()));
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /v1/tools HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer bad\r\n\r\n").await.unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 401");
    assert_eq!(*doors.behind.addresses.lock().unwrap(), [Some(IpAddr::from([127, 0, 0, 1]))]);
    // The connection is kept alive; stopping closes it.
    stop.cancel();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    serving.await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_session_begins_with_the_handshake_and_is_told_with_a_call() {
    let doors = Doors::new();
    let params = r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}"#;
    let begun = doors.legacy("initialize", params).await;
    let session = begun.header("mcp-session-id").unwrap().to_owned();
    let call = r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#;
    let older = ("mcp-protocol-version", "2025-11-25");
    assert_eq!(doors.mcp_raw(&[older, ("mcp-session-id", &session)], call).await.status, 200);
    doors.last(|request| assert_eq!(request.session.as_deref(), session.get(3..11)));
    assert_eq!(doors.mcp_raw(&[older], call).await.status, 200);
    doors.last(|request| assert_eq!(request.session, None));
    assert_eq!(doors.calls(), 2);

    let twice = [older, ("mcp-session-id", &session), ("mcp-session-id", &session)];
    for headers in [&[older, ("mcp-session-id", "x")][..], &[("mcp-session-id", "")], &twice] {
        let answer = doors.mcp_raw(headers, call).await;
        assert_eq!((answer.status, &answer.json()["id"]), (404, &json!(9)), "{headers:?}");
        assert_eq!(answer.json()["error"]["code"], 404);
    }
    assert_eq!(doors.calls(), 2);
    // Whoever begins anew may have forgotten to forget.
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{params}}}"#);
    assert_ne!(doors.mcp_raw(&[("mcp-session-id", "x")], &body).await.header("mcp-session-id"), Some(&*session));
    // What does not succeed begins nothing, and neither does a request of today.
    assert_eq!(doors.legacy("initialize", "{}").await.header("mcp-session-id"), None);
    assert_eq!(doors.modern("server/discover", "", "").await.header("mcp-session-id"), None);
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"}}"#;
    let modern = call.replace(r#""arguments""#, &format!(r#"{meta},"arguments""#));
    let headers =
        [("mcp-protocol-version", MODERN), ("mcp-method", "tools/call"), ("mcp-name", "echo"), ("mcp-session-id", "x")];
    let answer = doors.mcp_raw(&headers, &modern).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    doors.last(|request| assert_eq!(request.session, None));
}

#[tokio::test]
async fn the_socket_narrows_a_client_down_to_one_server_and_other_doors_do_not() {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#;
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let headers = [
        ("authorization", "Bearer good"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ];
    let narrow = Doors::with(|behind, sessions, _| stdio(behind, sessions));
    let wide = Doors::new();
    for (doors, origin, server) in [(narrow, Origin::Stdio, Some("s")), (wide, Origin::Mcp, None)] {
        assert_eq!(doors.raw(Method::POST, "/mcp?server=s", &headers, body).await.status, 200);
        doors.last(|request| assert_eq!((request.origin, request.server.as_deref()), (origin, server)));
        assert_eq!(doors.raw(Method::POST, "/mcp?server=s", &headers, list).await.status, 200);
        assert_eq!(*doors.behind.listed.lock().unwrap(), [server.map(str::to_owned)]);
        assert_eq!(doors.raw(Method::POST, "/mcp?server=s", &headers[1..], body).await.status, 401);
    }
}
