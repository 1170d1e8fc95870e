//! An S3 server in this process, without a socket: exact by default, and with bad habits as data.
//!
//! `s3s` understands the requests and checks their signatures; what it then calls is a map in
//! memory. Time is virtual: whoever sleeps moves it on at once.

mod clock; // time that passes when somebody waits for it
mod connector; // how the SDK reaches the server, and where answers go wrong
mod habits; // which answers go wrong, as data
mod objects; // objects and uploads in memory
mod service; // the operations of S3 over them

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use aws_sdk_s3::config::SharedHttpClient;
use rawsink::{
    RawSink,
    clock::{Notices, Surroundings, SystemTokens},
    config::{Addressing, CompleteConditions, ObjectSettings, Provider, Secret},
    doctor::Doctor,
    sink::SinkOptions,
    store::{Object, S3Store, StorePath},
};
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};

use self::{clock::VirtualClock, connector::Connection, habits::Habits};

pub(crate) use self::{
    habits::{Answer, Effect, Habit, Op},
    objects::{
        Aborts, CreateOnly, DeleteIfMatch, Listing, Objects, UploadListing, UploadTimes,
        UserMetadata,
    },
};

const BUCKET: &str = "landing";
pub(crate) const PREFIX: &str = "raw/zone";
pub(crate) const ACCESS_KEY: &str = "AKIDTEST";
pub(crate) const SECRET_KEY: &str = "this-is-the-secret";

/// A server with one bucket. Clones are the same server.
#[derive(Debug, Clone)]
pub(crate) struct S3Server {
    shared: Arc<Shared>,
    service: S3Service,
    settings: ObjectSettings,
}

/// What the service and the connections share.
#[derive(Debug)]
struct Shared {
    clock: Arc<VirtualClock>,
    objects: Mutex<Objects>,
    habits: Mutex<Habits>,
    counts: Mutex<BTreeMap<Op, usize>>,
    /// What a person was told that a sink waits for.
    told: Mutex<Vec<String>>,
}

impl Default for S3Server {
    fn default() -> Self {
        Self::new(CompleteConditions::Ignored)
    }
}

impl S3Server {
    /// Starts a server whose clients are told what it does about conditions on Complete, which is
    /// also what it does.
    pub(crate) fn new(conditions: CompleteConditions) -> Self {
        let clock = Arc::new(VirtualClock::default());
        let objects = Objects::new(clock.clone(), conditions);
        let shared = Arc::new(Shared {
            clock,
            objects: Mutex::new(objects),
            habits: Mutex::default(),
            counts: Mutex::default(),
            told: Mutex::default(),
        });
        let mut service = S3ServiceBuilder::new(service::Service(shared.clone()));
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        Self { shared, service: service.build(), settings: settings(conditions) }
    }

    /// Changes the settings of the clients that are opened from now on.
    pub(crate) fn with_settings(mut self, change: impl FnOnce(&mut ObjectSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Returns the settings of the clients.
    pub(crate) fn settings(&self) -> &ObjectSettings {
        &self.settings
    }

    /// Returns the store, as a process that starts now would open it.
    pub(crate) fn store(&self) -> S3Store {
        let connection = Connection::new(self.shared.clone(), self.service.clone());
        S3Store::with_connector(
            &self.settings,
            self.surroundings(),
            SharedHttpClient::new(connection),
        )
        .unwrap()
    }

    /// Returns a doctor of the bucket.
    pub(crate) fn doctor(&self) -> Doctor {
        let connection = Connection::new(self.shared.clone(), self.service.clone());
        let connector = SharedHttpClient::new(connection);
        Doctor::of_bucket(&self.settings, self.surroundings(), Some(&connector)).unwrap()
    }

    /// Returns a sink over the store.
    pub(crate) fn sink(&self) -> RawSink {
        self.sink_with(SinkOptions::default())
    }

    /// Returns a sink with options over the store.
    pub(crate) fn sink_with(&self, options: SinkOptions) -> RawSink {
        RawSink::with(Arc::new(self.store()), options, self.surroundings())
    }

    /// Returns the clock and tokens of the server's clients.
    pub(crate) fn surroundings(&self) -> Surroundings {
        let clock = self.shared.clock.clone();
        let shared = self.shared.clone();
        let tell = move |sentence: &str| shared.told.lock().unwrap().push(sentence.to_owned());
        Surroundings { clock, tokens: Arc::new(SystemTokens), notices: Notices::to(tell) }
    }

    /// Makes an answer go wrong.
    pub(crate) fn habit(&self, habit: Habit) {
        self.shared.habits.lock().unwrap().add(habit);
    }

    /// Forgets every habit.
    pub(crate) fn behave(&self) {
        *self.shared.habits.lock().unwrap() = Habits::default();
    }

    /// Lets requests wait for each other in an order that the seed decides.
    pub(crate) fn shuffle(&self, seed: u64) {
        self.shared.habits.lock().unwrap().shuffle(seed);
    }

    /// Leaves one of so many requests without an answer, applied or not; after `shuffle`.
    pub(crate) fn leave_unanswered(&self, one_of: u64) {
        self.shared.habits.lock().unwrap().leave_unanswered(one_of);
    }

    /// Returns what is in the bucket, to be changed behind everybody's back.
    pub(crate) fn objects(&self) -> MutexGuard<'_, Objects> {
        self.shared.objects.lock().unwrap()
    }

    /// Puts an object there or takes it away, as software that follows no rule would.
    pub(crate) fn tamper(&self, run: &StorePath, object: Object, content: Option<&[u8]>) {
        self.objects().tamper(&key_of(run, object), content);
    }

    /// Returns the names of a run's objects, and `upload` for each open one.
    pub(crate) fn residue(&self, run: &StorePath) -> Vec<String> {
        self.objects().below(&format!("{PREFIX}/{run}/"))
    }

    /// Returns how often an operation was asked for, whatever became of it.
    pub(crate) fn count(&self, op: Op) -> usize {
        self.shared.counts.lock().unwrap().get(&op).copied().unwrap_or_default()
    }

    /// Returns how many requests there were.
    pub(crate) fn requests(&self) -> usize {
        self.shared.counts.lock().unwrap().values().sum()
    }

    /// Returns how many requests met a habit since the server last behaved.
    pub(crate) fn met(&self) -> usize {
        self.shared.habits.lock().unwrap().met()
    }

    /// Returns what a person was told that a sink waits for.
    pub(crate) fn told(&self) -> Vec<String> {
        self.shared.told.lock().unwrap().clone()
    }

    /// Tells whether conditions on Complete are ignored.
    pub(crate) fn ignores_conditions(&self) -> bool {
        self.objects().conditions == CompleteConditions::Ignored
    }

    /// Returns how often a client waited, as it does between two sendings of a request.
    pub(crate) fn waits(&self) -> usize {
        self.shared.clock.waits()
    }

    /// Lets hours pass.
    pub(crate) fn pass_hours(&self, hours: u64) {
        self.shared.clock.pass(std::time::Duration::from_secs(hours * 3600));
    }

    /// Returns how many seconds were waited for.
    pub(crate) fn waited_s(&self) -> u64 {
        self.shared.clock.passed().as_secs()
    }
}

/// Returns the key of an object.
pub(crate) fn key_of(run: &StorePath, object: Object) -> String {
    format!("{PREFIX}/{run}/{}", object.file_name())
}

fn settings(conditions: CompleteConditions) -> ObjectSettings {
    ObjectSettings {
        endpoint_url: "http://s3.test".to_owned(),
        provider: Provider::of_host("s3.test"),
        region: "us-east-1".to_owned(),
        bucket: BUCKET.to_owned(),
        prefix: PREFIX.to_owned(),
        access_key_id: Secret::value(ACCESS_KEY),
        secret_access_key: Secret::value(SECRET_KEY),
        session_token: None,
        addressing: Addressing::Path,
        ca_file: None,
        part_bytes: objects::LEAST_PART_BYTES,
        uploads_in_flight: 4,
        complete_conditions: conditions,
        leftover_grace_s: 90,
        seal_deadline_s: 60,
        seal_timeout_s: 20,
        complete_deadline_s: 600,
    }
}
