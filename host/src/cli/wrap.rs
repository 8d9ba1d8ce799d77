//! `portcullis wrap`: the gate over standard input and output, in front of one server.
//!
//! It is a bridge: a line from standard input is a JSON-RPC message, which goes to the MCP door on the Unix socket of the
//! gate that runs on the data directory, or of one that this process starts when none does. Each message is a request of
//! its own there, with the credential of `PORTCULLIS_KEY`; answers come as lines on standard output, in the order in which
//! they are ready. Nothing else is ever written there. Nothing that may have been executed is sent twice. A client that
//! leaves does not stop a call.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use tokio::sync::{Semaphore, mpsc};
use zeroize::Zeroizing;

use super::serve::Signals;
use super::{Failure, load};
use crate::admin::NewServer;
use crate::config::{CREDENTIAL, Variables};
use crate::limits::STDIO_MESSAGES_MAX;
use crate::{task, telemetry};

mod exchange;
mod lines;
mod link;
mod message;
mod name;

use exchange::Bridge;
use lines::Line;
use link::Link;

#[derive(Debug, Args)]
pub(super) struct Words {
    /// What the server is called: its tools appear as NAME__tool [default: after its command]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// An environment variable that the server gets besides PATH, HOME, LANG and TMPDIR
    #[arg(long = "env", value_name = "NAME")]
    env: Vec<String>,
    /// The server's program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) async fn run(config: &Path, words: Words) -> Result<(), Failure> {
    telemetry::start();
    let authorization = credential()?;
    let config = load(config)?;
    let name = match words.name {
        Some(name) => name,
        None => name::of(&words.command).ok_or_else(|| {
            Failure::Usage("no name for the server can be made of its command: give it one with `--name NAME`".into())
        })?,
    };
    let variables = variables(&words.env)?;
    let new = NewServer { name, command: words.command, directory: config.folder.clone(), variables };
    let mut signals = Signals::new()?;
    let link = Arc::new(Link::new(config, new));
    // What is wrong from the start is better said at once than to the first message.
    let ready = tokio::select! {
        ready = link.ready() => Some(ready),
        () = signals.next() => None,
    };
    let done = match ready {
        Some(Ok(())) => bridge(&Arc::new(Bridge::new(Arc::clone(&link), authorization)), &mut signals).await,
        Some(Err(error)) => Err(Failure::Said(error.to_string())),
        None => Ok(()),
    };
    tokio::select! {
        () = link.close() => done,
        () = signals.next() => done,
    }
}

/// The credential, as the value of an `Authorization` header.
fn credential() -> Result<Zeroizing<String>, Failure> {
    let key = Zeroizing::new(std::env::var(CREDENTIAL).unwrap_or_default());
    let key = key.trim();
    if key.is_empty() {
        return Err(Failure::Usage(format!(
            "`{CREDENTIAL}` is not set: put an API key into the client's `env`, such as one that `portcullis agent add NAME \
             --role ROLE` shows"
        )));
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::Usage(format!("what is in `{CREDENTIAL}` is no credential: it has odd characters")));
    }
    Ok(Zeroizing::new(format!("Bearer {key}")))
}

fn variables(names: &[String]) -> Result<Variables, Failure> {
    let value = |name: &String| match std::env::var(name) {
        _ if name == CREDENTIAL => {
            Err(Failure::Usage(format!("`{CREDENTIAL}` is the agent's credential: no server gets it")))
        }
        Ok(value) => Ok((name.clone(), value)),
        Err(_) => Err(Failure::Usage(format!("the environment variable `{name}` is not set, or is not UTF-8"))),
    };
    names.iter().map(value).collect()
}

/// Passes messages on until the client closes standard input or goes away, or the process is told to stop; then waits for
/// the answers that are on their way.
async fn bridge(bridge: &Arc<Bridge>, signals: &mut Signals) -> Result<(), Failure> {
    let no_thread = |error| Failure::Said(format!("the system has no threads to run on: {error}"));
    let mut input = lines::input().map_err(no_thread)?;
    let (output, written) = lines::output().map_err(no_thread)?;
    let places = Arc::new(Semaphore::new(STDIO_MESSAGES_MAX));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((place, input.recv().await?))
        };
        let (place, line) = tokio::select! {
            next = next => match next {
                Some(next) => next,
                None => break,
            },
            () = signals.next() => break,
            () = output.closed() => break,
        };
        let (bridge, output) = (Arc::clone(bridge), output.clone());
        task::spawn("message", async move {
            answer(&bridge, line, &output).await;
            drop(place);
        });
    }
    // Each message that is on its way holds the output open until it is answered.
    drop(output);
    tokio::select! {
        _ = written => {}
        () = signals.next() => tracing::warn!("told to stop, this did not wait for the answers that are on their way"),
    }
    Ok(())
}

async fn answer(bridge: &Bridge, line: Line, output: &mpsc::Sender<String>) {
    if let Some(answer) = bridge.answer(line).await
        && output.send(answer).await.is_err()
    {
        tracing::warn!("an answer could not be given: the client is gone");
    }
}
