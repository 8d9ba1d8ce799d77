//! Policies that change while the gate runs: another good set takes force whole, anything else leaves what was.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;
use tokio::task::JoinSet;

use crate::harness::gate::{POLICIES, run};
use crate::harness::{Caller, Door, Gate, Setup, guest, market, odd, until};

const DEAL: &str = "market__create_deal";

/// Policies under which a buyer may create deals, or may not. Each number is another set.
fn policies(number: usize, creates: bool) -> String {
    let allow = if creates { "[\"market__list_deals\", \"market__create_deal\"]" } else { "[\"market__list_deals\"]" };
    format!(
        "[[policy]]\nname = \"rbac\"\nmodule = \"bundled:rbac\"\n[policy.settings.roles]\nbuyer = {{ allow = {allow} }}\n\
         role{number} = {{ allow = [\"market__*\"] }}\n\
         [[policy]]\nname = \"caps\"\nmodule = \"bundled:spending-caps\"\n\
         [[policy.settings.charges]]\ntools = [\"market__make_offer\"]\namount = \"/amount\"\ncurrency = \"/currency\"\n\
         account = \"agent\"\n[[policy.settings.limits]]\nmax = \"{number}.00\"\ncurrency = \"EUR\"\nper = \"transaction\"\n"
    )
}

async fn started() -> (Gate, Caller) {
    let gate = Setup::policies(policies(1, true)).start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    (gate, buyer)
}

fn write(gate: &Gate, text: impl AsRef<[u8]>) {
    fs::write(gate.policy_file(), text).unwrap();
}

async fn listed(gate: &Gate) -> Value {
    gate.cli(&["policy", "list", "--json"]).await.json()
}

/// Waits until a generation is in force and the directory agrees with it.
async fn in_force(gate: &Gate, generation: u64) {
    until("a generation", async || {
        // While nothing decides there is no list.
        let said = gate.cli(&["policy", "list", "--json"]).await;
        let listed: Value = serde_json::from_str(&said.stdout).ok()?;
        (listed["generation"] == generation && listed["differs"] == false).then_some(())
    })
    .await;
}

/// Waits until readiness says what is the matter, while the gate goes on.
async fn degraded(gate: &Gate, why: &str) {
    let asking = gate.caller(None, Door::Rest);
    until(why, async || {
        let ready = asking.get("/readyz").await;
        let said = ready.body["reasons"].to_string().contains(why);
        (ready.status == 200 && ready.body["degraded"] == true && said).then_some(())
    })
    .await;
}

async fn decided_by(caller: &Caller, generation: u64) {
    let answer = caller.call("market__list_deals", "{}").await;
    assert_eq!(answer.executed().decision()["generation"], generation, "{}", answer.text);
}

async fn reload(gate: &Gate) -> Value {
    gate.cli(&["policy", "reload", "--json"]).await.json()
}

async fn about_policies(gate: &Gate) -> Vec<Value> {
    let about = |entry: &Value| entry["action"].as_str().is_some_and(|action| action.starts_with("policy."));
    gate.audit().await.into_iter().filter(about).collect()
}

#[tokio::test]
async fn an_edit_takes_force_by_itself() {
    let (gate, buyer) = started().await;
    buyer.call(DEAL, &market::deal("a")).await.executed();
    decided_by(&buyer, 1).await;
    write(&gate, policies(2, false));
    in_force(&gate, 2).await;
    for caller in Door::ALL.map(|door| buyer.at(door)) {
        caller.call(DEAL, &market::deal("b")).await.refused("unknown_tool");
        assert!(!caller.tools().await.contains(&DEAL.to_owned()));
        decided_by(&caller, 2).await;
    }
    // The way careful editors write.
    let beside = gate.policy_file().with_extension("new");
    fs::write(&beside, policies(3, true)).unwrap();
    fs::rename(&beside, gate.policy_file()).unwrap();
    in_force(&gate, 3).await;
    buyer.call(DEAL, &market::deal("c")).await.executed();
    assert_eq!(gate.executed().iter().filter(|entry| entry.tool == "create_deal").count(), 2);

    let said = reload(&gate).await;
    assert_eq!((&said["changed"], &said["generation"]), (&false.into(), &3.into()), "{said}");
    let audit = about_policies(&gate).await;
    let generations: Vec<&Value> = audit.iter().map(|entry| &entry["metadata"]["generation"]).collect();
    assert_eq!(generations, [1, 2, 3]);
    assert!(
        audit.iter().all(|entry| entry["status"] == "COMPLETED" && entry["metadata"]["kind"] == "gate"),
        "{audit:?}"
    );
    assert_eq!(gate.cli(&["audit", "verify", "--json"]).await.json()["ok"], true);
}

#[tokio::test]
async fn a_link_and_a_directory_that_lead_elsewhere_are_seen() {
    let mut gate = Setup::policies("").write();
    let directory = gate.policy_file().parent().unwrap().to_owned();
    let version = |number: usize| {
        let name = format!("version{number}");
        fs::create_dir(directory.join(&name)).unwrap();
        fs::write(directory.join(&name).join("policies.toml"), policies(number, true)).unwrap();
        symlink(&name, directory.join("next")).unwrap();
        fs::rename(directory.join("next"), directory.join("current")).unwrap();
    };
    version(1);
    fs::remove_file(gate.policy_file()).unwrap();
    symlink("current/policies.toml", gate.policy_file()).unwrap();
    gate.start().await;
    gate.ready().await;
    in_force(&gate, 1).await;
    version(2);
    in_force(&gate, 2).await;

    let aside = directory.with_extension("old");
    fs::rename(&directory, &aside).unwrap();
    fs::create_dir(&directory).unwrap();
    write(&gate, policies(3, true));
    in_force(&gate, 3).await;
    write(&gate, policies(4, true));
    in_force(&gate, 4).await;
}

#[tokio::test]
async fn half_a_file_leaves_what_was() {
    let (mut gate, buyer) = started().await;
    let whole = policies(2, false);
    write(&gate, &whole[..whole.len() - 12]);
    degraded(&gate, "not TOML").await;
    buyer.call(DEAL, &market::deal("a")).await.executed();
    decided_by(&buyer, 1).await;
    let said = gate.cli(&["policy", "reload", "--json"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    let answer: Value = serde_json::from_str(&said.stdout).unwrap();
    assert!(answer["ok"] == false && answer["problems"].to_string().contains("not TOML"), "{answer}");
    let said = gate.cli(&["policy", "reload"]).await;
    assert!(said.code == 1 && said.stdout.contains("not TOML"), "{said:?}");
    assert_eq!(listed(&gate).await["differs"], true);

    // A restart does not change that.
    gate.restart().await;
    let buyer = buyer.moved_to(gate.url());
    degraded(&gate, "not TOML").await;
    decided_by(&buyer, 1).await;
    write(&gate, &whole);
    in_force(&gate, 2).await;
    buyer.call(DEAL, &market::deal("a")).await.refused("unknown_tool");
    assert_eq!(buyer.get("/readyz").await.body["degraded"], false);
    let statuses: Vec<Value> = about_policies(&gate).await.into_iter().map(|entry| entry["status"].clone()).collect();
    assert_eq!(statuses, ["COMPLETED", "FAILED", "COMPLETED"], "a broken content is written down once");
}

#[tokio::test]
async fn a_file_that_is_gone_shuts_the_gate_until_it_is_back() {
    let (mut gate, buyer) = started().await;
    fs::remove_file(gate.policy_file()).unwrap();
    until("the gate is shut", async || {
        (buyer.call("market__list_deals", "{}").await.code() == Some("no_policy")).then_some(())
    })
    .await;
    assert_eq!(buyer.get("/readyz").await.status, 503);
    gate.kill().await;
    gate.start().await;
    let buyer = buyer.moved_to(gate.url());
    buyer.call(DEAL, &market::deal("a")).await.refused("no_policy");
    let said = gate.cli(&["policy", "rollback"]).await;
    assert_eq!(said.code, 1, "there is nothing that says who may do what: {said:?}");
    write(&gate, policies(1, true));
    in_force(&gate, 1).await;
    gate.ready().await;
    buyer.call(DEAL, &market::deal("a")).await.executed();
    write(&gate, "");
    until("the gate is shut", async || {
        (buyer.call("market__list_deals", "{}").await.code() == Some("no_policy")).then_some(())
    })
    .await;
    assert_eq!(gate.executed().iter().filter(|entry| entry.tool == "create_deal").count(), 1);
}

#[tokio::test]
async fn a_set_that_fails_its_vectors_is_not_taken() {
    let (gate, buyer) = started().await;
    let vectors = gate.policy_file().with_file_name("cases.json");
    let case = |expect: &str| {
        let settings = r#"{"roles": {"x": {"allow": ["a__*"]}}}"#;
        let call = r#"{"tool": "a__b", "principal": {"roles": ["x"]}}"#;
        format!(r#"{{"settings": {settings}, "cases": [{{"name": "anything", "call": {call}, "expect": {expect}}}]}}"#)
    };
    let module = "module = \"bundled:rbac\"\n";
    let with = policies(2, false).replace(module, &format!("{module}vectors = \"cases.json\"\n"));
    fs::write(&vectors, case(r#"{"deny": {}}"#)).unwrap();
    write(&gate, &with);
    degraded(&gate, "`anything`").await;
    buyer.call(DEAL, &market::deal("a")).await.executed();
    let directory = gate.policy_file().parent().unwrap().to_str().unwrap().to_owned();
    let checked = run(&["policy", "check", &directory]).await;
    assert!(checked.code == 1 && checked.stdout.contains("`anything` of `cases.json`"), "{checked:?}");
    fs::write(&vectors, case(r#"{"allow": {}}"#)).unwrap();
    in_force(&gate, 2).await;
    assert_eq!(run(&["policy", "check", &directory]).await.code, 0);
}

#[tokio::test]
async fn one_that_loops_shuts_the_gate_until_it_leaves() {
    let (gate, buyer) = started().await;
    let looping = gate.policy_file().with_file_name("loop.wasm");
    fs::write(&looping, guest::component("hostile/loop-evaluate.wat")).unwrap();
    decided_by(&buyer, 1).await;
    write(&gate, policies(1, true) + "[[policy]]\nname = \"loop\"\nmodule = \"loop.wasm\"\n");
    in_force(&gate, 2).await;
    for caller in Door::ALL.map(|door| buyer.at(door)) {
        let refused = caller.call(DEAL, &market::deal("a")).await;
        assert_eq!(refused.refused("policy_limit").refusal()["policy"], "loop");
    }
    write(&gate, policies(1, true));
    in_force(&gate, 3).await;
    buyer.call(DEAL, &market::deal("a")).await.executed();
    assert_eq!(gate.executed().iter().filter(|entry| entry.tool == "create_deal").count(), 1);
}

#[tokio::test]
async fn a_rollback_stays_over_a_restart_until_the_directory_changes() {
    let (mut gate, buyer) = started().await;
    let said = gate.cli(&["policy", "rollback"]).await;
    assert!(said.code == 1 && said.stderr.contains("nothing to go back to"), "{said:?}");
    write(&gate, policies(2, false));
    in_force(&gate, 2).await;
    let said = gate.cli(&["policy", "rollback", "--json"]).await.json();
    assert_eq!((&said["ok"], &said["generation"], &said["changed"]), (&true.into(), &1.into(), &true.into()));
    buyer.call(DEAL, &market::deal("a")).await.executed();
    degraded(&gate, "rolled back").await;
    gate.restart().await;
    let buyer = buyer.moved_to(gate.url());
    degraded(&gate, "rolled back").await;
    decided_by(&buyer, 1).await;
    assert_eq!(listed(&gate).await["generation"], 1);
    assert_eq!(reload(&gate).await["changed"], true, "somebody who says so takes it after all");
    in_force(&gate, 3).await;
    assert_eq!(gate.cli(&["policy", "rollback", "--json"]).await.json()["generation"], 1);
    write(&gate, policies(3, false));
    in_force(&gate, 4).await;
    buyer.call(DEAL, &market::deal("b")).await.refused("unknown_tool");
    let audit = about_policies(&gate).await;
    let rollback = audit.iter().find(|entry| entry["action"] == "policy.rollback").unwrap();
    assert!(rollback["principal"].as_str().unwrap().starts_with("uid:"), "{rollback}");
}

#[tokio::test]
async fn a_call_in_flight_ends_with_the_set_it_began_with() {
    let setup = Setup::policies(POLICIES).and(&odd::server());
    let gate = setup.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let caller = buyer.clone();
    let held = tokio::spawn(async move { caller.call("odd__hold", r#"{"amount":"1.00","currency":"EUR"}"#).await });
    until("the call is under way", async || (!odd::executed(gate.folder()).is_empty()).then_some(())).await;
    write(&gate, POLICIES.replace("500.00", "400.00"));
    assert_eq!(reload(&gate).await["generation"], 2);
    decided_by(&buyer, 2).await;
    odd::let_go(gate.folder());
    let answer = held.await.unwrap();
    assert_eq!(answer.executed().decision()["generation"], 1);
}

#[tokio::test]
async fn each_of_many_calls_during_many_swaps_is_decided_by_one_set() {
    let (gate, buyer) = started().await;
    let mut running = JoinSet::new();
    for which in 0..64 {
        let caller = buyer.clone();
        running.spawn(async move {
            for round in 0..4 {
                caller.call(DEAL, &market::deal(&format!("{which}.{round}"))).await.executed();
            }
        });
    }
    for number in 2..8_usize {
        write(&gate, policies(number, true));
        reload(&gate).await;
    }
    running.join_all().await;

    let audit = gate.audit().await;
    let settings = |policies: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let names =
            |policy: &Value| (text(policy.get("name").unwrap_or(&policy["policy"])), text(&policy["settings_digest"]));
        policies.as_array().unwrap().iter().map(names).collect()
    };
    let sets: HashMap<u64, Vec<(String, String)>> = audit
        .iter()
        .filter(|entry| entry["action"] == "policy.reload")
        .map(|entry| (entry["metadata"]["generation"].as_u64().unwrap(), settings(&entry["metadata"]["policies"])))
        .collect();
    assert_eq!(sets.len(), 7, "each swap is another generation");
    let decided: Vec<&Value> = audit.iter().filter(|entry| entry["status"] == "STARTED").collect();
    assert_eq!(decided.len(), 256);
    for entry in decided {
        let generation = entry["metadata"]["generation"].as_u64().unwrap();
        assert_eq!(settings(&entry["policies"]), sets[&generation], "{entry}");
    }
}

#[tokio::test]
async fn the_matrix_is_printed_with_and_without_a_gate() {
    let mut gate =
        Setup::policies(POLICIES.replace("allow = [\"market__create_order\"", "confirm = [\"market__create_order\""))
            .write();
    let words = ["policy", "matrix", "--role", "guest", "--json"];
    let without = gate.cli(&words).await.json();
    let cell = |matrix: &Value, tool: &str, role: &str| {
        let row = matrix["tools"].as_array().unwrap().iter().find(|row| row["tool"] == tool).unwrap();
        row["roles"][role].as_str().unwrap().to_owned()
    };
    assert_eq!(without["roles"], serde_json::json!(["admin", "buyer", "guest", "manager", "support"]));
    for (tool, expected) in [
        ("market__find_order", ["allow", "allow", "allow", "deny", "deny"]),
        ("market__create_order", ["deny", "ask", "ask", "deny", "deny"]),
        ("market__cancel_order", ["deny", "deny", "allow", "deny", "deny"]),
        ("market__make_offer", ["deny", "deny", "deny", "depends", "deny"]),
    ] {
        let found = ["support", "manager", "admin", "buyer", "guest"].map(|role| cell(&without, tool, role));
        assert_eq!(found, expected, "{tool}");
    }
    assert!(gate.executed().is_empty(), "nothing was called");
    gate.start().await;
    gate.ready().await;
    gate.add_agent("ann", "auditing").await;
    let with = gate.cli(&words).await.json();
    assert_eq!(cell(&with, "market__find_order", "auditing"), "deny");
    assert_eq!(cell(&with, "market__create_order", "manager"), "ask");
    let shown = gate.cli(&["policy", "matrix"]).await;
    assert!(shown.code == 0 && shown.stdout.contains("can change a decision"), "{shown:?}");
}

#[tokio::test]
async fn without_a_gate_there_is_nothing_to_reload() {
    let gate = Setup::default().write();
    for word in ["reload", "rollback"] {
        let said = gate.cli(&["policy", word]).await;
        assert!(said.code == 1 && said.stderr.contains("no gate is running"), "{said:?}");
    }
    assert_eq!(listed(&gate).await["differs"], false);
}
