//! A person of the demo, at the owners' door with a credential of their own.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::net::TcpStream;

use super::super::{Failure, show};
use super::said;
use crate::door::socket::{Method, converse};

/// Somebody with a credential.
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) door: SocketAddr,
    pub(super) key: String,
}

impl Person {
    pub(super) fn new(name: &'static str, door: SocketAddr, key: &str) -> Self {
        Self { name, door, key: key.to_owned() }
    }

    /// Reads something.
    pub(super) async fn get(&self, uri: &str) -> Result<Value, Failure> {
        self.ask(Method::GET, uri, None).await
    }

    /// Changes something.
    pub(super) async fn post(&self, uri: &str, body: Value) -> Result<Value, Failure> {
        self.ask(Method::POST, uri, Some(body)).await
    }

    async fn ask(&self, method: Method, uri: &str, body: Option<Value>) -> Result<Value, Failure> {
        let stream = TcpStream::connect(self.door).await.map_err(said)?;
        match converse(stream, method, uri, body, Some(&self.key)).await.map_err(said)? {
            (200, answer) => Ok(answer),
            (status, answer) => {
                let why = show::cell(answer.get("message"));
                Err(said(format!("the owners' door answered {} with {status} at {uri}: {why}", self.name)))
            }
        }
    }
}
