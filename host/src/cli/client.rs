//! How commands reach the store: through the socket of the gate that runs on it, or else by opening it.

use std::sync::Arc;

use serde_json::Value;

use crate::admin::{Admin, AdminError, Command};
use crate::clock::Clock;
use crate::config::Config;
use crate::door::socket::{self, SocketError};
use crate::identity::Actor;
use crate::serve::{self, StartError};
use crate::task;

/// Why a command did not reach the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("the gate that runs here did not answer on its socket: {0}")]
    Socket(#[from] SocketError),
    #[error("{0}")]
    Refused(String),
}

/// Runs a command on the gate of this configuration, running or not.
pub(crate) async fn run(config: &Config, command: Command) -> Result<Value, ClientError> {
    if let Some(answer) = ask(config, &command).await? {
        return Ok(answer);
    }
    let data = config.data.clone();
    let (store, key) = task::blocking(move || serve::open_store(&data)).await?;
    let admin = Admin::on_store(store.clone(), Arc::new(key), Clock::system());
    let done = admin.run(&Actor::this_user(), command).await;
    store.close().await;
    Ok(done?)
}

/// Runs a command on the gate that runs there; none when none does.
pub(crate) async fn ask(config: &Config, command: &Command) -> Result<Option<Value>, ClientError> {
    let path = &serve::socket_path(&config.data);
    let body = serde_json::to_value(command).map_err(|error| ClientError::Refused(error.to_string()))?;
    match socket::request(path, socket::Method::POST, "/v1/command", Some(body)).await {
        Ok((200, answer)) => Ok(Some(answer)),
        Ok((_, answer)) => {
            let message = answer.get("message").and_then(Value::as_str).unwrap_or("the gate refused the command");
            Err(ClientError::Refused(message.to_owned()))
        }
        Err(SocketError::NotRunning { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
