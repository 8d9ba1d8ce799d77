//! What goes wrong, and what follows: a test for each row, at every door.
//!
//! | what goes wrong | the agent gets | what is kept | test |
//! |---|---|---|---|
//! | no policies, or broken ones at a first start | `no_policy` | audited; not ready | `policy::no_file` and its neighbours |
//! | a policy file that is taken away | `no_policy` | also after a restart | `policy::a_file_that_was_deleted_…` |
//! | a new version that does not load, or a broken set after a restart | the last good set's answer | audited; degraded, with the reason | `policy::a_broken_new_version_…` |
//! | a trap, a return that makes no sense | `policy_fault` | audited with the policy's name and the trap | `policy::a_trap`, `…_junk_verdict`, `…_no_text`, `…_megabytes` |
//! | fuel, deadline, memory, tables, stack | `policy_limit` | the same | `policy::a_loop`, `…_slow_chain`, `…_memory_bomb`, `…_table_bomb`, `…_recursion` |
//! | nowhere free to decide in time | `overloaded` | audited; nothing claimed | `policy::no_free_slot` |
//! | no commit before the call; no audit | `store_unavailable` | told to the log; not ready; key and money free | `store::before_the_call` |
//! | no commit after the call | `outcome_unknown`, `executed: true` | told to the log; key and money kept until an owner resolves it | `store::after_the_call` |
//! | a server that cannot be reached | `upstream_unavailable` | FAILED; key and money free | `upstream::one_that_is_gone` |
//! | a server that says that it did nothing | `upstream_error` | FAILED; key, money and approval free | `upstream::an_approval_of_what_was_not_done_…` |
//! | a server that is silent, dies or talks nonsense after the call was sent | `outcome_unknown` | UNKNOWN; key, money and approval kept until an owner resolves it | `upstream::one_that_…` |

use serde_json::Value;

use crate::harness::doors::{Call, entries, statuses};
use crate::harness::{Answer, Doors, Gate, market};

mod policy;
mod store;
mod upstream;

/// A call of this number with money in it and a key of its own.
fn euros(amount: &str, number: usize, more: &str) -> Call {
    let arguments = format!(r#"{{"amount":"{amount}","currency":"EUR","mark":"{number}"{more}}}"#);
    (arguments, Some(format!("key-{number}")))
}

/// Each of these was refused for this reason, in words that say this much, and the audit log has its life.
async fn refused(gate: &Gate, answers: &[Answer], code: &str, words: &str, life: &[&str]) {
    assert_eq!(answers.len(), Doors::COUNT);
    let audit = gate.audit().await;
    for answer in answers {
        answer.refused(code);
        let message = answer.refusal()["message"].as_str().unwrap();
        assert!(message.contains(words), "`{words}` in {message}");
        let entries = entries(&audit, answer);
        assert_eq!(statuses(&entries), life, "{:?} {}", answer.door, answer.text);
        let last = entries.last().unwrap();
        assert_eq!((&last["code"], &last["principal"]), (&code.into(), &"bob".into()), "{last}");
    }
}

/// What stands on the accounts, all together and in a day: spent, and held.
async fn money(gate: &Gate) -> (rust_decimal::Decimal, rust_decimal::Decimal) {
    let shown = gate.cli(&["spend", "show", "--json"]).await.json();
    let day = |row: &&Value| row["window"] == "24h";
    let sum =
        |member: &str| shown.as_array().unwrap().iter().filter(day).map(|row| market::decimal(&row[member])).sum();
    (sum("spent"), sum("held"))
}

/// The same amounts in whole euros.
#[track_caller]
fn assert_money(found: (rust_decimal::Decimal, rust_decimal::Decimal), spent: u32, held: u32) {
    assert_eq!(found, (spent.into(), held.into()), "spent, and held");
}

/// Calls of 100 euros with keys, one through each door, whose outcome nobody knows: they stay so, until an owner has
/// looked. The first two were executed, the others not.
async fn resolved_both_ways(
    gate: &Gate,
    doors: &mut Doors,
    tool: &str,
    call: impl Fn(usize) -> Call,
    ran: impl Fn() -> usize,
) {
    let before = ran();
    let again = doors.call_elsewhere(tool, &call).await;
    refused(
        gate,
        &again,
        "outcome_unknown",
        "not executed again until the gate's owner has resolved it",
        &["ACCESS_DENIED"],
    )
    .await;
    assert_eq!(ran(), before, "nothing is sent twice");
    let all = u32::try_from(Doors::COUNT).unwrap() * 100;
    assert_money(money(gate).await, 0, all);

    let open = gate.cli(&["outcome", "list", "--json"]).await.json();
    let id = |number: usize| -> String {
        let key = call(number).1.unwrap();
        let found = open.as_array().unwrap().iter().find(|open| open["idempotency_key"] == key.as_str());
        let found = found.unwrap_or_else(|| panic!("{key} is not in {open}"));
        assert_eq!(found["tool"], tool);
        found["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(open.as_array().unwrap().len(), Doors::COUNT);
    for number in 0..Doors::COUNT {
        let found = if number < 2 { "--executed" } else { "--not-executed" };
        let resolved = gate.cli(&["outcome", "resolve", &id(number), found, "--json"]).await.json();
        assert_eq!(resolved["executed"], number < 2, "{resolved}");
        let twice = gate.cli(&["outcome", "resolve", &id(number), found]).await;
        assert!(twice.code == 1 && twice.stderr.contains("outcome list"), "{twice:?}");
    }
    assert_money(money(gate).await, 200, 0);
    assert_eq!(gate.cli(&["outcome", "list", "--json"]).await.json(), Value::Array(Vec::new()));
    let audit = gate.audit().await;
    for number in 0..Doors::COUNT {
        let about = |entry: &&Value| entry["metadata"]["resolved"]["id"] == id(number).as_str();
        let entry = audit.iter().find(about).unwrap_or_else(|| panic!("{number} is not in {audit:?}"));
        let status = if number < 2 { "COMPLETED" } else { "FAILED" };
        assert_eq!((&entry["action"], &entry["status"]), (&tool.into(), &status.into()));
        assert!(entry["principal_id"].as_str().unwrap().starts_with("uid:"), "{entry}");
    }

    // A key that is free may be another call's; one that is not, stays what it was.
    let told = doors.call(tool, |number| call(number % 2)).await;
    for answer in &told {
        answer.refused("outcome_unknown");
        assert_eq!(answer.details(), &serde_json::json!({"executed": true, "resolved": true}), "{}", answer.text);
    }
    assert_eq!(ran(), before);
    let other = doors.call("odd__echo", |number| (euros("1", number, r#","other":1"#).0, call(number).1)).await;
    for (number, answer) in other.iter().enumerate() {
        if number < 2 {
            answer.refused("idempotency_key_conflict");
        } else {
            assert!(!answer.executed().replayed());
        }
    }
    assert_eq!(gate.cli(&["audit", "verify", "--json"]).await.json()["ok"], true);
}
