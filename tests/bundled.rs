//! The policies that ask, close hours and list values, in a gate: what agents are told, and what is executed.

use serde_json::json;

use crate::harness::{Answer, Door, Setup, market};

const RBAC: &str = r#"
[[policy]]
name = "rbac"
module = "bundled:rbac"
[policy.settings.roles.trader]
allow = ["market__*"]
"#;

const PAY: &str = "market__record_payment";
const OFFER: &str = "market__make_offer";

fn payment(merchant: &str, currency: &str) -> String {
    json!({ "order": "o-1", "merchant": merchant, "amount": "5.00", "currency": currency }).to_string()
}

#[track_caller]
fn denied(answer: &Answer, policy: &str, pointer: Option<&str>) {
    answer.refused("denied");
    assert_eq!(answer.refusal()["policy"], policy);
    assert_eq!(
        answer.refusal().pointer("/details/pointer").and_then(|found| found.as_str()),
        pointer,
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn only_listed_merchants_are_paid_each_in_its_currency() {
    let policies = r#"
[[policy]]
name = "merchants"
module = "bundled:allowlist"
[[policy.settings.rules]]
tools = ["market__record_payment"]
pointer = "/merchant"
currency = "EUR"
allow = ["acme", "Café *"]
[[policy.settings.rules]]
tools = ["market__record_payment"]
pointer = "/merchant"
currency = "USD"
allow = ["globex"]
"#;
    let gate = Setup::policies(format!("{RBAC}{policies}")).start().await;
    let trader = gate.agent("bob", "trader", Door::Rest).await;
    for caller in Door::ALL.map(|door| trader.at(door)) {
        for merchant in ["initech", "ACME", "\u{430}cme", "acme\n", "Caf\u{e9} \u{200b}", "globex", ""] {
            denied(&caller.call(PAY, &payment(merchant, "EUR")).await, "merchants", Some("/merchant"));
        }
        denied(&caller.call(PAY, &payment("acme", "GBP")).await, "merchants", Some("/currency"));
        denied(&caller.call(PAY, &payment("acme", "USD")).await, "merchants", Some("/merchant"));
    }
    assert_eq!(gate.executed().len(), 0);
    for (merchant, currency) in [("acme", "EUR"), ("Cafe\u{301} Paris", "EUR"), ("globex", "USD")] {
        trader.call(PAY, &payment(merchant, currency)).await.executed();
    }
    let executed = gate.executed();
    assert!(executed[1].arguments.contains("Cafe\u{301} Paris"), "what is sent is what was written");
    assert_eq!(executed.len(), 3);
}

#[tokio::test]
async fn in_quiet_hours_nothing_is_done() {
    let policies = r#"
[[policy]]
name = "quiet"
module = "bundled:quiet-hours"
[[policy.settings.windows]]
from = "07:00"
to = "07:00"
zone = "Europe/Paris"
tools = ["market__make_offer"]
[[policy.settings.windows]]
from = "07:00"
to = "07:01"
zone = "Europe/Atlantis"
tools = ["market__vote_deal"]
"#;
    let gate = Setup::policies(format!("{RBAC}{policies}")).start().await;
    let trader = gate.agent("bob", "trader", Door::Rest).await;
    for caller in Door::ALL.map(|door| trader.at(door)) {
        let answer = caller.call(OFFER, &market::offer("5", "EUR")).await;
        denied(&answer, "quiet", None);
        let message = answer.refusal()["message"].as_str().unwrap();
        assert!(
            message.contains("from 07:00 to 07:00 in Europe/Paris") && message.contains("leave no time"),
            "{message}"
        );
        let answer = caller.call("market__vote_deal", r#"{"deal_id":"deal-1"}"#).await;
        denied(&answer, "quiet", None);
        assert!(answer.refusal()["message"].as_str().unwrap().contains("`Europe/Atlantis`"), "{}", answer.text);
    }
    trader.call("market__list_deals", "{}").await.executed();
    assert_eq!(gate.executed().iter().filter(|entry| entry.tool != "list_deals").count(), 0);
}

#[tokio::test]
async fn what_is_over_a_threshold_waits_for_a_person() {
    let policies = r#"
[[policy]]
name = "people"
module = "bundled:approvals"
[[policy.settings.rules]]
tools = ["market__make_offer"]
summary = "offer {/amount} {/currency} for {/listing_id}"
expires = "1h"
when = { pointer = "/amount", greater_than = { EUR = "100" }, currency = "/currency" }
"#;
    let gate = Setup::policies(format!("{RBAC}{policies}")).start().await;
    let trader = gate.agent("bob", "trader", Door::Rest).await;
    trader.call(OFFER, &market::offer("100.00", "EUR")).await.executed();
    for caller in Door::ALL.map(|door| trader.at(door)) {
        denied(&caller.call(OFFER, &market::offer("1e9", "EUR")).await, "people", Some("/amount"));
        caller.call(OFFER, &market::offer("0.01", "USD")).await.refused("approval_required");
        let asked = caller.call(OFFER, &market::offer("100.01", "EUR")).await;
        asked.refused("approval_required");
        assert!(asked.details()["summary"].to_string().contains("offer 100.01 EUR for listing-0"), "{}", asked.text);
    }
    assert_eq!(gate.executed().len(), 1);
    let asked = trader.call(OFFER, &market::offer("100.01", "EUR")).await;
    let id = asked.refusal()["approval"].as_str().unwrap();
    assert_eq!(gate.cli(&["approvals", "approve", id, "--json"]).await.json()["status"], "approved");
    trader.call(OFFER, &market::offer("100.01", "EUR")).await.executed();
    assert_eq!(gate.executed().len(), 2);
}
