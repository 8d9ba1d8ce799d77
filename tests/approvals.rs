//! Approvals: an agent asks, persons decide, and the call is executed once.

use serde_json::{Value, json};

use crate::harness::{Answer, Caller, Door, Gate, Setup, until};

/// A role that may reveal contacts and create orders, both only after a person agrees.
const POLICIES: &str = r#"
[[policy]]
name = "rbac"
module = "bundled:rbac"
[policy.settings.roles.seller]
allow = ["market__request_contact_reveal", "market__create_order", "market__list_deals", "market__make_offer"]
confirm = ["market__request_contact_reveal", "market__create_order"]

[[policy]]
name = "caps"
module = "bundled:spending-caps"
[[policy.settings.charges]]
tools = ["market__create_order", "market__make_offer"]
amount = "/amount"
currency = "/currency"
[[policy.settings.limits]]
max = "500.00"
currency = "EUR"
per = "transaction"
[[policy.settings.limits]]
max = "800.00"
currency = "EUR"
window = "24h"
"#;

const REVEAL: &str = "market__request_contact_reveal";

fn reveal(number: usize) -> String {
    json!({ "tx_id": format!("tx-{number}") }).to_string()
}

fn order(amount: &str) -> String {
    format!(r#"{{"customer":"c-1","amount":"{amount}","currency":"EUR"}}"#)
}

async fn gate_and_seller() -> (Gate, Caller) {
    let gate = Setup::policies(POLICIES).start().await;
    let seller = gate.agent("sam", "seller", Door::Rest).await;
    (gate, seller)
}

/// The approval that a refused call waits for.
#[track_caller]
fn waits_for(answer: &Answer) -> String {
    answer.refused("approval_required");
    let id = answer.refusal()["approval"].as_str().unwrap().to_owned();
    assert_eq!(answer.details()["approval"], id);
    assert!(answer.details()["summary"].is_string() && answer.details()["expires_at"].is_string(), "{}", answer.text);
    id
}

async fn approve(gate: &Gate, id: &str) {
    assert_eq!(gate.cli(&["approvals", "approve", id, "--json"]).await.json()["status"], "approved");
}

#[tokio::test]
async fn a_call_waits_for_a_person_and_is_executed_once_at_every_door() {
    let (gate, seller) = gate_and_seller().await;
    for (number, door) in Door::ALL.into_iter().enumerate() {
        let caller = seller.at(door);
        let asked = caller.call(REVEAL, &reveal(number)).await;
        let id = waits_for(&asked);
        assert_eq!(gate.executed().len(), number, "nothing is done before");
        assert_eq!(waits_for(&caller.call(REVEAL, &reveal(number)).await), id, "the same call finds its approval");
        assert_eq!(caller.at(Door::Rest).get(&format!("/v1/approvals/{id}")).await.body["status"], "pending");

        let listed = gate.cli(&["approvals", "list", "--json"]).await.json();
        let found = listed.as_array().unwrap().iter().find(|approval| approval["id"] == *id).unwrap();
        for (member, value) in [("action", REVEAL), ("agent", "sam"), ("status", "pending")] {
            assert_eq!(found[member], value);
        }
        assert_eq!(found["context"], json!({ "tx_id": format!("tx-{number}") }));
        assert!(found["created_at"].as_str().unwrap() < found["expires_at"].as_str().unwrap());

        approve(&gate, &id).await;
        let other = caller.call(REVEAL, &reveal(number + 100)).await;
        assert_ne!(waits_for(&other), id, "an approval is for one call");
        let done = caller.call(REVEAL, &reveal(number)).await;
        assert!(!done.executed().replayed());
        let again = caller.call(REVEAL, &reveal(number)).await;
        assert!(again.executed().replayed(), "it answers like an idempotency key: {}", again.text);
        assert_eq!(again.result()["structuredContent"], done.result()["structuredContent"]);
        assert_eq!(gate.executed().len(), number + 1);
        assert_eq!(seller.get(&format!("/v1/approvals/{id}")).await.body["status"], "used");
    }
    let audit = gate.audit().await;
    let statuses =
        |status: &str| audit.iter().filter(|entry| entry["status"] == status && entry["action"] == REVEAL).count();
    assert_eq!((statuses("PENDING_CONFIRMATION"), statuses("CONFIRMED"), statuses("COMPLETED")), (9, 3, 3));
    let started = audit.iter().find(|entry| entry["status"] == "STARTED").unwrap();
    assert!(started["metadata"]["approval"].as_str().unwrap().starts_with("appr_"), "{started}");
}

#[tokio::test]
async fn a_thousand_uses_of_one_approval_execute_once() {
    let (gate, seller) = gate_and_seller().await;
    let id = waits_for(&seller.call(REVEAL, &reveal(1)).await);
    approve(&gate, &id).await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..1000 {
        let caller = seller.at(Door::ALL[number % 3]);
        let id = id.clone();
        calls.spawn(async move {
            match number % 4 {
                0 => caller.call_for(REVEAL, &reveal(1), &id).await,
                1 => caller.call_with(REVEAL, &reveal(1), Some(&format!("key-{number}"))).await,
                2 => caller.call_with(REVEAL, &reveal(1), Some("one-key")).await,
                _ => caller.call(REVEAL, &reveal(1)).await,
            }
        });
    }
    let mut first = 0;
    while let Some(answer) = calls.join_next().await {
        let answer = answer.unwrap();
        match answer.code() {
            None => first += usize::from(!answer.executed().replayed()),
            Some("overloaded" | "idempotency_key_in_progress" | "approval_required") => {}
            Some(_) => panic!("{}", answer.text),
        }
    }
    assert_eq!(first, 1);
    assert_eq!(gate.executed().len(), 1);
    let used = gate.cli(&["approvals", "show", &id, "--json"]).await.json();
    assert_eq!((&used["status"], used["used_by"].is_string()), (&json!("used"), true));
}

#[tokio::test]
async fn everything_is_evaluated_again_when_the_call_comes_back() {
    let (gate, seller) = gate_and_seller().await;
    seller.call("market__create_order", &order("500.01")).await.refused("cap_exceeded");
    assert!(
        gate.cli(&["approvals", "list", "--json"]).await.json().as_array().unwrap().is_empty(),
        "nobody is asked in vain"
    );
    let one = waits_for(&seller.call("market__create_order", &order("450")).await);
    let two = waits_for(&seller.call("market__create_order", &order("400")).await);
    approve(&gate, &one).await;
    approve(&gate, &two).await;
    seller.call("market__create_order", &order("450")).await.executed();
    seller.call("market__create_order", &order("400")).await.refused("cap_exceeded");
    assert_eq!(gate.executed().len(), 1);
    assert_eq!(seller.get(&format!("/v1/approvals/{two}")).await.body["status"], "approved", "it was not used");
    assert_eq!(gate.cli(&["agent", "revoke", "sam"]).await.code, 0);
    seller.call("market__create_order", &order("350")).await.refused("unauthenticated");
}

#[tokio::test]
async fn a_rejection_is_told_and_stands() {
    let (gate, seller) = gate_and_seller().await;
    let id = waits_for(&seller.call(REVEAL, &reveal(1)).await);
    assert_eq!(gate.cli(&["approvals", "reject", &id]).await.code, 2, "a reason is needed");
    let said = gate.cli(&["approvals", "reject", &id, "--reason", "not to this seller"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    for door in Door::ALL {
        for answer in
            [seller.at(door).call(REVEAL, &reveal(1)).await, seller.at(door).call_for(REVEAL, &reveal(1), &id).await]
        {
            let message = answer.refused("approval_rejected").refusal()["message"].to_string();
            assert!(message.contains("not to this seller"), "{message}");
        }
    }
    let late = gate.cli(&["approvals", "approve", &id]).await;
    assert!(late.code == 1 && late.stderr.contains("rejected already"), "{late:?}");
    assert_eq!(gate.executed().len(), 0);
}

#[tokio::test]
async fn nobody_decides_in_time() {
    let policies = POLICIES.replace(
        "[[policy]]\nname = \"caps\"",
        "[[policy]]\nname = \"approvals\"\nmodule = \"bundled:approvals\"\n\
         [[policy.settings.rules]]\ntools = [\"market__list_deals\"]\nexpires = \"1s\"\nsummary = \"look\"\n\n[[policy]]\nname = \"caps\"",
    );
    let gate = Setup::policies(policies).start().await;
    let seller = gate.agent("sam", "seller", Door::Modern).await;
    let id = waits_for(&seller.call("market__list_deals", "{}").await);
    let status = async || seller.at(Door::Rest).get(&format!("/v1/approvals/{id}")).await.body["status"].clone();
    until("the end of its time", async || (status().await == "expired").then_some(())).await;
    seller.call_for("market__list_deals", "{}", &id).await.refused("approval_expired");
    let late = gate.cli(&["approvals", "approve", &id]).await;
    assert!(late.code == 1 && late.stderr.contains("expired already"), "{late:?}");
    assert_ne!(waits_for(&seller.call("market__list_deals", "{}").await), id, "repeating the call asks again");
    until("the entry", async || {
        gate.audit()
            .await
            .iter()
            .any(|entry| entry["status"] == "EXPIRED" && entry["metadata"]["approval"]["id"] == *id)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn persons_decide_with_their_own_credential_at_the_owners_door() {
    let (gate, seller) = gate_and_seller().await;
    let agent = Caller::new(gate.owners_url(), seller.key.as_deref(), Door::Rest);
    let (approver, auditor) = (gate.person("ann", "approver").await, gate.person("max", "auditor").await);
    let stranger = Caller::new(gate.owners_url(), None, Door::Rest);
    let id = waits_for(&seller.call(REVEAL, &reveal(1)).await);
    let path = format!("/v1/approvals/{id}/approve");
    for (who, status) in [(&stranger, 401), (&agent, 403), (&auditor, 403)] {
        assert_eq!(who.send_json(&path, &json!({})).await.status, status);
    }
    assert_eq!((agent.get("/v1/approvals").await.status, auditor.get("/v1/approvals").await.status), (403, 200));
    for path in [path.clone(), format!("/v1/approvals/{id}/reject")] {
        assert_eq!(approver.get(&path).await.status, 405, "a GET never decides");
    }
    let forged = approver.send_json(&path, &json!({ "person": "owner", "approver": "owner" })).await;
    assert_eq!(forged.status, 400, "who decides is not in the body: {}", forged.text);
    assert_eq!(approver.send_json(&format!("/v1/approvals/{id}/reject"), &json!({})).await.status, 400);
    assert_eq!(approver.send_json("/v1/approvals/appr_0/approve", &json!({})).await.status, 404);
    assert_eq!(approver.send_json("/v1/agents", &json!({"name": "x", "roles": ["seller"]})).await.status, 403);
    let decided = approver.send_json(&path, &json!({})).await;
    assert_eq!((decided.status, &decided.body["decisions"][0]["person"]), (200, &json!("ann")), "{}", decided.text);
    assert_eq!(approver.send_json(&path, &json!({})).await.status, 409);
    seller.call(REVEAL, &reveal(1)).await.executed();
    let confirmed: Vec<Value> = gate.audit().await.into_iter().filter(|entry| entry["status"] == "CONFIRMED").collect();
    assert_eq!((confirmed.len(), &confirmed[0]["principal"]), (1, &json!("ann")));

    let id = waits_for(&seller.call(REVEAL, &reveal(2)).await);
    assert_eq!(gate.cli(&["person", "revoke", "ann"]).await.code, 0);
    assert_eq!(approver.send_json(&format!("/v1/approvals/{id}/approve"), &json!({})).await.status, 401);
    assert_eq!(agent.get("/mcp").await.status, 404, "no tool is reached at the owners' door");
    assert_eq!(agent.send_json("/v1/tools/market__list_deals", &json!({})).await.status, 405);
}

#[tokio::test]
async fn a_gate_can_want_a_credential_at_its_socket() {
    let setup = Setup::policies(POLICIES);
    let setup = Setup { servers: format!("\n[approvals]\nsocket = false\n{}", setup.servers), ..setup };
    let mut gate = setup.start().await;
    let seller = gate.agent("sam", "seller", Door::Rest).await;
    let ann = gate.cli(&["person", "add", "ann", "--kind", "approver", "--json"]).await.json();
    let id = waits_for(&seller.call(REVEAL, &reveal(1)).await);
    let refused = gate.cli(&["approvals", "approve", &id]).await;
    assert!(refused.code == 1 && refused.stderr.contains("PORTCULLIS_PERSON_KEY"), "{refused:?}");
    let agents = gate.cli_as(seller.key.as_deref().unwrap(), &["approvals", "approve", &id]).await;
    assert!(agents.code == 1 && agents.stderr.contains("agent's"), "{agents:?}");
    let owner = gate.cli(&["person", "add", "olga", "--kind", "owner", "--json"]).await.json();
    let made_up = gate.cli(&["person", "add", "nobody", "--kind", "approver"]).await;
    assert!(made_up.code == 1 && made_up.stderr.contains("an owner's key"), "{made_up:?}");
    let added = gate.cli_as(owner["key"].as_str().unwrap(), &["person", "add", "eve", "--kind", "approver"]).await;
    assert_eq!(added.code, 0, "{added:?}");
    gate.terminate().await;
    let refused = gate.cli(&["approvals", "approve", &id]).await;
    assert!(refused.code == 1 && refused.stderr.contains("PORTCULLIS_PERSON_KEY"), "also without a gate: {refused:?}");
    gate.start().await;
    gate.ready().await;
    let said = gate.cli_as(ann["key"].as_str().unwrap(), &["approvals", "approve", &id, "--json"]).await.json();
    assert_eq!(said["decisions"][0]["person"], "ann");
    seller.moved_to(gate.url()).call(REVEAL, &reveal(1)).await.executed();
}

#[tokio::test]
async fn an_approval_outlives_the_gate() {
    let (mut gate, seller) = gate_and_seller().await;
    let id = waits_for(&seller.call(REVEAL, &reveal(1)).await);
    gate.kill().await;
    approve(&gate, &id).await;
    gate.start().await;
    gate.ready().await;
    let seller = seller.moved_to(gate.url());
    assert!(!seller.call(REVEAL, &reveal(1)).await.executed().replayed());
    gate.restart().await;
    let seller = seller.moved_to(gate.url());
    assert!(seller.call(REVEAL, &reveal(1)).await.executed().replayed());
    assert_eq!(gate.executed().len(), 1);
}

#[tokio::test]
async fn an_agent_sees_only_its_own_approvals() {
    let (gate, seller) = gate_and_seller().await;
    let other = gate.agent("eve", "seller", Door::Rest).await;
    let id = waits_for(&seller.call(REVEAL, &reveal(1)).await);
    assert_eq!(other.get(&format!("/v1/approvals/{id}")).await.status, 404);
    approve(&gate, &id).await;
    for door in Door::ALL {
        other.at(door).call_for(REVEAL, &reveal(1), &id).await.refused("invalid_arguments");
        assert_ne!(waits_for(&other.at(door).call(REVEAL, &reveal(1)).await), id);
        seller.at(door).call_for(REVEAL, &reveal(2), &id).await.refused("invalid_arguments");
    }
    assert_eq!(gate.executed().len(), 0);
}

const ASKING_LIMITS: &str = r#"
[[policy]]
name = "rbac"
module = "bundled:rbac"
[policy.settings.roles.seller]
allow = ["market__make_offer"]

[[policy]]
name = "caps"
module = "bundled:spending-caps"
[[policy.settings.charges]]
tools = ["market__make_offer"]
amount = "/amount"
currency = "/currency"
[[policy.settings.limits]]
max = "500.00"
currency = "EUR"
per = "transaction"
exceed = "ask"
[[policy.settings.limits]]
max = "800.00"
currency = "EUR"
window = "24h"
exceed = "ask"
"#;

#[tokio::test]
async fn only_the_limit_that_a_person_saw_is_passed_and_only_so_far() {
    let gate = Setup::policies(ASKING_LIMITS).start().await;
    let seller = gate.agent("sam", "seller", Door::Rest).await;
    let offer = async |amount: &str, listing: &str| {
        let arguments = json!({"listing_id": listing, "seller": "acme", "amount": amount, "currency": "EUR"});
        seller.call("market__make_offer", &arguments.to_string()).await
    };
    let large = offer("600", "a").await;
    let id = waits_for(&large);
    assert!(large.details()["summary"].as_str().unwrap().contains("500.00 EUR for one call"), "{}", large.text);
    approve(&gate, &id).await;
    for listing in ["b", "c", "d"] {
        offer("260", listing).await.executed();
    }
    // The day's limit was not what the person agreed to pass.
    let large = offer("600", "a").await;
    let both = waits_for(&large);
    assert_ne!(both, id);
    let summary = large.details()["summary"].as_str().unwrap();
    assert!(summary.contains("500.00 EUR for one call") && summary.contains("800.00 EUR in 24h"), "{summary}");
    approve(&gate, &both).await;
    // More was spent since than the person saw.
    offer("20", "e").await.executed();
    let more = waits_for(&offer("600", "a").await);
    assert_ne!(more, both);
    approve(&gate, &more).await;
    offer("600", "a").await.executed();
    assert_eq!(gate.executed().len(), 5);
    let spent = gate.cli(&["spend", "show", "--account", "sam", "--json"]).await.json();
    assert_eq!((&spent[0]["spent"], &spent[0]["limit"]), (&json!("1400.00"), &json!("800.00")));
}

#[tokio::test]
async fn a_credential_that_is_none_is_not_the_users() {
    let (gate, seller) = gate_and_seller().await;
    let id = waits_for(&seller.call(REVEAL, &reveal(1)).await);
    for key in ["", " ", "x y", "pk_wrong"] {
        let said = gate.cli_as(key, &["approvals", "approve", &id]).await;
        assert!(said.code == 1 && said.stderr.contains("PORTCULLIS_PERSON_KEY"), "{key:?} {said:?}");
    }
    let shown = gate.cli(&["approvals", "show", &id]).await;
    assert!(shown.stdout.contains("pending") && shown.stdout.contains("tx_id = \"tx-1\""), "{shown:?}");
}

#[tokio::test]
async fn that_a_limit_may_be_passed_answers_no_other_question() {
    let policies = ASKING_LIMITS.replace("max = \"500.00\"", "max = \"50.00\"").replace(
        "[[policy.settings.charges]]",
        "[policy.settings]\nauto_approve_under = { amount = \"100.00\", currency = \"EUR\", window = \"24h\" }\n\
         [[policy.settings.charges]]",
    );
    let gate = Setup::policies(policies).start().await;
    let seller = gate.agent("sam", "seller", Door::Rest).await;
    let offer = async |amount: &str, listing: &str| {
        let arguments = json!({"listing_id": listing, "seller": "acme", "amount": amount, "currency": "EUR"});
        seller.call("market__make_offer", &arguments.to_string()).await
    };
    let limit = waits_for(&offer("60", "a").await);
    approve(&gate, &limit).await;
    for listing in ["b", "c"] {
        offer("45", listing).await.executed();
    }
    // By now it passes the threshold, too, which nobody was asked about.
    let asked = offer("60", "a").await;
    assert_ne!(waits_for(&asked), limit);
    assert_eq!(gate.executed().len(), 2);
}
