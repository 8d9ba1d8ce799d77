//! Policies that are not there, do not load, or fail while they decide.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{assert_money, money, refused};
use crate::harness::doors::{entries, statuses};
use crate::harness::gate::POLICIES;
use crate::harness::{Answer, Caller, Door, Doors, Gate, Setup, guest, market, until};

const DEAL: &str = "market__create_deal";
const OFFER: &str = "market__make_offer";

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

/// Calls through each door that want to be decided at any moment: far more than are, in the time that one waits for its turn.
const LOAD: usize = 50;

#[tokio::test]
async fn no_free_slot() {
    let gate = hostile("slow-evaluate").start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    // Nobody has asked yet what this one sees.
    let new = gate.agent("eve", "buyer", Door::Rest).await;
    let mut doors = Doors::to_market(&gate, &buyer);
    let (stop, (told, mut answers)) = (Arc::new(AtomicBool::new(false)), mpsc::unbounded_channel());
    let mut load = JoinSet::new();
    for number in 0..LOAD * Door::ALL.len() {
        let (caller, told, stop) = (buyer.at(Door::ALL[number % Door::ALL.len()]), told.clone(), Arc::clone(&stop));
        load.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                told.send(caller.call(OFFER, &market::numbered_offer(number, "1", "\"EUR\"")).await).unwrap();
            }
        });
    }
    let mut seen: Vec<Answer> = Vec::new();
    while !seen.iter().any(|answer| answer.code() == Some("overloaded")) {
        seen.push(answers.recv().await.unwrap());
    }
    // A newcomer, of whom nobody knows yet what it may see, is not told that there is no such tool.
    let at_stdio = doors.call(OFFER, |number| (market::numbered_offer(number, "2", "\"EUR\""), None));
    let mut news = Door::ALL
        .map(|door| new.at(door))
        .into_iter()
        .map(|caller| async move { caller.call(OFFER, &market::offer("3", "EUR")).await })
        .collect::<JoinSet<_>>();
    let first = news.join_next();
    let (others, first) = tokio::join!(at_stdio, first);
    let mut late = vec![first.unwrap().unwrap()];
    late.extend(news.join_all().await);
    stop.store(true, Ordering::SeqCst);
    load.join_all().await;
    drop(told);
    while let Some(answer) = answers.recv().await {
        seen.push(answer);
    }
    seen.extend(others);
    let decided = |answer: &Answer| answer.code() == Some("policy_limit");
    for door in Door::ALL.into_iter().chain([Door::Stdio]) {
        assert!(seen.iter().any(|answer| answer.door == door && !decided(answer)), "{door:?}");
    }
    for answer in seen.iter().chain(&late).filter(|answer| !decided(answer)) {
        let refusal = answer.refused("overloaded").refusal();
        assert!(refusal["message"].as_str().unwrap().contains("too much to decide"), "{}", answer.text);
        assert!(refusal["retry_after_ms"].is_u64(), "{}", answer.text);
    }
    let audit = gate.audit().await;
    for answer in late.iter().filter(|answer| !decided(answer)) {
        assert_eq!(statuses(&entries(&audit, answer)), ["ACCESS_DENIED"]);
    }
    assert_money(money(&gate).await, 0, 0);
    for answer in doors.call("market__list_deals", |number| ("{}".to_owned(), Some(format!("key-{number}")))).await {
        answer.executed();
    }
    assert_eq!(gate.executed().len(), Doors::COUNT);
}
