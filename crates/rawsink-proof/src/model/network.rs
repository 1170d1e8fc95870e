//! Requests under way whose senders do not wait for them: they gave up, or died.
//!
//! What a living attempt waits for is no message of its own: its step says what it is, and it is
//! applied and answered at any later moment. Only when the attempt stops waiting does the request
//! stand alone, to be applied at any moment, or never.

use super::{
    time::Marks,
    words::{Bucket, Content, Name, Token},
};
use crate::server::{Condition, Moment, Reply, Request, UploadState};

/// A request that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sent {
    /// PUT of the payload, create-only.
    Put(Token),
    /// PUT of the seal, create-only.
    Seal(Token),
    /// Creates an upload.
    CreateUpload(Token),
    /// Sends the part of an upload.
    Part(Token, u8),
    /// Completes an upload, create-only or not.
    Complete(Token, u8, Creates),
    /// Ends an upload.
    Abort(u8),
}

/// Whether a Complete has a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Creates {
    /// `If-None-Match: *`
    Only,
    /// None.
    OrReplaces,
}

impl Sent {
    /// Returns the request.
    pub fn request(self) -> Request<Name, Content, Token> {
        let key = Name::Payload;
        match self {
            Self::Put(token) => Request::Create { key, body: Content::Rows(token.writer()), token },
            Self::Seal(token) => {
                Request::Create { key: Name::Seal, body: Content::Seal(token), token }
            }
            Self::CreateUpload(token) => Request::CreateUpload { key, token },
            Self::Part(token, id) => {
                let body = Content::Rows(token.writer());
                Request::UploadPart { upload: id.into(), number: 1, body }
            }
            Self::Complete(_, id, creates) => Request::Complete {
                upload: id.into(),
                parts: PARTS.to_vec(),
                condition: creates.condition(),
            },
            Self::Abort(id) => Request::Abort { upload: id.into() },
        }
    }

    /// Tells whether it is the PUT of a seal.
    pub fn is_seal(self) -> bool {
        matches!(self, Self::Seal(_))
    }

    /// Returns the name that the server gives, where it gives one.
    pub fn name(self) -> u64 {
        match self {
            Self::Put(token) | Self::Seal(token) => token.tag_of_put().into(),
            Self::Complete(token, ..) => token.tag_of_complete().into(),
            Self::CreateUpload(_) | Self::Part(..) | Self::Abort(_) => 0,
        }
    }

    /// Tells whether it can still change anything. Ids are not given twice while somebody knows them,
    /// and the objects of a run are never deleted.
    pub fn matters(self, bucket: &Bucket) -> bool {
        match self {
            Self::Put(_) => !bucket.objects.contains_key(&Name::Payload),
            Self::Seal(_) => !bucket.objects.contains_key(&Name::Seal),
            Self::CreateUpload(_) => true,
            Self::Part(..) => false,
            Self::Complete(_, id, _) => bucket
                .uploads
                .get(&id.into())
                .is_some_and(|upload| upload.state != UploadState::Echo),
            Self::Abort(id) => bucket.uploads.contains_key(&id.into()),
        }
    }
}

impl Creates {
    pub fn condition(self) -> Condition {
        match self {
            Self::Only => Condition::CreateOnly,
            Self::OrReplaces => Condition::Replace,
        }
    }
}

/// The parts of every upload: one, since more make no difference to who may complete what.
pub(super) const PARTS: [(i32, u64); 1] = [(1, 0)];

/// A request under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flight {
    /// What was sent.
    pub sent: Sent,
    /// Whether the server has begun to apply it; only a Complete takes time.
    pub phase: Phase,
    /// Who began to wait after it was sent.
    pub marks: Marks,
}

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// The server has not applied it.
    Sent,
    /// A Complete that runs; its sender may still wait.
    Runs,
}

/// All requests under way, in an order without meaning.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Network(Vec<Flight>);

impl Network {
    /// Adds a request.
    pub fn add(&mut self, sent: Sent, phase: Phase, marks: Marks) {
        self.0.push(Flight { sent, phase, marks });
    }

    /// Takes a request out.
    pub fn take(&mut self, flight: Flight) {
        let at = self.0.iter().position(|known| *known == flight).expect("it is under way");
        self.0.swap_remove(at);
    }

    /// Returns the requests.
    pub fn iter(&self) -> impl Iterator<Item = Flight> {
        self.0.iter().copied()
    }

    /// Returns the running Complete of an upload.
    pub fn running(&self, id: u8) -> Option<Flight> {
        let is = |flight: &Flight| {
            flight.phase == Phase::Runs
                && matches!(flight.sent, Sent::Complete(_, of, _) if of == id)
        };
        self.iter().find(is)
    }

    /// Lets one who begins to wait mark everything.
    pub fn mark(&mut self, waiting: u8) {
        self.0.iter_mut().for_each(|flight| flight.marks.add(waiting));
    }

    /// Forgets one who waits no longer.
    pub fn unmark(&mut self, waiting: u8) {
        self.0.iter_mut().for_each(|flight| flight.marks.remove(waiting));
    }

    /// Tells whether a Complete with this mark runs.
    pub fn runs_for(&self, waiting: u8) -> bool {
        self.iter().any(|flight| flight.phase == Phase::Runs && flight.marks.has(waiting))
    }

    /// Drops those requests with this mark that have to end in time, and were not begun.
    pub fn drop_marked(&mut self, waiting: u8, ends: impl Fn(Sent) -> bool) {
        let stays = |flight: &Flight| {
            flight.phase == Phase::Runs || !flight.marks.has(waiting) || !ends(flight.sent)
        };
        self.0.retain(stays);
    }

    /// Drops what can change nothing, and forgets the order.
    pub fn tidy(&mut self, bucket: &Bucket) {
        self.0.retain(|flight| flight.phase == Phase::Runs || flight.sent.matters(bucket));
        self.0.sort_unstable();
    }
}

/// Applies a request in one go; a new upload comes at a place among those that are listed.
pub(super) fn apply(
    bucket: &mut Bucket,
    sent: Sent,
    id: u8,
    place: u8,
) -> Reply<Name, Content, Token> {
    let name = if let Sent::CreateUpload(_) = sent { id.into() } else { sent.name() };
    let created = matches!(sent, Sent::CreateUpload(_));
    if created {
        // Room between the uploads that are listed; only their order has a meaning.
        for upload in bucket.uploads.values_mut() {
            upload.initiated = 2 * upload.initiated + 1;
        }
    }
    if let Sent::Abort(id) = sent
        && let Some(upload) = bucket.uploads.get_mut(&id.into())
    {
        // Where it is listed again, it is the first; nothing else remembers its place.
        upload.initiated = 0;
    }
    let reply = bucket.apply(sent.request(), Moment { time: 2 * u64::from(place), name });
    if created || matches!(sent, Sent::Complete(..) | Sent::Abort(_)) {
        close_ranks(bucket);
    }
    reply
}

/// Numbers the uploads that are listed from zero, in their order.
pub(super) fn close_ranks(bucket: &mut Bucket) {
    let mut order: Vec<_> =
        bucket.uploads.iter().map(|(id, upload)| (upload.initiated, *id)).collect();
    order.sort_unstable();
    for (rank, (_, id)) in (0..).zip(order) {
        bucket.uploads.get_mut(&id).expect("it was listed").initiated = rank;
    }
}
