//! Every bound on what comes from outside, in one place, with the reason for its size.

use std::time::Duration;

use crate::json::Bounds;

/// A request body, in bytes. Larger than any tool call a model writes, small enough for many at once.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How much of a body that is too large is read and dropped, in bytes, so that its sender hears why it was refused. Beyond
/// it the connection ends.
pub const BODY_DRAINED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The arguments of a call. Depth: deeper than any real schema, shallower than any stack.
pub const ARGUMENTS: Bounds = Bounds { bytes_max: BODY_BYTES_MAX, depth_max: 64, values_max: 100_000 };

/// An answer of an upstream, in bytes: files are read through tools.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The shape of an upstream's answer: as deep as any client reads, as many values as its bytes can hold in practice.
pub const ANSWER: Bounds = Bounds { bytes_max: ANSWER_BYTES_MAX, depth_max: 128, values_max: 2_000_000 };

/// A line that a server writes to its standard error, in bytes; the rest of it is dropped.
pub const STDERR_LINE_BYTES_MAX: usize = 4 * 1024;

/// The message of an upstream's own error, in characters; the rest is cut off.
pub const UPSTREAM_MESSAGE_CHARS_MAX: usize = 4_000;

/// Messages that wait to be written to one upstream.
pub const UPSTREAM_QUEUE: usize = 256;

/// The last line of a server that does not start, in characters, where its owner is told of it.
pub const LAST_WORDS_CHARS_MAX: usize = 300;

/// The pause before a server that died or never came up is tried again; it doubles with each attempt.
pub const UPSTREAM_RESTART_FIRST: Duration = Duration::from_secs(1);

/// The longest such pause.
pub const UPSTREAM_RESTART_MAX: Duration = Duration::from_secs(30);

/// After this long since the last attempt the pauses begin anew.
pub const UPSTREAM_SETTLED: Duration = Duration::from_secs(60);

/// How long a connection to a server elsewhere may take, with the look-up of its name and TLS.
pub const UPSTREAM_CONNECT: Duration = Duration::from_secs(10);

/// How long a server elsewhere has to take note that a session or a call is over.
pub const UPSTREAM_GOODBYE: Duration = Duration::from_secs(2);

/// How often the tools of a server elsewhere are listed, for it does not tell when they change, and how often idle
/// sessions are looked for.
pub const UPSTREAM_LOOK: Duration = Duration::from_secs(60);

/// Processes or sessions that principals have of their own at one server, at a time.
pub const UPSTREAM_APART_MAX: usize = 64;

/// How long such a one may lie idle.
pub const UPSTREAM_IDLE: Duration = Duration::from_secs(10 * 60);

/// An event stream that answers one request, in bytes: the answer, and what else is told on the way.
pub const STREAM_BYTES_MAX: usize = 4 * ANSWER_BYTES_MAX;

/// The id of a session that a server elsewhere gives, in bytes.
pub const SESSION_ID_BYTES_MAX: usize = 1024;

/// An answer that is kept for replays, in bytes; of a larger one only the digest is kept.
pub const STORED_ANSWER_BYTES_MAX: usize = 256 * 1024;

/// A tool's name, in characters (MCP allows 128), with the prefix of its server.
pub const TOOL_NAME_CHARS_MAX: usize = 200;

/// An idempotency key, in characters.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;

/// A client's own id of a request, in characters. A longer JSON-RPC id is refused; of a longer `X-Request-Id`, which is
/// only told to the log, the rest is cut off.
pub const REQUEST_ID_CHARS_MAX: usize = 128;

/// One tool's definition in canonical form, in bytes: it is kept on disk with its pin, compiled into a schema and read by
/// every model that lists it, and no model has room for a larger one beside its work.
pub const DEFINITION_BYTES_MAX: usize = 256 * 1024;

/// Tools of one server.
pub const TOOLS_MAX: usize = 2_000;

/// How long an answered key is kept.
pub const IDEMPOTENCY_TTL: Duration = Duration::from_secs(24 * 3600);

/// How long a person has to decide on an approval, and then its agent to use it, unless the policy that asks says
/// otherwise.
pub const APPROVAL_OPEN: Duration = Duration::from_secs(3600);

/// The longest time that a policy can give for that.
pub const APPROVAL_OPEN_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long an approval that is over can be looked up. Longer than the answer of the call that used it is kept.
pub const APPROVAL_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Approvals of one agent that wait at a time: nobody reads more, and they are kept on disk.
pub const APPROVALS_PENDING_MAX: usize = 256;

/// The arguments of a call that a person is asked about, in bytes: nobody reads more.
pub const APPROVAL_ARGUMENTS_BYTES_MAX: usize = 64 * 1024;

/// Approvals of one call that are looked at: the newest.
pub const APPROVALS_OF_CALL_MAX: usize = 16;

/// Why a person said no, in characters.
pub const REASON_CHARS_MAX: usize = 1_000;

/// What a client is told to wait when the first call with its key has not ended.
pub const RETRY_IN_PROGRESS: Duration = Duration::from_secs(1);

/// The longest rolling window: a year and a day.
pub const WINDOW_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Calls that the gate handles at a time: a client that leaves does not stop its call, so connections do not bound them.
pub const CALLS_MAX: usize = 1024;

/// Calls of one principal at a time.
pub const CALLS_PER_PRINCIPAL_MAX: usize = 256;

/// The arguments of all calls that are handled at a time, in bytes. A call holds some five times its arguments' size.
pub const CALLS_BYTES_MAX: usize = 128 * 1024 * 1024;

/// The arguments of the calls of one principal at a time, in bytes.
pub const CALLS_BYTES_PER_PRINCIPAL_MAX: usize = 64 * 1024 * 1024;

/// What a client is told to wait when too many calls are being handled.
pub const RETRY_CROWDED: Duration = Duration::from_secs(1);

/// How long an upstream has to answer a call, unless its configuration says otherwise.
pub const UPSTREAM_CALL: Duration = Duration::from_secs(60);

/// How long an upstream has to start and list its tools.
pub const UPSTREAM_START: Duration = Duration::from_secs(30);

/// How long calls in flight have to end when the gate is told to stop.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// How long a client has to send a request's headers, and then its body.
pub const REQUEST_READ: Duration = Duration::from_secs(20);

/// How long a client may leave an answer lying without taking a byte of it.
pub const RESPONSE_STALL: Duration = Duration::from_secs(30);

/// Connections at one door at a time: half of the files that a process may usually have open.
pub const CONNECTIONS_MAX: usize = 512;

/// Connections of one address at one door at a time, so that no single stranger keeps the others out.
pub const CONNECTIONS_OF_ADDRESS_MAX: usize = 128;

/// How long a client may take a list of tools for fresh.
pub const TOOLS_FRESH: Duration = Duration::from_secs(30);

/// Servers of one gate, those that clients bring along included: each is a process.
pub const SERVERS_MAX: usize = 64;

/// Messages of one client of the stdio door that are on their way at a time; more wait in its pipe.
pub const STDIO_MESSAGES_MAX: usize = CALLS_PER_PRINCIPAL_MAX;
