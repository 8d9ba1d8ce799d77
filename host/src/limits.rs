//! Every bound on what comes from outside, in one place, with the reason for its size.

use std::time::Duration;

use crate::json::Bounds;

/// A request body, in bytes. Larger than any tool call a model writes, small enough for many at once.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The arguments of a call. Depth: deeper than any real schema, shallower than any stack.
pub const ARGUMENTS: Bounds = Bounds { bytes_max: BODY_BYTES_MAX, depth_max: 64, values_max: 100_000 };

/// An answer of an upstream, in bytes: files are read through tools.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An answer that is kept for replays, in bytes; of a larger one only the digest is kept.
pub const STORED_ANSWER_BYTES_MAX: usize = 256 * 1024;

/// A tool's name, in characters (MCP allows 128), with the prefix of its server.
pub const TOOL_NAME_CHARS_MAX: usize = 200;

/// An idempotency key, in characters.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;

/// A client's own id of a request, in characters; the rest is cut off, it is only told to the log.
pub const REQUEST_ID_CHARS_MAX: usize = 128;

/// Tools of one server.
pub const TOOLS_MAX: usize = 2_000;

/// How long an answered key is kept.
pub const IDEMPOTENCY_TTL: Duration = Duration::from_secs(24 * 3600);

/// What a client is told to wait when the first call with its key has not ended.
pub const RETRY_IN_PROGRESS: Duration = Duration::from_secs(1);

/// The longest rolling window: a year and a day.
pub const WINDOW_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// How long an upstream has to answer a call, unless its configuration says otherwise.
pub const UPSTREAM_CALL: Duration = Duration::from_secs(60);

/// How long an upstream has to start and list its tools.
pub const UPSTREAM_START: Duration = Duration::from_secs(30);

/// How long calls in flight have to end when the gate is told to stop.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
