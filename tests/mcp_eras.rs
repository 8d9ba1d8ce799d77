//! The MCP door in both eras: what the protocol asks for, and no way around the gate.

use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::json;

use crate::harness::{Caller, Door, Gate, Setup, market};

async fn gate_and_buyer() -> (Gate, Caller) {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Modern).await;
    (gate, buyer)
}

#[tokio::test]
async fn the_modern_one_discovers() {
    let (_gate, buyer) = gate_and_buyer().await;
    let answer = buyer.rpc("server/discover", &json!({ "_meta": buyer.meta() }).to_string()).await;
    let versions = answer.body["result"]["supportedVersions"].to_string();
    assert!(versions.contains("2026-07-28") && versions.contains("2025-11-25"), "{}", answer.text);
    let answer = buyer.rpc("tools/list", &json!({ "_meta": buyer.meta() }).to_string()).await;
    assert_eq!(answer.body["result"]["resultType"], "complete");
    assert_eq!(answer.body["result"]["cacheScope"], "private", "what is listed depends on who asks");
    let again = buyer.rpc("tools/list", &json!({ "_meta": buyer.meta() }).to_string()).await;
    assert_eq!(answer.body["result"]["tools"], again.body["result"]["tools"], "in the same order");
}

#[tokio::test]
async fn the_older_ones_initialize() {
    let (_gate, buyer) = gate_and_buyer().await;
    let legacy = buyer.at(Door::Legacy);
    for version in ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"] {
        let params =
            json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        let answer = legacy.post(&message.to_string(), &[]).await;
        assert_eq!(answer.body["result"]["protocolVersion"], version, "{}", answer.text);
        assert_eq!(answer.body["result"]["serverInfo"]["name"], "portcullis");
    }
    let answer = legacy.rpc("ping", "{}").await;
    assert!(answer.body["result"].is_object(), "{}", answer.text);
}

#[tokio::test]
async fn definitions_are_those_of_the_tools() {
    let (_gate, buyer) = gate_and_buyer().await;
    for door in Door::ALL {
        let caller = buyer.at(door);
        let answer = match door {
            Door::Rest => caller.get("/v1/tools").await,
            _ => caller.rpc("tools/list", &json!({ "_meta": caller.meta() }).to_string()).await,
        };
        let listed = if door == Door::Rest { &answer.body["tools"] } else { &answer.body["result"]["tools"] };
        let offer = listed.as_array().unwrap().iter().find(|tool| tool["name"] == "market__make_offer").unwrap();
        assert_eq!(offer["annotations"]["readOnlyHint"], false);
        assert_eq!(offer["inputSchema"]["properties"]["amount"]["type"], json!(["string", "number"]));
        assert!(offer["description"].as_str().unwrap().contains("offer"));
    }
}

#[tokio::test]
async fn no_batch_and_no_unknown_method_goes_by() {
    let (gate, buyer) = gate_and_buyer().await;
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "market__create_deal", "arguments": {"title": "t", "price": "1", "currency": "EUR"}, "_meta": buyer.meta()}});
    for version in ["2025-03-26", "2025-11-25", "2026-07-28"] {
        let headers =
            [("mcp-protocol-version", version), ("mcp-method", "tools/call"), ("mcp-name", "market__create_deal")];
        let answer = buyer.post(&json!([call]).to_string(), &headers).await;
        assert_eq!(answer.status, 400, "{version} {}", answer.text);
        assert_eq!(answer.body["error"]["code"], -32600);
    }
    for method in ["tools/Call", "Tools/call", "tasks/result", "completion/complete", "resources/read", "x"] {
        for caller in Door::MCP.map(|door| buyer.at(door)) {
            let mut params = call["params"].clone();
            params["_meta"] = caller.meta();
            let answer = caller.rpc(method, &params.to_string()).await;
            assert_eq!(answer.body["error"]["code"], -32601, "{method} {:?}: {}", caller.door, answer.text);
        }
    }
    for name in ["task", "inputResponses", "requestState"] {
        let mut params = call["params"].clone();
        params[name] = json!({});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        let headers =
            [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "market__create_deal")];
        let answer = buyer.post(&message, &headers).await;
        assert_eq!(answer.body["error"]["code"], -32602, "{name} {}", answer.text);
    }
    assert_eq!(gate.executed().len(), 0);
}

#[tokio::test]
async fn headers_and_body_must_agree() {
    let (gate, buyer) = gate_and_buyer().await;
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "market__create_deal", "arguments": {"title": "t", "price": "1", "currency": "EUR"}, "_meta": buyer.meta()}});
    let right =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "market__create_deal")];
    for (index, wrong) in [(0, "2025-11-25"), (1, "tools/list"), (2, "market__list_deals"), (0, ""), (1, ""), (2, "")] {
        let mut headers = right.to_vec();
        if wrong.is_empty() {
            headers.remove(index);
        } else {
            headers[index].1 = wrong;
        }
        let answer = buyer.post(&body.to_string(), &headers).await;
        assert_eq!(answer.status, 400, "{headers:?} {}", answer.text);
        assert_eq!(answer.body["error"]["code"], -32020, "{headers:?} {}", answer.text);
    }
    let mut unknown = body.clone();
    unknown["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2099-01-01".into();
    let headers = [("mcp-protocol-version", "2099-01-01"), right[1], right[2]];
    let answer = buyer.post(&unknown.to_string(), &headers).await;
    assert_eq!((answer.status, &answer.body["error"]["code"]), (400, &json!(-32022)), "{}", answer.text);
    assert_eq!(gate.executed().len(), 0);
    buyer.post(&body.to_string(), &right).await.executed();
}

/// A page in a browser on this machine.
#[tokio::test]
async fn other_origins_and_hosts_are_turned_away() {
    let (gate, buyer) = gate_and_buyer().await;
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "market__create_deal", "arguments": {"title": "t", "price": "1", "currency": "EUR"}, "_meta": buyer.meta()}});
    let right =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "market__create_deal")];
    for wrong in [("origin", "https://evil.example"), ("origin", "null"), ("host", "evil.example")] {
        let headers = [right.as_slice(), &[wrong]].concat();
        let answer = buyer.post(&body.to_string(), &headers).await;
        assert_eq!(answer.status, 403, "{wrong:?} {}", answer.text);
    }
    assert_eq!(gate.executed().len(), 0);
}

#[tokio::test]
async fn a_client_of_the_official_library_is_served() {
    let (gate, buyer) = gate_and_buyer().await;
    let config = StreamableHttpClientTransportConfig::with_uri(format!("{}/mcp", gate.url()))
        .auth_header(buyer.key.clone().unwrap());
    let transport = StreamableHttpClientTransport::from_config(config);
    let client = ().serve(transport).await.unwrap();
    let tools = client.list_all_tools().await.unwrap();
    let servers: Vec<&str> = tools.iter().map(|tool| &*tool.name).filter(|name| !name.starts_with("gate__")).collect();
    assert!(servers.contains(&"market__make_offer") && servers.len() == 4, "{tools:?}");
    let call = |amount: &str| {
        let arguments = serde_json::from_str(&market::offer(amount, "EUR")).unwrap();
        client.call_tool(CallToolRequestParams::new("market__make_offer").with_arguments(arguments))
    };
    let result = call("499.00").await.unwrap();
    assert_eq!(result.structured_content.unwrap()["amount"], "499.00");
    let refused = call("500.01").await.unwrap();
    assert_eq!(refused.is_error, Some(true));
    assert_eq!(refused.structured_content.unwrap()["code"], "cap_exceeded");
    client.cancel().await.unwrap();
    assert_eq!(gate.executed().len(), 1);
}
