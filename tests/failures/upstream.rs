//! Servers that cannot be reached, and servers that do not say what they did.

use std::path::Path;

use serde_json::{Value, json};

use super::{assert_money, euros, money, refused, resolved_both_ways};
use crate::harness::gate::POLICIES;
use crate::harness::{Answer, Caller, Door, Doors, Gate, Setup, here, odd, until};

/// A gate that knew its server's tools before the server and its program went away; and where the program was.
async fn gone() -> (Gate, Caller, Vec<String>) {
    let folder = tempfile::tempdir().unwrap().keep();
    let script = folder.join("odd_server.py");
    std::fs::copy(here().join("servers/odd_server.py"), &script).unwrap();
    let command = vec!["python3".to_owned(), script.to_str().unwrap().to_owned(), "odd.jsonl".to_owned()];
    let servers = format!("\n[[server]]\nname = \"odd\"\ncommand = {command:?}\n");
    let gate = Setup { servers, ..Setup::default() }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    buyer.call("odd__echo", &euros("0", 9, "").0).await.executed();
    std::fs::remove_dir_all(&folder).unwrap();
    odd::kill(gate.folder()).await;
    until("the end of the server", async || {
        (buyer.call("odd__echo", &euros("0", 9, "").0).await.code() == Some("upstream_unavailable")).then_some(())
    })
    .await;
    (gate, buyer, command)
}

#[tokio::test]
async fn one_that_is_gone() {
    let (gate, buyer, command) = gone().await;
    let mut doors = Doors::new(&gate, &buyer, "odd", &command);
    // Four of these are all that may be spent in a day: were the first ones' money held, there would be none.
    let call = |number| euros("500", number, "");
    for _ in 0..2 {
        let answers = doors.call("odd__echo", call).await;
        let words = "`odd__echo` was not called, and may be called again later";
        refused(&gate, &answers, "upstream_unavailable", words, &["STARTED", "FAILED"]).await;
        assert_money(money(&gate).await, 0, 0);
    }
    let ready = buyer.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["degraded"]), (200, &true.into()), "{}", ready.text);
    assert!(ready.body["reasons"].to_string().contains("odd"), "{}", ready.text);
    assert_eq!(gate.cli(&["outcome", "list", "--json"]).await.json(), json!([]));

    let script = Path::new(&command[1]);
    std::fs::create_dir(script.parent().unwrap()).unwrap();
    std::fs::copy(here().join("servers/odd_server.py"), script).unwrap();
    crate::upstream::served(&buyer, "odd__echo", &euros("0", 9, "").0).await.executed();
    for answer in doors.call("odd__echo", call).await {
        assert!(!answer.executed().replayed(), "the same key, for the first time: {}", answer.text);
    }
    assert_money(money(&gate).await, 2000, 0);
    std::fs::remove_dir_all(script.parent().unwrap()).unwrap();
}

fn began(gate: &Gate, tool: &str) -> usize {
    odd::executed(gate.folder()).iter().filter(|entry| entry["tool"] == *tool).count()
}

/// Calls of the tool, one through each door and all under way at the same time, when the server goes wrong.
async fn under_way(
    gate: &Gate,
    doors: &mut Doors,
    tool: &str,
    call: impl Fn(usize) -> (String, Option<String>),
) -> Vec<Answer> {
    let started = async {
        until("the calls", async || (began(gate, tool) >= Doors::COUNT).then_some(())).await;
        odd::let_go(gate.folder());
    };
    let name = format!("odd__{tool}");
    tokio::join!(doors.call(&name, call), started).0
}

/// A server that does this in the middle of calls.
async fn goes_wrong(tool: &str, servers: String, why: &str) {
    let gate = Setup { servers, ..Setup::default() }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let mut doors = Doors::to_odd(&gate, &buyer);
    let call = |number| euros("100", number, r#","hold":true"#);
    let answers = under_way(&gate, &mut doors, tool, call).await;
    refused(&gate, &answers, "outcome_unknown", why, &["STARTED", "UNKNOWN"]).await;
    for answer in &answers {
        assert_eq!(answer.details()["executed"], Value::Null, "{}", answer.text);
    }
    crate::upstream::served(&buyer, "odd__echo", &euros("0", 9, "").0).await.executed();
    resolved_both_ways(&gate, &mut doors, &format!("odd__{tool}"), call, || began(&gate, tool)).await;
    assert_eq!(began(&gate, tool), Doors::COUNT);
}

#[tokio::test]
async fn one_that_is_silent() {
    goes_wrong("silent", odd::server_with_timeout("2s"), "did not answer").await;
}

#[tokio::test]
async fn one_that_dies() {
    goes_wrong("die", odd::server(), "outcome is not known").await;
}

#[tokio::test]
async fn one_that_talks_nonsense() {
    goes_wrong("garbage", odd::server_with_timeout("2s"), "did not answer").await;
}

/// The same with a person's agreement to each call: their approvals' ids.
async fn approved(tool: &str, more: &str) -> (Gate, Caller, Doors, Vec<String>) {
    let policies = POLICIES.replacen(
        "\n\n[[policy]]\nname = \"spending",
        "\nconfirm = [\"odd__*\"]\n\n[[policy]]\nname = \"spending",
        1,
    );
    let gate = Setup { servers: odd::server(), ..Setup::policies(policies) }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let ann = gate.person("ann", "approver").await;
    let mut doors = Doors::to_odd(&gate, &buyer);
    let mut ids = Vec::new();
    for answer in doors.call(tool, |number| (euros("100", number, more).0, None)).await {
        let id = answer.refused("approval_required").refusal()["approval"].as_str().unwrap().to_owned();
        assert_eq!(ann.send_json(&format!("/v1/approvals/{id}/approve"), &json!({})).await.status, 200);
        ids.push(id);
    }
    (gate, buyer, doors, ids)
}

async fn standing(buyer: &Caller, ids: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for id in ids {
        found.push(buyer.get(&format!("/v1/approvals/{id}")).await.body["status"].as_str().unwrap().to_owned());
    }
    found
}

#[tokio::test]
async fn an_approval_of_what_was_not_done_can_be_used_again() {
    let more = r#","code":-32601"#;
    let (gate, buyer, mut doors, ids) = approved("odd__error", more).await;
    for _ in 0..2 {
        let answers = doors.call("odd__error", |number| (euros("100", number, more).0, None)).await;
        refused(&gate, &answers, "upstream_error", "as you wish", &["STARTED", "FAILED"]).await;
        assert_eq!(standing(&buyer, &ids).await, ["approved"; Doors::COUNT]);
    }
    assert_money(money(&gate).await, 0, 0);
    assert_eq!(began(&gate, "error"), 2 * Doors::COUNT);
}

#[tokio::test]
async fn an_approval_of_what_nobody_knows_is_used_until_an_owner_resolves_it() {
    let more = r#","hold":true"#;
    let (gate, buyer, mut doors, ids) = approved("odd__die", more).await;
    let call = |number| (euros("100", number, more).0, None);
    let answers = under_way(&gate, &mut doors, "die", call).await;
    refused(&gate, &answers, "outcome_unknown", "outcome is not known", &["STARTED", "UNKNOWN"]).await;
    assert_eq!(standing(&buyer, &ids).await, ["used"; Doors::COUNT]);
    let again = doors.call_elsewhere("odd__die", call).await;
    refused(&gate, &again, "outcome_unknown", "outcome is not known", &["ACCESS_DENIED"]).await;
    for (number, id) in ids.iter().enumerate() {
        buyer.call_for("odd__die", &call(number).0, id).await.refused("outcome_unknown");
    }
    assert_eq!(began(&gate, "die"), Doors::COUNT);

    let open = gate.cli(&["outcome", "list", "--json"]).await.json();
    for (number, id) in ids.iter().enumerate() {
        let open = open.as_array().unwrap().iter().find(|open| open["approval"] == id.as_str()).unwrap();
        let found = if number < 2 { "--executed" } else { "--not-executed" };
        assert_eq!(gate.cli(&["outcome", "resolve", open["id"].as_str().unwrap(), found]).await.code, 0);
    }
    assert_eq!(standing(&buyer, &ids).await, ["used", "used", "approved", "approved"]);
    assert_money(money(&gate).await, 200, 0);
    for answer in doors.call("odd__die", |number| call(number % 2)).await {
        answer.refused("outcome_unknown");
        assert_eq!(answer.details()["resolved"], true, "{}", answer.text);
    }
    for number in 2..Doors::COUNT {
        // While the server is on its way back nothing is sent, and the approval is not used either.
        let answer = crate::upstream::served(&buyer, "odd__die", &call(number).0).await;
        assert_eq!(answer.refused("outcome_unknown").details()["resolved"], Value::Null, "{}", answer.text);
    }
    assert_eq!(standing(&buyer, &ids).await, ["used"; Doors::COUNT]);
    assert_eq!(began(&gate, "die"), Doors::COUNT + 2, "each of what was not done is done once");
}
