//! A request on its way to the server, and the answer on its way back.

use rawsink::store::s3::S3Fault;
use tokio::sync::oneshot;

use super::{
    ids::ProcessId,
    mishaps::{BodyDelivery, HeardInstead},
    requests::{Request, ServerReply},
    time::Micros,
};

/// A message. It reaches the server also after its sender has died.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) process: ProcessId,
    /// The request, until its last arrival.
    pub(super) request: Option<Request>,
    /// The number of arrivals to come.
    pub(super) arrivals: u64,
    pub(super) times: MessageTimes,
    /// The server's answer.
    pub(super) reply: Option<ServerReply>,
    /// What the client hears instead of the answer.
    pub(super) heard: Option<HeardInstead>,
    pub(super) tag: TagDelivery,
    pub(super) body: BodyDelivery,
    pub(super) client: Option<oneshot::Sender<ClientAnswer>>,
    pub(super) label: String,
}

/// Whether an answer shows the tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TagDelivery {
    Shown,
    Empty,
}

/// The answer as the client hears it.
#[derive(Debug)]
pub(super) struct ClientAnswer {
    pub(super) reply: Result<ServerReply, S3Fault>,
    pub(super) tag: TagDelivery,
    pub(super) body: BodyDelivery,
}

/// The times of a message's events.
#[derive(Debug, Clone, Copy)]
pub(super) struct MessageTimes {
    pub(super) arrive: Micros,
    /// Duration of a Complete at the server.
    pub(super) running: Micros,
    pub(super) answer: Micros,
    /// The latest time of arrival.
    pub(super) latest: Micros,
}
