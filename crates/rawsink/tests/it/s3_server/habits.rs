//! Which answers go wrong, as data.

use std::fmt;

use rawsink::store::Object;

use super::objects::Objects;

/// The operations of S3 that the store and its examination use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    List,
    Head,
    Get,
    Put,
    Create,
    Part,
    Uploads,
    Parts,
    Complete,
    Abort,
    Delete,
    Versioning,
    Versions,
}

impl Op {
    pub(crate) const ALL: [Self; 13] = [
        Self::List,
        Self::Head,
        Self::Get,
        Self::Put,
        Self::Create,
        Self::Part,
        Self::Uploads,
        Self::Parts,
        Self::Complete,
        Self::Abort,
        Self::Delete,
        Self::Versioning,
        Self::Versions,
    ];
}

/// An answer that is given in place of the true one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// None: the connection is closed.
    Closed,
    /// A status and an S3 error code.
    Error(u16, &'static str),
    /// 403, and this in words.
    Said(&'static str),
    /// A status, and a body that ends in an error.
    CutShort(u16),
    /// A status, and a page for people.
    Html(u16),
    /// 200 and this document.
    Document(&'static str),
}

/// What happens instead.
#[derive(Clone, Copy)]
pub(crate) enum Effect {
    /// The request is not applied, and this is the answer.
    Refused(Answer),
    /// The request is applied, and this is the answer.
    Lost(Answer),
    /// The answer's body ends in an error after so many bytes.
    Cut(usize),
    /// The request takes so many seconds.
    Slow(u64),
    /// The range that is asked for is ignored.
    Whole,
    /// The request is applied, after somebody changed what is in the bucket.
    After(fn(&mut Objects)),
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(answer) => write!(f, "refused with {answer:?}"),
            Self::Lost(answer) => write!(f, "lost with {answer:?}"),
            Self::Cut(bytes) => write!(f, "cut after {bytes}"),
            Self::Slow(seconds) => write!(f, "takes {seconds} s"),
            Self::Whole => f.write_str("range ignored"),
            Self::After(_) => f.write_str("after a change"),
        }
    }
}

/// A bad habit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habit {
    op: Op,
    object: Option<Object>,
    skip: usize,
    times: usize,
    effect: Effect,
}

impl Habit {
    /// An effect on every request of an operation.
    pub(crate) fn always(op: Op, effect: Effect) -> Self {
        Self { op, object: None, skip: 0, times: usize::MAX, effect }
    }

    /// An effect on the first request of an operation.
    pub(crate) fn once(op: Op, effect: Effect) -> Self {
        Self { times: 1, ..Self::always(op, effect) }
    }

    /// Only on requests for this object.
    pub(crate) fn on(self, object: Object) -> Self {
        Self { object: Some(object), ..self }
    }

    /// On so many requests.
    pub(crate) fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// Only after so many requests that would have been met.
    pub(crate) fn skipping(self, skip: usize) -> Self {
        Self { skip, ..self }
    }
}

/// The habits of a server, and the order in which requests get their turn.
#[derive(Debug, Default)]
pub(super) struct Habits {
    list: Vec<Habit>,
    met: usize,
    /// State of the generator; zero where requests do not wait.
    random: u64,
    /// Of how many requests one has no answer; zero where every one has.
    one_unanswered_of: u64,
}

impl Habits {
    pub(super) fn add(&mut self, habit: Habit) {
        self.list.push(habit);
    }

    pub(super) fn shuffle(&mut self, seed: u64) {
        self.random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    }

    pub(super) fn met(&self) -> usize {
        self.met
    }

    pub(super) fn leave_unanswered(&mut self, one_of: u64) {
        self.one_unanswered_of = one_of;
    }

    /// Returns what a request meets.
    pub(super) fn meet(&mut self, op: Op, object: Option<Object>) -> Option<Effect> {
        if self.one_unanswered_of > 0 && self.next_random().is_multiple_of(self.one_unanswered_of) {
            let applied = self.next_random().is_multiple_of(2);
            let effect = if applied { Effect::Lost } else { Effect::Refused };
            return Some(effect(Answer::Closed));
        }
        for habit in &mut self.list {
            let met = habit.op == op && (habit.object.is_none() || habit.object == object);
            if !met || habit.times == 0 {
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

    /// Returns how often a request lets others go first.
    pub(super) fn turns(&mut self) -> u64 {
        if self.random == 0 { 0 } else { self.next_random() % 24 }
    }

    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 11
    }
}
