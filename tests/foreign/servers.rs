//! Servers of other hands behind the gate: files and a memory of the legacy era, a repository of the modern one.
//!
//! What each client hears through the gate is, to the byte, what it hears from the server itself.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::with_each;
use crate::harness::foreign::{Client, Driver, installed, skipped};
use crate::harness::{Door, Gate, Setup, until};

const POLICIES: &str = r#"
[[policy]]
name = "rbac"
module = "bundled:rbac"
[policy.settings.roles.reader]
allow = ["files__read_text_file", "memory__open_nodes", "git__git_show"]
[policy.settings.roles.writer]
inherits = ["reader"]
allow = ["files__write_file", "memory__create_entities", "memory__add_observations", "git__git_create_branch"]
"#;

/// Their folders: one that the servers behind the gate work on, and an equal one.
struct Worlds {
    folder: TempDir,
    git: bool,
}

impl Worlds {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let one = folder.path().join("governed");
        fs::create_dir_all(one.join("files")).unwrap();
        fs::write(one.join("files/a.txt"), "as it is: 1099.10 é😀\r\n\ttabs \"quotes\" \u{2028}").unwrap();
        let git = repository(&one.join("repository")).await;
        let copied = Command::new("cp").arg("-a").arg(&one).arg(folder.path().join("direct")).status().await.unwrap();
        assert!(copied.success());
        Self { folder, git }
    }

    fn path(&self, world: &str, path: &str) -> String {
        self.folder.path().join(world).join(path).to_str().unwrap().to_owned()
    }

    /// The commands that start the servers on one of the folders, by their names at the gate.
    fn servers(&self, installed: &Path, world: &str) -> Vec<(&'static str, Vec<String>)> {
        let program = |path: &str| installed.join(path).to_str().unwrap().to_owned();
        let memory = format!("MEMORY_FILE_PATH={}", self.path(world, "memory.jsonl"));
        let files = program("node/node_modules/.bin/mcp-server-filesystem");
        let mut servers = vec![
            ("files", vec![files, self.path(world, "files")]),
            ("memory", vec!["env".to_owned(), memory, program("node/node_modules/.bin/mcp-server-memory")]),
        ];
        if self.git {
            let repository = self.path(world, "repository");
            servers.push(("git", vec![program("python/bin/mcp-server-git"), "--repository".to_owned(), repository]));
        }
        servers
    }

    /// What a client asks of a server in one of the folders: tool, arguments, and whether only a writer may.
    fn calls(&self, server: &str, world: &str, client: Client) -> Vec<(&'static str, Value, bool)> {
        let name = client.name();
        match server {
            "files" => {
                let file = self.path(world, &format!("files/{name}.txt"));
                let content = format!("{name}\r\n1099.10 é😀");
                vec![
                    ("read_text_file", json!({"path": self.path(world, "files/a.txt")}), false),
                    ("write_file", json!({"path": file, "content": content}), true),
                    ("read_text_file", json!({"path": file}), false),
                    // The server's own refusal.
                    ("read_text_file", json!({"path": "/etc/passwd"}), false),
                ]
            }
            "memory" => {
                let entity = json!({"name": name, "entityType": "client", "observations": ["1099.10 é😀", ""]});
                let missing = json!([{"entityName": format!("no {name}"), "contents": ["x"]}]);
                vec![
                    ("create_entities", json!({"entities": [entity]}), true),
                    ("open_nodes", json!({"names": [name]}), false),
                    ("add_observations", json!({"observations": missing}), true),
                ]
            }
            _ => {
                let repository = self.path(world, "repository");
                let branch = json!({"repo_path": repository, "branch_name": name});
                vec![
                    ("git_show", json!({"repo_path": repository, "revision": "HEAD"}), false),
                    ("git_create_branch", branch.clone(), true),
                    ("git_create_branch", branch, true),
                    ("git_show", json!({"repo_path": repository, "revision": "no such"}), false),
                ]
            }
        }
    }
}

/// A repository with a commit; none, and said so aloud, where there is no git.
async fn repository(folder: &Path) -> bool {
    if let Err(error) = Command::new("git").arg("--version").output().await {
        skipped("tests with a foreign git server; git cannot be run", error.to_string().as_bytes());
        return false;
    }
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("a.txt"), "1099.10 é😀\r\n").unwrap();
    let who = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
    for words in [&["init", "--quiet", "--initial-branch=main"][..], &["add", "a.txt"], &["commit", "--quiet", "-mé"]]
    {
        let done = Command::new("git").arg("-C").arg(folder).args(who).args(words).status().await.unwrap();
        assert!(done.success());
    }
    true
}

#[tokio::test]
async fn servers_of_other_hands_are_governed_and_not_changed() {
    let Some(installed) = installed().await else { return };
    let worlds = Arc::new(Worlds::new().await);
    let tables = worlds.servers(installed, "governed").into_iter();
    let servers = tables.map(|(name, command)| format!("\n[[server]]\nname = {name:?}\ncommand = {command:?}\n"));
    let gate = Arc::new(Setup { servers: servers.collect(), ..Setup::policies(POLICIES) }.start().await);
    // A server that is slow to start is tried again.
    let asking = gate.caller(None, Door::Rest);
    let up = async || (asking.get("/readyz").await.body["degraded"] == false).then_some(());
    until("all servers", up).await;
    with_each(&gate, |client, gate| {
        let worlds = Arc::clone(&worlds);
        async move {
            let key = gate.add_agent(&client.name(), "writer").await;
            let mut writer = client.start(&gate, &key).await;
            for (server, command) in worlds.servers(installed, "direct") {
                let command: Vec<&str> = command.iter().map(String::as_str).collect();
                let mut direct = client.directly(&command).await;
                shows_the_same(&writer, &direct, server);
                answers_the_same(&worlds, &mut writer, &mut direct, server).await;
            }
            hears_why(&worlds, &mut writer).await;
        }
    })
    .await;
    // One client of each language is enough for what the gate decides.
    for client in [Client::PythonModern, Client::TypeScriptLegacy] {
        a_reader_only_reads(&worlds, &gate, client).await;
    }
    let made = fs::read_to_string(worlds.path("governed", "memory.jsonl")).unwrap();
    assert_eq!(made.lines().count(), Client::ALL.len(), "{made}");
}

/// Definitions are passed on whole, for those tools that the role may use.
fn shows_the_same(writer: &Driver, direct: &Driver, server: &str) {
    let prefix = format!("{server}__");
    let mut shown = 0;
    for tool in &writer.tools {
        let Some(name) = tool["name"].as_str().unwrap().strip_prefix(&prefix) else { continue };
        let mut tool = tool.clone();
        tool["name"] = name.into();
        let mut own = direct.tools.iter().find(|own| own["name"] == name).unwrap().clone();
        if writer.client == Client::TypeScriptModern {
            // Not a word of the modern revision: at the gate, which speaks it, this client drops it itself.
            own.as_object_mut().unwrap().remove("execution");
        }
        // The gate's refusals keep the promise, too.
        if own.get("outputSchema").is_some() {
            let promise = tool["outputSchema"].take();
            assert_eq!(promise["type"], "object", "{promise}");
            let mut first = promise["anyOf"][0].clone();
            for shared in ["$schema", "$defs"] {
                if let Some(value) = promise.get(shared) {
                    first[shared] = value.clone();
                }
            }
            assert_eq!(first, own["outputSchema"].take(), "{:?}", writer.client);
        }
        assert_eq!(tool, own, "{:?}", writer.client);
        shown += 1;
    }
    let expected = if server == "memory" { 3 } else { 2 };
    assert_eq!(shown, expected, "{:?} {server}", writer.client);
}

async fn answers_the_same(worlds: &Worlds, writer: &mut Driver, direct: &mut Driver, server: &str) {
    let client = writer.client;
    let governed = worlds.calls(server, "governed", client);
    let mut failed = 0;
    for ((tool, arguments, _), (_, own, _)) in governed.into_iter().zip(worlds.calls(server, "direct", client)) {
        let heard = writer.call(&format!("{server}__{tool}"), &arguments, None, None).await;
        let alone = direct.call(tool, &own, None, None).await;
        let (error, structured, content) = alone.answer();
        // An answer may repeat a path; it is as long in either folder, and nothing else may differ.
        let here = |text: &str| text.replace(&worlds.path("direct", ""), &worlds.path("governed", ""));
        let (structured, content) = (structured.map(here), content.map(here));
        assert_eq!(heard.answer(), (error, structured.as_deref(), content.as_deref()), "{client:?} {server} {tool}");
        failed += usize::from(error);
    }
    assert!(failed > 0, "a tool's own error was passed on");
}

/// A refusal is no result of the tool's, whose server promised what these look like.
async fn hears_why(worlds: &Worlds, writer: &mut Driver) {
    let client = writer.client;
    let file =
        |content| json!({"path": worlds.path("governed", &format!("files/{}.txt", client.name())), "content": content});
    writer.call("files__write_file", &file("a"), Some("k"), None).await.executed();
    let heard = writer.call("files__write_file", &file("b"), Some("k"), None).await;
    heard.refused("idempotency_key_conflict");
}

async fn a_reader_only_reads(worlds: &Worlds, gate: &Gate, client: Client) {
    let key = gate.add_agent(&format!("{}-reader", client.name()), "reader").await;
    let mut reader = client.start(gate, &key).await;
    for server in ["files", "memory", "git"].iter().take(if worlds.git { 3 } else { 2 }) {
        for (tool, arguments, writes) in worlds.calls(server, "governed", client) {
            let tool = format!("{server}__{tool}");
            assert_eq!(reader.names().contains(&tool.as_str()), !writes);
            let heard = reader.call(&tool, &arguments, None, None).await;
            if writes {
                heard.refused("unknown_tool");
            } else {
                assert!(heard.failed.is_none() && heard.structured()["code"].is_null(), "{heard}");
            }
        }
    }
}
