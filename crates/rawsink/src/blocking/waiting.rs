//! How a blocking call waits: on the runtime of this process, until the work is done, the caller cancels
//! it, or the caller's check fails.

use std::{
    fmt,
    future::Future,
    pin::pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{Error, ErrorKind, Result, runtime::process::PerProcess};

/// How often a waiting call is checked.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// The runtime that all blocking handles share. It is never shut down: its threads wait for work.
static RUNTIME: OnceLock<PerProcess<Runtime>> = OnceLock::new();

/// Returns the runtime of this process.
pub(super) fn runtime() -> Result<&'static Handle> {
    let runtime = if let Some(runtime) = RUNTIME.get() {
        runtime
    } else {
        let started = PerProcess::new(start()?);
        RUNTIME.get_or_init(|| started)
    };
    Ok(runtime.get(start)?.handle())
}

fn start() -> Result<Runtime> {
    let started =
        Builder::new_multi_thread().worker_threads(1).thread_name("rawsink").enable_all().build();
    started.map_err(|cause| {
        let message = format!("cannot start the runtime: {cause}");
        Error::new(ErrorKind::Unavailable, message).because(cause)
    })
}

/// A function that a waiting call runs on its own thread, about every 100 ms. An error ends the call.
pub type Check = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// Cancels the calls of one writer or reader, from any thread. Clones cancel the same.
#[derive(Debug, Clone, Default)]
pub struct Canceller(CancellationToken);

impl Canceller {
    /// Ends the call that waits now, and every later one, with an error of the kind `Closed`.
    ///
    /// The writer aborts its attempt, unless it is writing the seal, which is never interrupted.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Returns whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// What ends a waiting call early.
#[derive(Clone, Default)]
pub(super) struct Waiting {
    pub(super) check: Option<Check>,
    pub(super) canceller: Canceller,
}

impl Waiting {
    /// Waits for `work` until it is done; nothing ends this early.
    pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T> {
        Ok(runtime()?.block_on(work))
    }

    /// Waits for `work`. Drops it if the caller cancels it, or the check fails.
    ///
    /// # Errors
    /// Why it was dropped.
    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.wait_until(&self.canceller.0, work)
    }

    /// As [`wait`](Self::wait), also after the caller cancelled.
    pub(super) fn wait_for_end<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.wait_until(&CancellationToken::new(), work)
    }

    fn wait_until<T>(
        &self,
        cancelled: &CancellationToken,
        work: impl Future<Output = T>,
    ) -> Result<T> {
        let runtime = runtime()?;
        // Work that is dropped early may leave a task that cleans up.
        let _inside = runtime.enter();
        let mut work = pin!(work);
        loop {
            let slice = cancelled.run_until_cancelled(&mut work);
            let done = match &self.check {
                None => Ok(runtime.block_on(slice)),
                Some(_) => runtime.block_on(async { timeout(CHECK_EVERY, slice).await }),
            };
            match (done, &self.check) {
                (Ok(Some(done)), _) => return Ok(done),
                (Ok(None), _) => return Err(Error::new(ErrorKind::Closed, "cancelled")),
                (Err(_), Some(check)) => check()?,
                (Err(_), None) => {}
            }
        }
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("canceller", &self.canceller).finish_non_exhaustive()
    }
}
