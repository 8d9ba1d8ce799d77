//! Clients: the REST door and the MCP door in both eras, in bare HTTP, so that every byte is the test's own.

use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};

use super::PATIENCE;

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Rest,
    /// MCP of the revision 2026-07-28: no handshake, everything in each request.
    Modern,
    /// MCP before that.
    Legacy,
    /// MCP over the standard input and output of `portcullis wrap`. Not HTTP: `Wrap` is its client.
    Stdio,
}

impl Door {
    pub(crate) const ALL: [Door; 3] = [Door::Rest, Door::Modern, Door::Legacy];
    pub(crate) const MCP: [Door; 2] = [Door::Modern, Door::Legacy];

    pub(crate) fn revision(self) -> &'static str {
        if self == Door::Legacy { "2025-11-25" } else { "2026-07-28" }
    }
}

/// A client with a credential, at one door.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    http: reqwest::Client,
    base: String,
    pub(crate) key: Option<String>,
    pub(crate) door: Door,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) door: Door,
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    /// The body, to the byte.
    pub(crate) text: String,
    /// The body, read.
    pub(crate) body: Value,
}

static LAST_ID: AtomicU64 = AtomicU64::new(0);

impl Caller {
    pub(crate) fn new(base: String, key: Option<&str>, door: Door) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { http, base, key: key.map(str::to_owned), door }
    }

    /// The same agent at another door.
    pub(crate) fn at(&self, door: Door) -> Self {
        Self { door, ..self.clone() }
    }

    /// The same agent after a restart.
    pub(crate) fn moved_to(&self, base: String) -> Self {
        Self { base, ..self.clone() }
    }

    /// A call; `arguments` is sent as it is written.
    pub(crate) async fn call(&self, tool: &str, arguments: &str) -> Answer {
        self.call_with(tool, arguments, None).await
    }

    /// A call with an idempotency key.
    pub(crate) async fn call_with(&self, tool: &str, arguments: &str, key: Option<&str>) -> Answer {
        self.try_call(tool, arguments, key).await.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// A call that may find no gate at all.
    pub(crate) async fn try_call(&self, tool: &str, arguments: &str, key: Option<&str>) -> reqwest::Result<Answer> {
        if self.door == Door::Rest {
            let mut request = self.http.post(format!("{}/v1/tools/{tool}", self.base));
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            return self.send(request.header(CONTENT_TYPE, "application/json").body(arguments.to_owned())).await;
        }
        let mut meta = self.meta();
        if let Some(key) = key {
            meta["dev.portcullis/idempotency-key"] = key.into();
        }
        let params = format!(r#"{{"name":{},"arguments":{arguments},"_meta":{meta}}}"#, json!(tool));
        self.send(self.message("tools/call", Some(tool), &params)).await
    }

    /// A call that refers to an approval.
    pub(crate) async fn call_for(&self, tool: &str, arguments: &str, approval: &str) -> Answer {
        if self.door == Door::Rest {
            let request =
                self.http.post(format!("{}/v1/tools/{tool}", self.base)).header("portcullis-approval", approval);
            return self
                .send(request.header(CONTENT_TYPE, "application/json").body(arguments.to_owned()))
                .await
                .unwrap();
        }
        let mut meta = self.meta();
        meta["dev.portcullis/approval"] = approval.into();
        let params = format!(r#"{{"name":{},"arguments":{arguments},"_meta":{meta}}}"#, json!(tool));
        self.send(self.message("tools/call", Some(tool), &params)).await.unwrap()
    }

    /// A POST of JSON to a path.
    pub(crate) async fn send_json(&self, path: &str, body: &Value) -> Answer {
        let request = self.http.post(format!("{}{path}", self.base)).header(CONTENT_TYPE, "application/json");
        self.send(request.body(body.to_string())).await.unwrap()
    }

    /// An MCP request with parameters as they are written.
    pub(crate) async fn rpc(&self, method: &str, params: &str) -> Answer {
        self.send(self.message(method, None, params)).await.unwrap()
    }

    /// What each request of this era says of itself.
    pub(crate) fn meta(&self) -> Value {
        match self.door {
            Door::Modern => json!({
                "io.modelcontextprotocol/protocolVersion": self.door.revision(),
                "io.modelcontextprotocol/clientCapabilities": {},
            }),
            _ => json!({}),
        }
    }

    /// The servers' tools that are listed for this agent, by name.
    pub(crate) async fn tools(&self) -> Vec<String> {
        self.all_tools().await.into_iter().filter(|name| !name.starts_with("gate__")).collect()
    }

    /// All tools that are listed for this agent, the gate's own too, in their order.
    pub(crate) async fn all_tools(&self) -> Vec<String> {
        let answer = match self.door {
            Door::Rest => self.get("/v1/tools").await,
            _ => self.rpc("tools/list", &json!({ "_meta": self.meta() }).to_string()).await,
        };
        let listed = if self.door == Door::Rest { &answer.body["tools"] } else { &answer.body["result"]["tools"] };
        let listed = listed.as_array().unwrap_or_else(|| panic!("no list: {answer:?}"));
        listed.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(format!("{}{path}", self.base))).await.unwrap()
    }

    /// A POST to the MCP door, as written.
    pub(crate) async fn post(&self, body: &str, headers: &[(&str, &str)]) -> Answer {
        let request = self.http.post(format!("{}/mcp", self.base)).header(CONTENT_TYPE, "application/json");
        let request = request.header(ACCEPT, "application/json, text/event-stream").body(body.to_owned());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request).await.unwrap()
    }

    /// A DELETE at the MCP door.
    pub(crate) async fn delete(&self, headers: &[(&str, &str)]) -> Answer {
        let request = self.http.delete(format!("{}/mcp", self.base));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request).await.unwrap()
    }

    fn message(&self, method: &str, name: Option<&str>, params: &str) -> reqwest::RequestBuilder {
        let id = LAST_ID.fetch_add(1, Ordering::Relaxed);
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        let mut request = self
            .http
            .post(format!("{}/mcp", self.base))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream")
            .header("mcp-protocol-version", self.door.revision());
        if self.door == Door::Modern {
            request = request.header("mcp-method", method);
            if let Some(name) = name {
                request = request.header("mcp-name", name);
            }
        }
        request.body(body)
    }

    async fn send(&self, mut request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { door: self.door, status, headers, text, body })
    }
}

impl Answer {
    /// The `CallToolResult`, or the refusal where it stands in its place.
    pub(crate) fn result(&self) -> &Value {
        if self.door == Door::Rest { &self.body } else { &self.body["result"] }
    }

    /// The refusal's facts: a REST body, or `structuredContent` over MCP, or an error's data where a whole HTTP request is
    /// refused.
    pub(crate) fn refusal(&self) -> &Value {
        match self.door {
            Door::Rest => &self.body,
            _ if self.status == 200 => &self.body["result"]["structuredContent"],
            _ => &self.body["error"]["data"],
        }
    }

    /// Why it was refused; none when it was not.
    pub(crate) fn code(&self) -> Option<&str> {
        let refused = match self.door {
            Door::Rest => self.status != 200,
            _ => self.status != 200 || self.body["result"]["isError"] == true,
        };
        refused.then(|| self.refusal()["code"].as_str()).flatten()
    }

    /// What was decided on an executed call.
    pub(crate) fn decision(&self) -> &Value {
        &self.result()["_meta"]["dev.portcullis/decision"]
    }

    pub(crate) fn replayed(&self) -> bool {
        let replayed = self.decision()["replayed"] == true;
        if self.door == Door::Rest && self.status == 200 {
            let header = self.headers.get("idempotent-replayed").is_some_and(|value| value == "true");
            assert_eq!(header, replayed, "{self:?}");
        }
        replayed
    }

    /// The tool ran, now or before, and did not fail.
    #[track_caller]
    pub(crate) fn executed(&self) -> &Self {
        assert_eq!((self.status, self.code()), (200, None), "{}", self.text);
        assert!(self.result()["isError"] != true && self.decision()["correlation_id"].is_string(), "{}", self.text);
        self
    }

    /// The call was refused, for this reason, in the shape that every refusal has at this door.
    #[track_caller]
    pub(crate) fn refused(&self, code: &str) -> &Self {
        assert_eq!(self.code(), Some(code), "{} {}", self.status, self.text);
        let refusal = self.refusal().as_object().unwrap();
        for (member, value) in refusal {
            let fits = match member.as_str() {
                "code" | "policy" => value.is_string(),
                "message" => value.as_str().is_some_and(|text| text.len() > 20),
                "correlation_id" => value.as_str().is_some_and(|id| {
                    id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
                }),
                "retry_after_ms" => value.as_u64().is_some_and(|wait_ms| wait_ms > 0),
                "approval" => value.as_str().is_some_and(|id| id.starts_with("appr_")),
                "details" => value.is_object(),
                _ => false,
            };
            assert!(fits, "`{member}` in {}", self.text);
        }
        assert!(refusal.contains_key("message") && refusal.contains_key("correlation_id"), "{}", self.text);
        if self.door == Door::Stdio && self.status != 200 {
            assert_eq!(self.body["error"]["message"], refusal["message"], "{}", self.text);
        } else if self.door == Door::Rest || self.status != 200 {
            assert_eq!(self.status, status_of(code), "{}", self.text);
            if self.door != Door::Rest {
                assert_eq!((&self.body["jsonrpc"], &self.body["id"]), (&json!("2.0"), &Value::Null), "{}", self.text);
                assert_eq!(self.body["error"]["message"], refusal["message"]);
            }
            let seconds = refusal.get("retry_after_ms").map(|wait_ms| wait_ms.as_u64().unwrap().div_ceil(1000));
            let header = self.headers.get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
            assert_eq!(header, seconds, "{:?}", self.headers);
        } else {
            assert_eq!(self.result()["isError"], true);
            assert_eq!(self.result()["content"][0]["text"], refusal["message"]);
        }
        self
    }

    /// The id by which the audit log knows this call.
    pub(crate) fn correlation_id(&self) -> &Value {
        match self.code() {
            Some(_) => &self.refusal()["correlation_id"],
            None => &self.decision()["correlation_id"],
        }
    }

    /// What programs are told about a refusal.
    pub(crate) fn details(&self) -> &Value {
        &self.refusal()["details"]
    }
}

fn status_of(code: &str) -> u16 {
    match code {
        "approval_required" => 202,
        "approval_expired" => 410,
        "invalid_arguments" => 400,
        "unauthenticated" => 401,
        "denied" | "cap_exceeded" | "approval_rejected" | "tool_withheld" => 403,
        "unknown_tool" => 404,
        "idempotency_key_conflict" | "idempotency_key_in_progress" | "outcome_unknown" => 409,
        "rate_limited" => 429,
        "upstream_unavailable" | "upstream_error" => 502,
        "policy_fault" | "policy_limit" | "no_policy" | "store_unavailable" | "overloaded" => 503,
        other => panic!("`{other}` is no code"),
    }
}
