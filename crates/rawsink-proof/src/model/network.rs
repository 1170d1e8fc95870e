//! Requests in flight whose senders gave up or died.
//!
//! The request that a living attempt waits for is part of its step. It becomes an entry of the network
//! when the attempt stops waiting. Then the server applies it at any moment, or never.

use fake_s3::{CompleteAnswer, ErrorCode, Stamp, UploadState, WriteCondition};

use super::{
    time::WaitMarks,
    words::{ModelBody, ModelBucket, ObjectName, Token},
};

/// A request that changes the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SentRequest {
    /// PUT of the payload, create-only.
    Put(Token),
    /// PUT of the seal, create-only.
    Seal(Token),
    /// Creates an upload.
    CreateUpload(Token),
    /// Uploads a part.
    Part(Token, u8),
    /// Completes an upload.
    Complete(Token, u8, WriteCondition),
    /// Aborts an upload.
    Abort(u8),
}

/// The server's answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerAnswer {
    /// PUT created the object.
    Created,
    /// The upload with this id was created.
    UploadCreated(u8),
    /// The part was stored.
    PartStored,
    /// The upload was completed; some servers omit the tag.
    Completed(Option<u64>),
    /// The upload was aborted.
    Aborted,
    /// The request was not applied.
    Refused(ErrorCode),
}

impl ServerAnswer {
    /// Returns the answer to a Complete.
    pub(super) fn to_complete(answer: CompleteAnswer) -> Self {
        answer.map_or_else(Self::Refused, Self::Completed)
    }

    /// Returns whether the answer says that the upload does not exist.
    pub(super) fn is_no_such_upload(self) -> bool {
        self == Self::Refused(ErrorCode::NoSuchUpload)
    }
}

impl SentRequest {
    /// Applies the request in one step.
    fn apply(self, bucket: &mut ModelBucket, stamp: Stamp) -> ServerAnswer {
        match self {
            Self::Put(token) => {
                let body = ModelBody::Rows(token.writer());
                Self::create(bucket, ObjectName::Payload, body, token, stamp)
            }
            Self::Seal(token) => {
                Self::create(bucket, ObjectName::Seal, ModelBody::Seal(token), token, stamp)
            }
            Self::CreateUpload(token) => {
                let id = bucket.create_upload(ObjectName::Payload, Some(token), stamp);
                ServerAnswer::UploadCreated(u8::try_from(id).expect("ids are small"))
            }
            Self::Part(token, id) => {
                let body = ModelBody::Rows(token.writer());
                let stored = bucket.upload_part(id.into(), PARTS[0].0, body, stamp);
                stored.map_or_else(ServerAnswer::Refused, |_| ServerAnswer::PartStored)
            }
            Self::Complete(_, id, condition) => {
                let answer = bucket.complete(id.into(), PARTS.to_vec(), condition, stamp);
                ServerAnswer::to_complete(answer)
            }
            Self::Abort(id) => {
                let aborted = bucket.abort(id.into());
                aborted.map_or_else(ServerAnswer::Refused, |()| ServerAnswer::Aborted)
            }
        }
    }

    fn create(
        bucket: &mut ModelBucket,
        name: ObjectName,
        body: ModelBody,
        token: Token,
        stamp: Stamp,
    ) -> ServerAnswer {
        let created = bucket.put(name, body, Some(token), WriteCondition::CreateOnly, stamp);
        created.map_or_else(ServerAnswer::Refused, |_| ServerAnswer::Created)
    }

    /// Returns whether it is the PUT of a seal.
    pub fn is_seal(self) -> bool {
        matches!(self, Self::Seal(_))
    }

    /// Returns the tag that the server gives to the new object; zero without one.
    pub fn name(self) -> u64 {
        match self {
            Self::Put(token) | Self::Seal(token) => token.tag_of_put().into(),
            Self::Complete(token, ..) => token.tag_of_complete().into(),
            Self::CreateUpload(_) | Self::Part(..) | Self::Abort(_) => 0,
        }
    }

    /// Returns whether it can still have an effect. Ids are not reused while any attempt knows them, and
    /// the objects of a run are never deleted.
    pub fn matters(self, bucket: &ModelBucket) -> bool {
        match self {
            Self::Put(_) => !bucket.objects.contains_key(&ObjectName::Payload),
            Self::Seal(_) => !bucket.objects.contains_key(&ObjectName::Seal),
            Self::CreateUpload(_) => true,
            Self::Part(..) => false,
            Self::Complete(_, id, _) => bucket
                .uploads
                .get(&id.into())
                .is_some_and(|upload| upload.state != UploadState::ListedAfterAbort),
            Self::Abort(id) => bucket.uploads.contains_key(&id.into()),
        }
    }
}

/// The parts of every upload. More than one would not change which attempt can complete it.
pub(super) const PARTS: [(i32, u64); 1] = [(1, 0)];

/// A request in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InFlight {
    /// The request.
    pub sent: SentRequest,
    /// Whether the server has begun to apply it. Only a Complete takes time.
    pub phase: Phase,
    /// The waits that began after it was sent.
    pub marks: WaitMarks,
}

/// The phase of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// The server has not received it.
    Sent,
    /// The Complete is running. Its sender may still wait.
    Runs,
}

/// All requests in flight. Their order has no meaning.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Network(Vec<InFlight>);

impl Network {
    /// Adds a request.
    pub fn add(&mut self, sent: SentRequest, phase: Phase, marks: WaitMarks) {
        self.0.push(InFlight { sent, phase, marks });
    }

    /// Removes a request.
    pub fn take(&mut self, flight: InFlight) {
        let at = self.0.iter().position(|known| *known == flight).expect("it is in flight");
        self.0.swap_remove(at);
    }

    /// Returns the requests.
    pub fn iter(&self) -> impl Iterator<Item = InFlight> {
        self.0.iter().copied()
    }

    /// Returns the running Complete of an upload.
    pub fn running(&self, id: u8) -> Option<InFlight> {
        let is = |flight: &InFlight| {
            flight.phase == Phase::Runs
                && matches!(flight.sent, SentRequest::Complete(_, of, _) if of == id)
        };
        self.iter().find(is)
    }

    /// Marks every request with a wait that begins.
    pub fn mark(&mut self, waiting: u8) {
        self.0.iter_mut().for_each(|flight| flight.marks.add(waiting));
    }

    /// Removes the mark of a wait that ended.
    pub fn unmark(&mut self, waiting: u8) {
        self.0.iter_mut().for_each(|flight| flight.marks.remove(waiting));
    }

    /// Returns whether a Complete with this mark is running.
    pub fn runs_for(&self, waiting: u8) -> bool {
        self.iter().any(|flight| flight.phase == Phase::Runs && flight.marks.has(waiting))
    }

    /// Drops requests with this mark that must end in time and have not begun.
    pub fn drop_marked(&mut self, waiting: u8, ends: impl Fn(SentRequest) -> bool) {
        let stays = |flight: &InFlight| {
            flight.phase == Phase::Runs || !flight.marks.has(waiting) || !ends(flight.sent)
        };
        self.0.retain(stays);
    }

    /// Drops requests without an effect, and sorts the rest.
    pub fn tidy(&mut self, bucket: &ModelBucket) {
        self.0.retain(|flight| flight.phase == Phase::Runs || flight.sent.matters(bucket));
        self.0.sort_unstable();
    }
}

/// Applies a request in one step. A new upload gets a position in the listing.
pub(super) fn apply(
    bucket: &mut ModelBucket,
    sent: SentRequest,
    id: u8,
    place: u8,
) -> ServerAnswer {
    let name = if let SentRequest::CreateUpload(_) = sent { id.into() } else { sent.name() };
    let created = matches!(sent, SentRequest::CreateUpload(_));
    if created {
        // Only the order of times matters; this leaves room between them.
        for upload in bucket.uploads.values_mut() {
            upload.initiated = 2 * upload.initiated + 1;
        }
    }
    if let SentRequest::Abort(id) = sent
        && let Some(upload) = bucket.uploads.get_mut(&id.into())
    {
        // If it is listed again, it comes first. No other state keeps its position.
        upload.initiated = 0;
    }
    let answer = sent.apply(bucket, Stamp { time: 2 * u64::from(place), name });
    if created || matches!(sent, SentRequest::Complete(..) | SentRequest::Abort(_)) {
        close_ranks(bucket);
    }
    answer
}

/// Numbers the uploads from zero in the order of the listing.
pub(super) fn close_ranks(bucket: &mut ModelBucket) {
    let mut order: Vec<_> =
        bucket.uploads.iter().map(|(id, upload)| (upload.initiated, *id)).collect();
    order.sort_unstable();
    for (rank, (_, id)) in (0..).zip(order) {
        bucket.uploads.get_mut(&id).expect("it was listed").initiated = rank;
    }
}
