//! Sessions of the older MCP revisions: their principal's only, no right of their own, and no way to run something.

use serde_json::{Value, json};

use crate::harness::{Answer, Caller, Door, Gate, Setup};

const OLDER: (&str, &str) = ("mcp-protocol-version", "2025-11-25");

async fn begin(caller: &Caller) -> String {
    let params = json!({"protocolVersion": OLDER.1, "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    let answer = caller.post(&message.to_string(), &[]).await;
    let id = answer.headers["mcp-session-id"].to_str().unwrap().to_owned();
    assert!(id.len() < 100 && id.bytes().all(|byte| byte.is_ascii_graphic()), "{id}");
    id
}

async fn call(caller: &Caller, session: &str) -> Answer {
    let message = json!({"jsonrpc": "2.0", "id": "c", "method": "tools/call",
        "params": {"name": "market__list_deals", "arguments": {}}});
    caller.post(&message.to_string(), &[OLDER, ("mcp-session-id", session)]).await
}

#[track_caller]
fn unknown(answer: &Answer) {
    assert_eq!(answer.status, 404, "{}", answer.text);
    assert_eq!((&answer.body["jsonrpc"], &answer.body["id"]), (&json!("2.0"), &json!("c")), "{}", answer.text);
    let code = answer.body["error"]["code"].as_i64().unwrap();
    assert!(!(-32768..=-32000).contains(&code), "{code}");
    assert!(answer.body["error"]["message"].as_str().unwrap().contains("initialize"), "{}", answer.text);
}

async fn two() -> (Gate, Caller, Caller) {
    let gate = Setup::default().start().await;
    let bob = gate.agent("bob", "buyer", Door::Legacy).await;
    let eve = gate.agent("eve", "buyer", Door::Legacy).await;
    (gate, bob, eve)
}

#[tokio::test]
async fn a_session_is_its_principals_only_also_after_a_restart() {
    let (mut gate, bob, eve) = two().await;
    let (of_bob, of_eve) = (begin(&bob).await, begin(&eve).await);
    call(&bob, &of_bob).await.executed();
    call(&eve, &of_eve).await.executed();
    let foreign = call(&eve, &of_bob).await;
    unknown(&foreign);
    let mut forged = of_bob.clone();
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'B' } else { 'A' });
    for session in [&forged, "", "s1", "x", &of_bob[..of_bob.len() - 1]] {
        let answer = call(&bob, session).await;
        unknown(&answer);
        assert_eq!(answer.text, foreign.text, "nobody learns which sessions there are");
    }
    gate.restart().await;
    let (bob, eve) = (bob.moved_to(gate.url()), eve.moved_to(gate.url()));
    call(&bob, &of_bob).await.executed();
    unknown(&call(&eve, &of_bob).await);
    assert_eq!(gate.executed().len(), 3);
}

#[tokio::test]
async fn a_session_gives_no_right_and_its_lack_takes_none() {
    let (gate, bob, _) = two().await;
    let session = begin(&bob).await;
    bob.call("market__list_deals", "{}").await.executed();
    let stranger = gate.caller(None, Door::Legacy);
    call(&stranger, &session).await.refused("unauthenticated");
    // A modern request has no session, whatever it says.
    let modern = bob.at(Door::Modern);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "market__list_deals", "arguments": {}, "_meta": modern.meta()}});
    let headers = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "market__list_deals"),
        ("mcp-session-id", "nonsense"),
    ];
    modern.post(&body.to_string(), &headers).await.executed();
    assert_eq!(gate.executed().len(), 2);

    call(&bob, &session).await.executed();
    assert_eq!(gate.cli(&["agent", "revoke", "bob"]).await.code, 0);
    call(&bob, &session).await.refused("unauthenticated");
    assert_eq!(gate.executed().len(), 3);
}

/// The protocol lets a server decline to end sessions; this one keeps nothing that could end.
#[tokio::test]
async fn a_session_is_not_ended_and_has_no_stream() {
    let (_gate, bob, _) = two().await;
    let session = begin(&bob).await;
    let deleted = bob.delete(&[OLDER, ("mcp-session-id", &session)]).await;
    assert_eq!(deleted.status, 405, "{}", deleted.text);
    assert_eq!(bob.get("/mcp").await.status, 405);
    call(&bob, &session).await.executed();
}

#[tokio::test]
async fn the_audit_log_tells_sessions_apart() {
    let (gate, bob, _) = two().await;
    let sessions = [begin(&bob).await, begin(&bob).await];
    for session in &sessions {
        call(&bob, session).await.executed();
    }
    bob.call("market__list_deals", "{}").await.executed();
    let audit = gate.audit().await;
    let told: Vec<&Value> = audit
        .iter()
        .filter(|entry| entry["action"] == "market__list_deals" && entry["status"] == "COMPLETED")
        .map(|entry| &entry["metadata"]["session"])
        .collect();
    let short = |session: &String| json!(session.split('.').nth(1).unwrap()[..8]);
    assert_eq!(told, [&short(&sessions[0]), &short(&sessions[1]), &Value::Null]);
    let log = json!(audit).to_string() + &gate.log();
    assert!(sessions.iter().all(|session| !log.contains(session.as_str())), "no whole session is written down");
}
