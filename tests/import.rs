//! A desktop client's side: its servers become the gate's, and what it is given leads to the gate.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::harness::gate::run;
use crate::harness::wrap::Wrap;
use crate::harness::{Caller, Door, Gate, Setup, program};

const DESKTOP: &str = r#"{
    // Comments, as VS Code writes them.
    "mcpServers": {
        "my market": {
            "command": "PROGRAM",
            "args": ["example-marketplace", "--state", "mine.json"],
            "env": { "MARKET_KEY": "hunter2" },
        },
        "docs": { "url": "https://docs.example/mcp", "headers": { "Authorization": "Bearer sesame" } },
    },
}"#;

fn write(gate: &Gate, text: &str) -> String {
    let file = gate.folder().join("client.json");
    fs::write(&file, text.replace("PROGRAM", program().to_str().unwrap())).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Only what this gate starts itself.
fn children() -> String {
    let docs = DESKTOP.lines().find(|line| line.contains("\"docs\"")).unwrap();
    DESKTOP.replace(docs, "")
}

#[tokio::test]
async fn servers_are_printed_without_the_secrets() {
    let gate = Setup::default().write();
    let before = fs::read(gate.folder().join("portcullis.toml")).unwrap();
    let said = gate.cli(&["import", &write(&gate, DESKTOP)]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let toml: toml::Table = toml::from_str(&said.stdout).unwrap();
    let servers = toml["server"].as_array().unwrap();
    assert_eq!(servers[0]["url"].as_str(), Some("https://docs.example/mcp"));
    assert_eq!(servers[0]["headers"]["Authorization"].as_str(), Some("Bearer ${DOCS_AUTHORIZATION}"));
    assert_eq!(servers[1]["name"].as_str(), Some("my-market"));
    assert_eq!(servers[1]["env"][0].as_str(), Some("MARKET_KEY"));
    for name in ["MARKET_KEY", "DOCS_AUTHORIZATION", "`my market` is called `my-market`"] {
        assert!(said.stderr.contains(name), "{name}: {}", said.stderr);
    }
    assert!(!format!("{said:?}").contains("hunter2") && !format!("{said:?}").contains("sesame"));
    assert!(said.stdout.contains("my-market__*") && said.stdout.contains("policy.settings.roles"), "{}", said.stdout);
    assert_eq!(fs::read(gate.folder().join("portcullis.toml")).unwrap(), before, "it only prints");
}

#[tokio::test]
async fn servers_are_added_to_the_configuration_whole_or_not_at_all() {
    let gate = Setup::default().write();
    let config = gate.folder().join("portcullis.toml");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::read_to_string(&config).unwrap();
    let file = write(&gate, &children());
    let said = gate.cli(&["import", &file, "--write"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let after = fs::read_to_string(&config).unwrap();
    assert!(after.starts_with(before.trim_end()) && after.contains("name = \"my-market\""), "{after}");
    assert_eq!(fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o640);

    let again = gate.cli(&["import", &file, "--write"]).await;
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("`my-market`") && again.stderr.contains("not touched"), "{again:?}");
    assert_eq!(fs::read_to_string(&config).unwrap(), after);
    let names: Vec<_> = fs::read_dir(gate.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().starts_with(".tmp")), "{names:?}");

    // What the gate could not use is not written.
    fs::write(&config, before.replace("name = \"market\"", "name = \"market\"\nprefix = false")).unwrap();
    let alone = fs::read_to_string(&config).unwrap();
    let said = gate.cli(&["import", &file, "--write"]).await;
    assert!(
        said.code == 1 && said.stderr.contains("prefix = false") && said.stderr.contains("portcullis.toml"),
        "{said:?}"
    );
    assert_eq!(fs::read_to_string(&config).unwrap(), alone);
}

#[tokio::test]
async fn what_is_no_clients_configuration_is_said() {
    let gate = Setup::default().write();
    for text in
        ["", "{}", "[", r#"{"mcpServers": {}}"#, r#"{"mcpServers": {"a": {"type": "sse", "url": "https://a"}}}"#]
    {
        let said = gate.cli(&["import", &write(&gate, text)]).await;
        assert!(said.code == 1 && said.stderr.contains("client.json") && said.stdout.is_empty(), "{text}: {said:?}");
    }
    let large = format!("{{\"mcpServers\": {{}}}}{}", " ".repeat(1 << 20));
    assert!(gate.cli(&["import", &write(&gate, &large)]).await.stderr.contains("more than"));
    assert_eq!(gate.cli(&["import", "/nowhere.json"]).await.code, 1);
}

#[tokio::test]
async fn what_is_exported_over_http_leads_to_a_governed_call() {
    let gate = Setup::default().start().await;
    let said = gate.cli(&["export", "--client", "cursor", "--new-agent", "desk", "--role", "buyer"]).await;
    let entry = &said.json()["mcpServers"]["portcullis"];
    let url = entry["url"].as_str().unwrap();
    assert_eq!(url, format!("{}/mcp", gate.url()));
    let key = entry["headers"]["Authorization"].as_str().unwrap().strip_prefix("Bearer ").unwrap();
    let caller = Caller::new(url.strip_suffix("/mcp").unwrap().to_owned(), Some(key), Door::Legacy);
    caller.call("market__list_deals", "{}").await.executed();

    let by_hand = gate.cli(&["export", "--client", "vscode", "--agent", "desk"]).await;
    assert!(!by_hand.stdout.contains(key) && by_hand.stderr.contains("desk"), "{by_hand:?}");
    assert_eq!(by_hand.json()["servers"]["portcullis"]["type"], "http");
    assert_eq!(gate.cli(&["export", "--agent", "nobody"]).await.code, 1);
    for words in
        [&["export", "--new-agent", "x"][..], &["export", "--agent", "desk", "--new-agent", "x", "--role", "buyer"]]
    {
        assert_eq!(gate.cli(words).await.code, 2, "{words:?}");
    }
}

#[tokio::test]
async fn what_is_exported_over_stdio_starts_this_program_for_each_server() {
    let gate = Setup::default().write();
    assert_eq!(gate.cli(&["import", &write(&gate, &children()), "--write"]).await.code, 0);
    let said = gate.cli(&["export", "--client", "claude-desktop", "--new-agent", "desk", "--role", "buyer"]).await;
    let servers: Value = said.json()["mcpServers"].clone();
    assert_eq!(servers.as_object().unwrap().len(), 2);
    let entry = &servers["my-market"];
    assert_eq!(entry["command"].as_str(), program().canonicalize().unwrap().to_str());
    let args: Vec<_> = entry["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    let config = gate.folder().join("portcullis.toml");
    assert_eq!(args[..5], ["wrap", "--config", config.to_str().unwrap(), "--name", "my-market"]);
    assert_eq!(args[5], "--");
    assert_eq!(args[7..], ["example-marketplace", "--state", "mine.json"]);
    for entry in servers.as_object().unwrap().values() {
        assert!(entry["env"]["PORTCULLIS_KEY"].as_str().unwrap().starts_with("pk_"));
        assert!(entry["env"]["MARKET_KEY"].is_string(), "whichever starts first is the gate for all: {entry}");
    }
    assert!(said.stderr.contains("MARKET_KEY"), "{}", said.stderr);
}

#[tokio::test]
async fn a_newcomer_gets_from_init_to_a_governed_call_by_the_lines_that_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let new = folder.path().join("gate");
    let said = run(&["init", new.to_str().unwrap()]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let shown = said.stdout.lines().find(|line| line.contains("portcullis export")).expect("a line to paste");
    let words: Vec<&str> = shown.split_whitespace().skip(1).collect();
    let exported = run(&words).await;
    let entry = &exported.json()["mcpServers"]["market"];
    assert!(!exported.stderr.contains("warning"), "the role that is shown is one that there is: {}", exported.stderr);
    let mut client = Wrap::exported(entry);
    client.initialize().await;
    assert!(client.tools().await.contains(&"market__list_deals".to_owned()));
    let called = client.call("market__list_deals", "{}", None).await;
    assert_eq!(called["result"]["isError"], false, "{called}");
    client.close();
}
