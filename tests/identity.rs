//! Who calls: a credential on every request, at every door.

use crate::harness::{Answer, Caller, Door, Setup};

fn unauthenticated(answer: &Answer) {
    assert_eq!(answer.status, 401, "{}", answer.text);
    answer.refused("unauthenticated");
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Bearer"), "{challenge}");
}

async fn turned_away(caller: &Caller) {
    for caller in Door::ALL.map(|door| caller.at(door)) {
        unauthenticated(&caller.call("market__list_deals", "{}").await);
    }
    unauthenticated(&caller.get("/v1/tools").await);
    for method in ["tools/list", "initialize", "server/discover", "ping", "no/such/method"] {
        unauthenticated(&caller.at(Door::Modern).rpc(method, "{}").await);
    }
}

#[tokio::test]
async fn without_a_valid_key_nothing_is_answered() {
    let gate = Setup::default().start().await;
    let key = gate.add_agent("bob", "buyer").await;
    assert!(key.starts_with("pk_") && key.len() > 40, "256 random bits");
    turned_away(&gate.caller(None, Door::Rest)).await;
    let wrong = [
        "pk_".to_owned(),
        "pk_0000000000000000000000000000000000000000000".to_owned(),
        key.to_uppercase(),
        format!("{key}x"),
        key[..key.len() - 1].to_owned(),
        key.trim_start_matches("pk_").to_owned(),
        "bob".to_owned(),
    ];
    for key in wrong {
        turned_away(&gate.caller(Some(&key), Door::Rest)).await;
    }
    gate.caller(Some(&key), Door::Rest).call("market__list_deals", "{}").await.executed();
    assert_eq!(gate.executed().len(), 1);
}

#[tokio::test]
async fn a_revoked_key_stops_at_once() {
    let mut gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let other = gate.agent("eve", "buyer", Door::Rest).await;
    for caller in Door::ALL.map(|door| buyer.at(door)) {
        caller.call("market__list_deals", "{}").await.executed();
    }
    buyer.call_with("market__list_deals", "{}", Some("k")).await.executed();
    assert_eq!(gate.cli(&["agent", "revoke", "bob"]).await.code, 0);
    turned_away(&buyer).await;
    unauthenticated(&buyer.call_with("market__list_deals", "{}", Some("k")).await);
    other.call("market__list_deals", "{}").await.executed();
    gate.restart().await;
    turned_away(&buyer.moved_to(gate.url())).await;
}

#[tokio::test]
async fn a_quarantined_agent_is_held_to_stricter_limits() {
    let limit = "\n[[limit]]\nname = \"few\"\ntools = [\"market__list_deals\"]\nrate = \"100/min\"\nquarantined = \"1/min\"\nper = \"agent\"\n";
    let gate = Setup::default().and(limit).start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    for _ in 0..3 {
        buyer.call("market__list_deals", "{}").await.executed();
    }
    assert_eq!(gate.cli(&["agent", "quarantine", "bob"]).await.code, 0);
    let mut refused = 0;
    for _ in 0..3 {
        refused += usize::from(buyer.call("market__list_deals", "{}").await.code() == Some("rate_limited"));
    }
    assert!(refused >= 2, "{refused}");
    assert_eq!(gate.cli(&["agent", "release", "bob"]).await.code, 0);
    buyer.call("market__list_deals", "{}").await.executed();
}

/// The agent's own credential never reaches a tool.
#[tokio::test]
async fn the_key_goes_no_further() {
    let gate = Setup::default().start().await;
    let key = gate.add_agent("bob", "buyer").await;
    let buyer = gate.caller(Some(&key), Door::Rest);
    for door in Door::ALL {
        buyer.at(door).call("market__list_deals", "{}").await.executed();
    }
    let state = std::fs::read_to_string(gate.folder().join("market.json")).unwrap();
    assert!(!state.contains(&key) && !gate.log().contains(&key));
}
