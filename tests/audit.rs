//! What happened is written down, refusals and failures too, and can be verified.

use std::fs;

use serde_json::Value;

use crate::harness::{Door, Setup, market, odd};

fn of<'a>(audit: &'a [Value], id: &Value) -> Vec<&'a Value> {
    audit.iter().filter(|entry| &entry["correlation_id"] == id).collect()
}

fn statuses<'a>(entries: &[&'a Value]) -> Vec<&'a str> {
    entries.iter().map(|entry| entry["status"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_life_of_a_call() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    for door in Door::ALL {
        let caller = buyer.at(door);
        let key = format!("key-{door:?}");
        let answer = caller.call_with("market__make_offer", &market::offer("1.10", "EUR"), Some(&key)).await;
        let id = answer.executed().decision()["correlation_id"].clone();
        let replay = caller.call_with("market__make_offer", &market::offer("1.10", "EUR"), Some(&key)).await;
        let replay_id = replay.executed().decision()["correlation_id"].clone();
        let refused = caller.call("market__make_offer", &market::offer("-1", "EUR")).await;
        let refused_id = refused.refused("denied").refusal()["correlation_id"].clone();

        let audit = gate.audit().await;
        let entries = of(&audit, &id);
        assert_eq!(statuses(&entries), ["STARTED", "COMPLETED"]);
        for entry in &entries {
            assert_eq!(entry["action"], "market__make_offer");
            assert_eq!(entry["origin"], if door == Door::Rest { "rest" } else { "mcp" });
            assert_eq!(entry["idempotency_key"], key.as_str());
            assert_eq!(entry["principal"], "bob");
            assert!(entry["principal_id"].as_str().unwrap().starts_with("ag_"));
            assert!(entry["role"].to_string().contains("buyer"), "{entry}");
            let time = entry["timestamp"].as_str().unwrap();
            assert!(time.ends_with('Z') && time.len() == 24, "{time}");
        }
        assert_eq!(entries[0]["arguments"]["amount"], "1.10", "{}", entries[0]);
        let asked = entries[0]["policies"].to_string();
        assert!(asked.contains("rbac") && asked.contains("spending-caps"), "{asked}");

        let entries = of(&audit, &replay_id);
        assert_eq!(statuses(&entries), ["REPLAYED"]);
        assert!(
            entries[0]["metadata"].to_string().contains(id.as_str().unwrap()),
            "the first call's id: {}",
            entries[0]
        );

        let entries = of(&audit, &refused_id);
        assert_eq!(statuses(&entries), ["ACCESS_DENIED"]);
        assert_eq!(entries[0]["code"], "denied");
    }
    let audit = gate.audit().await;
    for (index, entry) in audit.iter().enumerate() {
        assert_eq!(entry["index"], index, "no entry is missing");
    }
}

#[tokio::test]
async fn failures_and_what_nobody_knows() {
    let gate = Setup { servers: odd::server(), ..Setup::default() }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Modern).await;
    let money = |mark: &str| format!(r#"{{"amount":"1.00","currency":"EUR","mark":"{mark}"}}"#);
    let failed = buyer.call("odd__fail", &money("a")).await;
    let error = buyer.call("odd__error", &money("b")).await;
    let unknown = buyer.call("odd__die", &money("c")).await;
    let audit = gate.audit().await;
    let failed = of(&audit, &failed.decision()["correlation_id"]);
    assert_eq!(statuses(&failed), ["STARTED", "FAILED"]);
    let error = of(&audit, &error.refused("upstream_error").refusal()["correlation_id"]);
    assert_eq!(statuses(&error), ["STARTED", "FAILED"]);
    let unknown = of(&audit, &unknown.refused("outcome_unknown").refusal()["correlation_id"]);
    assert_eq!(statuses(&unknown), ["STARTED", "UNKNOWN"]);
}

#[tokio::test]
async fn strangers_are_written_down_and_folded() {
    let gate = Setup::default().start().await;
    let stranger = gate.caller(Some("pk_nobody"), Door::Rest);
    for _ in 0..20 {
        stranger.call("market__list_deals", "{}").await.refused("unauthenticated");
    }
    let audit = gate.audit().await;
    let refused: Vec<_> = audit.iter().filter(|entry| entry["code"] == "unauthenticated").collect();
    assert!((1..20).contains(&refused.len()), "one entry stands for many: {refused:?}");
    assert!(refused.iter().all(|entry| entry["status"] == "ACCESS_DENIED" && entry["principal"].is_null()));
    assert!(!gate.log().contains("pk_nobody"), "a credential is never logged");
}

/// Nothing secret is found in anything that the gate wrote.
#[tokio::test]
async fn a_server_that_quotes_a_secret_argument_does_not_make_it_known() {
    let tool = "\n[[tool]]\nname = \"odd__error\"\nsecret_arguments = [\"/say\"]\n";
    let gate = Setup { servers: odd::server() + tool, ..Setup::default() }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let call = r#"{"amount":"1.00","currency":"EUR","code":-32000,"say":"canary hunter2"}"#;
    buyer.call("odd__error", call).await.refused("upstream_error");
    let told = gate.cli(&["audit", "tail", "--json"]).await.stdout;
    assert!(told.contains("odd__error") && told.contains("***") && !told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn what_is_secret_is_masked_everywhere() {
    let gate = Setup::default().start().await;
    let key = gate.add_agent("bob", "buyer").await;
    let buyer = gate.caller(Some(&key), Door::Rest);
    let canaries = [
        "canary-password-7731",
        "4111 1111 1111 1111",
        "DE89370400440532013000",
        "pk_canary000000000000000000000000000000000",
    ];
    let deal = serde_json::json!({
        "title": format!("card {} account {} key {}", canaries[1], canaries[2], canaries[3]),
        "price": "1.00", "currency": "EUR", "deep": [{"password": canaries[0]}],
    });
    for door in Door::ALL {
        buyer.at(door).call("market__create_deal", &deal.to_string()).await.executed();
        let refused = serde_json::json!({"number": canaries[1], "password": canaries[0]}).to_string();
        buyer.at(door).call("market__cancel_order", &refused).await.refused("unknown_tool");
    }
    let exported = gate.cli(&["audit", "tail", "--json", "-n", "1000"]).await.stdout;
    let shown = gate.cli(&["audit", "tail"]).await.stdout;
    let mut written =
        vec![("audit tail --json".to_owned(), exported.into_bytes()), ("audit tail".to_owned(), shown.into_bytes())];
    let mut folders = vec![gate.folder().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() && !path.ends_with("market.json") {
                written.push((path.display().to_string(), fs::read(&path).unwrap()));
            }
        }
    }
    assert!(written.iter().any(|(_, bytes)| contains(bytes, "market__create_deal")), "the right places were searched");
    for (place, bytes) in &written {
        for canary in canaries.iter().chain([&key.as_str()]) {
            assert!(!contains(bytes, canary), "`{canary}` stands in {place}");
        }
    }
    let arrived = &gate.executed()[0].arguments;
    assert!(canaries.iter().all(|canary| arrived.contains(canary)), "the tool gets what it was sent: {arrived}");
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn verification() {
    let mut gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    for number in 0..20 {
        buyer.call("market__create_deal", &market::deal(&number.to_string())).await.executed();
    }
    let said = gate.cli(&["audit", "verify", "--json"]).await;
    let verified = said.json();
    assert_eq!(verified["ok"], true, "{verified}");
    assert!(verified["entries"].as_u64().unwrap() >= 41 && verified["root"].is_string(), "{verified}");
    assert_eq!(gate.cli(&["audit", "verify"]).await.code, 0);
    gate.kill().await;
    let offline = gate.cli(&["audit", "verify", "--json"]).await.json();
    assert_eq!(offline["ok"], true, "without a gate, too: {offline}");
    assert!(offline["entries"].as_u64() >= verified["entries"].as_u64());
}
