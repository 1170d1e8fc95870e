//! The fake S3 server with the library's clients: stores, sinks and doctors in virtual time.

use std::{
    sync::{Arc, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use fake_s3::http::{Access, FakeServer, ServedBucket, VirtualClock};
use jiff::{SignedDuration, Timestamp};
use rawsink::{
    Clock, RawSink,
    runtime::{Runtime, SystemTokens},
    secret::Secret,
    sink::SinkOptions,
    store::{
        Object, S3Store, StorePath,
        raw::Connector,
        s3::{AccessKey, CompleteConditions, Provider, S3Config, S3ConfigBuilder},
    },
};

use crate::log;

pub use fake_s3::{
    AbortDuringComplete, AbortOfMissing, AbortScope, AbortedUpload, Behaviour, CreateCondition,
    DeleteCondition, ObjectListing, ObjectVersioning, PartLimits, UploadListing, UploadTimes,
    UserMetadata,
    http::{Answer, Effect, Habit, Op},
};

/// The bucket of the server, as tests read and change it.
pub type Objects = ServedBucket;

const BUCKET: &str = "landing";
pub const PREFIX: &str = "raw/zone";
pub const ACCESS_KEY: &str = "AKIDTEST";
pub const SECRET_KEY: &str = "this-is-the-secret";

/// Minimum size of a part except the last. It is below the 5 MiB of real servers, so that a few rows
/// fill several parts.
const MIN_PART_BYTES: usize = 64 * 1024;

/// A server with one bucket, and the settings of its clients. Clones are the same server.
#[derive(Debug, Clone)]
pub struct S3Server {
    server: FakeServer,
    config: S3ConfigBuilder,
    provider: Option<&'static Provider>,
}

impl Default for S3Server {
    fn default() -> Self {
        Self::new(CompleteConditions::Ignored)
    }
}

impl S3Server {
    /// Starts a server that treats conditions on Complete as its clients are configured to expect.
    pub fn new(conditions: CompleteConditions) -> Self {
        log::prepare();
        let access = Access { bucket: BUCKET, key_id: ACCESS_KEY, secret: SECRET_KEY };
        let server = FakeServer::new(access, behaviour(conditions));
        Self { server, config: config(conditions), provider: None }
    }

    /// Changes the configuration of clients that are opened later.
    #[must_use]
    pub fn with_config(mut self, change: impl FnOnce(S3ConfigBuilder) -> S3ConfigBuilder) -> Self {
        self.config = change(self.config);
        self
    }

    /// Changes what clients assume of the server.
    #[must_use]
    pub fn with_provider(mut self, provider: &'static Provider) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Returns the configuration of the clients.
    pub fn config(&self) -> S3Config {
        let config = self.config.clone().build().unwrap();
        let config = config.with_unchecked_part_bytes(MIN_PART_BYTES);
        match self.provider {
            Some(provider) => config.with_provider(provider),
            None => config,
        }
    }

    /// Returns how a client reaches the server.
    pub fn connector(&self) -> Connector {
        self.server.http_client()
    }

    /// Opens a store, as a new process does.
    pub fn store(&self) -> S3Store {
        S3Store::with_connector(&self.config(), self.runtime(), self.connector()).unwrap()
    }

    /// Opens a sink over a new store.
    pub fn sink(&self) -> RawSink {
        self.sink_with(SinkOptions::default())
    }

    /// Opens a sink with options over a new store.
    pub fn sink_with(&self, options: SinkOptions) -> RawSink {
        RawSink::with(Arc::new(self.store()), options, self.runtime())
    }

    /// Returns the clock and the tokens of the clients.
    pub fn runtime(&self) -> Runtime {
        let clock = Arc::new(ClientClock(self.server.clock().clone()));
        Runtime { clock, tokens: Arc::new(SystemTokens) }
    }

    /// Adds a habit.
    pub fn habit(&self, habit: Habit) {
        self.server.add_habit(habit);
    }

    /// Removes all habits.
    pub fn behave(&self) {
        self.server.clear_habits();
    }

    /// Schedules requests in an order that the seed decides.
    pub fn shuffle(&self, seed: u64) {
        self.server.shuffle(seed);
    }

    /// Leaves one in `one_in` requests without an answer, applied or not; call it after `shuffle`.
    pub fn leave_unanswered(&self, one_in: u64) {
        self.server.leave_unanswered(one_in);
    }

    /// Locks the bucket, to read it or to change it behind the clients' backs.
    pub fn objects(&self) -> MutexGuard<'_, Objects> {
        self.server.bucket()
    }

    /// Changes the behaviour of the server.
    pub fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.server.bucket().behaviour);
    }

    /// Overwrites or removes an object, as a client outside the protocol would.
    pub fn tamper(&self, run: &StorePath, object: Object, content: Option<&[u8]>) {
        self.objects().tamper(&key_of(run, object), content);
    }

    /// Returns the names of a run's objects, and `upload` for each upload.
    pub fn residue(&self, run: &StorePath) -> Vec<String> {
        let (bucket, prefix) = (self.objects(), format!("{PREFIX}/{run}/"));
        let names = bucket.objects.keys().filter_map(|key| key.strip_prefix(&prefix));
        let uploads = bucket.uploads.values().filter(|upload| upload.key.starts_with(&prefix));
        names.map(str::to_owned).chain(uploads.map(|_| "upload".to_owned())).collect()
    }

    /// Returns how many requests of an operation arrived.
    pub fn count(&self, op: Op) -> usize {
        self.server.count(op)
    }

    /// Returns how many requests arrived.
    pub fn requests(&self) -> usize {
        self.server.request_count()
    }

    /// Returns how many requests met a habit since `behave`.
    pub fn met(&self) -> usize {
        self.server.met_habits()
    }

    /// Returns whether the server ignores conditions on Complete.
    pub fn ignores_conditions(&self) -> bool {
        let condition = self.objects().behaviour.complete_condition;
        condition == fake_s3::CompleteCondition::Ignored
    }

    /// Returns how often a client slept, as it does between two attempts to send a request.
    pub fn waits(&self) -> usize {
        self.server.clock().sleeps()
    }

    /// Advances the clock.
    pub fn pass_hours(&self, hours: u64) {
        self.server.clock().pass(Duration::from_secs(hours * 3600));
    }

    /// Returns the seconds since the start.
    pub fn waited_s(&self) -> u64 {
        self.server.clock().passed().as_secs()
    }
}

/// The clock of every client: the virtual time of the server.
#[derive(Debug)]
struct ClientClock(Arc<VirtualClock>);

#[async_trait]
impl Clock for ClientClock {
    fn now(&self) -> Timestamp {
        let since = i64::try_from(self.0.now_ms()).unwrap();
        Timestamp::from_duration(SignedDuration::from_millis(since)).unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.0.passed()
    }

    fn elapsed(&self) -> Duration {
        self.0.passed()
    }

    async fn sleep(&self, time: Duration) {
        self.0.sleep(time).await;
    }
}

/// Returns the key of an object.
pub fn key_of(run: &StorePath, object: Object) -> String {
    format!("{PREFIX}/{run}/{}", object.file_name())
}

fn behaviour(conditions: CompleteConditions) -> Behaviour {
    let mut behaviour = Behaviour {
        complete_condition: match conditions {
            CompleteConditions::Enforced => fake_s3::CompleteCondition::Enforced,
            CompleteConditions::Ignored => fake_s3::CompleteCondition::Ignored,
        },
        delete_condition: DeleteCondition::EnforcedOnMissing,
        upload_listing: UploadListing::ByKey,
        ..Behaviour::default()
    };
    behaviour.part_limits.min_bytes = MIN_PART_BYTES as u64;
    // Two per page, so that clients request several pages.
    behaviour.page_limits.versions = 2;
    behaviour
}

fn config(conditions: CompleteConditions) -> S3ConfigBuilder {
    let key = AccessKey::new(Secret::value(ACCESS_KEY), Secret::value(SECRET_KEY));
    S3Config::builder("http://s3.test", BUCKET, PREFIX, key)
        .allow_http(true)
        .complete_conditions(conditions)
}
