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
