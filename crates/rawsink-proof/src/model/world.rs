//! The state of everything, and what the steps of an attempt share.

use super::{
    configuration::{Configuration, Faults, Requests},
    ids::Ids,
    network::{self, Network, Phase, Sent},
    properties::Broken,
    time::{Clock, Look, Marks},
    variant::Variant,
    words::{Bucket, Content, Name, Tag, Token},
    writer::{Opening, Seen, Step, Told, Writer},
};
use crate::server::Reply;

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The server.
    pub bucket: Bucket,
    /// The requests for whose answer nobody waits.
    pub network: Network,
    /// The attempts.
    pub writers: Vec<Writer>,
    /// `clean`.
    pub cleaning: Cleaning,
    /// What may still go wrong.
    pub faults: Faults,
    /// What a transition broke.
    pub broken: Broken,
}

/// `clean`, which ends uploads that are old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cleaning {
    /// It is not at work.
    No,
    /// These uploads have seen nothing since it began to count; their age has not come.
    Counts(Ids),
    /// Their age has come, and they are going to be ended.
    Ends(Ids),
}

/// A state that is being changed, and what the one who acts meets.
#[derive(Debug, Clone)]
pub(super) struct World<'c> {
    /// What is explored.
    pub configuration: &'c Configuration,
    /// The state.
    pub state: State,
    /// What the clock of the attempt that acts says.
    pub clock: Clock,
    /// Where a new upload comes among those that are listed.
    pub place: u8,
    /// What an attempt tells its caller.
    pub told: Option<Told>,
}

impl State {
    /// Returns the uploads that are listed, in the protocol's order.
    pub(super) fn listed(&self) -> Vec<u8> {
        let uploads = &self.bucket.uploads;
        let mut listed: Vec<_> =
            uploads.iter().map(|(id, upload)| (upload.initiated, *id)).collect();
        listed.sort_unstable();
        listed.into_iter().map(|(_, id)| u8::try_from(id).expect("ids are small")).collect()
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.bucket.objects.contains_key(&Name::Seal)
    }

    /// Whether time lets a wait end: where requests end in time, no Complete runs that it waits for.
    pub(super) fn may_outwait(&self, configuration: &Configuration, waiting: u8) -> bool {
        configuration.requests != Requests::EndWithinGrace || !self.network.runs_for(waiting)
    }
}

impl World<'_> {
    pub(super) fn writer(&self, w: u8) -> &Writer {
        &self.state.writers[usize::from(w)]
    }

    pub(super) fn writer_mut(&mut self, w: u8) -> &mut Writer {
        &mut self.state.writers[usize::from(w)]
    }

    pub(super) fn go(&mut self, w: u8, step: Step) {
        self.writer_mut(w).step = step;
    }

    /// Applies a request in one go.
    pub(super) fn apply(&mut self, sent: Sent) -> Reply<Name, Content, Token> {
        let id = match sent {
            Sent::CreateUpload(token) => self.free_upload(token),
            _ => 0,
        };
        network::apply(&mut self.state.bucket, sent, id, self.place)
    }

    /// Returns an id that nobody knows.
    fn free_upload(&self, token: Token) -> u8 {
        let (named, bucket) = (self.named(), &self.state.bucket);
        let is_free = |id: &u8| !named.contains(*id) && !bucket.knows_upload((*id).into());
        token.uploads().find(is_free).expect("a token has fewer uploads than ids")
    }

    /// Returns the uploads that somebody may still name.
    pub(super) fn named(&self) -> Ids {
        let writers = self.state.writers.iter().fold(Ids::NONE, |named, writer| {
            let own = writer.upload.map_or(Ids::NONE, Ids::one);
            named.with(writer.ended).with(own).with(step_ids(writer.step))
        });
        let sent = self.state.network.iter().filter_map(|flight| match flight.sent {
            Sent::Complete(_, id, _) | Sent::Abort(id) | Sent::Part(_, id) => Some(id),
            Sent::Put(_) | Sent::Seal(_) | Sent::CreateUpload(_) => None,
        });
        writers.with(sent.collect()).with(match self.state.cleaning {
            Cleaning::No => Ids::NONE,
            Cleaning::Counts(ids) | Cleaning::Ends(ids) => ids,
        })
    }

    /// What HEAD of the payload means to an attempt.
    pub(super) fn look_at_payload(&self, w: u8) -> Seen {
        let writer = self.writer(w);
        let Some(stored) = self.state.bucket.objects.get(&Name::Payload) else {
            return Seen::Absent;
        };
        let tag = Tag::try_from(stored.tag).expect("tags are small");
        let left = writer.leftover.is_some_and(|leftover| leftover.tag == tag);
        if stored.token == writer.token {
            Seen::Mine
        } else if left {
            Seen::Leftover
        } else {
            Seen::Another(tag)
        }
    }

    /// `Attempt::quiet_since`: this attempt's grace counts from now.
    pub(super) fn quiet_since(&mut self, waiting: u8) {
        for (number, writer) in (0..).zip(&mut self.state.writers) {
            if let Some(look) = writer.look.as_mut().filter(|_| number != waiting) {
                look.marks.add(waiting);
            }
        }
        self.state.network.mark(waiting);
    }

    /// A wait is over: what it waited for is old.
    pub(super) fn outwait(&mut self, waiting: u8) {
        let requests = self.configuration.requests;
        self.state.network.drop_marked(waiting, |sent| match requests {
            Requests::EndWithinGrace => true,
            Requests::SealsEndWithinGrace | Requests::SealsTakeAGrace => sent.is_seal(),
            Requests::MayOutliveGrace => false,
        });
        for writer in &mut self.state.writers {
            if let Some(look) = &mut writer.look {
                look.outlived |= look.marks.has(waiting);
            }
        }
        self.forget_wait(waiting);
    }

    /// Nobody waits with this mark any more.
    pub(super) fn forget_wait(&mut self, waiting: u8) {
        for writer in &mut self.state.writers {
            if let Some(look) = &mut writer.look {
                look.marks.remove(waiting);
                if look.outlived {
                    // Older than any grace already.
                    look.marks = Marks::default();
                }
            }
        }
        self.state.network.unmark(waiting);
    }

    /// What the attempt's clock says about its look.
    pub(super) fn is_in_time(&self, w: u8) -> bool {
        let outlived = self.writer(w).look.is_none_or(|look| look.outlived);
        !outlived && self.clock == Clock::InTime
    }

    /// The attempt's look was sent now.
    pub(super) fn look_sent(&mut self, w: u8) {
        self.writer_mut(w).look = Some(Look::default());
    }

    /// A request of an attempt stays under way without it.
    pub(super) fn leave(&mut self, w: u8, sent: Sent) {
        let requests = self.configuration.requests;
        // A seal is bound by its look's deadline, and by the limit of each sending.
        let bound = sent.is_seal()
            && requests != Requests::SealsTakeAGrace
            && self.configuration.variant != Variant::WithoutDeadline;
        let look = self.writer(w).look.filter(|_| bound);
        let is_over = look.is_some_and(|look| look.outlived);
        if is_over && requests != Requests::MayOutliveGrace {
            return;
        }
        let marks = look.map(|look| look.marks).unwrap_or_default();
        self.state.network.add(sent, Phase::Sent, marks);
    }

    /// An attempt ends, and tells this.
    pub(super) fn over(&mut self, w: u8, told: Told) {
        self.told = Some(told);
        self.writer_mut(w).stop(told.leaves());
        self.forget_wait(w);
    }
}

fn step_ids(step: Step) -> Ids {
    match step {
        Step::CreateUpload(Opening::Second(seen)) | Step::ListUploads(Opening::Second(seen)) => {
            seen
        }
        Step::LookBeforeEnding(all) | Step::EndUploads(_, _, all) | Step::ListEnded(_, all) => all,
        _ => Ids::NONE,
    }
}
