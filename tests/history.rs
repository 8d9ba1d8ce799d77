//! What agents learn about themselves, and owners about all: events, spending, the gate's own tools, proofs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::harness::{Answer, Caller, Door, Gate, Setup, market};

const OWN: [&str; 3] = ["gate__get_transaction_history", "gate__get_spend_status", "gate__approval_status"];

fn events(answer: &Answer) -> &Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body["events"].as_array().unwrap()
}

fn indexes(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["index"].as_u64().unwrap()).collect()
}

/// Two agents with some calls each, and a client for each.
async fn two() -> (Gate, Caller, Caller) {
    let gate = Setup::default().start().await;
    let bob = gate.agent("bob", "buyer", Door::Rest).await;
    let eve = gate.agent("eve", "buyer", Door::Rest).await;
    for caller in [&bob, &eve] {
        caller.call("market__make_offer", &market::offer("1.10", "EUR")).await.executed();
        caller.call("market__make_offer", &market::offer("-1", "EUR")).await.refused("denied");
        caller.call("market__cancel_order", r#"{"number":"1"}"#).await.refused("unknown_tool");
    }
    (gate, bob, eve)
}

#[tokio::test]
async fn an_agent_sees_its_own_events_and_an_owner_all() {
    let (gate, bob, _) = two().await;
    let own = bob.get("/v1/audit/events").await;
    let own = events(&own);
    assert_eq!(own.len(), 4, "{own:?}");
    let newest_first = own.windows(2).all(|pair| pair[0]["index"].as_u64() > pair[1]["index"].as_u64());
    assert!(newest_first && own.iter().all(|event| event["principal"] == "bob"), "{own:?}");
    let what = |event: &Value| (event["status"].as_str().unwrap().to_owned(), event["code"].clone());
    assert_eq!(what(&own[0]), ("ACCESS_DENIED".into(), json!("unknown_tool")));
    assert_eq!(what(&own[3]), ("STARTED".into(), json!(null)));
    assert_eq!(own[3]["arguments"]["amount"], "1.10");
    for event in own {
        assert!(event.get("policies").is_none() && event["metadata"].get("detail").is_none(), "{event}");
    }
    let denied = bob.get("/v1/audit/events?code=denied&tool=market__make_offer&status=ACCESS_DENIED&since=1h").await;
    assert_eq!(events(&denied).len(), 1);
    for nobody in ["agent=eve", "until=2020-01-01T00:00:00Z", "code=cap_exceeded", "tool=agent.add"] {
        let found = bob.get(&format!("/v1/audit/events?{nobody}")).await;
        assert!(events(&found).is_empty() && found.body["next_cursor"].is_null(), "{nobody} {}", found.text);
    }

    for kind in ["owner", "auditor"] {
        let key = gate.add_person(&format!("{kind}-1"), kind).await;
        let person = gate.caller(Some(&key), Door::Rest);
        let all = person.get("/v1/audit/events?limit=1000").await;
        let all = events(&all);
        assert_eq!(all.last().unwrap()["index"], 0);
        assert!(all.iter().any(|event| event["policies"].to_string().contains("rbac")), "{kind}");
        let eves = person.get("/v1/audit/events?agent=eve").await;
        assert_eq!(events(&eves).len(), 4);
    }
    let key = gate.add_person("ann", "approver").await;
    let approver = gate.caller(Some(&key), Door::Rest);
    assert!(events(&approver.get("/v1/audit/events").await).is_empty());
    gate.caller(None, Door::Rest).get("/v1/audit/events").await.refused("unauthenticated");
    gate.caller(None, Door::Rest).get("/v1/spend").await.refused("unauthenticated");
}

/// A name is not an id: nobody can be called as another is known.
#[tokio::test]
async fn a_name_like_anothers_id_is_no_name() {
    let (gate, bob, _) = two().await;
    let id = events(&bob.get("/v1/audit/events").await)[0]["principal_id"].as_str().unwrap().to_owned();
    let mimic = gate.cli(&["agent", "add", &id, "--role", "buyer", "--json"]).await;
    assert_eq!((mimic.code, mimic.stdout.as_str()), (1, ""), "{mimic:?}");
}

#[tokio::test]
async fn pages_hold_while_the_log_grows() {
    let (_gate, bob, eve) = two().await;
    let whole = indexes(events(&bob.get("/v1/audit/events").await));
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = bob.get(&format!("/v1/audit/events?limit=1{cursor}")).await;
        assert!(events(&page).len() <= 1);
        seen.extend(indexes(events(&page)));
        bob.call("market__list_deals", "{}").await.executed();
        eve.call("market__list_deals", "{}").await.executed();
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, whole);
}

#[tokio::test]
async fn a_parameter_that_makes_no_sense_is_named() {
    let (gate, bob, _) = two().await;
    for path in [
        "audit/events?colour=red",
        "audit/events?limit=0",
        "audit/events?limit=1001",
        "audit/events?limit=1&limit=2",
        "audit/events?since=yesterday",
        "audit/events?until=",
        "audit/events?cursor=12",
        "audit/events?status=done",
        "spend?account=agent",
        "spend?window=soon",
        "spend?window=0s",
        "spend?window=99999d",
        "spend?window=1h&window=2h",
    ] {
        let answer = bob.get(&format!("/v1/{path}")).await;
        answer.refused("invalid_arguments");
        let name = path.split_once('?').unwrap().1.split_once('=').unwrap().0;
        assert_eq!(answer.details()["parameter"], name);
        let message = answer.refusal()["message"].as_str().unwrap();
        assert!(message.contains(&format!("`{name}`")) || message.contains("span"), "{message}");
    }
    let refused = gate.cli(&["audit", "query", "--code", "invalid_arguments", "--json"]).await.json_lines();
    assert!(refused.iter().any(|entry| entry["action"] == "spend"), "{refused:?}");
}

#[tokio::test]
async fn questions_take_tokens_as_listings_do() {
    let limit = "\n[[limit]]\nname = \"rest\"\nroute = \"rest\"\nrate = \"3/min\"\nper = \"agent\"\n";
    let gate = Setup::default().and(limit).start().await;
    let bob = gate.agent("bob", "buyer", Door::Rest).await;
    assert_eq!(bob.get("/v1/tools").await.status, 200);
    assert_eq!(bob.get("/v1/audit/events").await.status, 200);
    assert_eq!(bob.get("/v1/spend").await.status, 200);
    for path in ["/v1/tools", "/v1/audit/events", "/v1/spend"] {
        bob.get(path).await.refused("rate_limited");
    }
}

#[tokio::test]
async fn spending_is_exact_and_ones_own() {
    let (gate, bob, eve) = two().await;
    bob.call("market__make_offer", &market::offer("0.2", "EUR")).await.executed();
    let rows = bob.get("/v1/spend").await;
    let row = &rows.body["spend"][0];
    assert_eq!(rows.body["spend"].as_array().map(Vec::len), Some(1), "{}", rows.text);
    assert_eq!(
        (&row["currency"], &row["spent"], &row["held"], &row["window"]),
        (&json!("EUR"), &json!("1.30"), &json!("0.00"), &json!("24h"))
    );
    assert!(row["account"].as_str().unwrap().starts_with("agent:ag_"));
    assert_eq!(eve.get("/v1/spend?window=7d").await.body["spend"][0]["spent"], "1.10");
    let owner = gate.caller(Some(&gate.add_person("olga", "owner").await), Door::Rest);
    assert_eq!(owner.get("/v1/spend").await.body["spend"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn the_gates_own_tools_need_no_rule_and_are_audited() {
    let (gate, bob, _) = two().await;
    let nobody = gate.agent("nemo", "nothing", Door::Rest).await;
    for door in Door::ALL {
        let caller = bob.at(door);
        let listed = caller.all_tools().await;
        let mut own = OWN;
        own.sort_unstable();
        assert_eq!(listed[listed.len() - OWN.len()..], own, "{listed:?}");
        assert_eq!(nobody.at(door).all_tools().await, own);

        let first = caller.call(OWN[0], r#"{"limit":2,"code":"denied"}"#).await;
        let result = first.executed().result();
        let text = result["content"][0]["text"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), result["structuredContent"]);
        let told = result["structuredContent"]["events"].as_array().unwrap();
        assert_eq!((told.len(), &told[0]["principal"]), (1, &json!("bob")));
        let spent = caller.call(OWN[1], r#"{"window":"1h"}"#).await;
        assert_eq!(spent.executed().result()["structuredContent"]["spend"][0]["spent"], "1.10");
        let none = nobody.at(door).call(OWN[1], "{}").await;
        assert_eq!(none.executed().result()["structuredContent"]["spend"], json!([]));
        for (tool, bad) in [
            (OWN[0], r#"{"agent":"eve"}"#),
            (OWN[0], r#"{"limit":101}"#),
            (OWN[0], r#"{"cursor":"x"}"#),
            (OWN[1], r#"{"window":"soon"}"#),
        ] {
            caller.call(tool, bad).await.refused("invalid_arguments");
        }
        caller.call("gate__nothing", "{}").await.refused("unknown_tool");

        let id = first.decision()["correlation_id"].as_str().unwrap();
        let entries = gate.cli(&["audit", "show", id, "--json"]).await.json_lines();
        assert_eq!(entries.len(), 1, "{entries:?}");
        assert_eq!((&entries[0]["status"], &entries[0]["action"]), (&json!("COMPLETED"), &json!(OWN[0])));
        assert_eq!(entries[0]["arguments"], json!({"limit": 2, "code": "denied"}));
    }
}

#[tokio::test]
async fn without_policies_nothing_is_told() {
    let mut gate = Setup { policies: None, ..Setup::default() }.write();
    gate.start().await;
    let bob = gate.agent("bob", "buyer", Door::Rest).await;
    for door in Door::ALL {
        bob.at(door).call(OWN[0], "{}").await.refused("no_policy");
    }
    bob.get("/v1/audit/events").await.refused("no_policy");
    bob.get("/v1/spend").await.refused("no_policy");
}

#[tokio::test]
async fn the_command_line_finds_and_proves() {
    let (gate, _, eve) = two().await;
    let query = async |words: &[&str]| gate.cli(&[&["audit", "query", "--json"], words].concat()).await.json_lines();
    let all = query(&[]).await;
    assert_eq!(all.last().unwrap()["index"], 0);
    assert!(all.windows(2).all(|pair| pair[0]["index"].as_u64() > pair[1]["index"].as_u64()));
    let denied = query(&["--agent", "eve", "--status", "access_denied", "--code", "denied", "--since", "1h"]).await;
    assert_eq!(denied.len(), 1);
    let first = gate.cli(&["audit", "query", "--json", "--limit", "3"]).await;
    let cursor = first.stderr.rsplit('`').nth(1).unwrap().rsplit(' ').next().unwrap().to_owned();
    eve.call("market__list_deals", "{}").await.executed();
    let rest = query(&["--cursor", &cursor]).await;
    assert_eq!([first.json_lines(), rest].concat(), all);
    for bad in [["--limit", "0"], ["--since", "soon"], ["--status", "done"], ["--cursor", "7"]] {
        assert_eq!(gate.cli(&[&["audit", "query"][..], &bad].concat()).await.code, 2, "{bad:?}");
    }

    let id = denied[0]["correlation_id"].as_str().unwrap();
    let index = denied[0]["index"].to_string();
    for of in [id, &id[..8], &index] {
        assert_eq!(gate.cli(&["audit", "show", of, "--json"]).await.json_lines(), denied, "{of}");
        let shown = gate.cli(&["audit", "show", of]).await.stdout;
        assert!(shown.contains(id) && shown.contains("rbac") && shown.contains("is negative"), "{shown}");
        let proofs = gate.cli(&["audit", "prove", of, "--json"]).await.json_lines();
        assert_eq!(proofs.len(), 1);
        assert_eq!(proofs[0]["entry"], denied[0]);
        check(&proofs[0]);
    }
    let verified = gate.cli(&["audit", "verify", "--json"]).await.json();
    for index in 0..verified["entries"].as_u64().unwrap() {
        let proof = gate.cli(&["audit", "prove", &index.to_string(), "--json"]).await.json();
        assert_eq!((&proof["root"], &proof["tree_size"]), (&verified["root"], &verified["entries"]));
        check(&proof);
    }
    let shown = gate.cli(&["audit", "prove", "0"]).await.stdout;
    assert!(shown.contains(verified["root"].as_str().unwrap()) && shown.contains("RFC 9162"), "{shown}");
    for none in ["999999", "nonsense", "00000000", &"0".repeat(32)] {
        let said = gate.cli(&["audit", "prove", none]).await;
        assert!(said.code == 1 && said.stdout.is_empty(), "{said:?}");
    }
}

/// RFC 9162, section 2.1.3.2, by somebody who has nothing but the proof.
fn check(proof: &Value) {
    let unhex = |hex: &Value| -> Vec<u8> {
        let hex = hex.as_str().unwrap();
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    let leaf = STANDARD.decode(proof["leaf"].as_str().unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&leaf[16..]).unwrap(), proof["entry"]);
    let mut hash = Sha256::new().chain_update([0]).chain_update(&leaf).finalize().to_vec();
    assert_eq!(hash, unhex(&proof["leaf_hash"]));
    let (mut at, mut last) = (proof["index"].as_u64().unwrap(), proof["tree_size"].as_u64().unwrap() - 1);
    for sibling in proof["path"].as_array().unwrap().iter().map(unhex) {
        let (left, right) = if at % 2 == 1 || at == last { (&sibling, &hash) } else { (&hash, &sibling) };
        let joined = Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().to_vec();
        if at == last {
            while at.is_multiple_of(2) && at != 0 {
                (at, last) = (at / 2, last / 2);
            }
        }
        (at, last, hash) = (at / 2, last / 2, joined);
    }
    assert_eq!((last, hash), (0, unhex(&proof["root"])));
}
