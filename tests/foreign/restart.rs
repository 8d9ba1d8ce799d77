//! A client leaves in the middle of a call, and the gate in the middle of a connection: what is known afterwards.

use std::fs;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::foreign::{Client, Driver, installed};
use crate::harness::{Gate, Setup, odd, until};

const ECHO: &str = "odd__echo";
const HOLD: &str = "odd__hold";

/// A client's call, with a key.
fn call(client: Client, tool: &str, key: &str) -> Value {
    let arguments = json!({"amount": "1.10", "currency": "EUR", "of": client.name()});
    json!({"tool": tool, "arguments": arguments, "key": key})
}

/// From the next start on the gate listens where it listens now.
fn stay(gate: &Gate) {
    let path = gate.folder().join("portcullis.toml");
    let text = fs::read_to_string(&path).unwrap();
    let address = gate.url().replace("http://", "");
    fs::write(path, text.replacen("127.0.0.1:0", &address, 1)).unwrap();
}

/// All clients, connected at the same time.
async fn connected(gate: &Gate, keys: &[(Client, String)]) -> Vec<Driver> {
    let mut starting = JoinSet::new();
    for (client, key) in keys.iter().cloned() {
        let url = gate.url();
        starting.spawn(async move { client.at(&url, &key).await.unwrap() });
    }
    let mut drivers = starting.join_all().await;
    drivers.sort_by_key(|driver| keys.iter().position(|(client, _)| *client == driver.client));
    drivers
}

/// Every client makes a call that does not end.
async fn all_hold(gate: &Gate, drivers: &mut [Driver], key: &str) {
    let _ = fs::remove_file(gate.folder().join("let-go"));
    let before = odd::executed(gate.folder()).len();
    for driver in drivers.iter_mut() {
        driver.ask(&[call(driver.client, HOLD, key)]).await;
    }
    let all = before + drivers.len();
    until("all calls", async || (odd::executed(gate.folder()).len() == all).then_some(())).await;
}

#[tokio::test]
async fn what_was_done_is_known_after_a_lost_connection() {
    if installed().await.is_none() {
        return;
    }
    let mut gate = Setup { servers: odd::server(), ..Setup::default() }.start().await;
    stay(&gate);
    let mut keys = Vec::new();
    for client in Client::ALL {
        keys.push((client, gate.add_agent(&client.name(), "buyer").await));
    }

    // The clients go; their calls do not.
    let mut drivers = connected(&gate, &keys).await;
    all_hold(&gate, &mut drivers, "left").await;
    drop(drivers);
    let mut drivers = connected(&gate, &keys).await;
    for driver in &mut drivers {
        driver.one(call(driver.client, HOLD, "left")).await.refused("idempotency_key_in_progress");
    }
    odd::let_go(gate.folder());
    for driver in &mut drivers {
        let ended = async || Some(driver.one(call(driver.client, HOLD, "left")).await).filter(|heard| !heard.error);
        assert!(until("the answer", ended).await.executed().replayed(), "{:?}", driver.client);
    }

    // The gate goes while nobody calls: everybody goes on in the connection that they have.
    gate.restart().await;
    for driver in &mut drivers {
        let heard = driver.one(call(driver.client, HOLD, "left")).await;
        assert!(heard.executed().replayed(), "{:?}: {heard}", driver.client);
    }

    // The gate goes while everybody calls: each says that something went wrong, and none that it went well.
    all_hold(&gate, &mut drivers, "cut").await;
    gate.kill().await;
    for driver in &mut drivers {
        let heard = driver.hear(1).await.remove(0);
        assert!(heard.failed.is_some(), "{:?}: {heard}", driver.client);
        if driver.client.survives_a_missing_gate() {
            let heard = driver.one(call(driver.client, ECHO, "unheard")).await;
            assert!(heard.failed.is_some(), "{:?}: {heard}", driver.client);
        } else {
            assert!(driver.ended().await, "{:?}", driver.client);
        }
    }
    odd::let_go(gate.folder());
    gate.start().await;
    gate.ready().await;
    for (driver, (client, key)) in drivers.iter_mut().zip(&keys) {
        if !client.survives_a_missing_gate() {
            *driver = client.start(&gate, key).await;
        }
        driver.one(call(*client, HOLD, "cut")).await.refused("outcome_unknown");
        assert!(driver.one(call(*client, HOLD, "left")).await.executed().replayed(), "{client:?}");
        assert!(!driver.one(call(*client, ECHO, "unheard")).await.executed().replayed(), "{client:?}");
    }
    assert_eq!(odd::executed(gate.folder()).len(), 3 * keys.len(), "nothing ran twice");
}
