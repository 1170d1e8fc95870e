//! A process as its own code sees it: its clocks, tokens and sink.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use rawsink::{
    Clock, RawSink,
    runtime::{Runtime, Tokens},
    sink::SinkOptions,
    store::{
        LeftoverPolicy, S3Store,
        s3::{CompleteConditions, Requests},
    },
};

use super::{
    ids::ProcessId,
    time::{Micros, micros, timestamp_of},
    world::SharedWorld,
};

/// A process as its own code sees it.
#[derive(Clone)]
pub(super) struct ProcessHandle {
    pub(super) world: SharedWorld,
    pub(super) id: ProcessId,
}

impl ProcessHandle {
    /// Opens the sink with a client that sends requests.
    pub(super) fn sink_over(
        &self,
        requests: Arc<dyn Requests>,
        leftover: LeftoverPolicy,
        conditions: CompleteConditions,
    ) -> RawSink {
        let here = Arc::new(self.clone());
        let runtime = Runtime { clock: here.clone(), tokens: here };
        let config = self.world.lock().plan.settings.clone().with_complete_conditions(conditions);
        let store = S3Store::with_requests(requests, &config, runtime.clone());
        // The simulated clock starts long before the time that the run ids name.
        let options = SinkOptions::default().leftover(leftover).max_run_ahead(Duration::MAX);
        RawSink::with(Arc::new(store), options, runtime)
    }

    /// Sleeps; forever if the process is killed.
    pub(super) async fn wait(&self, time: Micros) {
        let sleeping = self.world.lock().sleep(self.id, time);
        if sleeping.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Sleeps sometimes.
    pub(super) async fn perhaps_wait(&self) {
        let wait = {
            let mut world = self.world.lock();
            if world.random.happens(200) { world.latency() } else { 0 }
        };
        if wait > 0 {
            self.wait(wait).await;
        }
    }

    /// Adds a line to the trace.
    pub(super) fn trace(&self, line: impl FnOnce() -> String) {
        let mut world = self.world.lock();
        let name = world.name_of(self.id);
        world.trace(&name, line);
    }
}

impl fmt::Debug for ProcessHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessHandle").field("id", &self.id).finish_non_exhaustive()
    }
}

#[async_trait]
impl Clock for ProcessHandle {
    fn now(&self) -> Timestamp {
        let world = self.world.lock();
        timestamp_of(world.processes[self.id.0].wall_clock(world.now))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.world.lock().monotonic(self.id))
    }

    fn elapsed(&self) -> Duration {
        let world = self.world.lock();
        Duration::from_micros(world.processes[self.id.0].elapsed(world.now))
    }

    async fn sleep(&self, time: Duration) {
        self.wait(micros(time)).await;
    }
}

impl Tokens for ProcessHandle {
    fn next(&self) -> u128 {
        let mut world = self.world.lock();
        u128::from(world.random.next()) << 64 | u128::from(world.random.next())
    }
}
