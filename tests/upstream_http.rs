//! Servers elsewhere, over streamable HTTP: what reaches them, what is known to have happened, and that nothing is ever
//! sent twice.

use serde_json::Value;

use crate::harness::foreign::installed;
use crate::harness::remote::Remote;
use crate::harness::{Answer, Caller, Door, Gate, Setup, until};

const OPEN: &str = r#"
[[policy]]
name = "rbac"
module = "bundled:rbac"
[policy.settings.roles.buyer]
allow = ["odd__*"]
"#;

/// Both eras, and both forms of an answer.
const KINDS: [[&str; 2]; 4] = [["modern", "json"], ["modern", "events"], ["legacy", "json"], ["legacy", "events"]];

fn setup(servers: String) -> Setup {
    Setup { servers, ..Setup::policies(OPEN) }
}

async fn gate(remote: &Remote, more: &str) -> (Gate, Caller) {
    let gate = setup(remote.server(more)).start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    (gate, buyer)
}

fn called(remote: &Remote) -> Vec<Value> {
    remote.requests().into_iter().filter(|request| request["method"] == "tools/call").collect()
}

#[tokio::test]
async fn numbers_arrive_digit_for_digit_in_both_eras_and_come_back_so() {
    let arguments = r#"{"n":1099.10,"big":9007199254740993,"e":1e400,"text":"é\u0001\"\\","_meta":{"a":1}}"#;
    for kind in KINDS {
        let remote = Remote::start(&kind).await;
        let (_gate, buyer) = gate(&remote, "").await;
        let answer = buyer.call("odd__echo", arguments).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(answer.text.contains(r#""n":1099.10,"big":9007199254740993,"e":1e400"#), "{}", answer.text);
        let executed = remote.executed();
        assert_eq!(executed.len(), 1);
        assert_eq!(executed[0]["arguments"], arguments, "{kind:?}");
    }
}

#[tokio::test]
async fn a_request_carries_the_owners_headers_and_never_the_agents_credential() {
    for era in ["modern", "legacy"] {
        let remote = Remote::start_with(&[era], &[("ODD_TOKEN", "t0k3n-of-the-owner")]).await;
        let headers = r#"headers = { Authorization = "Bearer ${ODD_TEST_TOKEN}", X-Region = "eu" }"#;
        let mut gate = setup(remote.server(headers)).write();
        gate.set_env([("ODD_TEST_TOKEN", "t0k3n-of-the-owner"), ("HTTP_PROXY", "http://127.0.0.1:1")]);
        gate.set_env([("http_proxy", "http://127.0.0.1:1"), ("ALL_PROXY", "http://127.0.0.1:1")]);
        gate.start().await;
        gate.ready().await;
        let buyer = gate.agent("bob", "buyer", Door::Rest).await;
        let key = buyer.key.clone().unwrap();
        for door in Door::ALL {
            let region = format!(r#"{{"region":"{door:?}"}}"#);
            buyer.at(door).call_with("odd__here", &region, Some(&format!("order-4711-{door:?}"))).await.executed();
            buyer.at(door).call("odd__echo", &region).await.executed();
        }
        let requests = remote.requests();
        assert!(requests.len() >= 5, "{requests:?}");
        for request in &requests {
            let text = request.to_string();
            assert!(!text.contains(&key) && !text.contains("order-4711"), "{text}");
            let headers = request["headers"].as_object().unwrap();
            assert_eq!(headers["authorization"], "Bearer t0k3n-of-the-owner");
            assert_eq!(headers["x-region"], "eu");
            let known = |name: &str| {
                matches!(
                    name,
                    "accept" | "authorization" | "content-length" | "content-type" | "host" | "user-agent" | "x-region"
                ) || name.starts_with("mcp-")
            };
            assert!(headers.keys().all(|name| known(name)), "{headers:?}");
        }
        assert!(!gate.log().contains("t0k3n"), "{}", gate.log());
        let described = |request: &Value| request["headers"]["mcp-name"].is_string();
        assert!(called(&remote).iter().all(|request| described(request) == (era == "modern")));
        assert_eq!(remote.executed().len(), 6);
    }
}

/// Whatever happens after it was sent, a call is unknown, and was sent once.
#[tokio::test]
async fn what_is_not_answered_is_unknown_and_not_sent_again() {
    let cases = [
        ("drop", "{}"),
        ("half", "{}"),
        ("html", "{}"),
        ("garbage", "{}"),
        ("ended-events", "{}"),
        ("other-id", "{}"),
        ("both", "{}"),
        ("redirect", "{}"),
        ("huge", "{}"),
        ("huge-events", "{}"),
        ("forget", "{}"),
        ("status", r#"{"code":404}"#),
        ("status", r#"{"code":500}"#),
        ("status", r#"{"code":500,"kind":"application/json","body":"{}"}"#),
        ("status", r#"{"code":502,"kind":"text/event-stream"}"#),
        ("status", r#"{"code":503}"#),
        ("status", r#"{"code":202}"#),
        ("status", r#"{"code":204}"#),
        ("status", r#"{"code":301}"#),
        ("status", r#"{"code":401}"#),
        ("status", r#"{"code":408}"#),
        ("status", r#"{"code":421}"#),
        ("status", r#"{"code":425}"#),
        ("status", r#"{"code":429}"#),
    ];
    for era in ["modern", "legacy"] {
        let remote = Remote::start(&[era]).await;
        let (_gate, buyer) = gate(&remote, "").await;
        for (number, (tool, arguments)) in cases.into_iter().enumerate() {
            // A session that is over is made again.
            buyer.call("odd__echo", &format!(r#"{{"before":{number}}}"#)).await.executed();
            let before = (remote.executed().len(), called(&remote).len());
            let answer = buyer.call(&format!("odd__{tool}"), arguments).await;
            assert_eq!(answer.code(), Some("outcome_unknown"), "{era} {tool} {arguments}: {}", answer.text);
            buyer.call(&format!("odd__{tool}"), arguments).await.refused("outcome_unknown");
            assert_eq!((remote.executed().len(), called(&remote).len()), (before.0 + 1, before.1 + 1), "{tool}");
        }
        assert!(remote.requests().iter().all(|request| request["path"] == "/mcp"), "a redirect was followed");
    }
}

#[tokio::test]
async fn what_never_ends_is_unknown_in_time() {
    for era in ["modern", "legacy"] {
        let remote = Remote::start(&[era]).await;
        let (_gate, buyer) = gate(&remote, "timeout = \"500ms\"").await;
        for tool in ["silent", "endless"] {
            buyer.call(&format!("odd__{tool}"), "{}").await.refused("outcome_unknown");
        }
        assert_eq!(remote.executed().len(), 2);
        if era == "legacy" {
            until("the cancellations", async || {
                let told = |request: &Value| request["method"] == "notifications/cancelled";
                (remote.requests().iter().filter(|request| told(request)).count() == 2).then_some(())
            })
            .await;
        }
        buyer.call("odd__echo", "{}").await.executed();
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_not_sent_anything() {
    let remote = Remote::start(&["modern"]).await;
    let (servers, port) = (remote.server(""), remote.port());
    let gate = Setup { servers, ..Setup::default() }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let euros = |mark: usize| format!(r#"{{"amount":"500.00","currency":"EUR","mark":{mark}}}"#);
    buyer.call("odd__echo", &euros(0)).await.executed();
    drop(remote);
    // The fifth would be over the cap, were the money of the first four not free again.
    for mark in 1..6 {
        let told = buyer.call("odd__echo", &euros(mark)).await.refused("upstream_unavailable").text.clone();
        assert!(!told.contains(&port.to_string()), "{told}");
    }
    let ready = buyer.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["degraded"]), (200, &true.into()), "{}", ready.text);
}

#[tokio::test]
async fn errors_say_whether_anything_was_executed() {
    for era in ["modern", "legacy"] {
        let remote = Remote::start(&[era]).await;
        let gate = Setup { servers: remote.server(""), ..Setup::default() }.start().await;
        let buyer = gate.agent("bob", "buyer", Door::Rest).await;
        let euros = |rest: &str| format!(r#"{{"amount":"500.00","currency":"EUR",{rest}}}"#);
        for mark in 0..5 {
            buyer
                .call("odd__error", &euros(&format!(r#""code":-32601,"mark":{mark}"#)))
                .await
                .refused("upstream_error");
            if era == "modern" {
                // The newest revision gives this error another HTTP status.
                buyer.call("odd__error-404", &euros(&format!(r#""mark":{mark}"#))).await.refused("upstream_error");
            }
        }
        buyer.call("odd__error", &euros(r#""code":-32603"#)).await.refused("upstream_error");
    }
}

/// The stream of an answer may carry other messages, none of which is taken for the answer.
#[tokio::test]
async fn other_messages_are_not_the_answer() {
    for era in ["modern", "legacy"] {
        let remote = Remote::start(&[era]).await;
        let (_gate, buyer) = gate(&remote, "").await;
        let answer = buyer.call("odd__others", r#"{"n":1.10}"#).await;
        answer.executed();
        assert!(answer.text.contains(r#"{"n":1.10}"#), "{}", answer.text);
        let rest =
            remote.requests().into_iter().filter(|request| request["verb"] == "POST" && request["method"].is_null());
        assert_eq!(rest.count(), 0, "a request of the server was answered");
    }
}

#[tokio::test]
async fn a_session_is_made_anew_when_it_is_forgotten_and_deleted_at_the_end() {
    let remote = Remote::start(&["legacy"]).await;
    let (mut gate, buyer) = gate(&remote, "").await;
    let shaken = |remote: &Remote| {
        let methods = |request: &Value| request["method"] == "initialize";
        remote.requests().iter().filter(|request| methods(request)).count()
    };
    assert_eq!(shaken(&remote), 1);
    buyer.call("odd__forget", "{}").await.refused("outcome_unknown");
    std::fs::write(remote.folder().join("more-tools"), "new").unwrap();
    buyer.call("odd__echo", "{}").await.executed();
    assert_eq!((shaken(&remote), remote.executed().len()), (2, 2));
    // With a new session the tools are listed anew.
    until("the new tool", async || buyer.tools().await.contains(&"odd__new".to_owned()).then_some(())).await;
    let last = called(&remote).pop().unwrap()["headers"]["mcp-session-id"].clone();
    assert_eq!(gate.terminate().await, Some(0));
    let ended = remote.requests().pop().unwrap();
    assert_eq!((&ended["verb"], &ended["headers"]["mcp-session-id"]), (&"DELETE".into(), &last));
}

#[tokio::test]
async fn many_calls_at_once_get_their_own_answers() {
    let remote = Remote::start(&["legacy", "events"]).await;
    let (_gate, buyer) = gate(&remote, "").await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..50 {
        let buyer = buyer.clone();
        calls.spawn(async move { (number, buyer.call("odd__echo", &format!(r#"{{"n":{number}}}"#)).await) });
    }
    while let Some(done) = calls.join_next().await {
        let (number, answer): (usize, Answer) = done.unwrap();
        assert_eq!(answer.executed().result()["structuredContent"]["n"], number);
    }
    assert_eq!(remote.executed().len(), 50);
}

#[tokio::test]
async fn each_agent_has_a_session_of_its_own_where_it_is_to() {
    let remote = Remote::start(&["legacy"]).await;
    let (mut gate, bob) = gate(&remote, "share = \"principal\"").await;
    let eve = gate.agent("eve", "buyer", Door::Modern).await;
    for (mark, caller) in [&bob, &eve, &bob.at(Door::Legacy)].into_iter().enumerate() {
        caller.call("odd__echo", &format!(r#"{{"mark":{mark}}}"#)).await.executed();
    }
    let session = |request: &Value| request["headers"]["mcp-session-id"].as_str().unwrap().to_owned();
    let used: Vec<_> = called(&remote).iter().map(session).collect();
    assert_eq!((used.len(), used[0] == used[2], used[0] == used[1]), (3, true, false), "{used:?}");
    assert!(
        !remote
            .requests()
            .iter()
            .any(|request| { request["method"] == "tools/list" && used.contains(&session(request)) })
    );
    assert_eq!(gate.terminate().await, Some(0));
    let deleted = remote.requests().into_iter().filter(|request| request["verb"] == "DELETE");
    assert_eq!(deleted.count(), 3, "one of the gate's own, and one for each agent");
}

/// Why a server is down, as its owner reads it.
async fn reasons(gate: &Gate) -> String {
    gate.caller(None, Door::Rest).get("/readyz").await.body["reasons"].to_string()
}

#[tokio::test]
async fn a_header_that_cannot_be_filled_names_its_variable() {
    let remote = Remote::start(&["modern"]).await;
    let gate = setup(remote.server(r#"headers = { X-Key = "${NOT_SET_ANYWHERE}" }"#)).start().await;
    let reasons = reasons(&gate).await;
    assert!(reasons.contains("`NOT_SET_ANYWHERE`") && reasons.contains("`x-key`"), "{reasons}");
    assert_eq!(remote.requests().len(), 0);
}

#[tokio::test]
async fn a_wrong_credential_and_a_wrong_address_are_told_at_the_start() {
    let remote = Remote::start_with(&["modern"], &[("ODD_TOKEN", "right")]).await;
    let gate = setup(remote.server(r#"headers = { Authorization = "Bearer wr0ng" }"#)).start().await;
    let told = reasons(&gate).await;
    assert!(told.contains("401") && told.contains("headers") && !told.contains("wr0ng"), "{told}");
    assert!(!gate.log().contains("wr0ng"));
    drop(gate);
    let plain = Remote::start(&["modern"]).await;
    let url = format!("\n[[server]]\nname = \"odd\"\nurl = \"https://127.0.0.1:{}/mcp\"\n", plain.port());
    let told = reasons(&setup(url).start().await).await;
    assert!(told.contains("no encrypted connection"), "{told}");
    assert_eq!(plain.requests().len(), 0);
}

/// An authority that the gate's system trusts, and a server's certificate of it.
fn certificates(folder: &std::path::Path) {
    let script = "set -e
        openssl req -x509 -newkey rsa:2048 -nodes -days 30 -keyout ca.key -out ca.pem -subj /CN=test-ca
        openssl req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=localhost
        printf 'subjectAltName=DNS:localhost\\nbasicConstraints=CA:FALSE\\n' >extensions
        openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -days 30 -extfile extensions -out cert.pem";
    let made = std::process::Command::new("sh").args(["-c", script]).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[tokio::test]
async fn an_encrypted_server_must_be_who_it_says() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let remote = Remote::start(&["modern", "json", "tls", &cert, &key]).await;
    let url = |host: &str| format!("\n[[server]]\nname = \"odd\"\nurl = \"https://{host}:{}/mcp\"\n", remote.port());
    let trusted: &'static str = path("ca.pem").leak();
    for (host, trusted, fine) in
        [("localhost", Some(trusted), true), ("127.0.0.1", Some(trusted), false), ("localhost", None, false)]
    {
        let mut gate = setup(url(host)).write();
        if let Some(trusted) = trusted {
            gate.set_env([("SSL_CERT_FILE", trusted)]);
        }
        gate.start().await;
        gate.ready().await;
        let before = remote.requests().len();
        if fine {
            let buyer = gate.agent("bob", "buyer", Door::Rest).await;
            buyer.call("odd__echo", r#"{"n":1.10}"#).await.executed();
            assert_eq!(remote.executed()[0]["arguments"], r#"{"n":1.10}"#);
        } else {
            assert!(reasons(&gate).await.contains("no encrypted connection"), "{}", gate.log());
            assert_eq!(remote.requests().len(), before);
        }
    }
}

#[tokio::test]
async fn a_server_of_another_hand_is_governed_in_both_eras() {
    let Some(clients) = installed().await else { return };
    for era in ["modern", "legacy"] {
        let remote = Remote::of_python(clients, era).await;
        let (mut gate, buyer) = gate(&remote, "").await;
        assert_eq!(buyer.tools().await, ["odd__add"]);
        let answer = buyer.call("odd__add", r#"{"a":9007199254740993,"b":1}"#).await;
        answer.executed();
        assert!(answer.text.contains(r#""result":9007199254740994"#), "{}", answer.text);
        let log = gate.log();
        assert!(log.contains("the server is ready") && log.contains("2026-07-28") == (era == "modern"), "{log}");
        assert_eq!(gate.terminate().await, Some(0));
    }
}
