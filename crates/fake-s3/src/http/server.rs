//! The server: a bucket, its habits, and the connectors of its clients.

use std::sync::{Arc, MutexGuard};

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};

use super::{
    Habit, Op, ServedBucket, VirtualClock, connector::Connector, habits::Habits, service::Service,
    shared::Shared,
};
use crate::Behaviour;

/// The names that a client needs for access.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    /// The only bucket.
    pub bucket: &'static str,
    /// The access key id.
    pub key_id: &'static str,
    /// The secret access key.
    pub secret: &'static str,
}

/// A server with one bucket. Clones are the same server.
#[derive(Debug, Clone)]
pub struct FakeServer {
    shared: Arc<Shared>,
    service: S3Service,
}

impl FakeServer {
    /// Starts a server with an empty bucket.
    pub fn new(access: Access, behaviour: Behaviour) -> Self {
        let shared = Arc::new(Shared::new(access.bucket, behaviour));
        let mut service = S3ServiceBuilder::new(Service(shared.clone()));
        service.set_auth(SimpleAuth::from_single(access.key_id, access.secret));
        Self { shared, service: service.build() }
    }

    /// Returns an HTTP client for the AWS SDK whose requests all reach this server.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(Connector::new(self.shared.clone(), self.service.clone()))
    }

    /// Returns the clock of the server and its clients.
    pub fn clock(&self) -> &Arc<VirtualClock> {
        &self.shared.clock
    }

    /// Locks the bucket, to read it or to change it behind the clients' backs.
    pub fn bucket(&self) -> MutexGuard<'_, ServedBucket> {
        self.shared.bucket()
    }

    /// Adds a habit.
    pub fn add_habit(&self, habit: Habit) {
        self.shared.habits().add(habit);
    }

    /// Removes all habits and the random scheduling.
    pub fn clear_habits(&self) {
        *self.shared.habits() = Habits::default();
    }

    /// Schedules requests in an order that the seed decides.
    pub fn shuffle(&self, seed: u64) {
        self.shared.habits().shuffle(seed);
    }

    /// Leaves one in `one_in` requests without an answer, applied or not. Call it after
    /// [`shuffle`](Self::shuffle).
    pub fn leave_unanswered(&self, one_in: u64) {
        self.shared.habits().leave_unanswered(one_in);
    }

    /// Returns how many requests met a habit since [`clear_habits`](Self::clear_habits).
    pub fn met_habits(&self) -> usize {
        self.shared.habits().met()
    }

    /// Returns how many requests of an operation arrived.
    pub fn count(&self, op: Op) -> usize {
        self.shared.counts().get(&op).copied().unwrap_or_default()
    }

    /// Returns how many requests arrived.
    pub fn request_count(&self) -> usize {
        self.shared.counts().values().sum()
    }
}
