//! How commands reach the store: through the socket of the gate that runs on it, or else by opening it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::admin::{Admin, AdminError, Command};
use crate::clock::Clock;
use crate::config::{Config, PERSON_CREDENTIAL};
use crate::door::socket::{self, SocketError};
use crate::identity::{self, Actor};
use crate::serve::{self, StartError};
use crate::store::{Store, StoreError};
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

/// The person in whose name commands are given, instead of the user of this process.
fn person_key() -> Result<Option<Zeroizing<String>>, ClientError> {
    match std::env::var(PERSON_CREDENTIAL) {
        Ok(key) if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(ClientError::Refused(format!(
                "{PERSON_CREDENTIAL} is set, and holds no credential: put a person's key there, or unset it to act as the user \
             who runs the gate"
            )))
        }
        Ok(key) => Ok(Some(Zeroizing::new(key))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(ClientError::Refused(format!("{PERSON_CREDENTIAL} is not UTF-8")))
        }
    }
}

/// Who gives a command on a store that no gate has open.
fn actor(store: &Store) -> Result<Actor, ClientError> {
    let Some(key) = person_key()? else { return Ok(Actor::this_user()) };
    let found = identity::authenticate(store, &key).map_err(AdminError::Store)?;
    found.as_ref().and_then(Actor::person).ok_or_else(|| {
        ClientError::Refused(format!("the credential in {PERSON_CREDENTIAL} is no person's, or not any more"))
    })
}

/// How often a command looks again at a store that is in use and whose gate does not answer yet, and how long it waits
/// in between: a gate that starts compiles its policies first, and another command is done in a moment.
const LOOKS: usize = 200;
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Runs a command on the gate of this configuration, running or not.
pub(crate) async fn run(config: &Config, command: Command) -> Result<Value, ClientError> {
    let mut looks = 0_usize;
    let (store, key) = loop {
        if let Some(answer) = ask(config, &command).await? {
            return Ok(answer);
        }
        let data = config.data.clone();
        match task::blocking(move || serve::open_store(&data)).await {
            Err(StartError::Store { source: StoreError::Locked(_), .. }) if looks < LOOKS => {
                looks = looks.saturating_add(1);
                tokio::time::sleep(LOOK_PAUSE).await;
            }
            opened => break opened?,
        }
    };
    let admin = Admin::on_store(store.clone(), Arc::new(key), Clock::system());
    let admin = admin.own_credential(!config.approvals_by_socket);
    let done = match actor(&store) {
        Ok(actor) => admin.run(&actor, command).await.map_err(ClientError::from),
        Err(error) => Err(error),
    };
    store.close().await;
    done
}

/// Runs a command on the gate that runs there; none when none does.
pub(crate) async fn ask(config: &Config, command: &Command) -> Result<Option<Value>, ClientError> {
    let path = &serve::socket_path(&config.data);
    let body = serde_json::to_value(command).map_err(|error| ClientError::Refused(error.to_string()))?;
    let key = person_key()?;
    let credential = key.as_deref().map(String::as_str);
    match socket::request(path, socket::Method::POST, "/v1/command", Some(body), credential).await {
        Ok((200, answer)) => Ok(Some(answer)),
        Ok((_, answer)) => {
            let message = answer.get("message").and_then(Value::as_str).unwrap_or("the gate refused the command");
            Err(ClientError::Refused(message.to_owned()))
        }
        Err(SocketError::NotRunning { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
