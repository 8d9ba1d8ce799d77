//! The threads that decide. They are the gate's own, a few more than there are cores, so that some looping policies
//! cannot stop it: each is cut off by its fuel while the others go on.

use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time;

use super::engine::EngineError;
use super::limits;
use crate::task;

/// Why a job was not done.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PoolError {
    /// No thread was free in time, or too many already wait.
    #[error("no thread to decide was free")]
    Overloaded,
    /// The job panicked. Its thread goes on.
    #[error("deciding panicked")]
    Panicked,
}

type Job = Box<dyn FnOnce() + Send>;

/// A bounded number of threads and a bounded wait for one.
pub(super) struct Pool {
    jobs: Sender<Job>,
    /// One permit for each thread: whoever holds one finds a thread that is free, or is about to be.
    free: Arc<Semaphore>,
    /// One permit for each job that may run or wait.
    room: Arc<Semaphore>,
    wait_max: Duration,
}

impl Pool {
    /// Starts the threads; a job waits for one at most this long. They end when the pool is dropped.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(super) fn start(threads: usize, wait_max: Duration) -> Result<Self, EngineError> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let queue = Arc::clone(&queue);
            task::thread("policy", move || work(&queue)).map_err(EngineError::Thread)?;
        }
        let room = threads.saturating_add(limits::WAITING_MAX);
        let (free, room) = (Arc::new(Semaphore::new(threads)), Arc::new(Semaphore::new(room)));
        Ok(Self { jobs, free, room, wait_max })
    }

    /// Runs a job on a thread of the pool. A job that has begun goes on when its caller leaves.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(|_| PoolError::Overloaded)?;
        let free = time::timeout(self.wait_max, Arc::clone(&self.free).acquire_owned());
        let free = free.await.map_err(|_| PoolError::Overloaded)?.map_err(|_| PoolError::Overloaded)?;
        let (done, result) = oneshot::channel();
        let job = Box::new(move || finish(job, done, [room, free]));
        self.jobs.send(job).map_err(|_| PoolError::Overloaded)?;
        // The sender is dropped without a word only when the job panicked.
        result.await.map_err(|_| PoolError::Panicked)
    }
}

fn finish<T>(job: impl FnOnce() -> T, done: oneshot::Sender<T>, permits: [OwnedSemaphorePermit; 2]) {
    let result = panic::catch_unwind(AssertUnwindSafe(job));
    // Before the answer: whoever gets it may ask for the next slot at once.
    drop(permits);
    if let Ok(result) = result {
        // The caller may be gone.
        let _ = done.send(result);
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(),
            Err(_) => return,
        }
    }
}
