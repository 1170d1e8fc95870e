//! The state of the model, and the helpers that all steps share.

use super::{
    configuration::{Configuration, FaultBudget, RequestDelay},
    ids::UploadSet,
    network::{self, Network, Phase, SentRequest, ServerAnswer},
    time::{CheckAge, ClockReading, WaitMarks},
    variant::Variant,
    words::{ModelBucket, ObjectName, SmallTag, Token, token_of},
    writer::{ModelWriter, OpenTry, PayloadSeen, ProtocolStep, WriterResult},
};

/// The state of the model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelState {
    /// The bucket.
    pub bucket: ModelBucket,
    /// The requests without a waiting sender.
    pub network: Network,
    /// The attempts.
    pub writers: Vec<ModelWriter>,
    /// The run of `clean`.
    pub cleaning: CleanRun,
    /// The faults that may still happen.
    pub faults: FaultBudget,
    /// The violations so far.
    pub broken: Violations,
}

/// The violated guarantees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Violations {
    /// An object of a sealed run changed.
    pub g03: bool,
    /// A writer was wrongly given `AlreadySealed` or `Corrupt`.
    pub g07: bool,
    /// A failed attempt left its upload, or a payload disappeared.
    pub g08: bool,
}

/// A run of `clean`, which aborts old uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CleanRun {
    /// It is not running.
    No,
    /// No request has used these uploads since it began. They are not old enough.
    Counts(UploadSet),
    /// These uploads are old enough; it aborts them.
    Ends(UploadSet),
}

/// A state during a change, and the choices of the event.
#[derive(Debug, Clone)]
pub(super) struct NextState<'c> {
    /// The configuration.
    pub configuration: &'c Configuration,
    /// The state.
    pub state: ModelState,
    /// The reading of the clock of the acting attempt.
    pub clock: ClockReading,
    /// The position of a new upload in the listing.
    pub place: u8,
    /// The result that an attempt tells its caller.
    pub outcome: Option<WriterResult>,
}

impl ModelState {
    /// Returns the listed uploads in the order of the protocol.
    pub(super) fn listed(&self) -> Vec<u8> {
        let uploads = &self.bucket.uploads;
        let mut listed: Vec<_> =
            uploads.iter().map(|(id, upload)| (upload.initiated, *id)).collect();
        listed.sort_unstable();
        listed.into_iter().map(|(_, id)| u8::try_from(id).expect("ids are small")).collect()
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.bucket.objects.contains_key(&ObjectName::Seal)
    }

    /// Returns whether a wait can end. Where requests end in time, it ends after every Complete with its
    /// mark.
    pub(super) fn may_outwait(&self, configuration: &Configuration, waiting: u8) -> bool {
        configuration.requests != RequestDelay::EndWithinGrace || !self.network.runs_for(waiting)
    }
}

impl NextState<'_> {
    pub(super) fn writer(&self, w: u8) -> &ModelWriter {
        &self.state.writers[usize::from(w)]
    }

    pub(super) fn writer_mut(&mut self, w: u8) -> &mut ModelWriter {
        &mut self.state.writers[usize::from(w)]
    }

    pub(super) fn go(&mut self, w: u8, step: ProtocolStep) {
        self.writer_mut(w).step = step;
    }

    /// Applies a request in one step.
    pub(super) fn apply(&mut self, sent: SentRequest) -> ServerAnswer {
        let id = match sent {
            SentRequest::CreateUpload(token) => self.free_upload(token),
            _ => 0,
        };
        network::apply(&mut self.state.bucket, sent, id, self.place)
    }

    /// Returns an unused id.
    fn free_upload(&self, token: Token) -> u8 {
        let (named, bucket) = (self.named(), &self.state.bucket);
        let is_free = |id: &u8| !named.contains(*id) && !bucket.knows_upload((*id).into());
        token.uploads().find(is_free).expect("a token has fewer uploads than ids")
    }

    /// Returns the uploads that an attempt, a request or `clean` may still name.
    pub(super) fn named(&self) -> UploadSet {
        let writers = self.state.writers.iter().fold(UploadSet::NONE, |named, writer| {
            let own = writer.upload.map_or(UploadSet::NONE, UploadSet::one);
            named.with(writer.ended).with(own).with(step_ids(writer.step))
        });
        let sent = self.state.network.iter().filter_map(|flight| match flight.sent {
            SentRequest::Complete(_, id, _) | SentRequest::Abort(id) | SentRequest::Part(_, id) => {
                Some(id)
            }
            SentRequest::Put(_) | SentRequest::Seal(_) | SentRequest::CreateUpload(_) => None,
        });
        writers.with(sent.collect()).with(match self.state.cleaning {
            CleanRun::No => UploadSet::NONE,
            CleanRun::Counts(ids) | CleanRun::Ends(ids) => ids,
        })
    }

    /// Returns what HEAD of the payload shows to an attempt.
    pub(super) fn check_payload(&self, w: u8) -> PayloadSeen {
        let writer = self.writer(w);
        let Some(stored) = self.state.bucket.objects.get(&ObjectName::Payload) else {
            return PayloadSeen::Absent;
        };
        let tag = SmallTag::try_from(stored.tag).expect("tags are small");
        let left = writer.leftover.is_some_and(|leftover| leftover.tag == tag);
        if token_of(stored) == writer.token {
            PayloadSeen::Mine
        } else if left {
            PayloadSeen::Leftover
        } else {
            PayloadSeen::Another(tag)
        }
    }

    /// `S3Attempt::quiet_since`: the grace of this attempt counts from now.
    pub(super) fn quiet_since(&mut self, waiting: u8) {
        for (number, writer) in (0..).zip(&mut self.state.writers) {
            if let Some(check) = writer.check.as_mut().filter(|_| number != waiting) {
                check.marks.add(waiting);
            }
        }
        self.state.network.mark(waiting);
    }

    /// Ends a wait: everything with its mark is old.
    pub(super) fn outwait(&mut self, waiting: u8) {
        let requests = self.configuration.requests;
        self.state.network.drop_marked(waiting, |sent| match requests {
            RequestDelay::EndWithinGrace => true,
            RequestDelay::SealsEndWithinGrace | RequestDelay::SealsTakeAGrace => sent.is_seal(),
            RequestDelay::MayOutliveGrace => false,
        });
        for writer in &mut self.state.writers {
            if let Some(check) = &mut writer.check {
                check.outlived |= check.marks.has(waiting);
            }
        }
        self.forget_wait(waiting);
    }

    /// Removes the mark of a wait.
    pub(super) fn forget_wait(&mut self, waiting: u8) {
        for writer in &mut self.state.writers {
            if let Some(check) = &mut writer.check {
                check.marks.remove(waiting);
                if check.outlived {
                    // It is already older than every grace.
                    check.marks = WaitMarks::default();
                }
            }
        }
        self.state.network.unmark(waiting);
    }

    /// Returns whether the attempt's check is young by its clock.
    pub(super) fn is_in_time(&self, w: u8) -> bool {
        let outlived = self.writer(w).check.is_none_or(|check| check.outlived);
        !outlived && self.clock == ClockReading::InTime
    }

    /// Notes that the attempt sends its check now.
    pub(super) fn check_sent(&mut self, w: u8) {
        self.writer_mut(w).check = Some(CheckAge::default());
    }

    /// Leaves a request of an attempt in flight.
    pub(super) fn leave(&mut self, w: u8, sent: SentRequest) {
        let requests = self.configuration.requests;
        // The deadline of its check and the timeout of each sending limit a seal.
        let bound = sent.is_seal()
            && requests != RequestDelay::SealsTakeAGrace
            && self.configuration.variant != Variant::WithoutDeadline;
        let check = self.writer(w).check.filter(|_| bound);
        let is_over = check.is_some_and(|check| check.outlived);
        if is_over && requests != RequestDelay::MayOutliveGrace {
            return;
        }
        let marks = check.map(|check| check.marks).unwrap_or_default();
        self.state.network.add(sent, Phase::Sent, marks);
    }

    /// Ends an attempt with a result.
    pub(super) fn over(&mut self, w: u8, outcome: WriterResult) {
        self.outcome = Some(outcome);
        self.writer_mut(w).stop(outcome.leaves());
        self.forget_wait(w);
    }
}

fn step_ids(step: ProtocolStep) -> UploadSet {
    match step {
        ProtocolStep::CreateUpload(OpenTry::Second(seen))
        | ProtocolStep::ListUploads(OpenTry::Second(seen)) => seen,
        ProtocolStep::CheckBeforeAbort(all)
        | ProtocolStep::AbortUploads(_, _, all)
        | ProtocolStep::ListAborted(_, all) => all,
        _ => UploadSet::NONE,
    }
}
