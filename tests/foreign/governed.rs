//! What an agent with any client of another hand meets at the marketplace.

use std::sync::Arc;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::with_each;
use crate::harness::foreign::{Client, Driver, call, installed};
use crate::harness::{Door, Gate, Setup, market};

const OFFER: &str = "market__make_offer";
const DEAL: &str = "market__create_deal";

/// An offer of a client, one of many.
fn offer(client: Client, number: usize, amount: &str) -> Value {
    json!({"listing_id": format!("{}-{number}", client.name()), "seller": "acme", "amount": amount, "currency": "EUR"})
}

/// What of this client was executed.
fn executed(gate: &Gate, client: Client) -> Vec<market::Executed> {
    let name = client.name();
    gate.executed().into_iter().filter(|entry| entry.arguments.contains(&name)).collect()
}

#[tokio::test]
async fn every_client_is_governed_alike() {
    if installed().await.is_none() {
        return;
    }
    let limit = "\n[[limit]]\nname = \"few\"\ntools = [\"market__list_deals\"]\nrate = \"2/h\"\nper = \"agent\"\n";
    let gate = Arc::new(Setup::default().and(limit).start().await);
    with_each(&gate, |client, gate| async move {
        let key = gate.add_agent(&client.name(), "buyer").await;
        let mut buyer = client.start(&gate, &key).await;
        let tools = ["market__create_deal", "market__list_deals", "market__make_offer", "market__vote_deal"];
        assert_eq!(buyer.names(), tools, "{client:?}");
        is_refused(&mut buyer, &gate, &key).await;
        numbers_arrive(&mut buyer, &gate).await;
        has_a_budget(&mut buyer, &gate).await;
        is_turned_away(client, &gate).await;
    })
    .await;
    // The marketplace's own sums, over all clients.
    let offers: Vec<_> = gate.executed().into_iter().filter(|entry| entry.tool == "make_offer").collect();
    assert_eq!(market::spent(&offers), Decimal::from(2000 * Client::ALL.len()));
}

/// Each reason arrives whole, and nothing runs.
async fn is_refused(buyer: &mut Driver, gate: &Gate, key: &str) {
    let client = buyer.client;
    let heard = buyer.call("market__cancel_order", &json!({"number": client.name()}), None, None).await;
    heard.refused("unknown_tool");
    let heard = buyer.call(DEAL, &json!({"title": client.name(), "currency": "EUR"}), None, None).await;
    heard.refused("invalid_arguments");
    let heard = buyer.call(OFFER, &offer(client, 0, "500.01"), None, None).await;
    let mut structured = heard.refused("cap_exceeded").structured();
    // To the last member what plain HTTP says.
    let rest = gate.caller(Some(key), Door::Rest).call(OFFER, &offer(client, 0, "500.01").to_string()).await;
    structured["correlation_id"] = rest.body["correlation_id"].clone();
    assert_eq!(structured, rest.body, "{client:?}");
    assert_eq!(structured["details"]["limit"], "500.00");
    assert_eq!(executed(gate, client).len(), 0, "{client:?}");

    for _ in 0..2 {
        buyer.call("market__list_deals", &json!({}), None, None).await.executed();
    }
    let heard = buyer.call("market__list_deals", &json!({}), None, None).await;
    assert!(heard.refused("rate_limited").structured()["retry_after_ms"].as_u64().is_some_and(|wait_ms| wait_ms > 0));
}

/// As exact as the client's language can say them.
async fn numbers_arrive(buyer: &mut Driver, gate: &Gate) {
    let client = buyer.client;
    let big = if client.has_doubles_only() { json!("9007199254740993") } else { json!(9_007_199_254_740_993_i64) };
    let prices = [(json!("1099.10"), "\"1099.10\""), (json!(1099.10), "1099.1"), (big.clone(), &big.to_string())];
    for (price, arrives) in prices {
        let deal = json!({"title": client.name(), "price": price, "currency": "EUR"});
        let heard = buyer.call(DEAL, &deal, None, None).await;
        assert_eq!(heard.executed().structured()["price"], arrives.trim_matches('"'), "{client:?}");
        let arrived = executed(gate, client).pop().unwrap().arguments;
        let arrived: serde_json::Map<String, Value> = serde_json::from_str(&arrived).unwrap();
        assert_eq!(arrived["price"].to_string(), arrives, "{client:?}");
    }
}

/// 500 EUR for one offer, 2000 EUR in 24 hours, to the cent, whatever is tried at the same time; a retry is no offer.
async fn has_a_budget(buyer: &mut Driver, gate: &Gate) {
    let client = buyer.client;
    let before = executed(gate, client).len();
    let first = buyer.call(OFFER, &offer(client, 0, "500.00"), Some("first"), None).await;
    assert!(!first.executed().replayed());
    let again = buyer.call(OFFER, &offer(client, 0, "500.00"), Some("first"), None).await;
    assert!(again.executed().replayed(), "{client:?}: {again}");
    assert_eq!(again.answer(), first.answer());
    let other = buyer.call(OFFER, &offer(client, 0, "400.00"), Some("first"), None).await;
    other.refused("idempotency_key_conflict");

    // 16 × 93.75 is what is left.
    let calls: Vec<_> = (1..=20).map(|number| call(OFFER, &offer(client, number, "93.75"))).collect();
    let heard = buyer.at_once(&calls).await;
    let (refused, passed): (Vec<_>, Vec<_>) = heard.iter().partition(|heard| heard.error);
    assert_eq!((passed.len(), refused.len()), (16, 4), "{client:?}");
    for heard in refused {
        let details = heard.refused("cap_exceeded").details();
        assert_eq!((&details["window"], &details["currency"]), (&"24h".into(), &"EUR".into()));
        assert_eq!(market::decimal(&details["limit"]), Decimal::from(2000));
        assert_eq!(market::decimal(&details["requested"]), market::decimal(&"93.75".into()));
        assert!(heard.text.contains("2000"), "a sentence for the model: {heard}");
    }
    let heard = buyer.call(OFFER, &offer(client, 99, "0.01"), None, None).await;
    assert_eq!(market::decimal(&heard.refused("cap_exceeded").details()["spent"]), Decimal::from(2000));
    assert_eq!(executed(gate, client).len(), before + 17, "{client:?}");
    let spend = buyer.asks_gate("gate__get_spend_status", &json!({})).await;
    assert_eq!(market::decimal(&spend["spend"][0]["spent"]), Decimal::from(2000), "{client:?}: {spend}");
    let history = buyer.asks_gate("gate__get_transaction_history", &json!({"code": "cap_exceeded"})).await;
    assert!(history["events"].as_array().is_some_and(|events| events.len() >= 5), "{client:?}: {history}");
    // What was answered is still there when nothing is left.
    assert!(buyer.call(OFFER, &offer(client, 0, "500.00"), Some("first"), None).await.executed().replayed());
}

/// A key that is revoked in the middle of a connection, and one that never was.
async fn is_turned_away(client: Client, gate: &Gate) {
    let name = format!("{}-support", client.name());
    let key = gate.add_agent(&name, "support").await;
    let mut support = client.start(gate, &key).await;
    let tools = ["market__analyze_invoice", "market__find_order", "market__summarize_customer_activity"];
    assert_eq!(support.names(), tools, "{client:?}");
    let heard = support.call("market__find_order", &json!({"number": "1"}), None, None).await;
    assert!(heard.failed.is_none() && heard.structured()["code"].is_null(), "the tool itself answers: {heard}");
    let heard = support.call(DEAL, &json!({"title": name, "price": "1", "currency": "EUR"}), None, None).await;
    heard.refused("unknown_tool");

    assert_eq!(gate.cli(&["agent", "revoke", &name]).await.code, 0);
    let calls = [call("market__find_order", &json!({"number": name}))];
    assert!(support.at_once(&calls).await[0].failed.is_some(), "{client:?}");
    if client.survives_being_turned_away() {
        assert!(support.at_once(&calls).await[0].failed.is_some(), "{client:?}");
    } else {
        assert!(support.ended().await);
    }
    assert!(gate.executed().iter().all(|entry| !entry.arguments.contains(&name)), "{client:?}");
    let why = client.try_start(gate, "pk_nobody").await.err().expect("nobody is let in");
    assert!(!why.is_empty(), "{client:?}");
}
