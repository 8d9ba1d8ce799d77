//! Reasons for a refusal that lie in the call, provoked at both doors: code, shape, status. What lies in the gate or behind it
//! is in `failures`.
//!
//! What `Answer::refused` checks of each: the members of the body and their types, the REST status, `Retry-After`, and
//! over MCP an `isError` result whose text is the message.

use crate::harness::{Door, Setup, market, odd, until};

const MONEY: &str = r#"{"amount":"1.00","currency":"EUR"}"#;

#[tokio::test]
async fn of_the_call_itself() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    for caller in Door::ALL.map(|door| buyer.at(door)) {
        caller.call("market__no_such_tool", "{}").await.refused("unknown_tool");
        caller.call("market__create_deal", r#"{"title":"no price"}"#).await.refused("invalid_arguments");
        caller
            .call("market__create_deal", r#"{"title":1,"price":"1","currency":"EUR"}"#)
            .await
            .refused("invalid_arguments");
        caller.call("market__list_deals", "[]").await.refused("invalid_arguments");
        let bad_key = caller.call_with("market__list_deals", "{}", Some("a key with spaces")).await;
        bad_key.refused("invalid_arguments");
    }
    assert_eq!(gate.executed().len(), 0);
}

#[tokio::test]
async fn of_policies() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    for caller in Door::ALL.map(|door| buyer.at(door)) {
        let answer = caller.call("market__make_offer", &market::offer("-5", "EUR")).await;
        answer.refused("denied");
        assert_eq!(answer.refusal()["policy"], "spending-caps");
        assert_eq!(answer.details()["pointer"], "/amount");
        let answer = caller.call("market__make_offer", &market::offer("500.01", "EUR")).await;
        answer.refused("cap_exceeded");
        assert_eq!(market::decimal(&answer.details()["limit"]), market::decimal(&"500.00".into()));
    }
    assert_eq!(gate.executed().len(), 0);
}

#[tokio::test]
async fn of_too_many_calls() {
    let limit = "\n[[limit]]\nname = \"few\"\ntools = [\"market__list_deals\"]\nrate = \"2/min\"\nper = \"agent\"\n";
    for door in Door::ALL {
        let gate = Setup::default().and(limit).start().await;
        let buyer = gate.agent("bob", "buyer", door).await;
        for _ in 0..2 {
            buyer.call("market__list_deals", "{}").await.executed();
        }
        let answer = buyer.call("market__list_deals", "{}").await;
        answer.refused("rate_limited");
        let wait_ms = answer.refusal()["retry_after_ms"].as_u64().unwrap();
        assert!(wait_ms <= 30_000, "a token comes every 30 s, not in {wait_ms} ms");
        assert_eq!(answer.status, if door == Door::Rest { 429 } else { 200 });
        let other = gate.agent("eve", "buyer", door).await;
        other.call("market__list_deals", "{}").await.executed();
        assert_eq!(gate.executed().len(), 3);
    }
}

#[tokio::test]
async fn of_too_many_requests_of_one_address() {
    let limit = "\n[[limit]]\nname = \"door\"\nroute = \"ROUTE\"\nrate = \"2/min\"\nper = \"address\"\n";
    for (door, route) in [(Door::Rest, "rest"), (Door::Modern, "mcp")] {
        let gate = Setup::default().and(&limit.replace("ROUTE", route)).start().await;
        let buyer = gate.agent("bob", "buyer", door).await;
        for _ in 0..2 {
            buyer.call("market__list_deals", "{}").await.executed();
        }
        let answer = buyer.call("market__list_deals", "{}").await;
        assert_eq!(answer.status, 429, "at the edge it is HTTP, at both doors");
        answer.refused("rate_limited");
    }
}

#[tokio::test]
async fn of_a_call_that_has_not_ended() {
    let gate = Setup { servers: odd::server(), ..Setup::default() }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let first = {
        let buyer = buyer.clone();
        tokio::spawn(async move { buyer.call_with("odd__hold", MONEY, Some("k")).await })
    };
    until("the call", async || (odd::executed(gate.folder()).len() == 1).then_some(())).await;
    for caller in Door::ALL.map(|door| buyer.at(door)) {
        let answer = caller.call_with("odd__hold", MONEY, Some("k")).await;
        answer.refused("idempotency_key_in_progress");
        assert!(answer.refusal()["retry_after_ms"].is_u64());
        caller.call_with("odd__echo", MONEY, Some("k")).await.refused("idempotency_key_conflict");
    }
    odd::let_go(gate.folder());
    first.await.unwrap().executed();
    assert_eq!(odd::executed(gate.folder()).len(), 1);
}

/// As many calls of one agent as the gate handles at a time.
const CALLS_PER_PRINCIPAL_MAX: usize = 256;

#[tokio::test]
async fn of_too_many_calls_that_have_not_ended() {
    let gate = Setup { servers: odd::server(), ..Setup::default() }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let mut held = tokio::task::JoinSet::new();
    for number in 0..CALLS_PER_PRINCIPAL_MAX {
        let buyer = buyer.clone();
        let arguments = format!(r#"{{"amount":"0.01","currency":"EUR","n":{number}}}"#);
        held.spawn(async move { buyer.call("odd__hold", &arguments).await });
    }
    let begun = async || (odd::executed(gate.folder()).len() == CALLS_PER_PRINCIPAL_MAX).then_some(());
    until("the calls", begun).await;
    for caller in Door::ALL.map(|door| buyer.at(door)) {
        caller.call("odd__echo", MONEY).await.refused("overloaded");
    }
    let other = gate.agent("eve", "buyer", Door::Rest).await;
    other.call("odd__echo", MONEY).await.executed();
    odd::let_go(gate.folder());
    for answer in held.join_all().await {
        answer.executed();
    }
    buyer.call("odd__echo", MONEY).await.executed();
}

#[tokio::test]
async fn of_the_upstream() {
    let gate = Setup { servers: odd::server(), ..Setup::default() }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    for (number, caller) in Door::ALL.map(|door| buyer.at(door)).into_iter().enumerate() {
        let arguments = format!(r#"{{"amount":"1.0{number}","currency":"EUR","code":-32050}}"#);
        caller.call("odd__error", &arguments).await.refused("upstream_error");
        let answer = caller.call("odd__die", &arguments).await;
        answer.refused("outcome_unknown");
        // It comes back by itself.
        until("the server", async || caller.call("odd__echo", &arguments).await.code().is_none().then_some(())).await;
    }
}
