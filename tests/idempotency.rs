//! A call that was made once is not made again.

use tokio::task::JoinSet;

use crate::harness::{Answer, Caller, Door, Setup, market, odd, until};

const TOOL: &str = "market__create_deal";

async fn at_once(calls: impl IntoIterator<Item = (Caller, &'static str, String, Option<String>)>) -> Vec<Answer> {
    let mut running = JoinSet::new();
    for (caller, tool, arguments, key) in calls {
        running.spawn(async move { caller.call_with(tool, &arguments, key.as_deref()).await });
    }
    running.join_all().await
}

/// The answer itself, without what a replay adds to it.
fn bare(answer: &Answer) -> serde_json::Value {
    let mut result = answer.result().clone();
    let members = result.as_object_mut().unwrap();
    members.remove("_meta");
    members.remove("resultType");
    result
}

#[tokio::test]
async fn the_same_call_again_gets_the_same_answer() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let mut executed = 0;
    for door in Door::ALL {
        let key = format!("key-{door:?}");
        let first = buyer.at(door).call_with(TOOL, &market::deal("a"), Some(&key)).await;
        assert!(!first.executed().replayed());
        executed += 1;
        for other in Door::ALL {
            // Written differently, it is still the same.
            let arguments = r#"{ "currency":"EUR", "price":"1.00","\u0074itle":"a"}"#;
            let again = buyer.at(other).call_with(TOOL, arguments, Some(&key)).await;
            assert!(again.executed().replayed(), "{door:?} {other:?}");
            assert_eq!(bare(&again), bare(&first));
        }
        assert_eq!(gate.executed().len(), executed);
    }
}

#[tokio::test]
async fn quoted_and_bare_keys_are_the_same() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    buyer.call_with(TOOL, &market::deal("a"), Some("\"x\"")).await.executed();
    for door in Door::ALL {
        assert!(buyer.at(door).call_with(TOOL, &market::deal("a"), Some("x")).await.executed().replayed());
    }
    assert_eq!(gate.executed().len(), 1);
}

#[tokio::test]
async fn a_key_belongs_to_one_call_of_one_agent() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    buyer.call_with(TOOL, &market::deal("a"), Some("k")).await.executed();
    for door in Door::ALL {
        let caller = buyer.at(door);
        caller.call_with(TOOL, &market::deal("b"), Some("k")).await.refused("idempotency_key_conflict");
        let vote = r#"{"deal_id":"deal-1"}"#;
        caller.call_with("market__vote_deal", vote, Some("k")).await.refused("idempotency_key_conflict");
    }
    let other = gate.agent("eve", "buyer", Door::Rest).await;
    assert!(!other.call_with(TOOL, &market::deal("b"), Some("k")).await.executed().replayed());
    assert_eq!(gate.executed().len(), 2);
}

#[tokio::test]
async fn numbers_that_differ_beyond_a_double_are_different_calls() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let deal = |price: &str| format!(r#"{{"title":"t","price":{price},"currency":"EUR"}}"#);
    buyer.call_with(TOOL, &deal("9007199254740993"), Some("k")).await.executed();
    let answer = buyer.call_with(TOOL, &deal("9007199254740992"), Some("k")).await;
    answer.refused("idempotency_key_conflict");
    buyer.call_with(TOOL, &deal("1099.10"), Some("l")).await.executed();
    assert!(buyer.call_with(TOOL, &deal("1099.1"), Some("l")).await.executed().replayed());
}

#[tokio::test]
async fn of_64_at_once_one_is_executed() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let calls = (0..64).map(|n| (buyer.at(Door::ALL[n % 3]), TOOL, market::deal("a"), Some("k".to_owned())));
    let answers = at_once(calls).await;
    assert_eq!(gate.executed().len(), 1);
    let first = answers.iter().filter(|answer| answer.code().is_none() && !answer.replayed()).count();
    assert_eq!(first, 1, "one was executed");
    for answer in answers.iter().filter(|answer| answer.code().is_some()) {
        answer.refused("idempotency_key_in_progress");
    }
    assert!(buyer.call_with(TOOL, &market::deal("a"), Some("k")).await.executed().replayed());
}

#[tokio::test]
async fn a_restart_forgets_no_answer() {
    let mut gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Modern).await;
    let first = buyer.call_with(TOOL, &market::deal("a"), Some("k")).await;
    first.executed();
    gate.restart().await;
    let buyer = buyer.moved_to(gate.url());
    for door in Door::ALL {
        let again = buyer.at(door).call_with(TOOL, &market::deal("a"), Some("k")).await;
        assert!(again.executed().replayed());
        assert_eq!(bare(&again), bare(&first));
        buyer.at(door).call_with(TOOL, &market::deal("b"), Some("k")).await.refused("idempotency_key_conflict");
    }
    assert_eq!(gate.executed().len(), 1);
}

#[tokio::test]
async fn a_refusal_claims_no_key() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let offer = |amount| market::offer(amount, "EUR");
    buyer.call_with("market__make_offer", &offer("500.01"), Some("k")).await.refused("cap_exceeded");
    buyer.call_with("market__make_offer", &offer("-1"), Some("k")).await.refused("denied");
    assert!(!buyer.call_with("market__make_offer", &offer("1.00"), Some("k")).await.executed().replayed());
    assert_eq!(gate.executed().len(), 1);
}

#[tokio::test]
async fn a_tools_own_error_is_an_answer() {
    let gate = Setup { servers: odd::server(), ..Setup::default() }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Modern).await;
    let money = r#"{"amount":"1.00","currency":"EUR"}"#;
    for _ in 0..2 {
        let answer = buyer.call_with("odd__fail", money, Some("k")).await;
        assert_eq!(answer.result()["isError"], true, "{}", answer.text);
        assert!(answer.decision()["correlation_id"].is_string());
    }
    assert_eq!(odd::executed(gate.folder()).len(), 1);
}

/// Most model clients send no key.
#[tokio::test]
async fn an_identical_call_without_a_key_waits_for_its_twin() {
    let gate = Setup { servers: odd::server(), ..Setup::default() }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let money = r#"{"amount":"1.00","currency":"EUR"}"#;
    let first = tokio::spawn({
        let buyer = buyer.clone();
        async move { buyer.call("odd__hold", money).await }
    });
    until("the call", async || (odd::executed(gate.folder()).len() == 1).then_some(())).await;
    for door in Door::ALL {
        buyer
            .at(door)
            .call("odd__hold", r#"{"currency":"EUR","amount":"1.00"}"#)
            .await
            .refused("idempotency_key_in_progress");
    }
    let other = gate.agent("eve", "buyer", Door::Rest).await;
    let others = tokio::spawn(async move { other.call("odd__hold", money).await });
    until("the other agent's call", async || (odd::executed(gate.folder()).len() == 2).then_some(())).await;
    odd::let_go(gate.folder());
    first.await.unwrap().executed();
    others.await.unwrap().executed();
    buyer.call("odd__hold", money).await.executed();
    assert_eq!(odd::executed(gate.folder()).len(), 3, "a twin of a call that has ended is a call of its own");
}

#[tokio::test]
async fn a_tool_can_want_a_key_or_make_one() {
    let tools = "\n[[tool]]\nname = \"market__create_deal\"\nidempotency = \"required\"\n\
                 \n[[tool]]\nname = \"market__vote_deal\"\nidempotency = \"derive\"\n";
    let gate = Setup::default().and(tools).start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    for door in Door::ALL {
        buyer.at(door).call(TOOL, &market::deal("a")).await.refused("invalid_arguments");
    }
    let vote = |deal: usize| format!(r#"{{"deal_id":{deal}}}"#);
    assert!(!buyer.call("market__vote_deal", &vote(1)).await.executed().replayed());
    for door in Door::ALL {
        assert!(buyer.at(door).call("market__vote_deal", &vote(1)).await.executed().replayed());
    }
    assert!(!buyer.call("market__vote_deal", &vote(2)).await.executed().replayed());
    assert_eq!(gate.executed().len(), 2);
}
