//! The command line: what it shows, its exit codes, and errors that name the thing.

use crate::harness::gate::run;
use crate::harness::{Door, Setup, guest, here, market};

#[tokio::test]
async fn wrong_use_is_2() {
    for words in [&["no-such-word"][..], &["agent", "add"], &["agent", "add", "bob"], &["serve", "--no-such-flag"], &[]]
    {
        let said = run(words).await;
        assert_eq!(said.code, 2, "{words:?} {said:?}");
        assert!(said.stdout.is_empty() && !said.stderr.is_empty());
    }
    assert_eq!(run(&["--help"]).await.code, 0);
    assert!(run(&["--version"]).await.stdout.starts_with("portcullis "));
}

#[tokio::test]
async fn what_fails_is_1_and_names_the_thing() {
    let said = run(&["agent", "list", "--config", "/nowhere/portcullis.toml"]).await;
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("/nowhere/portcullis.toml"), "{}", said.stderr);

    let gate = Setup { servers: "\n[[sever]]\nname = \"x\"\n".into(), ..Setup::default() }.write();
    let said = gate.cli(&["serve"]).await;
    assert_eq!(said.code, 1);
    assert!(
        said.stderr.contains("`sever`") && said.stderr.contains("`server`"),
        "the nearest known key: {}",
        said.stderr
    );

    let gate = Setup::default().write();
    let said = gate.cli(&["agent", "show", "nobody"]).await;
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("nobody"), "{}", said.stderr);
}

#[tokio::test]
async fn init_makes_something_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let new = folder.path().join("gate");
    let said = run(&["init", new.to_str().unwrap()]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let config = new.join("portcullis.toml");
    let again = run(&["init", new.to_str().unwrap()]).await;
    assert_eq!(again.code, 1, "what is there is not written over: {again:?}");
    let added = run(&["agent", "add", "bob", "--role", "reader", "--json", "--config", config.to_str().unwrap()]).await;
    assert_eq!(added.json()["name"], "bob");
    assert!(std::fs::read_to_string(config).unwrap().contains('#'), "it is commented");
}

#[tokio::test]
async fn agents_with_and_without_a_running_gate() {
    let mut gate = Setup::default().write();
    let key = gate.add_agent("bob", "buyer").await;
    gate.start().await;
    gate.ready().await;
    gate.caller(Some(&key), Door::Rest).call("market__list_deals", "{}").await.executed();
    let other = gate.add_agent("eve", "support").await;
    gate.caller(Some(&other), Door::Rest).call("market__find_order", r#"{"number":"1"}"#).await.executed();

    let again = gate.cli(&["agent", "add", "bob", "--role", "buyer", "--json"]).await;
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("bob"), "{}", again.stderr);
    let listed = gate.cli(&["agent", "list", "--json"]).await;
    assert!(!listed.stdout.contains(&key), "a key is shown once");
    let listed = listed.json();
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|agent| agent["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bob", "eve"]);
    assert!(gate.cli(&["agent", "list"]).await.stdout.contains("eve"));
}

#[tokio::test]
async fn policies_are_shown() {
    let gate = Setup::default().start().await;
    let listed = gate.cli(&["policy", "list", "--json"]).await.json();
    let policies = listed["policies"].as_array().unwrap();
    let names: Vec<_> = policies.iter().map(|policy| policy["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["rbac", "spending-caps"]);
    assert!(policies[0]["digest"].as_str().unwrap().starts_with("sha256:"), "{listed}");
    assert_eq!((&listed["generation"], &listed["differs"]), (&1.into(), &false.into()), "{listed}");
    assert!(listed["digest"].as_str().unwrap().starts_with("sha256:"), "{listed}");
}

#[tokio::test]
async fn a_policy_directory_is_checked_without_a_gate() {
    let example = here().join("../examples/marketplace/policies");
    assert_eq!(run(&["policy", "check", example.to_str().unwrap(), "--json"]).await.json()["ok"], true);

    let broken = Setup::policies("[[policy]]\nname = \"caps\"\nmodule = \"bundled:spending-cap\"\n").write();
    let directory = broken.folder().join("policies");
    let said = run(&["policy", "check", directory.to_str().unwrap(), "--json"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(report["ok"], false);
    assert!(report["problems"].to_string().contains("spending-cap"), "{report}");
    let said = run(&["policy", "check", "/nowhere"]).await;
    assert!(said.code == 1 && (said.stdout + &said.stderr).contains("/nowhere"));
}

#[tokio::test]
async fn a_component_is_inspected_and_tested() {
    for name in ["allowlist", "approvals", "quiet-hours", "rbac", "spending-caps"] {
        let bundled = format!("bundled:{name}");
        let inspected = run(&["policy", "inspect", &bundled, "--json"]).await.json();
        assert_eq!(inspected["description"]["name"], name);
        assert!(!inspected.to_string().contains("wasi:"), "it can reach nothing: {inspected}");
        assert_eq!(run(&["policy", "test", &bundled]).await.code, 0, "{name} passes its own vectors");
    }
    assert_eq!(run(&["policy", "inspect", "bundled:none"]).await.code, 1);
    let folder = tempfile::tempdir().unwrap();
    let trapping = folder.path().join("trap.wasm");
    std::fs::write(&trapping, guest::component("hostile/loop-start.wat")).unwrap();
    let said = run(&["policy", "inspect", trapping.to_str().unwrap()]).await;
    assert!(said.code == 1 && said.stderr.contains("trap.wasm"), "{said:?}");
}

#[tokio::test]
async fn spending_is_shown() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    buyer.call("market__make_offer", &market::offer("12.50", "EUR")).await.executed();
    let shown = gate.cli(&["spend", "show", "--json"]).await.json();
    let row = &shown[0];
    assert!(row["account"].as_str().unwrap().starts_with("agent:"), "{shown}");
    assert_eq!((&row["currency"], &row["window"]), (&"EUR".into(), &"24h".into()), "{shown}");
    assert_eq!(market::decimal(&row["spent"]), market::decimal(&"12.50".into()), "{shown}");
}

#[tokio::test]
async fn two_gates_on_one_store_do_not_start() {
    let gate = Setup::default().start().await;
    let said = gate.cli(&["serve", "--json"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains(gate.folder().to_str().unwrap()), "{}", said.stderr);
    gate.agent("bob", "buyer", Door::Rest).await.call("market__list_deals", "{}").await.executed();
}

#[tokio::test]
async fn a_command_waits_for_a_gate_that_is_starting() {
    let mut gate = Setup::default().write();
    for number in 0..3 {
        let name = format!("agent-{number}");
        let config = gate.folder().join("portcullis.toml");
        let words = ["agent", "add", &name, "--role", "buyer", "--config", config.to_str().unwrap()];
        // Whichever of them has the store first, the other waits for it.
        let ((), said) = tokio::join!(gate.start(), run(&words));
        assert_eq!(said.code, 0, "{said:?}");
        gate.kill().await;
    }
    let listed = gate.cli(&["agent", "list", "--json"]).await.json();
    assert_eq!(listed.as_array().unwrap().len(), 3);
}
