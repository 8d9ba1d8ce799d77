//! `portcullis doctor`: a good installation, and one thing after the other that is wrong with it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::harness::gate::Said;
use crate::harness::{Gate, Setup};

/// What was found of the worst state that is asked for, with what is checked in front.
fn found(said: &Said, state: &str) -> Vec<String> {
    let report: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let findings = report["findings"].as_array().unwrap().clone();
    assert_eq!(report["ok"], !findings.iter().any(|finding| finding["state"] == "problem"));
    assert_eq!(said.code, i32::from(report["ok"] == false), "{said:?}");
    let of = findings.iter().filter(|finding| finding["state"] == state);
    of.map(|finding| {
        assert_eq!(finding["do"].is_string(), state != "ok", "what is wrong has a remedy: {finding}");
        format!("{}: {}", finding["check"].as_str().unwrap(), finding["what"].as_str().unwrap())
    })
    .collect()
}

async fn doctor(gate: &Gate) -> Said {
    gate.cli(&["doctor", "--json"]).await
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[track_caller]
fn says(found: &[String], what: &str) {
    assert!(found.iter().any(|found| found.contains(what)), "`{what}` is not in {found:#?}");
}

/// Every name in it is of something that there is.
const POLICIES: &str = "[[policy]]\nname = \"rbac\"\nmodule = \"bundled:rbac\"\n\
                        [policy.settings.roles.buyer]\nallow = [\"market__list_*\", \"market__create_deal\"]\n";

/// A gate with an agent and an owner, that does not run.
async fn settled(setup: Setup) -> Gate {
    let gate = setup.write();
    gate.add_agent("bob", "buyer").await;
    gate.cli(&["person", "add", "olivia", "--kind", "owner"]).await;
    gate
}

#[tokio::test]
async fn a_good_installation_has_no_problems_and_lets_no_canary_through() {
    let mut gate = settled(Setup::policies(POLICIES)).await;
    let said = doctor(&gate).await;
    assert_eq!(found(&said, "problem"), [""; 0]);
    says(&found(&said, "warning"), "canaries: no gate runs here");
    says(&found(&said, "ok"), "server market");

    gate.start().await;
    gate.ready().await;
    let said = doctor(&gate).await;
    assert_eq!(found(&said, "problem"), [""; 0], "{said:?}");
    says(&found(&said, "ok"), "canaries: all ");
    says(&found(&said, "ok"), "gate: version");
    let odd: Vec<_> = found(&said, "warning")
        .into_iter()
        .filter(|warning| !warning.starts_with("user: ") && !warning.starts_with("servers: they run in"))
        .collect();
    assert_eq!(odd, [""; 0]);

    assert!(gate.executed().is_empty(), "no canary reached a tool");
    let agents = gate.cli(&["agent", "list", "--json"]).await.json();
    let canary =
        agents.as_array().unwrap().iter().find(|a| a["name"].as_str().unwrap().starts_with("doctor-")).unwrap();
    assert_eq!(canary["status"], "revoked");
    let audit = gate.audit().await;
    let by_canary = audit.iter().filter(|entry| entry["principal"].as_str().is_some_and(|p| p.starts_with("doctor-")));
    assert!(by_canary.count() >= 2, "its calls are in the audit log");
    let text = gate.cli(&["doctor"]).await;
    assert!(text.code == 0 && text.stdout.contains("0 problems"), "{text:?}");
}

#[tokio::test]
async fn a_canary_that_is_let_through_is_a_problem() {
    let policies = "[[policy]]\nname = \"rbac\"\nmodule = \"bundled:rbac\"\n[policy.settings.roles.doctor-canary]\nallow = [\"market__*\"]\n";
    let mut gate = settled(Setup::policies(policies)).await;
    gate.start().await;
    gate.ready().await;
    let said = doctor(&gate).await;
    says(&found(&said, "problem"), "LET THROUGH: a call of `market__");
    says(&found(&said, "warning"), "is shown");
    says(&found(&said, "warning"), "agent `bob` has the role `buyer`");
    let state = fs::read_to_string(gate.folder().join("market.json")).unwrap_or_default();
    assert!(!state.contains("\"id\""), "what was let through changed nothing: {state}");
}

#[tokio::test]
async fn a_gate_is_started_for_the_canaries_when_that_is_wanted() {
    let gate = settled(Setup::policies(POLICIES)).await;
    let said = gate.cli(&["doctor", "--json", "--start"]).await;
    assert_eq!(found(&said, "problem"), [""; 0], "{said:?}");
    says(&found(&said, "ok"), "canaries: all ");
    assert!(gate.executed().is_empty());
    // It is gone again: the store is free.
    gate.cli(&["agent", "list", "--json"]).await.json();
}

#[tokio::test]
async fn modes_that_let_others_in_are_problems() {
    let gate = settled(Setup::policies(POLICIES)).await;
    let at = |path: &str| gate.folder().join(path);
    let places = [
        ("data", 0o750, "data: others can use"),
        ("policies", 0o777, "policies: every user"),
        ("policies/policies.toml", 0o666, "policies/policies.toml` (mode 666)"),
        ("portcullis.toml", 0o646, "configuration: every user"),
    ];
    for (path, bad, _) in places {
        mode(&at(path), bad);
    }
    let problems = found(&doctor(&gate).await, "problem");
    for (_, _, what) in places {
        says(&problems, what);
    }
    assert_eq!(problems.len(), places.len(), "{problems:#?}");
}

#[tokio::test]
async fn servers_that_cannot_start_or_reach_too_far_are_said() {
    let server = |name: &str, rest: &str| format!("\n[[server]]\nname = \"{name}\"\n{rest}\n");
    let gate = Setup {
        servers: [
            server("gone", "command = [\"no-such-program-anywhere\"]"),
            server("odd", "command = [\"./odd\"]"),
            server("files", "command = [\"sh\", \"--root\", \".\"]"),
            server("link", "command = [\"sh\", \"innocent/store\"]"),
            server("mount", "command = [\"sh\", \"-v\", \"/:/host\"]"),
            server("fine", "command = [\"sh\", \"-c\", \"state.json\"]\nenv = [\"PORTCULLIS_TEST_UNSET\"]"),
            server("docs", "url = \"https://docs.example/mcp\"\nheaders = { X-Key = \"${PORTCULLIS_TEST_UNSET}\" }"),
        ]
        .concat(),
        ..Setup::default()
    };
    let gate = settled(gate).await;
    fs::write(gate.folder().join("odd"), "#!/bin/sh\n").unwrap();
    std::os::unix::fs::symlink(gate.folder().join("data"), gate.folder().join("innocent")).unwrap();
    let said = doctor(&gate).await;
    let problems = found(&said, "problem");
    for what in [
        "server gone: its program `no-such-program-anywhere`",
        "server odd: its program `./odd`",
        "server files: its argument `.` reaches the data directory",
        "server link: its argument `innocent/store` reaches the data directory",
        "server mount: its argument `/:/host` reaches the data directory",
    ] {
        says(&problems, what);
    }
    assert_eq!(problems.len(), 5, "{problems:#?}");
    says(&found(&said, "warning"), "server fine: it is to get `PORTCULLIS_TEST_UNSET`");
    says(&found(&said, "warning"), "server docs: its header `x-key` needs");
}

#[tokio::test]
async fn a_configuration_or_a_policy_that_cannot_be_used_is_said() {
    let gate = Setup { servers: "\n[[sever]]\nname = \"x\"\n".into(), ..Setup::default() }.write();
    says(&found(&doctor(&gate).await, "problem"), "did you mean `server`?");

    let broken = "[[policy]]\nname = \"rbac\"\nmodule = \"bundled:rbac\"\n[policy.settings]\nrolls = 1\n";
    says(
        &found(&doctor(&settled(Setup::policies(broken)).await).await, "problem"),
        "policies: `policies.toml`: policy `rbac`",
    );
    let none = Setup { policies: None, ..Setup::default() }.write();
    says(&found(&doctor(&none).await, "problem"), "is missing");
}

#[tokio::test]
async fn names_that_mean_nothing_are_said() {
    let policies = "[[policy]]\nname = \"rbac\"\nmodule = \"bundled:rbac\"\n[policy.settings.roles.buyer]\n\
                    allow = [\"market__list_deals\", \"markt__*\", \"market__creat_deal\"]\n";
    let ceiling = "\n[[ceiling]]\naccount = \"agnt\"\nmax = \"1\"\ncurrency = \"EUR\"\nwindow = \"24h\"\n";
    let mut gate = Setup::policies(policies).and(ceiling).write();
    let said = gate.cli(&["agent", "add", "bob", "--role", "byer", "--json"]).await;
    assert_eq!(said.code, 0, "a role may be for a policy to come");
    assert!(said.stderr.contains("`byer`") && said.stderr.contains("did you mean `buyer`"), "{said:?}");
    let fine = gate.cli(&["agent", "add", "eve", "--role", "buyer", "--json"]).await;
    assert!(fine.stderr.is_empty(), "{fine:?}");

    let warnings = found(&doctor(&gate).await, "warning");
    for what in [
        "names: policy `rbac` names `markt__*`, but no server",
        "`agnt`",
        "agent `bob` has the role `byer`",
        "owners: there are none",
    ] {
        says(&warnings, what);
    }
    gate.start().await;
    gate.ready().await;
    let warnings = found(&doctor(&gate).await, "warning");
    says(&warnings, "names: policy `rbac` names `market__creat_deal`, but no tool");
    assert!(!warnings.iter().any(|warning| warning.contains("market__list_deals")), "{warnings:#?}");
}

#[tokio::test]
async fn doors_on_the_network_and_gates_that_are_shut_are_said() {
    let mut gate = Setup { policies: None, ..Setup::default() }.write();
    gate.start().await;
    says(&found(&doctor(&gate).await, "problem"), "gate: ");
    gate.kill().await;
    let config = gate.folder().join("portcullis.toml");
    let text = fs::read_to_string(&config).unwrap().replace("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:0\"");
    fs::write(&config, text).unwrap();
    says(&found(&doctor(&gate).await, "warning"), "doors: `gate.listen` is 0.0.0.0:0");
}

#[tokio::test]
async fn nobody_is_registered() {
    let gate = Setup::default().write();
    assert!(!gate.folder().join("data").exists());
    let said = doctor(&gate).await;
    says(&found(&said, "ok"), "data: ");
    assert!(!gate.folder().join("data").exists(), "looking makes nothing");
    gate.cli(&["person", "add", "olivia", "--kind", "owner"]).await;
    says(&found(&doctor(&gate).await, "warning"), "agents: there are none");
}
