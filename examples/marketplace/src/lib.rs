//! A small marketplace as an MCP server over standard input and output: something real to put behind a gate.
//!
//! # Layout
//! - `exact`: the transport. Keeps the text of every call's arguments as it came.
//! - `server`: the MCP side: lists the tools, calls them, turns outcomes into results.
//! - `tools`: what the thirteen tools are called, take and promise.
//! - `descriptions`: other words for what they promise, which can change while it runs.
//! - `market`: what they do, as pure changes of a [`State`].
//! - `file`: where the state is kept, safe against a crash and a second process.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::sync::Arc;

use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use tokio::io::{AsyncRead, AsyncWrite};

mod descriptions;
mod exact;
mod file;
mod market;
mod server;
mod tools;

use descriptions::Descriptions;
pub use descriptions::DescriptionsError;
pub use file::{StateError, StateFile};
pub use market::{Executed, Failure, State};

/// Why the marketplace stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state file cannot be used.
    #[error("the marketplace cannot use its state file")]
    State(#[from] StateError),
    /// The file of descriptions cannot be used.
    #[error("the marketplace cannot use its descriptions")]
    Descriptions(#[from] DescriptionsError),
    /// No MCP client came to terms with it.
    #[error("the MCP connection did not start")]
    Start(#[source] Box<ServerInitializeError>),
    /// A part of the server panicked.
    #[error("the marketplace stopped in the middle")]
    Task(#[from] tokio::task::JoinError),
}

/// The files of a marketplace.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// Where the state is kept. Without it, nowhere: every call then meets an empty marketplace.
    pub state: Option<PathBuf>,
    /// Other descriptions of tools: a JSON object with the names of tools and their texts. A client that listens is told
    /// when it changes.
    pub descriptions: Option<PathBuf>,
}

/// Serves on standard input and output until the client closes them.
///
/// # Errors
/// When a file cannot be used or the client does not speak MCP.
pub async fn serve_stdio(files: Files) -> Result<(), Error> {
    serve(tokio::io::stdin(), tokio::io::stdout(), files).await
}

/// Serves on any pair of streams: one JSON-RPC message a line.
///
/// # Errors
/// As [`serve_stdio`].
pub async fn serve<R, W>(read: R, write: W, files: Files) -> Result<(), Error>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let file = files.state.map(StateFile::open).transpose()?.map(Arc::new);
    let descriptions = files.descriptions.map(Descriptions::open).transpose()?;
    let (transport, open) = exact::ExactTransport::new(read, write);
    let service = match server::Marketplace::new(file, descriptions, open).serve(transport).await {
        Ok(service) => service,
        // A client that leaves before it says anything is no error.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(Error::Start(Box::new(error))),
    };
    service.waiting().await?;
    Ok(())
}
