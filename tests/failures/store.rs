//! A disk that is full: before a call nothing is done, after it nothing is forgotten.

use super::{assert_money, euros, money, resolved_both_ways};
use crate::harness::{Door, Doors, Gate, Setup, market, odd, until};

/// A gate whose log does not stop when its disk is full.
async fn logging(servers: String) -> Gate {
    let mut gate = Setup { servers, ..Setup::default() }.write();
    gate.log_through_a_pipe();
    gate.start().await;
    gate.ready().await;
    gate
}

async fn told(gate: &Gate, what: &str) {
    until(what, async || gate.log().contains(what).then_some(())).await;
}

#[tokio::test]
async fn before_the_call() {
    let mut gate = logging(market::server()).await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    buyer.call_with("market__make_offer", &market::offer("500", "EUR"), Some("done")).await.executed();
    let mut doors = Doors::to_market(&gate, &buyer);
    let offer = |number: usize| (market::numbered_offer(number, "375", "\"EUR\""), Some(format!("key-{number}")));
    for answer in doors.call("market__list_deals", |number| ("{}".to_owned(), Some(format!("look-{number}")))).await {
        answer.executed();
    }
    let (written, executed) = (gate.audit().await.len(), gate.executed().len());
    gate.fill_disk().await;
    for _ in 0..2 {
        for answer in doors.call("market__make_offer", offer).await {
            let refusal = answer.refused("store_unavailable").refusal();
            let message = refusal["message"].as_str().unwrap();
            assert!(message.contains("nothing was done") && message.contains("try again later"), "{message}");
            assert!(refusal["retry_after_ms"].is_u64(), "{}", answer.text);
        }
    }
    // What is kept is no answer either, while nobody can write down that it was given.
    buyer
        .call_with("market__make_offer", &market::offer("500", "EUR"), Some("done"))
        .await
        .refused("store_unavailable");
    let ready = buyer.get("/readyz").await;
    assert!(ready.status == 503 && ready.body["reasons"].to_string().contains("store"), "{}", ready.text);
    assert_eq!(gate.executed().len(), executed, "no audit, no call");
    told(&gate, "the store takes no changes").await;

    gate.restart().await;
    assert_eq!(gate.audit().await.len(), written, "what could not be written is not there");
    assert_money(money(&gate).await, 500, 0);
    // Keys and money are free: all of these together fit under the cap.
    let mut doors = Doors::to_market(&gate, &buyer);
    for answer in doors.call("market__make_offer", offer).await {
        assert!(!answer.executed().replayed(), "{}", answer.text);
    }
    assert_money(money(&gate).await, 2000, 0);
    let verified = gate.cli(&["audit", "verify", "--json"]).await.json();
    assert_eq!(verified["ok"], true, "{verified}");
}

#[tokio::test]
async fn after_the_call() {
    let mut gate = logging(odd::server()).await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let mut doors = Doors::to_odd(&gate, &buyer);
    let call = |number| euros("100", number, "");
    let held = tokio::spawn(async move { doors.call("odd__hold", call).await });
    let ran = || odd::executed(gate.folder()).len();
    until("the calls", async || (ran() == Doors::COUNT).then_some(())).await;
    gate.fill_disk().await;
    odd::let_go(gate.folder());
    for answer in held.await.unwrap() {
        let message = answer.refused("outcome_unknown").refusal()["message"].as_str().unwrap();
        assert!(message.contains("the tool ran") && message.contains("not executed again"), "{message}");
        assert_eq!(answer.details()["executed"], true, "{}", answer.text);
        let id = answer.correlation_id().as_str().unwrap();
        until("the log has it", async || {
            let log = gate.log();
            log.lines().any(|line| line.contains(id) && line.contains("could not be written down")).then_some(())
        })
        .await;
    }
    assert_eq!(buyer.get("/readyz").await.status, 503);

    gate.restart().await;
    let mut doors = Doors::to_odd(&gate, &buyer);
    resolved_both_ways(&gate, &mut doors, "odd__hold", call, || {
        odd::executed(gate.folder()).iter().filter(|entry| entry["tool"] == "hold").count()
    })
    .await;
}
