//! Killed in the middle of the work: no answer is lost, nothing is executed twice.

use std::collections::BTreeMap;

use tokio::task::JoinSet;

use crate::harness::{Answer, Caller, Door, Gate, Setup, market, odd, until};

const AGENTS: usize = 4;
const CALLS: usize = 40;

/// What an agent heard of a call before the gate was killed.
type Heard = BTreeMap<(usize, usize), Option<Answer>>;

fn deal(agent: usize, number: usize) -> String {
    market::deal(&format!("deal {agent}/{number}"))
}

fn key(round: usize, number: usize) -> String {
    format!("round-{round}-call-{number}")
}

/// Every agent makes one call after the other; the gate is killed when enough of them were executed.
async fn work_and_kill(gate: &mut Gate, round: usize, agents: &[Caller]) -> Heard {
    let before = gate.executed().len();
    let mut working = JoinSet::new();
    for (index, agent) in agents.iter().enumerate() {
        let agent = agent.moved_to(gate.url()).at(Door::ALL[index % 3]);
        working.spawn(async move {
            let mut heard = Heard::new();
            for number in 0..CALLS {
                let arguments = deal(index, number + round * CALLS);
                let answer = agent.try_call("market__create_deal", &arguments, Some(&key(round, number))).await;
                let dead = answer.is_err();
                heard.insert((index, number), answer.ok());
                if dead {
                    break;
                }
            }
            heard
        });
    }
    let enough = before + 5 + round * 7;
    until("enough work", async || (gate.executed().len() >= enough).then_some(())).await;
    gate.kill().await;
    let heard: Heard = working.join_all().await.into_iter().flatten().collect();
    assert!(heard.values().any(Option::is_none), "it was killed in the middle");
    heard
}

#[tokio::test]
async fn under_load() {
    let mut gate = Setup::default().start().await;
    let mut agents = Vec::new();
    for index in 0..AGENTS {
        agents.push(gate.agent(&format!("agent-{index}"), "buyer", Door::Rest).await);
    }
    for round in 0..3 {
        let heard = work_and_kill(&mut gate, round, &agents).await;
        gate.start().await;
        gate.ready().await;
        for ((index, number), answer) in heard {
            let agent = agents[index].moved_to(gate.url()).at(Door::ALL[(index + 1) % 3]);
            let arguments = deal(index, number + round * CALLS);
            let count = || gate.executed().iter().filter(|entry| entry.arguments == arguments).count();
            let before = count();
            let again = agent.call_with("market__create_deal", &arguments, Some(&key(round, number))).await;
            match answer {
                Some(answer) => {
                    answer.executed();
                    assert!(again.executed().replayed(), "an answer that was given is kept");
                    assert_eq!(again.result()["structuredContent"], answer.result()["structuredContent"]);
                    assert_eq!((before, count()), (1, 1));
                }
                // It ran and nobody heard of it, or it did not: only the gate's owner can find out, or its answer was kept.
                None => match again.code() {
                    Some(_) => {
                        again.refused("outcome_unknown");
                        assert!(before <= 1 && count() == before);
                    }
                    None if again.replayed() => assert_eq!((before, count()), (1, 1)),
                    None => assert_eq!((before, count()), (0, 1), "it had not begun"),
                },
            }
        }
    }
    let verified = gate.cli(&["audit", "verify", "--json"]).await.json();
    assert_eq!(verified["ok"], true, "{verified}");
}

#[tokio::test]
async fn a_call_that_was_in_flight_is_unknown_for_ever() {
    let mut gate = Setup { servers: odd::server(), ..Setup::default() }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let money = r#"{"amount":"400.00","currency":"EUR"}"#;
    let mut calls = JoinSet::new();
    for key in [Some("k"), None] {
        let buyer = buyer.clone();
        let money = if key.is_some() { money } else { r#"{"amount":"400.00","currency":"EUR","n":1}"# };
        calls.spawn(async move { buyer.try_call("odd__hold", money, key).await.is_err() });
    }
    until("both calls", async || (odd::executed(gate.folder()).len() == 2).then_some(())).await;
    gate.kill().await;
    assert_eq!(calls.join_all().await, [true, true]);
    odd::let_go(gate.folder());
    for _ in 0..2 {
        gate.start().await;
        gate.ready().await;
        let buyer = buyer.moved_to(gate.url());
        for caller in Door::ALL.map(|door| buyer.at(door)) {
            caller.call_with("odd__hold", money, Some("k")).await.refused("outcome_unknown");
            // The one without a key is known by what it was.
            caller.call("odd__hold", r#"{"n":1,"currency":"EUR","amount":"400.00"}"#).await.refused("outcome_unknown");
        }
        assert_eq!(odd::executed(gate.folder()).len(), 2);
        gate.kill().await;
    }
}
