use super::read::entries;
use super::server::{self, clean};
use super::write;
use crate::config::Config;

fn import(text: &str) -> (String, String) {
    let (imported, notes) = server::import(&entries(text).unwrap());
    (write::toml(&imported).unwrap(), notes.join("\n"))
}

#[test]
fn a_desktop_clients_servers_are_taken_over_without_their_secrets() {
    let (toml, notes) = import(
        r#"{ "mcpServers": {
            // as VS Code takes it
            "git hub": { "command": "npx", "args": ["-y", "server-github"], "env": { "TOKEN": "hunter2", "PATH": "/x", "N": 7 } },
            "other": { "command": "other", "env": { "TOKEN": "hunter3" }, "cwd": "/elsewhere", },
        }, "theme": "dark" }"#,
    );
    let written: toml::Table = toml::from_str(&toml).unwrap();
    let servers = written["server"].as_array().unwrap();
    assert_eq!(servers[0]["name"].as_str(), Some("git-hub"));
    assert_eq!(servers[0]["command"].as_array().unwrap().len(), 3);
    assert_eq!(servers[0]["env"].as_array().unwrap().len(), 2);
    let all = format!("{toml}{notes}");
    assert!(!all.contains("hunter"), "{all}");
    for said in [
        "`git hub` is called `git-hub` here",
        "set `TOKEN` in the gate's environment for `git-hub`",
        "`other` has another value for `TOKEN`",
        "it gets `PATH` as the gate has it",
        "runs it in `/elsewhere`",
    ] {
        assert!(notes.contains(said), "{said}: {notes}");
    }
}

#[test]
fn headers_become_variables() {
    let (toml, notes) = import(
        r#"{ "servers": {
            "docs": { "type": "http", "url": "https://docs.example/mcp?k=1",
                      "headers": { "Authorization": "bearer sesame", "X-Key": "${env:DOCS_KEY}" } } } }"#,
    );
    assert!(toml.contains(r#"Authorization = "Bearer ${DOCS_AUTHORIZATION}""#), "{toml}");
    assert!(toml.contains(r#"X-Key = "${DOCS_KEY}""#), "{toml}");
    assert!(toml.contains(r#"url = "https://docs.example/mcp?k=1""#) && notes.contains("query"), "{notes}");
    assert!(!format!("{toml}{notes}").contains("sesame"));
}

#[test]
fn what_cannot_be_taken_over_is_said() {
    let long = format!("--key=ghp_{}", "a1".repeat(18));
    let (toml, notes) = import(&format!(
        r#"{{ "mcp": {{ "servers": {{
            "a": {{ "command": "a", "url": "https://a" }},
            "b": {{ }},
            "c": {{ "type": "sse", "url": "https://c" }},
            "d": {{ "command": "d", "disabled": true }},
            "e": {{ "url": "https://user:hunter2@e/mcp" }},
            "f": {{ "command": "/usr/bin/portcullis", "args": ["wrap", "--", "x"] }},
            "h": {{ "command": 1 }},
            "i": 7,
            "g": {{ "command": "g", "args": ["{long}", "${{input:x}}"], "envFile": ".env" }} }} }} }}"#
    ));
    for said in [
        "`a` is left out: it has a `command` and a `url`",
        "`b` is left out: it has neither",
        "`c` is left out: it speaks the older",
        "`d` is left out: the client has it switched off",
        "`e` is left out: there is a user",
        "`f` is left out: it is behind a gate already",
        "`h` is left out: ",
        "`i` is left out: ",
        "an object with a `command`",
        "looks like a secret",
        "only the client fills in",
        "`.env`",
    ] {
        assert!(notes.contains(said), "{said}: {notes}");
    }
    assert_eq!(toml.matches("[[server]]").count(), 1);
    assert!(!notes.contains("hunter2"));
}

#[test]
fn only_json_with_servers_is_read() {
    let deep = format!(r#"{{"mcpServers":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    for (text, why) in [
        ("", "an object with `mcpServers`"),
        ("{}", "neither `mcpServers` nor `servers`"),
        ("[1]", ""),
        ("{ mcpServers: {} }", ""),
        (r#"{"mcpServers": 7}"#, ""),
        (r#"{"mcpServers": {"a": {}}"#, ""),
        (deep.as_str(), ""),
    ] {
        let Err(error) = entries(text) else { panic!("{text:.40}") };
        assert!(error.contains(why), "{error}");
    }
    assert!(entries("\u{feff}{\"mcpServers\": {}}").unwrap().is_empty());
}

#[test]
fn every_name_becomes_one_that_the_configuration_takes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    let long = "x".repeat(200);
    for given in ["market", "git hub", "a__b", "_a_", "gate", "", "é", "@scope/pkg", "___", "a.b.c", "-", &long] {
        let name = clean(given);
        std::fs::write(&file, format!("[[server]]\nname = {name:?}\ncommand = [\"x\"]\n")).unwrap();
        assert!(Config::load(&file).is_ok(), "{given} became {name}");
        assert_eq!(clean(&name), name);
    }
    let (toml, notes) = import(r#"{"mcpServers": {"a b": {"command": "x"}, "a/b": {"command": "y"}}}"#);
    assert!(toml.contains(r#"name = "a-b""#) && toml.contains(r#"name = "a-b-2""#), "{toml}");
    assert!(notes.contains("`a/b` is called `a-b-2` here"), "{notes}");
}
