use tokio::io::{AsyncReadExt as _, duplex};

use super::*;
use crate::task;

const SOON: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(30);

fn wire() -> Wire {
    Wire::new("s".into(), Arc::default()).0
}

fn lost<T: std::fmt::Debug>(result: Result<T, Lost>) -> &'static str {
    match result.unwrap_err() {
        Lost::NotSent(_) => "not sent",
        Lost::Sent(_) => "sent",
    }
}

#[tokio::test]
async fn what_was_not_yet_written_is_taken_back_for_good() {
    let wire = wire();
    // Nobody writes: one waits in vain, another is dropped by its caller.
    assert_eq!(lost(wire.request("tools/call", "{}", SOON).await), "not sent");
    assert!(tokio::time::timeout(SOON, wire.request("tools/call", "{}", LONG)).await.is_err());
    let (ours, mut theirs) = duplex(1024);
    let writer = task::spawn("test writer", wire.clone().write_to(ours));
    let third = task::spawn("test call", {
        let wire = wire.clone();
        async move { wire.request("tools/call", r#"{"n":3}"#, LONG).await }
    });
    let mut written = [0; 20];
    theirs.read_exact(&mut written).await.unwrap();
    wire.stop_writing();
    writer.await.unwrap();
    let mut rest = String::new();
    theirs.read_to_string(&mut rest).await.unwrap();
    let text = String::from_utf8_lossy(&written).into_owned() + &rest;
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(r#""id":1000002,"#) && text.contains(r#"{"n":3}"#), "{text}");
    wire.close();
    assert_eq!(lost(third.await.unwrap()), "sent");
}

#[tokio::test]
async fn a_pipe_that_takes_nothing_has_passed_nothing_on() {
    let wire = wire();
    let (ours, theirs) = duplex(1024);
    drop(theirs);
    task::spawn("test writer", wire.clone().write_to(ours));
    assert_eq!(lost(wire.request("tools/call", "{}", LONG).await), "not sent");
    assert!(!wire.alive());
    assert_eq!(lost(wire.request("tools/call", "{}", LONG).await), "not sent");
}

#[tokio::test]
async fn a_message_that_was_begun_counts_as_sent() {
    for end in ["timeout", "close", "pipe"] {
        let wire = wire();
        let (ours, mut theirs) = duplex(8);
        task::spawn("test writer", wire.clone().write_to(ours));
        let wait = if end == "timeout" { SOON } else { LONG };
        let call = task::spawn("test call", {
            let wire = wire.clone();
            async move { wire.request("tools/call", "{}", wait).await }
        });
        let mut byte = [0];
        theirs.read_exact(&mut byte).await.unwrap();
        match end {
            "close" => wire.close(),
            "pipe" => drop(theirs),
            _ => {}
        }
        assert_eq!(lost(call.await.unwrap()), "sent", "{end}");
    }
}

#[tokio::test]
async fn an_ended_line_takes_no_request() {
    let wire = wire();
    wire.close();
    assert_eq!(lost(wire.request("tools/call", "{}", LONG).await), "not sent");
    assert!(wire.waiting().replies.is_empty());
}

/// How a server that is slow to start answers what was asked long ago: after the gate has gone on to the older revisions.
async fn slow_to_start(answer: &'static str) {
    use rmcp::model::ProtocolVersion;
    use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _};
    use tokio::io::AsyncBufReadExt as _;

    let (wire, transport) = Wire::new("s".into(), Arc::default());
    let (ours, theirs) = duplex(64 * 1024);
    let (from_server, mut server_out) = duplex(64 * 1024);
    task::spawn("test writer", wire.clone().write_to(ours));
    task::spawn("test reader", wire.clone().read_from(from_server));
    let mode = ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: Some(ProtocolVersion::V_2025_11_25),
    };
    let handshake = task::spawn("test handshake", async move { ().serve_with_lifecycle(transport, mode).await });
    let mut lines = BufReader::new(theirs).lines();
    let mut asked = async |method: &str| {
        let line: serde_json::Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        assert_eq!(line["method"], method);
        line["id"].clone()
    };
    let probe = asked("server/discover").await;
    // The library waits for ten seconds.
    let initialize = asked("initialize").await;
    let late = format!("{{\"jsonrpc\":\"2.0\",\"id\":{probe},{answer}}}\n");
    let result =
        r#""result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"0"}}"#;
    let answered = format!("{{\"jsonrpc\":\"2.0\",\"id\":{initialize},{result}}}\n");
    server_out.write_all((late + &answered).as_bytes()).await.unwrap();
    let service = handshake.await.unwrap().unwrap_or_else(|error| panic!("{answer}: {error}"));
    assert_eq!(service.peer().peer_info().unwrap().protocol_version, ProtocolVersion::V_2025_11_25);
}

#[tokio::test]
async fn a_server_that_is_slow_to_start_comes_up() {
    let discovered =
        r#""result":{"supportedVersions":["2026-07-28"],"capabilities":{},"serverInfo":{"name":"s","version":"0"}}"#;
    tokio::join!(slow_to_start(r#""error":{"code":-32601,"message":"Method not found"}"#), slow_to_start(discovered));
}
