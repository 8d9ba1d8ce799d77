//! The gate's own log: JSON lines on standard error, or text where a person looks. `PORTCULLIS_LOG` sets what is told, in
//! the syntax of `tracing`'s filters; the default is `info`, and
//! `warn` for the protocol library.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

/// Starts the log of this process, and sends panics to it. A second start changes nothing.
pub fn start() {
    let filter = EnvFilter::try_from_env("PORTCULLIS_LOG").unwrap_or_else(|_| EnvFilter::new("info,rmcp=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    // Where the log cannot be written (a full disk), saying so on the same standard error would be a panic.
    let log = log.log_internal_errors(false);
    // The only failure is that a log was started before.
    let _ = if stderr().is_terminal() { log.try_init() } else { log.json().try_init() };
    std::panic::set_hook(Box::new(|panic| {
        // The message may hold what came from outside; the place says enough.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}
