//! A transport that keeps the text of a call's arguments.
//!
//! An MCP library reads numbers as doubles: `1099.10` becomes `1099.1` and 2^53+1 becomes 2^53. Whoever counts money
//! needs what was written. So every line is read twice: once for the bare text of `params.arguments`, once as a message for
//! the library, with that text beside it as [`ExactArguments`].

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{ErrorData, RequestId};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{Mutex, watch};

/// The longest line that is read, in bytes.
const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The JSON text of a call's arguments, exactly as it was received.
#[derive(Clone, Debug)]
pub(crate) struct ExactArguments(pub(crate) Arc<RawValue>);

/// One JSON-RPC message a line, in both directions.
pub(crate) struct ExactTransport<R, W> {
    read: BufReader<R>,
    /// Outlives a cancelled `receive`, so that half a line is not lost.
    line: Vec<u8>,
    write: Arc<Mutex<Option<W>>>,
    /// An answer that is being written to a line that was no message. Outlives a cancelled `receive`, too.
    answering: Option<Answering>,
    /// Dropped when the client says nothing more.
    open: Option<watch::Sender<()>>,
}

/// Whether the client may still say something.
#[derive(Clone)]
pub(crate) struct Open(watch::Receiver<()>);

impl Open {
    /// Returns when the client says nothing more.
    pub(crate) async fn ended(&self) {
        let mut open = self.0.clone();
        while open.changed().await.is_ok() {}
    }
}

type Answering = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

#[derive(Deserialize)]
struct Line<'a> {
    id: Option<RequestId>,
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl<R: AsyncRead + Send + Unpin, W: AsyncWrite + Send + Unpin + 'static> ExactTransport<R, W> {
    pub(crate) fn new(read: R, write: W) -> (Self, Open) {
        let write = Arc::new(Mutex::new(Some(write)));
        let (open, opened) = watch::channel(());
        let read = BufReader::new(read);
        (Self { read, line: Vec::new(), write, answering: None, open: Some(open) }, Open(opened))
    }

    /// The next message, or none at the end of the stream.
    async fn message(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(answering) = &mut self.answering {
                let written = answering.await;
                self.answering = None;
                written.ok()?;
            }
            let line = self.next_line().await?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            match read_message(&line) {
                Ok(message) => return Some(message),
                Err(error) => {
                    tracing::warn!(%error, "a line is not a message of the protocol");
                    let answer = ErrorData::invalid_request(format!("not a message of the protocol: {error}"), None);
                    let answer = TxJsonRpcMessage::<RoleServer>::error(answer, id_of(&line));
                    self.answering = Some(Box::pin(self.send(answer)));
                }
            }
        }
    }

    /// The next whole line, or none at the end of the stream.
    async fn next_line(&mut self) -> Option<Vec<u8>> {
        let room = LINE_BYTES_MAX.saturating_sub(self.line.len() as u64);
        if let Err(error) = (&mut self.read).take(room).read_until(b'\n', &mut self.line).await {
            tracing::error!(%error, "standard input cannot be read");
            return None;
        }
        let line = std::mem::take(&mut self.line);
        if line.ends_with(b"\n") {
            return Some(line);
        }
        if !line.is_empty() {
            tracing::error!(
                bytes = line.len(),
                "standard input ended in the middle of a line, or the line is too long"
            );
        }
        None
    }
}

impl<R, W> Transport<RoleServer> for ExactTransport<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(&mut self, message: TxJsonRpcMessage<RoleServer>) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let write = self.write.clone();
        async move {
            let mut line = serde_json::to_vec(&message)?;
            line.push(b'\n');
            match write.lock().await.as_mut() {
                Some(out) => {
                    out.write_all(&line).await?;
                    out.flush().await
                }
                None => Err(io::ErrorKind::NotConnected.into()),
            }
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        let message = self.message().await;
        if message.is_none() {
            self.open = None;
        }
        message
    }

    async fn close(&mut self) -> io::Result<()> {
        self.write.lock().await.take();
        Ok(())
    }
}

/// The message of a line, with the text of its arguments beside it. The library gets to see an empty object in their
/// place: it could not read each number that JSON allows.
fn read_message(line: &[u8]) -> serde_json::Result<RxJsonRpcMessage<RoleServer>> {
    let Some(text) = serde_json::from_slice::<Line<'_>>(line)?.params.and_then(|params| params.arguments) else {
        return serde_json::from_slice(line);
    };
    let start = text.get().as_ptr().addr().saturating_sub(line.as_ptr().addr());
    let (before, rest) = line.split_at(start);
    let (_, after) = rest.split_at(text.get().len());
    let mut message: RxJsonRpcMessage<RoleServer> = serde_json::from_slice(&[before, b"{}", after].concat())?;
    message.insert_extension(ExactArguments(text.to_owned().into()));
    Ok(message)
}

/// The id that an answer to a line must have, where the line has one.
fn id_of(line: &[u8]) -> Option<RequestId> {
    serde_json::from_slice::<Line<'_>>(line).ok()?.id
}
