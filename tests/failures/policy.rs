//! Policies that are not there, do not load, or fail while they decide.

use std::fs;

use super::{assert_money, money, refused};
use crate::harness::doors::{entries, statuses};
use crate::harness::gate::POLICIES;
use crate::harness::{Answer, Caller, Door, Doors, Gate, Setup, guest, market, until};

const DEAL: &str = "market__create_deal";

/// At every door, with its tools, its readiness and its audit log.
async fn is_shut(gate: &Gate, buyer: &Caller, why: &str) {
    let mut doors = Doors::to_market(gate, buyer);
    let answers = doors.call(DEAL, |number| (market::deal("a"), Some(format!("key-{number}")))).await;
    refused(gate, &answers, "no_policy", "tell its owner", &["ACCESS_DENIED"]).await;
    let answers = doors.call("market__no_such_tool", |_| ("{}".to_owned(), None)).await;
    refused(gate, &answers, "no_policy", "tell its owner", &["ACCESS_DENIED"]).await;
    buyer.get("/v1/tools").await.refused("no_policy");
    let ready = buyer.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["ready"]), (503, &false.into()), "{}", ready.text);
    let reasons = ready.body["reasons"].to_string();
    assert!(reasons.contains(why), "`{why}` in {reasons}");
    assert_eq!(buyer.get("/healthz").await.status, 200, "it is alive all the same");
}

async fn shut_with(policies: Option<&str>, why: &str) {
    let components = vec![("loop.wasm".to_owned(), guest::component("hostile/loop-configure.wat"))];
    let mut gate = Setup { policies: policies.map(str::to_owned), components, ..Setup::default() }.write();
    gate.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    is_shut(&gate, &buyer, why).await;
    assert_eq!(gate.executed().len(), 0);
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
async fn a_policy_that_does_not_finish_its_configuration() {
    let policies = format!("{POLICIES}[[policy]]\nname = \"endless\"\nmodule = \"loop.wasm\"\n");
    shut_with(Some(&policies), "endless").await;
}

#[tokio::test]
async fn a_file_that_was_deleted_stays_a_shut_gate_after_a_restart() {
    let mut gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    buyer.call(DEAL, &market::deal("a")).await.executed();
    fs::remove_file(gate.policy_file()).unwrap();
    gate.kill().await;
    gate.start().await;
    is_shut(&gate, &buyer.moved_to(gate.url()), "policies.toml").await;
    assert_eq!(gate.executed().len(), 1);
}

/// All doors are decided by the first set, and the owner is told why.
async fn first_set_decides(gate: &Gate, doors: &mut Doors, why: &str) {
    let owner = gate.caller(None, Door::Rest);
    until(why, async || {
        let ready = owner.get("/readyz").await;
        let said = ready.body["reasons"].to_string().contains(why);
        (ready.status == 200 && ready.body["degraded"] == true && said).then_some(())
    })
    .await;
    for answer in doors.call("market__list_deals", |_| ("{}".to_owned(), Some(why.replace(' ', "-")))).await {
        if answer.code() == Some("idempotency_key_in_progress") {
            continue;
        }
        assert_eq!(answer.executed().decision()["generation"], 1, "{why}: {}", answer.text);
    }
    for answer in doors.call(DEAL, |_| (market::deal("a"), None)).await {
        answer.refused("unknown_tool");
    }
}

/// Roles alone: what a buyer may do.
fn roles(allow: &str) -> String {
    format!(
        "[[policy]]\nname = \"rbac\"\nmodule = \"bundled:rbac\"\n[policy.settings.roles.buyer]\nallow = [\"{allow}\"]\n"
    )
}

#[tokio::test]
async fn a_broken_new_version_leaves_the_last_good_set_in_force_also_after_a_restart() {
    let components = vec![
        ("loop.wasm".to_owned(), guest::component("hostile/loop-configure.wat")),
        ("junk.wasm".to_owned(), b"\0asm junk".to_vec()),
    ];
    let mut gate = Setup { components, ..Setup::policies(roles("market__list_deals")) }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let mut doors = Doors::to_market(&gate, &buyer);
    // More is allowed, but none of these ever decides.
    let loose = roles("market__*");
    let policy = |name: &str, more: &str| format!("{loose}[[policy]]\nname = \"{name}\"\n{more}");
    let versions = [
        (loose[..loose.len() - 3].to_owned(), "not TOML"),
        (policy("junk", "module = \"junk.wasm\"\n"), "junk.wasm"),
        (policy("endless", "module = \"loop.wasm\"\n"), "endless"),
        (policy("misset", "module = \"bundled:rbac\"\n[policy.settings]\nrolls = {}\n"), "misset"),
        (policy("pinned", &format!("module = \"bundled:rbac\"\ndigest = \"sha256:{}\"\n", "0".repeat(64))), "pinned"),
    ];
    for (text, why) in &versions {
        fs::write(gate.policy_file(), text).unwrap();
        first_set_decides(&gate, &mut doors, why).await;
    }
    let failed = |audit: Vec<serde_json::Value>| {
        let reloads = audit.into_iter().filter(|entry| entry["action"] == "policy.reload");
        reloads.filter(|entry| entry["status"] == "FAILED").count()
    };
    assert_eq!(failed(gate.audit().await), versions.len(), "each is written down");
    gate.restart().await;
    let mut doors = Doors::to_market(&gate, &buyer);
    first_set_decides(&gate, &mut doors, versions.last().unwrap().1).await;
    assert!(gate.executed().iter().all(|entry| entry.tool == "list_deals"));
}

/// The hostile one is asked about one tool only, after roles and caps have let the call through.
fn hostile(file: &str) -> Setup {
    let policies = POLICIES.replace("market__make_offer\", \"odd__*\"]\namount", "market__make_offer\"]\namount");
    let policies = format!(
        "{policies}[[policy]]\nname = \"hostile\"\nmodule = \"hostile.wasm\"\ntools = [\"market__make_offer\"]\n"
    );
    let components = vec![("hostile.wasm".to_owned(), guest::component(&format!("hostile/{file}.wat")))];
    Setup { components, ..Setup::policies(policies) }
}

/// Refused at every door, with its name and what it did in the audit log; no key, no money, and the next call is served.
async fn decides(file: &str, code: &str, what: &str) {
    let gate = hostile(file).start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let mut doors = Doors::to_market(&gate, &buyer);
    for _ in 0..2 {
        let answers = doors.call("market__make_offer", |_| (market::offer("5", "EUR"), Some("key".to_owned()))).await;
        refused(&gate, &answers, code, "until the gate's owner has looked at that policy", &["ACCESS_DENIED"]).await;
        let audit = gate.audit().await;
        for answer in &answers {
            assert_eq!(answer.refusal()["policy"], "hostile");
            let entry = entries(&audit, answer)[0];
            let asked = entry["policies"].as_array().unwrap().last().unwrap();
            assert_eq!((&asked["policy"], &asked["failure"]["code"]), (&"hostile".into(), &code.into()), "{entry}");
            assert!(asked["failure"]["message"].as_str().unwrap().contains(what), "`{what}` in {asked}");
        }
    }
    assert_money(money(&gate).await, 0, 0);
    // The key is still nobody's.
    buyer.call_with("market__list_deals", "{}", Some("key")).await.executed();
    assert_eq!(gate.executed().len(), 1);
    assert_eq!(buyer.get("/readyz").await.status, 200);
}

macro_rules! deciding {
    ($($test:ident: $file:literal => $code:literal, $what:literal;)*) => {$(
        #[tokio::test]
        async fn $test() {
            decides($file, $code, $what).await;
        }
    )*};
}

deciding! {
    a_loop: "loop-evaluate" => "policy_limit", "fuel";
    a_slow_chain: "slow-evaluate" => "policy_limit", "interrupt";
    a_recursion: "recursion" => "policy_limit", "stack";
    a_memory_bomb: "grow-bomb" => "policy_limit", "64 MiB";
    a_table_bomb: "table-bomb" => "policy_limit", "table";
    a_trap: "trap" => "policy_fault", "unreachable";
    a_junk_verdict: "junk-discriminant" => "policy_fault", "discriminant";
    a_reason_that_is_no_text: "bad-utf8" => "policy_fault", "utf-8";
    a_reason_of_megabytes: "long-reason" => "policy_fault", "too much data";
}

/// More calls at a time than could be decided in the time that one waits for its turn. Fewer than one agent may have.
const BURST: usize = 60;

#[tokio::test]
async fn no_free_slot() {
    let gate = hostile("slow-evaluate").start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    // Nobody has asked yet what this one sees.
    let new = gate.agent("eve", "buyer", Door::Modern).await;
    let mut doors = Doors::to_market(&gate, &buyer);
    doors.call("market__list_deals", |_| ("{}".to_owned(), None)).await;
    let listed = gate.executed().len();
    let mut calls = tokio::task::JoinSet::new();
    for caller in Door::ALL.map(|door| buyer.at(door)).into_iter().chain([new]) {
        for number in 0..BURST {
            let (caller, offer) = (caller.clone(), market::numbered_offer(number, "1", "\"EUR\""));
            calls.spawn(async move { caller.call("market__make_offer", &offer).await });
        }
    }
    let offers = doors.call("market__make_offer", |number| (market::offer(&number.to_string(), "EUR"), None)).await;
    let answers: Vec<Answer> = calls.join_all().await.into_iter().chain(offers).collect();
    let turned_away: Vec<&Answer> = answers.iter().filter(|answer| answer.code() == Some("overloaded")).collect();
    for door in Door::ALL {
        let many = turned_away.iter().filter(|answer| answer.door == door).count();
        assert!(many > 0, "{door:?}");
    }
    let audit = gate.audit().await;
    for answer in &answers {
        match answer.code() {
            Some("overloaded") => {
                let refusal = answer.refused("overloaded").refusal();
                assert!(refusal["message"].as_str().unwrap().contains("too much to decide"), "{}", answer.text);
                assert!(refusal["retry_after_ms"].is_u64(), "{}", answer.text);
                assert_eq!(statuses(&entries(&audit, answer)), ["ACCESS_DENIED"]);
            }
            _ => {
                answer.refused("policy_limit");
            }
        }
    }
    assert_money(money(&gate).await, 0, 0);
    for answer in doors.call("market__list_deals", |_| ("{}".to_owned(), None)).await {
        assert!(matches!(answer.code(), None | Some("idempotency_key_in_progress")), "{}", answer.text);
    }
    assert!(gate.executed().len() > listed && gate.executed().iter().all(|entry| entry.tool == "list_deals"));
}
