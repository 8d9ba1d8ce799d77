//! Policies that mean harm: the call they decide on is refused with the right code, and the next one is served.

use crate::harness::{Door, Setup, guest, market};

/// The hostile one is asked about one tool only, after the roles have let the call through.
fn setup(file: &str) -> Setup {
    let policies = r#"
        [[policy]]
        name = "rbac"
        module = "bundled:rbac"
        [policy.settings.roles.buyer]
        allow = ["market__*"]
        [[policy]]
        name = "hostile"
        module = "hostile.wasm"
        tools = ["market__create_deal"]
    "#;
    let components = vec![("hostile.wasm".to_owned(), guest::component(&format!("hostile/{file}.wat")))];
    Setup { components, ..Setup::policies(policies) }
}

async fn decides(file: &str, code: &str) {
    let gate = setup(file).start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    for caller in Door::ALL.map(|door| buyer.at(door)) {
        let answer = caller.call("market__create_deal", &market::deal("a")).await;
        answer.refused(code);
        assert_eq!(answer.refusal()["policy"], "hostile");
        caller.call("market__list_deals", "{}").await.executed();
    }
    let executed = gate.executed();
    assert!(executed.len() == 3 && executed.iter().all(|entry| entry.tool == "list_deals"));
    let audit = gate.audit().await;
    let refused = audit.iter().filter(|entry| entry["code"] == code).collect::<Vec<_>>();
    assert_eq!(refused.len(), 3);
    assert!(refused.iter().all(|entry| entry["policies"].to_string().contains("hostile")), "{refused:?}");
}

macro_rules! deciding {
    ($($test:ident: $file:literal => $code:literal;)*) => {$(
        #[tokio::test]
        async fn $test() {
            decides($file, $code).await;
        }
    )*};
}

deciding! {
    a_loop: "loop-evaluate" => "policy_limit";
    a_recursion: "recursion" => "policy_limit";
    a_memory_bomb: "grow-bomb" => "policy_limit";
    a_table_bomb: "table-bomb" => "policy_limit";
    a_trap: "trap" => "policy_fault";
    a_junk_verdict: "junk-discriminant" => "policy_fault";
    a_reason_that_is_no_text: "bad-utf8" => "policy_fault";
    a_reason_of_megabytes: "long-reason" => "policy_fault";
}

#[tokio::test]
async fn one_that_fails_to_say_what_is_visible_hides_it() {
    for file in ["loop-visible", "junk-visibility"] {
        let gate = setup(file).start().await;
        let buyer = gate.agent("bob", "buyer", Door::Rest).await;
        for caller in Door::ALL.map(|door| buyer.at(door)) {
            let listed = caller.tools().await;
            assert!(!listed.contains(&"market__create_deal".to_owned()) && listed.len() == 12, "{file} {listed:?}");
            caller.call("market__create_deal", &market::deal("a")).await.refused("unknown_tool");
        }
    }
}

#[tokio::test]
async fn one_that_cannot_be_configured_leaves_the_gate_shut() {
    let mut gate = setup("loop-configure").write();
    gate.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    for caller in Door::ALL.map(|door| buyer.at(door)) {
        caller.call("market__list_deals", "{}").await.refused("no_policy");
    }
    assert_eq!(buyer.get("/readyz").await.status, 503);
}
