//! Misbehaviour as data: which answers go wrong, and how.

use std::fmt;

use super::{Op, ServedBucket};

/// An answer in place of the true one.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// No answer: the connection closes.
    Closed,
    /// A status and an S3 error code.
    Error(u16, &'static str),
    /// 403 `AccessDenied` with this message.
    Said(&'static str),
    /// 403 with these texts in XML, and the id in a header.
    Told {
        /// Error code.
        code: &'static str,
        /// Message.
        message: &'static str,
        /// Id of the request, also the id of the host.
        request_id: &'static str,
    },
    /// A status, and a body that breaks off.
    CutShort(u16),
    /// A status, and an HTML page.
    Html(u16),
    /// A status without a body.
    Empty(u16),
    /// 200 and an HTML page of this length, with this `ETag`, as of a gateway before the server.
    Page {
        /// Length in bytes.
        bytes: usize,
        /// With its quotes.
        etag: Option<&'static str>,
    },
    /// 200 and this document.
    Document(&'static str),
}

/// The effect of a habit on a request.
#[derive(Clone, Copy)]
pub enum Effect {
    /// The server does not apply the request and gives this answer.
    Refused(Answer),
    /// The server applies the request and gives this answer.
    Lost(Answer),
    /// The body of the answer breaks off after this number of bytes.
    Cut(usize),
    /// The request takes this number of seconds.
    Slow(u64),
    /// The server ignores the requested range.
    Whole,
    /// The answer lacks the user metadata.
    WithoutMetadata,
    /// Another client changes the bucket, then the server applies the request.
    After(fn(&mut ServedBucket)),
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(answer) => write!(f, "refused with {answer:?}"),
            Self::Lost(answer) => write!(f, "lost with {answer:?}"),
            Self::Cut(bytes) => write!(f, "cut after {bytes} bytes"),
            Self::Slow(seconds) => write!(f, "takes {seconds} s"),
            Self::Whole => f.write_str("range ignored"),
            Self::WithoutMetadata => f.write_str("without user metadata"),
            Self::After(_) => f.write_str("after a change"),
        }
    }
}

/// A bad habit: an effect on some requests of an operation.
#[derive(Debug, Clone, Copy)]
pub struct Habit {
    op: Op,
    file_name: Option<&'static str>,
    skip: usize,
    times: usize,
    effect: Effect,
}

impl Habit {
    /// An effect on every request of an operation.
    pub fn always(op: Op, effect: Effect) -> Self {
        Self { op, file_name: None, skip: 0, times: usize::MAX, effect }
    }

    /// An effect on the first request of an operation.
    pub fn once(op: Op, effect: Effect) -> Self {
        Self { times: 1, ..Self::always(op, effect) }
    }

    /// Restricts the habit to keys with this last segment.
    #[must_use]
    pub fn on(self, file_name: &'static str) -> Self {
        Self { file_name: Some(file_name), ..self }
    }

    /// Limits the number of affected requests.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// Spares a number of requests first.
    #[must_use]
    pub fn skipping(self, skip: usize) -> Self {
        Self { skip, ..self }
    }
}

/// All habits of a server, and its random scheduling of requests.
#[derive(Debug, Default)]
pub(super) struct Habits {
    list: Vec<Habit>,
    met: usize,
    /// State of the generator; zero turns random scheduling off.
    random: u64,
    /// One in this number of requests gets no answer; zero turns it off.
    unanswered_one_in: u64,
}

impl Habits {
    pub(super) fn add(&mut self, habit: Habit) {
        self.list.push(habit);
    }

    pub(super) fn shuffle(&mut self, seed: u64) {
        self.random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    }

    pub(super) fn leave_unanswered(&mut self, one_in: u64) {
        self.unanswered_one_in = one_in;
    }

    /// Returns how many requests met a habit.
    pub(super) fn met(&self) -> usize {
        self.met
    }

    /// Returns the effect on a request for a key with this last segment.
    pub(super) fn meet(&mut self, op: Op, file_name: &str) -> Option<Effect> {
        if self.unanswered_one_in > 0 && self.next_random().is_multiple_of(self.unanswered_one_in) {
            let applied = self.next_random().is_multiple_of(2);
            let effect = if applied { Effect::Lost } else { Effect::Refused };
            return Some(effect(Answer::Closed));
        }
        for habit in &mut self.list {
            let matches = habit.op == op && habit.file_name.is_none_or(|name| name == file_name);
            if !matches || habit.times == 0 {
                continue;
            }
            if habit.skip > 0 {
                habit.skip -= 1;
                continue;
            }
            habit.times -= 1;
            self.met += 1;
            return Some(habit.effect);
        }
        None
    }

    /// Returns how often a request yields to others.
    pub(super) fn yields(&mut self) -> u64 {
        if self.random == 0 { 0 } else { self.next_random() % 24 }
    }

    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 11
    }
}
