//! Mistakes that other gates made, as far as no other module is about them.

use serde_json::json;

use crate::harness::{Caller, Door, Doors, Setup, Wrap, guest, market};

const DEAL: &str = "market__create_deal";

/// Which policy applies depends on the tool that is called and on who calls it, by whatever way.
#[tokio::test]
async fn no_way_to_a_tool_leads_around_its_policy() {
    let gate = Setup::default().start().await;
    // A role that may not create deals.
    let support = gate.agent("ann", "support", Door::Rest).await;
    let body = json!({"title": "t", "price": "1", "currency": "EUR", "name": DEAL, "tool": DEAL});
    for path in [
        "/v1/tools/market__create_deal",
        "/v1/tools/market%5F%5Fcreate_deal",
        "/v1/tools/market__create_deal/",
        "//v1/tools/market__create_deal",
        "/V1/tools/market__create_deal",
        "/v1/tools/MARKET__CREATE_DEAL",
        "/v1/tools/market__create_deal%00",
        "/v1/tools/%20market__create_deal",
        "/v1/tools/create_deal",
        "/v1/tools/market__find_order/../market__create_deal",
        "/v1/tools/market__find_order%2F..%2Fmarket__create_deal",
        "/v1/tools/market__find_order?name=market__create_deal",
        "/v1/tools/market__find_order;market__create_deal",
        "/v1/tools",
        "/mcp/tools/market__create_deal",
    ] {
        let answer = support.send_json(path, &body).await;
        assert!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.text);
    }
    // A name in a header that a proxy would route by, and another one in the body; either of them encoded.
    let modern = support.at(Door::Modern);
    let encoded = "=?base64?bWFya2V0X19maW5kX29yZGVy?=";
    for name in ["market__find_order", encoded, DEAL, "=?base64?bWFya2V0X19jcmVhdGVfZGVhbA==?="] {
        let params = json!({"name": DEAL, "arguments": body, "_meta": modern.meta()});
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", name)];
        let answer = modern.post(&call.to_string(), &headers).await;
        let refused = answer.body["error"]["code"] == -32020 || answer.code() == Some("unknown_tool");
        assert!(refused, "{name}: {}", answer.text);
    }
    // The members of a call twice: one for the decision, one for the tool.
    let twice = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"market__find_order","arguments":{{"number":"1"}},"name":"{DEAL}","arguments":{body}}}}}"#
    );
    let answer = support.post(&twice, &[("mcp-protocol-version", "2025-11-25")]).await;
    assert!(answer.body["error"]["code"].is_i64(), "{}", answer.text);
    assert_eq!(gate.executed().len(), 0);
}

#[tokio::test]
async fn no_batch_goes_by_over_standard_input() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let mut wrap = Wrap::market(gate.folder(), buyer.key.as_deref().unwrap());
    for members in [
        Wrap::members(Door::Modern, DEAL, &market::deal("a"), None),
        format!(r#""name":"{DEAL}","arguments":{},"task":{{}},"_meta":{{META}}"#, market::deal("a")),
    ] {
        let (_, call) = wrap.request("tools/call", &members);
        wrap.send(format!("[{call}]").as_bytes()).await;
        let answer = wrap.receive().await;
        assert!(answer["error"]["code"].is_i64() && answer["id"].is_null(), "{answer}");
    }
    let task = format!(r#""name":"{DEAL}","arguments":{},"task":{{}},"_meta":{{META}}"#, market::deal("a"));
    let answer = wrap.ask("tools/call", &task).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    for method in ["tools/Call", "tasks/result", "x"] {
        let answer = wrap.ask(method, &Wrap::members(Door::Modern, DEAL, &market::deal("a"), None)).await;
        assert_eq!(answer["error"]["code"], -32601, "{method} {answer}");
    }
    assert_eq!(gate.executed().len(), 0);
}

/// Buckets are in memory: what happens to the disk neither fills nor opens them.
#[tokio::test]
async fn the_rate_limit_holds_whatever_happens_to_the_store() {
    let limit = "\n[[limit]]\nname = \"few\"\ntools = [\"market__list_deals\"]\nrate = \"2/min\"\nper = \"agent\"\n";
    let gate = Setup::default().and(limit).start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    buyer.call("market__list_deals", "{}").await.executed();
    gate.fill_disk().await;
    let mut told = Vec::new();
    for number in 0..6 {
        told.push(buyer.at(Door::ALL[number % 3]).call("market__list_deals", "{}").await.code().map(str::to_owned));
    }
    assert!(told.iter().all(|code| matches!(code.as_deref(), Some("rate_limited" | "store_unavailable"))), "{told:?}");
    assert_eq!(gate.executed().len(), 1);
}

/// A client that cannot ask its user does not have to, and one that can is not the one who agrees.
#[tokio::test]
async fn what_a_client_can_do_agrees_to_nothing() {
    let policies = "[[policy]]\nname = \"rbac\"\nmodule = \"bundled:rbac\"\n[policy.settings.roles.buyer]\n\
                    allow = [\"market__*\"]\nconfirm = [\"market__create_deal\"]\n";
    let gate = Setup::policies(policies).start().await;
    let buyer = gate.agent("bob", "buyer", Door::Modern).await;
    let version = "io.modelcontextprotocol/protocolVersion";
    for capabilities in [
        json!({}),
        json!({"elicitation": {}}),
        json!({"elicitation": {"form": {}, "url": {}}}),
        json!({"sampling": {}}),
    ] {
        let meta = json!({version: "2026-07-28", "io.modelcontextprotocol/clientCapabilities": capabilities,
            "dev.portcullis/approval": null, "dev.portcullis/approved": true, "confirmed": true});
        let mut meta = meta;
        meta.as_object_mut().unwrap().remove("dev.portcullis/approval");
        let params = json!({"name": DEAL, "arguments": {"title": "t", "price": "1", "currency": "EUR", "confirmed": true}, "_meta": meta});
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", DEAL)];
        buyer.post(&call.to_string(), &headers).await.refused("approval_required");
    }
    let mut doors = Doors::to_market(&gate, &buyer);
    for answer in doors.call(DEAL, |_| (market::deal("a"), None)).await {
        answer.refused("approval_required");
    }
    assert_eq!(gate.executed().len(), 0);
}

#[tokio::test]
async fn a_negative_amount_gives_nothing_back() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let mut doors = Doors::to_market(&gate, &buyer);
    for answer in
        doors.call("market__make_offer", |number| (market::numbered_offer(number, "500", "\"EUR\""), None)).await
    {
        answer.executed();
    }
    for amount in ["-500", "\"-500.00\"", "-0.01", "-1e2"] {
        for answer in
            doors.call("market__make_offer", |number| (market::numbered_offer(number, amount, "\"EUR\""), None)).await
        {
            assert_eq!(answer.refused("denied").details()["pointer"], "/amount");
        }
    }
    for answer in
        doors.call("market__make_offer", |number| (market::numbered_offer(number, "0.01", "\"EUR\""), None)).await
    {
        answer.refused("cap_exceeded");
    }
    assert_eq!(gate.executed().len(), Doors::COUNT);
}

/// A policy that counts its calls in its memory, and denies only the first.
#[tokio::test]
async fn no_call_is_decided_by_an_instance_that_decided_another() {
    let policies = "[[policy]]\nname = \"rbac\"\nmodule = \"bundled:rbac\"\n[policy.settings.roles.buyer]\n\
                    allow = [\"market__*\"]\n[[policy]]\nname = \"counter\"\nmodule = \"counter.wasm\"\n";
    let components = vec![("counter.wasm".to_owned(), guest::component("counter.wat"))];
    let gate = Setup { components, ..Setup::policies(policies) }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let mut doors = Doors::to_market(&gate, &buyer);
    for _ in 0..4 {
        for answer in doors.call(DEAL, |_| (market::deal("a"), None)).await {
            assert_eq!(
                (answer.code(), &answer.refusal()["policy"]),
                (Some("denied"), &json!("counter")),
                "{}",
                answer.text
            );
        }
    }
    assert_eq!(gate.executed().len(), 0);
}

/// A component gets what the contract gives it; one that asks for more does not decide.
#[tokio::test]
async fn a_policy_that_imports_more_than_the_contract_is_not_taken() {
    let import = "wasi:http/outgoing-handler@0.2.0";
    let wanting = guest::component_that_imports(&format!("(import \"{import}\" (instance))"), "good.wat");
    let policies = "[[policy]]\nname = \"wanting\"\nmodule = \"wanting.wasm\"\n";
    let mut gate =
        Setup { components: vec![("wanting.wasm".to_owned(), wanting)], ..Setup::policies(policies) }.write();
    gate.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    for caller in Door::ALL.map(|door| buyer.at(door)) {
        caller.call("market__list_deals", "{}").await.refused("no_policy");
    }
    let ready = buyer.get("/readyz").await;
    assert!(ready.status == 503 && ready.body["reasons"].to_string().contains(import), "{}", ready.text);
}

/// Nothing that an agent can reach changes what decides about it.
#[tokio::test]
async fn an_agent_cannot_change_its_own_policy() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let own =
        ["gate__approval_status", "gate__get_reputation", "gate__get_spend_status", "gate__get_transaction_history"];
    for caller in Door::ALL.map(|door| buyer.at(door)) {
        let mut listed = caller.all_tools().await;
        listed.retain(|name| name.starts_with("gate__"));
        assert!(!listed.is_empty() && listed.iter().all(|name| own.contains(&name.as_str())), "{listed:?}");
        for name in
            ["policy_reload", "policy-reload", "approve", "set_trust", "agent_add", "outcome_resolve", "release"]
        {
            caller.call(&format!("gate__{name}"), "{}").await.refused("unknown_tool");
        }
    }
    let before = gate.cli(&["policy", "list", "--json"]).await.json();
    let agent_at_the_owners = Caller::new(gate.owners_url(), buyer.key.as_deref(), Door::Rest);
    let paths = [
        "/v1/policies/reload",
        "/v1/policies/rollback",
        "/v1/agents",
        "/v1/agents/bob/release",
        "/v1/persons",
        "/v1/tools/accept",
        "/v1/approvals/appr_0/approve",
        "/v1/outcomes/0/resolve",
        "/v1/command",
        "/v1/attach",
    ];
    for path in paths {
        let body = json!({"name": "eve", "roles": ["admin"], "kind": "owner", "command": "policy-reload"});
        let here = buyer.send_json(path, &body).await;
        assert!([404, 405].contains(&here.status), "agents' door {path}: {} {}", here.status, here.text);
        let there = agent_at_the_owners.send_json(path, &body).await;
        assert!([403, 404].contains(&there.status), "owners' door {path}: {} {}", there.status, there.text);
    }
    assert_eq!(gate.cli(&["policy", "list", "--json"]).await.json(), before);
    assert_eq!(gate.cli(&["agent", "list", "--json"]).await.json().as_array().unwrap().len(), 1);
}
