//! The gate ends in the middle of a client's connection, and comes back at the same address.

use std::fs;

use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::foreign::{Client, Driver, call, installed};
use crate::harness::{Gate, Setup, odd, until};

const ECHO: &str = "odd__echo";
const HOLD: &str = "odd__hold";

/// The arguments of a client's calls.
fn money(client: Client) -> serde_json::Value {
    json!({"amount": "1.10", "currency": "EUR", "of": client.name()})
}

/// From the next start on the gate listens where it listens now.
fn stay(gate: &Gate) {
    let path = gate.folder().join("portcullis.toml");
    let text = fs::read_to_string(&path).unwrap();
    let address = gate.url().replace("http://", "");
    fs::write(path, text.replacen("127.0.0.1:0", &address, 1)).unwrap();
}

async fn connections(gate: &Gate) -> Vec<(Driver, String)> {
    let mut keys = Vec::new();
    for client in Client::ALL {
        keys.push((client, gate.add_agent(&client.name(), "buyer").await));
    }
    let url = format!("{}/mcp", gate.url());
    let mut starting = JoinSet::new();
    for (client, key) in keys {
        let url = url.clone();
        starting.spawn(async move { (client.connect(&url, &key).await.unwrap(), key) });
    }
    starting.join_all().await
}

#[tokio::test]
async fn a_gate_that_comes_back_knows_what_it_answered() {
    if installed().await.is_none() {
        return;
    }
    let mut gate = Setup { servers: odd::server(), ..Setup::default() }.start().await;
    stay(&gate);
    let mut drivers = connections(&gate).await;
    let count = drivers.len();
    for (driver, _) in &mut drivers {
        let heard = driver.call(ECHO, &money(driver.client), Some("answered"), None).await;
        assert!(!heard.executed().replayed());
    }

    // Nobody was in the middle of a call: everybody goes on in the connection that they had.
    gate.restart().await;
    for (driver, _) in &mut drivers {
        let heard = driver.call(ECHO, &money(driver.client), Some("answered"), None).await;
        assert!(heard.executed().replayed(), "{:?}: {heard}", driver.client);
    }
    assert_eq!(odd::executed(gate.folder()).len(), count);

    // Everybody was: each client says that something went wrong, and none that it went well.
    for (driver, _) in &mut drivers {
        driver.ask(&[with_key(call(HOLD, &money(driver.client)), "in flight")]).await;
    }
    until("all calls", async || (odd::executed(gate.folder()).len() == 2 * count).then_some(())).await;
    gate.kill().await;
    for (driver, _) in &mut drivers {
        let heard = driver.hear(1).await.remove(0);
        assert!(heard.failed.is_some(), "{:?}: {heard}", driver.client);
        if driver.client.survives_a_missing_gate() {
            let heard = driver.call(ECHO, &money(driver.client), Some("answered"), None).await;
            assert!(heard.failed.is_some(), "{:?}: {heard}", driver.client);
        } else {
            assert!(driver.ended().await, "{:?}", driver.client);
        }
    }
    odd::let_go(gate.folder());
    gate.start().await;
    gate.ready().await;
    for (driver, key) in &mut drivers {
        let client = driver.client;
        if !client.survives_a_missing_gate() {
            *driver = client.start(&gate, key).await;
        }
        let heard = driver.call(ECHO, &money(client), Some("answered"), None).await;
        assert!(heard.executed().replayed(), "{client:?}: {heard}");
        let heard = driver.call(HOLD, &money(client), Some("in flight"), None).await;
        heard.refused("outcome_unknown");
        let heard = driver.call(ECHO, &money(client), Some("another"), None).await;
        assert!(!heard.executed().replayed());
    }
    assert_eq!(odd::executed(gate.folder()).len(), 3 * count, "nothing ran twice");
}

fn with_key(mut call: serde_json::Value, key: &str) -> serde_json::Value {
    call["key"] = key.into();
    call
}
