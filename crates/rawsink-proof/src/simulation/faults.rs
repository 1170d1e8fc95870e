//! What can go wrong with a request, as a table.

use std::fmt;

use rawsink::store::Object;

use self::{
    Effect::{Applied, Early, EmptyTag, Late, NotApplied, Slow, Twice},
    Said::{Closed, Nothing, Status},
};
use super::requests::Op;

/// What a client hears in place of the true answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// The connection is closed.
    Closed,
    /// Nothing, until the client gives up.
    Nothing,
    /// A status, and an S3 error code where there is one.
    Status(u16, &'static str),
}

/// What happens instead of what should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// The server never applies the request.
    NotApplied(Said),
    /// The server applies the request, and the client hears this.
    Applied(Said),
    /// The client hears this first; the server applies the request later.
    Late(Said),
    /// The client hears that all went well first; the server applies the request later.
    Early,
    /// The request arrives a second time.
    Twice,
    /// The way there, or the way back, takes long.
    Slow,
    /// The answer has no tag.
    EmptyTag,
    /// The body is not whole.
    Body(Body),
}

/// What becomes of an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// It comes as it is.
    Whole,
    /// The connection breaks in the middle.
    Cut,
    /// It ends early, and nothing says so.
    Short,
    /// A byte is another one.
    Garbled,
}

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub(super) name: &'static str,
    pub(super) effect: Effect,
    /// Which requests it can meet.
    meets: fn(Op) -> bool,
}

const fn fault(name: &'static str, effect: Effect, meets: fn(Op) -> bool) -> Fault {
    Fault { name, effect, meets }
}

/// Every fault of a request.
pub(super) const FAULTS: [Fault; 28] = [
    fault("closed before applied", NotApplied(Closed), any),
    fault("closed after applied", Applied(Closed), any),
    fault("silent before applied", NotApplied(Nothing), any),
    fault("silent after applied", Applied(Nothing), any),
    fault("closed, applied late", Late(Closed), any),
    fault("silent, applied late", Late(Nothing), any),
    fault("504, applied late", Late(Status(504, "")), any),
    fault("500 before applied", NotApplied(Status(500, "InternalError")), any),
    fault("500 after applied", Applied(Status(500, "InternalError")), any),
    fault("500, applied late", Late(Status(500, "InternalError")), any),
    fault("502", NotApplied(Status(502, "")), any),
    fault("503 before applied", NotApplied(Status(503, "SlowDown")), any),
    fault("503 after applied", Applied(Status(503, "ServiceUnavailable")), any),
    fault("429", NotApplied(Status(429, "")), any),
    fault("408", NotApplied(Status(408, "")), any),
    fault("400 RequestTimeout", NotApplied(Status(400, "RequestTimeout")), has_body),
    fault("409 conflict", NotApplied(Status(409, "ConditionalRequestConflict")), is_conditional),
    fault("409 aborted", NotApplied(Status(409, "OperationAborted")), is_change),
    fault("200 with an error before applied", NotApplied(Status(200, "InternalError")), completes),
    fault("200 with an error after applied", Applied(Status(200, "InternalError")), completes),
    fault("twice", Twice, is_change),
    fault("slow", Slow, any),
    fault("empty tag", EmptyTag, is_conditional),
    fault("body cut", Effect::Body(Body::Cut), is_get),
    fault("body short", Effect::Body(Body::Short), is_get),
    fault("body garbled", Effect::Body(Body::Garbled), is_get_of_payload),
    fault("abort answered before applied", Early, is_abort),
    fault("abort refused", NotApplied(Status(503, "SlowDown")), is_abort),
];

fn any(_: Op) -> bool {
    true
}

fn is_change(op: Op) -> bool {
    !matches!(op, Op::List | Op::Head(_) | Op::Get(_) | Op::Uploads | Op::UploadsBelow | Op::Parts)
}

fn has_body(op: Op) -> bool {
    matches!(op, Op::Create(_) | Op::Part)
}

fn is_conditional(op: Op) -> bool {
    matches!(op, Op::Create(_) | Op::Complete)
}

fn completes(op: Op) -> bool {
    op == Op::Complete
}

fn is_abort(op: Op) -> bool {
    op == Op::Abort
}

fn is_get(op: Op) -> bool {
    matches!(op, Op::Get(_))
}

fn is_get_of_payload(op: Op) -> bool {
    op == Op::Get(Object::Payload)
}

impl Fault {
    pub(super) fn can_meet(&self, op: Op) -> bool {
        (self.meets)(op)
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("connection closed"),
            Self::Nothing => f.write_str("gave up waiting"),
            Self::Status(status, code) => write!(f, "{status} {code}"),
        }
    }
}
