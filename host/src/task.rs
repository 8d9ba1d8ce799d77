//! The only place that starts tasks and threads: each has a name, and a panic in one is told to the log.

use std::future::Future;
use std::io;

use tokio::task::JoinHandle;
use tracing::Instrument;

/// Runs a future to its end, whoever waits for it: a call that has a permit must not stop half-way because its
/// client went away. A panic ends the task, reaches the log through the panic hook and whoever joins as an error.
#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future.instrument(tracing::debug_span!("task", name)))
}

/// Runs what blocks, such as opening files or compiling, where no other task waits for it.
pub async fn blocking<F, T>(body: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match tokio::task::spawn_blocking(body).await {
        Ok(output) => output,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down cancels it, and whoever waits here with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Starts a thread with a name.
///
/// # Errors
/// When the system has no thread to give.
#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
pub fn thread<F, T>(name: &str, body: F) -> io::Result<std::thread::JoinHandle<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}
