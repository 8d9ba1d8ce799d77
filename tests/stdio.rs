//! The stdio door: `portcullis wrap` as a desktop client starts it, in both eras, alone and beside others.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::foreign::installed;
use crate::harness::market::command as market_command;
use crate::harness::odd::command as odd_command;
use crate::harness::{Door, Gate, PATIENCE, Setup, Wrap, here, market, odd, program, until};

/// A folder without servers, on which nothing runs yet, and a buyer's key.
async fn folder() -> (Gate, String) {
    let gate = Setup { servers: String::new(), ..Setup::default() }.write();
    let key = gate.add_agent("bob", "buyer").await;
    (gate, key)
}

/// Calls that were carried out, in the audit log.
async fn completed(gate: &Gate) -> Vec<Value> {
    let audit = gate.audit().await.into_iter();
    audit.filter(|entry| entry["status"] == "COMPLETED" && entry["origin"].is_string()).collect()
}

#[tokio::test]
async fn both_eras_are_served_to_the_digit() {
    let (gate, key) = folder().await;
    let mut wrap = Wrap::market(gate.folder(), &key);
    let found = wrap.ask("server/discover", "").await;
    let versions = found["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2025-11-25")), "{found}");
    let modern = wrap.tools().await;
    assert!(modern.contains(&"market__make_offer".to_owned()), "{modern:?}");
    let offer = market::numbered_offer(0, "499.10", "\"EUR\"");
    let first = wrap.call("market__make_offer", &offer, Some("k")).await;
    assert_eq!(first["result"]["structuredContent"]["amount"], "499.10");
    let again = wrap.call("market__make_offer", &offer, Some("k")).await;
    assert_eq!(again["result"]["_meta"]["dev.portcullis/decision"]["replayed"], true, "{again}");
    let refused = wrap.call("market__make_offer", &market::offer("500.01", "EUR"), None).await;
    assert_eq!(refused["result"]["structuredContent"]["code"], "cap_exceeded", "{refused}");

    let begun = wrap.initialize().await;
    assert_eq!(begun["result"]["protocolVersion"], "2025-11-25", "{begun}");
    assert_eq!(wrap.tools().await, modern);
    let exact = r#"{"title":"t","price":9007199254740993,"currency":"EUR"}"#;
    let called = wrap.call("market__create_deal", exact, None).await;
    assert_eq!(called["result"]["isError"], false, "{called}");
    assert_eq!(wrap.ended().await, Some(0));

    let executed = gate.executed();
    assert_eq!(executed.len(), 2);
    assert!(executed[0].arguments.contains("499.10") && executed[1].arguments.contains("9007199254740993"));
    let told = completed(&gate).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|entry| entry["origin"] == "stdio" && entry["principal"] == "bob"), "{told:?}");
    assert!(told[0]["metadata"]["session"].is_null() && told[1]["metadata"]["session"].is_string(), "{told:?}");
    assert!(!gate.log().contains(&key));
}

#[tokio::test]
async fn without_a_valid_credential_nothing_is_done() {
    let (gate, _) = folder().await;
    for key in [None, Some(""), Some("two words")] {
        assert_eq!(Wrap::start(gate.folder(), key, &[], &market_command()).ended().await, Some(2), "{key:?}");
    }
    assert!(gate.log().contains("PORTCULLIS_KEY"), "{}", gate.log());
    let mut wrap = Wrap::market(gate.folder(), "pk_nobody");
    for answer in [wrap.initialize().await, wrap.call("market__list_deals", "{}", None).await] {
        assert_eq!(answer["error"]["code"], 401, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("PORTCULLIS_KEY"), "{answer}");
        assert_eq!(answer["error"]["data"]["code"], "unauthenticated");
    }
    assert_eq!(wrap.ended().await, Some(0));
    assert_eq!(gate.executed().len(), 0);
}

#[tokio::test]
async fn wrong_use_says_what_to_do() {
    let (gate, key) = folder().await;
    let said = crate::harness::gate::run(&["wrap", "--config"]).await;
    assert_eq!(said.code, 2);
    for words in [&["--env", "PORTCULLIS_KEY"][..], &["--env", "NO_SUCH_VARIABLE"]] {
        assert_eq!(
            Wrap::start(gate.folder(), Some(&key), words, &market_command()).ended().await,
            Some(2),
            "{words:?}"
        );
    }
    assert_eq!(Wrap::start(gate.folder(), Some(&key), &[], &["gate".to_owned()]).ended().await, Some(2));
    assert!(gate.log().contains("--name"), "{}", gate.log());
    let bad = Wrap::start(gate.folder(), Some(&key), &["--name", "a__b"], &market_command());
    assert_eq!(bad.ended().await, Some(1));
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(Wrap::start(empty.path(), Some(&key), &[], &market_command()).ended().await, Some(1));
    let said = std::fs::read_to_string(empty.path().join("gate.log")).unwrap();
    assert!(said.contains("portcullis init"), "{said}");
}

#[tokio::test]
async fn what_is_no_message_is_answered_and_nothing_else_ends() {
    let (gate, key) = folder().await;
    let mut wrap = Wrap::market(gate.folder(), &key);
    for line in [&b"nonsense"[..], b"[]", b"{}", b"\xff\xfe", br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#] {
        wrap.send(line).await;
        let answer = wrap.receive().await;
        assert!(answer["id"].is_null() && answer["error"]["code"].is_i64(), "{answer}");
    }
    wrap.send(b"").await;
    wrap.send(b"  ").await;
    wrap.send(br#"{"jsonrpc":"2.0","method":"notifications/nonsense"}"#).await;
    wrap.send(br#"{"jsonrpc":"2.0","id":7,"result":{}}"#).await;
    let title = "x".repeat(1024 * 1024);
    let long = wrap.call("market__create_deal", &market::deal(&title), None).await;
    assert!(long["error"]["message"].as_str().unwrap().contains("1048576"), "{long}");
    wrap.send(&vec![b'x'; 17 * 1024 * 1024]).await;
    let endless = wrap.receive().await;
    assert!(endless["id"].is_null() && endless["error"]["code"] == -32600, "{endless}");
    let fine = wrap.call("market__list_deals", "{}", None).await;
    assert_eq!(fine["result"]["isError"], false, "{fine}");
    assert_eq!(wrap.ended().await, Some(0));
    assert_eq!(gate.executed().len(), 1);
}

/// The server gets what the client gives it, through whichever gate it runs, and never the credential.
#[tokio::test]
async fn the_servers_environment_is_its_own() {
    let gate = Setup { servers: String::new(), ..Setup::default() }.write();
    let key = gate.add_agent("bob", "buyer").await;
    let script = format!("env > env-$NAME.txt; exec '{}'", market_command().join("' '"));
    let server = |name: &str| ["sh", "-c", &format!("NAME={name}; {script}")].map(str::to_owned).to_vec();
    let words = ["--name", "market", "--env", "GIVEN"];
    let mut host = Wrap::start(gate.folder(), Some(&key), &words, &server("one"));
    host.call("market__list_deals", "{}", None).await;
    let mut guest = Wrap::start(gate.folder(), Some(&key), &["--name", "other", "--env", "GIVEN"], &server("two"));
    guest.call("other__list_deals", "{}", None).await;
    for name in ["one", "two"] {
        let env = std::fs::read_to_string(gate.folder().join(format!("env-{name}.txt"))).unwrap();
        assert!(env.contains("GIVEN=by the client") && env.contains("PATH="), "{env}");
        assert!(!env.contains("PORTCULLIS_KEY") && !env.contains(&key), "{env}");
    }
    let audit = json!(gate.audit().await).to_string();
    assert!(audit.contains("server.attach") && audit.contains("GIVEN") && !audit.contains("by the client"), "{audit}");
    assert_eq!(guest.ended().await, Some(0));
    assert_eq!(host.ended().await, Some(0));
}

#[tokio::test]
async fn one_goes_on_when_the_other_is_killed() {
    let (gate, key) = folder().await;
    let mut first = Wrap::market(gate.folder(), &key);
    let mut second = Wrap::market(gate.folder(), &key);
    // Both at once: one of them becomes the gate.
    let (one, other) = tokio::join!(
        first.call("market__create_deal", r#"{"title":"a","price":"1","currency":"EUR"}"#, Some("a")),
        second.call("market__create_deal", r#"{"title":"b","price":"1","currency":"EUR"}"#, Some("b")),
    );
    assert!(one["result"]["isError"] == false && other["result"]["isError"] == false, "{one} {other}");
    assert_eq!(second.initialize().await["result"]["protocolVersion"], "2025-11-25");
    first.kill().await;
    let again = second.call("market__create_deal", r#"{"title":"a","price":"1","currency":"EUR"}"#, Some("a")).await;
    assert_eq!(again["result"]["_meta"]["dev.portcullis/decision"]["replayed"], true, "{again}");
    let mut third = Wrap::market(gate.folder(), &key);
    assert!(third.tools().await.contains(&"market__make_offer".to_owned()));
    second.kill().await;
    let new = third.call("market__create_deal", r#"{"title":"c","price":"1","currency":"EUR"}"#, None).await;
    assert_eq!(new["result"]["isError"], false, "{new}");
    assert_eq!(third.ended().await, Some(0));
    assert_eq!(gate.executed().len(), 3);
}

#[tokio::test]
async fn beside_a_gate_it_shares_what_is_the_same_and_shows_its_own() {
    let mut gate = Setup::default().start().await;
    let key = gate.add_agent("bob", "buyer").await;
    let agent = gate.caller(Some(&key), Door::Modern);
    let before = agent.tools().await;
    // The configuration has a `market` with this command.
    let mut shared = Wrap::market(gate.folder(), &key);
    assert_eq!(shared.tools().await, before);
    let odd = odd_command();
    let mut own = Wrap::start(gate.folder(), Some(&key), &["--name", "odd"], &odd);
    let tools = own.tools().await;
    assert!(!tools.is_empty() && tools.iter().all(|tool| tool.starts_with("odd__")), "{tools:?}");
    let listed = agent.tools().await;
    assert!(tools.iter().all(|tool| listed.contains(tool)) && listed.len() == before.len() + tools.len());
    assert_eq!(shared.tools().await, before, "another client's server is not this one's");
    let hidden = own.call("market__list_deals", "{}", None).await;
    let missing = own.call("odd__nothing", "{}", None).await;
    for (refused, tool) in [(&hidden, "market__list_deals"), (&missing, "odd__nothing")] {
        let refusal = &refused["result"]["structuredContent"];
        assert_eq!(refusal["code"], "unknown_tool", "{refused}");
        assert_eq!(refusal["message"].as_str().unwrap().replace(tool, ""), {
            let other = &missing["result"]["structuredContent"]["message"];
            other.as_str().unwrap().replace("odd__nothing", "")
        });
    }
    assert_eq!(gate.executed().len(), 0);
    let spent = own.call("gate__get_spend_status", "{}", None).await;
    assert_eq!(spent["result"]["isError"], false, "the gate's own tools are every client's: {spent}");

    // One name is one server.
    for server in [&odd, &market_command()[..2].to_vec()] {
        let taken = Wrap::start(gate.folder(), Some(&key), &["--name", "market"], server);
        assert_eq!(taken.ended().await, Some(1));
    }
    assert!(gate.log().contains("another server `market`"), "{}", gate.log());

    // The gate is stopped and comes back: so do the servers of those that go on.
    gate.terminate().await;
    gate.start().await;
    gate.ready().await;
    assert_eq!(own.tools().await, tools);
    assert_eq!(own.ended().await, Some(0));
    let agent = agent.moved_to(gate.url());
    until("the server leaves with its client", async || (agent.tools().await == before).then_some(())).await;
    assert_eq!(shared.ended().await, Some(0));
    assert_eq!(agent.tools().await, before, "what is configured stays");
}

const HELD: &str = r#"{"amount":"1.00","currency":"EUR"}"#;

#[tokio::test]
async fn a_call_whose_gate_dies_is_unknown_and_not_repeated() {
    let mut gate = Setup { servers: odd::server(), ..Setup::default() }.start().await;
    let key = gate.add_agent("bob", "buyer").await;
    let mut wrap = Wrap::start(gate.folder(), Some(&key), &["--name", "odd"], &odd_command());
    let (id, text) = wrap.request("tools/call", &Wrap::members(wrap.era, "odd__hold", HELD, Some("k")));
    wrap.send(text.as_bytes()).await;
    until("the call", async || (odd::executed(gate.folder()).len() == 1).then_some(())).await;
    gate.kill().await;
    let lost = wrap.receive().await;
    assert_eq!(lost["id"], json!(id), "{lost}");
    assert_eq!(lost["error"]["data"]["code"], "outcome_unknown", "{lost}");
    assert!(lost["error"]["message"].as_str().unwrap().contains("same idempotency key"), "{lost}");
    // Now this process is the gate.
    let again = wrap.call("odd__hold", HELD, Some("k")).await;
    assert_eq!(again["result"]["structuredContent"]["code"], "outcome_unknown", "{again}");
    assert_eq!(odd::executed(gate.folder()).len(), 1);
    assert_eq!(wrap.ended().await, Some(0));
}

/// A client that is gone takes its server along, but not before its call has ended.
#[tokio::test]
async fn a_client_that_is_killed_leaves_its_call_to_the_gate() {
    let gate = Setup { servers: String::new(), ..Setup::default() }.start().await;
    let key = gate.add_agent("bob", "buyer").await;
    let agent = gate.caller(Some(&key), Door::Rest);
    let mut wrap = Wrap::start(gate.folder(), Some(&key), &["--name", "odd"], &odd_command());
    let (_, text) = wrap.request("tools/call", &Wrap::members(wrap.era, "odd__hold", HELD, Some("k")));
    wrap.send(text.as_bytes()).await;
    until("the call", async || (odd::executed(gate.folder()).len() == 1).then_some(())).await;
    wrap.kill().await;
    until("the server takes no more calls", async || agent.tools().await.is_empty().then_some(())).await;
    odd::let_go(gate.folder());
    until("the call's end", async || (completed(&gate).await.len() == 1).then_some(())).await;
    until("the server's end", async || gate.log().contains("has left with its last client").then_some(())).await;
    // The answer is kept for whoever asks again.
    let mut again = Wrap::start(gate.folder(), Some(&key), &["--name", "odd"], &odd_command());
    let replay = again.call("odd__hold", HELD, Some("k")).await;
    assert_eq!(replay["result"]["_meta"]["dev.portcullis/decision"]["replayed"], true, "{replay}");
    assert_eq!(odd::executed(gate.folder()).len(), 1);
    assert_eq!(again.ended().await, Some(0));
}

#[tokio::test]
async fn the_python_client_is_served_in_both_eras() {
    let Some(clients) = installed().await else { return };
    let (gate, key) = folder().await;
    let drive = async |era: &str, key: &str, calls: &Value| -> Value {
        let mut command = Command::new(clients.join("python/bin/python"));
        command.arg(here().join("clients/python/stdio.py")).args([era, &calls.to_string()]);
        command
            .arg(program())
            .args(["wrap", "--name", "market", "--config"])
            .arg(gate.folder().join("portcullis.toml"));
        command.arg("--").args(market_command()).env("PORTCULLIS_KEY", key).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("the client ends").unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    for (number, era) in ["legacy", "modern", "auto"].into_iter().enumerate() {
        let offer = |amount: &str| -> Value {
            serde_json::from_str(&market::numbered_offer(number, amount, "\"EUR\"")).unwrap()
        };
        let calls = json!([
            {"tool": "market__make_offer", "arguments": offer("\"10.10\""), "key": era},
            {"tool": "market__make_offer", "arguments": offer("\"1099.10\"")},
            {"tool": "market__create_deal", "arguments": {"title": era, "price": 9_007_199_254_740_993_i64, "currency": "EUR"}},
            {"tool": "market__cancel_order", "arguments": {"number": "1"}},
        ]);
        let said = drive(era, &key, &calls).await;
        let tools = said["tools"].as_array().unwrap_or_else(|| panic!("{said}"));
        assert!(
            tools.contains(&json!("market__make_offer")) && !tools.contains(&json!("market__cancel_order")),
            "{said}"
        );
        let codes: Vec<_> =
            said["results"].as_array().unwrap().iter().map(|result| result["structured"]["code"].as_str()).collect();
        assert_eq!(codes, [None, Some("cap_exceeded"), None, Some("unknown_tool")], "{said}");
        let executed = gate.executed();
        assert_eq!(executed.len(), 2 * (number + 1));
        assert!(
            executed.iter().any(|entry| entry.arguments.contains("9007199254740993") && entry.arguments.contains(era))
        );
    }
    for era in ["legacy", "modern", "auto"] {
        let said = drive(era, "pk_nobody", &json!([])).await;
        assert!(said["failed"].as_str().is_some_and(|why| why.contains("PORTCULLIS_KEY")), "{said}");
    }
}

/// Neither the end of standard input nor a signal nor a client's cancellation ends a call.
#[tokio::test]
async fn answers_on_their_way_are_waited_for() {
    for end in ["closed", "told", "cancelled"] {
        let (gate, key) = folder().await;
        let mut wrap = Wrap::start(gate.folder(), Some(&key), &["--name", "odd"], &odd_command());
        let (id, text) = wrap.request("tools/call", &Wrap::members(wrap.era, "odd__hold", HELD, None));
        wrap.send(text.as_bytes()).await;
        // In flight at the same time.
        let (other, text) = wrap.request("tools/call", &Wrap::members(wrap.era, "odd__echo", HELD, None));
        wrap.send(text.as_bytes()).await;
        assert_eq!(wrap.receive().await["id"], json!(other));
        until("the call", async || (odd::executed(gate.folder()).len() == 2).then_some(())).await;
        match end {
            "closed" => wrap.close(),
            "told" => wrap.terminate().await,
            _ => {
                let cancelled =
                    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
                wrap.send(cancelled.to_string().as_bytes()).await;
            }
        }
        odd::let_go(gate.folder());
        let answer = wrap.receive().await;
        assert_eq!((&answer["id"], &answer["result"]["isError"]), (&json!(id), &json!(false)), "{end} {answer}");
        assert_eq!(wrap.ended().await, Some(0), "{end}");
        assert_eq!(completed(&gate).await.len(), 2, "{end}");
    }
}
