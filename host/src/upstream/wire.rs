//! The line between the gate and one process: newline-delimited JSON-RPC (MCP, stdio transport).
//!
//! Two speak on it. The gate's own requests, whose ids start at [`OWN_IDS_FROM`], are written and answered as text, so
//! that no model of the protocol can alter or drop anything in either direction. Everything else, the handshake and
//! what the server asks of its client, is `rmcp`'s ([`Lifecycle`]).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::{ClientRequest, JsonRpcMessage, RequestId};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::lines::{Line, next_line};
use super::reply::{Lost, Message, OWN_IDS_FROM, Reply, id_of_long_answer, read_message};
use crate::limits;

#[cfg(test)]
mod tests;

/// How far a message has come. Only one of writer and caller can move it on from `QUEUED`.
const QUEUED: u8 = 0;
const WITHDRAWN: u8 = 1;
const SENT: u8 = 2;
const REFUSED: u8 = 3;

struct Outgoing {
    line: String,
    /// The gate's own request that this is.
    id: Option<u64>,
    stage: Arc<AtomicU8>,
    written: Option<oneshot::Sender<()>>,
}

#[derive(Default)]
struct Waiting {
    closed: bool,
    replies: HashMap<u64, oneshot::Sender<Reply>>,
}

struct Inner {
    server: String,
    queue: mpsc::Sender<Outgoing>,
    queued: Mutex<Option<mpsc::Receiver<Outgoing>>>,
    to_lifecycle: mpsc::Sender<RxJsonRpcMessage<RoleClient>>,
    waiting: Mutex<Waiting>,
    next_id: AtomicU64,
    /// Nothing can be written any more.
    mute: AtomicBool,
    no_more: CancellationToken,
    closed: CancellationToken,
    changed: Arc<Notify>,
}

/// One end of the line. Clones share it.
#[derive(Clone)]
pub(super) struct Wire(Arc<Inner>);

impl Wire {
    /// A line that is not yet connected, and the end of it that `rmcp` gets.
    pub(super) fn new(server: String, changed: Arc<Notify>) -> (Self, Lifecycle) {
        let (queue, queued) = mpsc::channel(limits::UPSTREAM_QUEUE);
        let (to_lifecycle, incoming) = mpsc::channel(limits::UPSTREAM_QUEUE);
        let wire = Self(Arc::new(Inner {
            server,
            queue,
            queued: Mutex::new(Some(queued)),
            to_lifecycle,
            waiting: Mutex::default(),
            next_id: AtomicU64::new(OWN_IDS_FROM),
            mute: AtomicBool::new(false),
            no_more: CancellationToken::new(),
            closed: CancellationToken::new(),
            changed,
        }));
        let lifecycle = Lifecycle { wire: wire.clone(), incoming, initialized: Arc::default(), initialize: None };
        (wire, lifecycle)
    }

    /// Whether a request could be answered.
    pub(super) fn alive(&self) -> bool {
        !self.0.mute.load(Ordering::SeqCst) && !self.0.closed.is_cancelled()
    }

    /// Closes the process's standard input once what is being written is written.
    pub(super) fn stop_writing(&self) {
        self.0.no_more.cancel();
    }

    /// Waits for the end of the line.
    pub(super) async fn ended(&self) {
        self.0.closed.cancelled().await;
    }

    /// Ends the line: whoever waits for an answer learns that there will be none.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting();
        waiting.closed = true;
        waiting.replies.clear();
        self.0.closed.cancel();
        self.0.no_more.cancel();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one request, once, and waits for its answer. `params` is JSON without line breaks.
    pub(super) async fn request(&self, method: &str, params: &str, wait: Duration) -> Result<Reply, Lost> {
        let id = self.0.next_id.fetch_add(1, Ordering::SeqCst);
        let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        let stage = Arc::new(AtomicU8::new(QUEUED));
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            if waiting.closed {
                return Err(Lost::NotSent("its process has ended".into()));
            }
            waiting.replies.insert(id, answer);
        }
        let pending = Pending { wire: self, id, stage: Arc::clone(&stage) };
        let outgoing = Outgoing { line, id: Some(id), stage, written: None };
        let exchange = async {
            self.0.queue.send(outgoing).await.ok()?;
            answered.await.ok()
        };
        match tokio::time::timeout(wait, exchange).await {
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => Err(pending.lost("its process ended before it answered")),
            Err(_) => {
                let lost = pending.lost("it did not answer in time");
                if matches!(lost, Lost::Sent(_)) {
                    self.cancel(id);
                }
                Err(lost)
            }
        }
    }

    /// Tells the server that nobody waits for an answer any more; best effort, it changes nothing here.
    fn cancel(&self, id: u64) {
        let line = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"no answer in time"}}}}"#
        );
        let outgoing = Outgoing { line, id: None, stage: Arc::default(), written: None };
        if self.0.queue.try_send(outgoing).is_err() {
            tracing::debug!(server = self.0.server, id, "the server was not told of a cancelled call");
        }
    }

    /// Writes what is queued until the line ends.
    pub(super) async fn write_to<W: AsyncWrite + Unpin>(self, mut pipe: W) {
        let Some(mut queued) = self.0.queued.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        loop {
            let outgoing = tokio::select! {
                biased;
                () = self.0.no_more.cancelled() => break,
                outgoing = queued.recv() => outgoing,
            };
            let Some(outgoing) = outgoing else { break };
            if !self.write_one(&mut pipe, outgoing).await {
                break;
            }
        }
        self.0.mute.store(true, Ordering::SeqCst);
        drop(pipe);
        queued.close();
        while let Some(outgoing) = queued.recv().await {
            self.refuse(&outgoing, QUEUED);
        }
    }

    /// Writes one message; false when nothing more can be written.
    async fn write_one<W: AsyncWrite + Unpin>(&self, pipe: &mut W, outgoing: Outgoing) -> bool {
        let Outgoing { line, stage, .. } = &outgoing;
        if stage.compare_exchange(QUEUED, SENT, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return true;
        }
        let bytes = format!("{line}\n").into_bytes();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let wrote = tokio::select! {
                wrote = pipe.write(rest) => wrote,
                () = self.0.closed.cancelled() => Ok(0),
            };
            match wrote {
                Ok(count) if count > 0 => rest = rest.get(count..).unwrap_or_default(),
                failed => {
                    tracing::debug!(server = self.0.server, ?failed, "the server takes no more");
                    // A pipe that took nothing at all has nothing to pass on.
                    if rest.len() == bytes.len() {
                        self.refuse(&outgoing, SENT);
                    } else {
                        self.forget(&outgoing);
                    }
                    return false;
                }
            }
        }
        let flushed = pipe.flush().await.is_ok();
        if let Some(written) = outgoing.written {
            // Whoever waited may have left.
            let _ = written.send(());
        }
        flushed
    }

    fn refuse(&self, outgoing: &Outgoing, from: u8) {
        // A withdrawn message stays withdrawn.
        let _ = outgoing.stage.compare_exchange(from, REFUSED, Ordering::SeqCst, Ordering::SeqCst);
        self.forget(outgoing);
    }

    fn forget(&self, outgoing: &Outgoing) {
        if let Some(id) = outgoing.id {
            self.waiting().replies.remove(&id);
        }
    }

    /// Reads what the server writes until it stops.
    pub(super) async fn read_from<R: AsyncRead + Unpin>(self, pipe: R) {
        let mut reader = BufReader::with_capacity(64 * 1024, pipe);
        let server = &self.0.server;
        loop {
            match next_line(&mut reader, limits::ANSWER_BYTES_MAX).await {
                Ok(Some(Line::Whole(line))) => self.take(&line),
                Ok(Some(Line::Cut { start, tail })) => {
                    tracing::warn!(server, max = limits::ANSWER_BYTES_MAX, "a message of the server is too long");
                    if let Some(id) = id_of_long_answer(&start, &tail) {
                        self.answer(id, Reply::TooLong);
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(server, %error, "the server cannot be read");
                    break;
                }
            }
        }
        self.close();
    }

    fn answer(&self, id: u64, reply: Reply) {
        match self.waiting().replies.remove(&id) {
            Some(answer) => {
                // Whoever waited may have left.
                let _ = answer.send(reply);
            }
            None => tracing::debug!(server = self.0.server, id, "an answer that nobody waits for"),
        }
    }

    fn take(&self, line: &[u8]) {
        let server = &self.0.server;
        match read_message(line) {
            Message::Reply(id, reply) => self.answer(id, reply),
            Message::Other { text, tools_changed } => {
                if tools_changed {
                    self.0.changed.notify_one();
                }
                match serde_json::from_str(text) {
                    Ok(message) => {
                        if self.0.to_lifecycle.try_send(message).is_err() {
                            tracing::debug!(server, "a message of the server was dropped");
                        }
                    }
                    Err(error) => tracing::debug!(server, %error, "a message of the server is not understood"),
                }
            }
            Message::Garbage => tracing::debug!(server, "a line of the server is not JSON-RPC"),
        }
    }
}

/// A request that waits; leaving it takes it back where that is still possible.
struct Pending<'a> {
    wire: &'a Wire,
    id: u64,
    stage: Arc<AtomicU8>,
}

impl Pending<'_> {
    fn lost(&self, why: &'static str) -> Lost {
        match self.stage.compare_exchange(QUEUED, WITHDRAWN, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) | Err(WITHDRAWN | REFUSED) => Lost::NotSent("its process takes no requests".into()),
            Err(_) => Lost::Sent(why.into()),
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let _ = self.stage.compare_exchange(QUEUED, WITHDRAWN, Ordering::SeqCst, Ordering::SeqCst);
        self.wire.waiting().replies.remove(&self.id);
    }
}

/// `rmcp`'s end of the line.
pub(super) struct Lifecycle {
    wire: Wire,
    incoming: mpsc::Receiver<RxJsonRpcMessage<RoleClient>>,
    initialized: Arc<AtomicBool>,
    /// The handshake of the older revisions that is not answered yet.
    initialize: Option<RequestId>,
}

impl Lifecycle {
    /// Becomes true when the handshake of the revisions before 2026-07-28 is used.
    pub(super) fn initialized(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.initialized)
    }

    /// Whether it answers the question that comes before the handshake of the older revisions, and which a server that
    /// is slow to start answers when nobody waits for that any more. The handshake would take it for its own answer.
    fn is_late(&mut self, message: &RxJsonRpcMessage<RoleClient>) -> bool {
        let Some(initialize) = &self.initialize else { return false };
        let answered = match message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        let late = answered.is_some_and(|id| id != initialize);
        if !late && answered.is_some() {
            // The handshake is answered; what comes from now on is as it should be.
            self.initialize = None;
        }
        late
    }
}

impl Transport<RoleClient> for Lifecycle {
    type Error = std::io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        if let JsonRpcMessage::Request(request) = &item
            && matches!(request.request, ClientRequest::InitializeRequest(_))
        {
            self.initialized.store(true, Ordering::SeqCst);
            self.initialize = Some(request.id.clone());
        }
        let wire = self.wire.clone();
        async move {
            let line = serde_json::to_string(&item)?;
            let (written, done) = oneshot::channel();
            let outgoing = Outgoing { line, id: None, stage: Arc::default(), written: Some(written) };
            let ended = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
            wire.0.queue.send(outgoing).await.map_err(|_| ended())?;
            done.await.map_err(|_| ended())
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.incoming.recv() => message,
                () = self.wire.0.closed.cancelled() => None,
            };
            if !message.as_ref().is_some_and(|message| self.is_late(message)) {
                return message;
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.wire.stop_writing();
        Ok(())
    }
}
