//! What a person has to agree to, with every client: revealing a contact, a listing of an agent that is not trusted
//! much, an offer above a threshold.

use std::sync::Arc;

use serde_json::{Value, json};

use super::with_each;
use crate::harness::foreign::{Client, Driver, installed};
use crate::harness::{Door, Gate, Setup, market};

const POLICIES: &str = r#"
[[policy]]
name = "rbac"
module = "bundled:rbac"
[policy.settings.roles.buyer]
allow = ["market__create_listing", "market__make_offer", "market__request_contact_reveal"]

[[policy]]
name = "approvals"
module = "bundled:approvals"
[[policy.settings.rules]]
tools = ["market__request_contact_reveal"]
summary = "reveal contact for {/tx_id}"
expires = "1h"
[[policy.settings.rules]]
tools = ["market__create_listing"]
when = { trust_below = 50 }

[[policy]]
name = "spending-caps"
module = "bundled:spending-caps"
[policy.settings]
auto_approve_under = { amount = "100.00", currency = "EUR" }
limits = [{ max = "500.00", currency = "EUR", per = "transaction" }, { max = "2000.00", currency = "EUR", window = "24h" }]
charges = [{ tools = ["market__make_offer"], amount = "/amount", currency = "/currency", account = "agent" }]
"#;

/// An agent that is trusted so far.
async fn agent(gate: &Gate, name: &str, trust: &str) -> String {
    let added = gate.cli(&["agent", "add", name, "--role", "buyer", "--trust", trust, "--json"]).await.json();
    added["key"].as_str().unwrap().to_owned()
}

/// How often a tool ran for a client.
fn count(gate: &Gate, client: Client, tool: &str) -> usize {
    let name = client.name();
    let mine = |entry: &market::Executed| entry.tool == tool && entry.arguments.contains(&name);
    gate.executed().iter().filter(|entry| mine(entry)).count()
}

/// The call waits for a person: the approval's id. Asking again asks nobody twice.
async fn pending(agent: &mut Driver, tool: &str, arguments: &Value) -> String {
    let heard = agent.call(tool, arguments, None, None).await;
    let structured = heard.refused("approval_required").structured();
    let details = &structured["details"];
    let id = structured["approval"].as_str().or(details["approval"].as_str()).unwrap_or_else(|| panic!("{heard}"));
    assert!(details["summary"].as_str().is_some_and(|text| !text.is_empty()), "{heard}");
    assert!(details["expires_at"].as_str().is_some_and(|time| time.ends_with('Z')), "{heard}");
    let again = agent.call(tool, arguments, None, None).await;
    assert_eq!(again.refused("approval_required").details()["approval"], details["approval"]);
    id.to_owned()
}

async fn story(client: Client, gate: Arc<Gate>) {
    let key = agent(&gate, &client.name(), "20").await;
    let mut buyer = client.start(&gate, &key).await;
    let rest = gate.caller(Some(&key), Door::Rest);

    // A contact: asked, agreed to, and revealed once.
    let reveal = json!({"tx_id": client.name()});
    let id = pending(&mut buyer, "market__request_contact_reveal", &reveal).await;
    let shown = rest.get(&format!("/v1/approvals/{id}")).await;
    assert_eq!((shown.status, &shown.body["status"]), (200, &"pending".into()), "{}", shown.text);
    let status = json!({"approval": id});
    assert_eq!(buyer.asks_gate("gate__approval_status", &status).await["status"], "pending", "{client:?}");
    assert_eq!(count(&gate, client, "request_contact_reveal"), 0);
    let approved = gate.cli(&["approvals", "approve", &id]).await;
    assert_eq!(approved.code, 0, "{approved:?}");
    let first = buyer.call("market__request_contact_reveal", &reveal, None, Some(&id)).await;
    assert!(!first.executed().replayed());
    let again = buyer.call("market__request_contact_reveal", &reveal, None, Some(&id)).await;
    assert!(again.executed().replayed(), "a used approval answers like a key: {again}");
    assert_eq!(again.answer(), first.answer());
    assert_eq!(count(&gate, client, "request_contact_reveal"), 1, "{client:?}");
    assert_eq!(buyer.asks_gate("gate__approval_status", &status).await["status"], "used", "{client:?}");

    // A listing: of an agent with little trust, and turned down.
    let listing =
        |title: &str| json!({"title": format!("{title} {}", client.name()), "price": "9.00", "currency": "EUR"});
    let id = pending(&mut buyer, "market__create_listing", &listing("a")).await;
    assert_eq!(gate.cli(&["approvals", "reject", &id, "--reason", "no such thing"]).await.code, 0);
    let heard = buyer.call("market__create_listing", &listing("a"), None, None).await;
    heard.refused("approval_rejected");
    assert_eq!(count(&gate, client, "create_listing"), 0);

    // An offer: below the threshold it passes; above, what was agreed to is what was asked, to the cent.
    let offer =
        |amount: &str| json!({"listing_id": client.name(), "seller": "acme", "amount": amount, "currency": "EUR"});
    buyer.call("market__make_offer", &offer("99.99"), None, None).await.executed();
    let id = pending(&mut buyer, "market__make_offer", &offer("100.01")).await;
    assert_eq!(gate.cli(&["approvals", "approve", &id]).await.code, 0);
    let other = buyer.call("market__make_offer", &offer("100.02"), None, Some(&id)).await;
    other.refused("invalid_arguments");
    assert_eq!(count(&gate, client, "make_offer"), 1, "{client:?}");
    let heard = buyer.call("market__make_offer", &offer("100.01"), Some("k"), None).await;
    assert!(!heard.executed().replayed(), "{client:?}: {heard}");
    assert!(buyer.call("market__make_offer", &offer("100.01"), Some("k"), None).await.executed().replayed());
    assert_eq!(count(&gate, client, "make_offer"), 2, "{client:?}");
    // Nobody is asked about what no agreement makes possible.
    buyer.call("market__make_offer", &offer("500.01"), None, None).await.refused("cap_exceeded");
}

#[tokio::test]
async fn every_client_waits_for_a_person() {
    if installed().await.is_none() {
        return;
    }
    let gate = Arc::new(Setup::policies(POLICIES).start().await);
    // Trust is what makes the difference.
    let trusted = gate.caller(Some(&agent(&gate, "trusted", "80").await), Door::Rest);
    trusted.call("market__create_listing", &market::deal("trusted")).await.executed();
    with_each(&gate, story).await;
}
