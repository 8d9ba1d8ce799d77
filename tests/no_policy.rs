//! Without policies the gate is shut, and says why.

use std::fs;

use crate::harness::{Door, Gate, Setup, market};

async fn is_shut(gate: &Gate, why: &str) {
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    for caller in Door::ALL.map(|door| buyer.at(door)) {
        caller.call("market__list_deals", "{}").await.refused("no_policy");
        caller.call("market__no_such_tool", "{").await;
    }
    let listing = buyer.get("/v1/tools").await;
    listing.refused("no_policy");
    let ready = buyer.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["ready"]), (503, &false.into()), "{}", ready.text);
    let reasons = ready.body["reasons"].to_string();
    assert!(reasons.contains(why), "`{why}` in {reasons}");
    assert_eq!(buyer.get("/healthz").await.status, 200, "it is alive all the same");
    assert_eq!(gate.executed().len(), 0);
    let audit = gate.audit().await;
    let refused = audit.iter().filter(|entry| entry["code"] == "no_policy" && entry["status"] == "ACCESS_DENIED");
    assert!(refused.count() >= 4, "refusals are written down, too");
}

async fn shut_with(policies: Option<&str>, why: &str) {
    let mut gate = Setup { policies: policies.map(str::to_owned), ..Setup::default() }.write();
    gate.start().await;
    is_shut(&gate, why).await;
}

#[tokio::test]
async fn no_file() {
    shut_with(None, "policies.toml").await;
}

#[tokio::test]
async fn an_empty_file() {
    shut_with(Some(""), "policies.toml").await;
}

#[tokio::test]
async fn a_file_that_is_not_toml() {
    shut_with(Some("[[policy]"), "TOML").await;
}

#[tokio::test]
async fn a_policy_that_does_not_exist() {
    shut_with(Some("[[policy]]\nname = \"a\"\nmodule = \"missing.wasm\"\n"), "missing.wasm").await;
}

#[tokio::test]
async fn a_policy_outside_of_the_directory() {
    shut_with(Some("[[policy]]\nname = \"a\"\nmodule = \"../gate.log\"\n"), "../gate.log").await;
}

#[tokio::test]
async fn settings_that_the_policy_refuses() {
    let policies = "[[policy]]\nname = \"rbac\"\nmodule = \"bundled:rbac\"\n[policy.settings]\nrolls = {}\n";
    shut_with(Some(policies), "rbac").await;
}

#[tokio::test]
async fn a_file_that_was_deleted_stays_a_shut_gate_after_a_restart() {
    let mut gate = Setup::default().start().await;
    let buyer = gate.agent("eve", "buyer", Door::Rest).await;
    buyer.call("market__create_deal", &market::deal("a")).await.executed();
    fs::remove_file(gate.policy_file()).unwrap();
    gate.kill().await;
    gate.start().await;
    let buyer = buyer.moved_to(gate.url());
    for caller in Door::ALL.map(|door| buyer.at(door)) {
        caller.call("market__create_deal", &market::deal("a")).await.refused("no_policy");
    }
    assert_eq!(gate.executed().len(), 1);
}
