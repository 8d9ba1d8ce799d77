//! What a role does not grant is not there: neither listed nor callable, and no different from a tool that never was.

use crate::harness::{Door, Setup, guest, market};

const SUPPORT: [&str; 3] = ["market__analyze_invoice", "market__find_order", "market__summarize_customer_activity"];
const MANAGER: [&str; 2] = ["market__create_order", "market__validate_order"];
const ADMIN: [&str; 2] = ["market__cancel_order", "market__record_payment"];

/// Arguments that fit each of these tools.
const ANY: &str = r#"{"number":"1","customer":"c","order":"1","merchant":"m","amount":"1.00","currency":"EUR"}"#;

#[tokio::test]
async fn roles_see_and_call_what_they_are_granted() {
    let gate = Setup::default().start().await;
    let all = [SUPPORT.as_slice(), &MANAGER, &ADMIN].concat();
    let matrix = [("support", 3), ("manager", 5), ("admin", 7)];
    for (role, granted) in matrix {
        let agent = gate.agent(role, role, Door::Rest).await;
        let mut expected = all[..granted].to_vec();
        expected.sort_unstable();
        for caller in Door::ALL.map(|door| agent.at(door)) {
            let mut listed = caller.tools().await;
            listed.sort_unstable();
            assert_eq!(listed, expected, "{role} {:?}", caller.door);
            for tool in &all {
                let before = gate.executed().len();
                let answer = caller.call(tool, ANY).await;
                let ran = gate.executed().len() - before;
                if expected.contains(tool) {
                    // A cancelled order cannot be changed any more: the tool's own answer.
                    assert_eq!((answer.status, answer.code(), ran), (200, None, 1), "{role} {tool} {}", answer.text);
                } else {
                    answer.refused("unknown_tool");
                    assert_eq!(ran, 0, "{role} {tool}");
                }
            }
        }
    }
}

/// Who may do what, and what a person has to agree to first: support, manager, admin.
const MATRIX: [(&str, [&str; 3]); 7] = [
    ("market__find_order", ["allow", "allow", "allow"]),
    ("market__analyze_invoice", ["allow", "allow", "allow"]),
    ("market__summarize_customer_activity", ["allow", "allow", "allow"]),
    ("market__create_order", ["deny", "ask", "ask"]),
    ("market__validate_order", ["deny", "ask", "ask"]),
    ("market__cancel_order", ["deny", "deny", "ask"]),
    ("market__record_payment", ["deny", "deny", "ask"]),
];

const CONFIRMED: &str = r#"
[[policy]]
name = "rbac"
module = "bundled:rbac"
[policy.settings.roles.support]
allow = ["market__find_order", "market__analyze_invoice", "market__summarize_customer_activity"]
[policy.settings.roles.manager]
inherits = ["support"]
allow = ["market__create_order", "market__validate_order"]
confirm = ["market__create_order", "market__validate_order"]
[policy.settings.roles.admin]
inherits = ["manager"]
allow = ["market__cancel_order", "market__record_payment"]
confirm = ["market__cancel_order", "market__record_payment"]
"#;

#[tokio::test]
async fn the_matrix_of_roles_holds_with_its_confirmations() {
    let gate = Setup::policies(CONFIRMED).start().await;
    let approver = gate.person("ann", "approver").await;
    for (column, role) in ["support", "manager", "admin"].into_iter().enumerate() {
        let agent = gate.agent(role, role, Door::Rest).await;
        for caller in Door::ALL.map(|door| agent.at(door)) {
            for (tool, cells) in MATRIX {
                let at = format!("{role} {tool} {:?}", caller.door);
                // Another call at each door.
                let arguments = ANY
                    .replace("\"c\"", &format!("\"{:?}\"", caller.door))
                    .replace("\"1\"", &format!("\"{:?}\"", caller.door));
                let before = gate.executed().len();
                let answer = caller.call(tool, &arguments).await;
                match cells[column] {
                    "deny" => {
                        answer.refused("unknown_tool");
                    }
                    "ask" => {
                        let id = answer.refused("approval_required").refusal()["approval"].as_str().unwrap().to_owned();
                        assert_eq!(gate.executed().len(), before, "{at}");
                        let path = format!("/v1/approvals/{id}/approve");
                        assert_eq!(approver.send_json(&path, &serde_json::json!({})).await.status, 200, "{at}");
                        for _ in 0..2 {
                            assert_eq!(caller.call(tool, &arguments).await.code(), None, "{at}");
                        }
                    }
                    _ => assert_eq!((answer.status, answer.code()), (200, None), "{at} {}", answer.text),
                }
                let ran = gate.executed().len() - before;
                assert_eq!(ran, usize::from(cells[column] != "deny"), "{at}");
            }
        }
    }
}

#[tokio::test]
async fn a_hidden_tool_is_no_different_from_none() {
    let gate = Setup::default().start().await;
    let support = gate.agent("ann", "support", Door::Rest).await;
    for caller in Door::ALL.map(|door| support.at(door)) {
        let mut shapes = Vec::new();
        for tool in ["market__cancel_order", "market__cancel_nothing"] {
            let answer = caller.call(tool, r#"{"number":{}}"#).await;
            answer.refused("unknown_tool");
            let mut refusal = answer.refusal().clone();
            refusal["correlation_id"].take();
            shapes.push(refusal.to_string().replace(tool, "TOOL"));
        }
        assert_eq!(shapes[0], shapes[1]);
    }
}

#[tokio::test]
async fn an_agent_with_an_unknown_role_sees_nothing() {
    let gate = Setup::default().start().await;
    let agent = gate.agent("ann", "nobody", Door::Rest).await;
    for caller in Door::ALL.map(|door| agent.at(door)) {
        assert!(caller.tools().await.is_empty());
        caller.call("market__list_deals", "{}").await.refused("unknown_tool");
    }
    assert_eq!(gate.executed().len(), 0);
}

#[tokio::test]
async fn without_a_policy_that_allows_nothing_is_allowed() {
    let policies = r#"
        [[policy]]
        name = "spending-caps"
        module = "bundled:spending-caps"
        [[policy.settings.charges]]
        tools = ["market__make_offer"]
        amount = "/amount"
        currency = "/currency"
        account = "agent"
        [[policy.settings.limits]]
        max = "500.00"
        currency = "EUR"
        per = "transaction"
    "#;
    let gate = Setup::policies(policies).start().await;
    let agent = gate.agent("bob", "buyer", Door::Rest).await;
    for caller in Door::ALL.map(|door| agent.at(door)) {
        caller.call("market__make_offer", &market::offer("1.00", "EUR")).await.refused("denied");
        caller.call("market__list_deals", "{}").await.refused("denied");
    }
    assert_eq!(gate.executed().len(), 0);
}

#[tokio::test]
async fn a_policy_in_monitor_mode_neither_grants_nor_denies() {
    let granting = r#"
        [[policy]]
        name = "rbac"
        module = "bundled:rbac"
        mode = "monitor"
        [policy.settings.roles.buyer]
        allow = ["market__*"]
    "#;
    let gate = Setup::policies(granting).start().await;
    let agent = gate.agent("bob", "buyer", Door::Rest).await;
    for caller in Door::ALL.map(|door| agent.at(door)) {
        caller.call("market__list_deals", "{}").await.refused("denied");
    }
    assert_eq!(gate.executed().len(), 0);
}

#[tokio::test]
async fn a_policy_that_fails_to_say_what_is_visible_hides_it() {
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
    for file in ["loop-visible", "junk-visibility"] {
        let components = vec![("hostile.wasm".to_owned(), guest::component(&format!("hostile/{file}.wat")))];
        let gate = Setup { components, ..Setup::policies(policies) }.start().await;
        let buyer = gate.agent("bob", "buyer", Door::Rest).await;
        for caller in Door::ALL.map(|door| buyer.at(door)) {
            let listed = caller.tools().await;
            assert!(!listed.contains(&"market__create_deal".to_owned()) && listed.len() == 12, "{file} {listed:?}");
            caller.call("market__create_deal", &market::deal("a")).await.refused("unknown_tool");
        }
    }
}
