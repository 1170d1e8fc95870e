//! The mishaps of requests, as a table.

use std::fmt;

use rawsink::store::Object;

use self::{
    HeardInstead::{Closed, Nothing, Status},
    MishapEffect::{Applied, Early, EmptyTag, Late, NotApplied, Slow, Twice},
};
use super::request_kind::RequestKind;

/// What a client hears instead of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeardInstead {
    /// The connection is closed.
    Closed,
    /// Nothing, until the timeout of the client.
    Nothing,
    /// A status, and an S3 error code that may be empty.
    Status(u16, &'static str),
}

/// The effect of a mishap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MishapEffect {
    /// The server never applies the request.
    NotApplied(HeardInstead),
    /// The server applies the request, and the client hears this.
    Applied(HeardInstead),
    /// The client hears this, then the server applies the request.
    Late(HeardInstead),
    /// The client hears success, then the server applies the request.
    Early,
    /// The request arrives a second time.
    Twice,
    /// The request or the answer takes long.
    Slow,
    /// The answer has no tag.
    EmptyTag,
    /// The body arrives otherwise.
    Body(BodyDelivery),
}

/// How the body of an answer arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyDelivery {
    /// Whole.
    Whole,
    /// The connection closes within the body.
    Cut,
    /// The body ends early without an error.
    Short,
    /// One byte differs.
    Garbled,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mishap {
    pub(super) name: &'static str,
    pub(super) effect: MishapEffect,
    /// The kinds of requests that it affects.
    affected: fn(RequestKind) -> bool,
}

const fn mishap(
    name: &'static str,
    effect: MishapEffect,
    affected: fn(RequestKind) -> bool,
) -> Mishap {
    Mishap { name, effect, affected }
}

/// All mishaps.
pub(super) const MISHAPS: [Mishap; 28] = [
    mishap("closed before applied", NotApplied(Closed), any),
    mishap("closed after applied", Applied(Closed), any),
    mishap("silent before applied", NotApplied(Nothing), any),
    mishap("silent after applied", Applied(Nothing), any),
    mishap("closed, applied late", Late(Closed), any),
    mishap("silent, applied late", Late(Nothing), any),
    mishap("504, applied late", Late(Status(504, "")), any),
    mishap("500 before applied", NotApplied(Status(500, "InternalError")), any),
    mishap("500 after applied", Applied(Status(500, "InternalError")), any),
    mishap("500, applied late", Late(Status(500, "InternalError")), any),
    mishap("502", NotApplied(Status(502, "")), any),
    mishap("503 before applied", NotApplied(Status(503, "SlowDown")), any),
    mishap("503 after applied", Applied(Status(503, "ServiceUnavailable")), any),
    mishap("429", NotApplied(Status(429, "")), any),
    mishap("408", NotApplied(Status(408, "")), any),
    mishap("400 RequestTimeout", NotApplied(Status(400, "RequestTimeout")), has_body),
    mishap("409 conflict", NotApplied(Status(409, "ConditionalRequestConflict")), is_conditional),
    mishap("409 aborted", NotApplied(Status(409, "OperationAborted")), is_change),
    mishap("200 with an error before applied", NotApplied(Status(200, "InternalError")), completes),
    mishap("200 with an error after applied", Applied(Status(200, "InternalError")), completes),
    mishap("twice", Twice, is_change),
    mishap("slow", Slow, any),
    mishap("empty tag", EmptyTag, is_conditional),
    mishap("body cut", MishapEffect::Body(BodyDelivery::Cut), is_get),
    mishap("body short", MishapEffect::Body(BodyDelivery::Short), is_get),
    mishap("body garbled", MishapEffect::Body(BodyDelivery::Garbled), is_get_of_payload),
    mishap("abort answered before applied", Early, is_abort),
    mishap("abort refused", NotApplied(Status(503, "SlowDown")), is_abort),
];

fn any(_: RequestKind) -> bool {
    true
}

fn is_change(kind: RequestKind) -> bool {
    !matches!(
        kind,
        RequestKind::List
            | RequestKind::Head(_)
            | RequestKind::Get(_)
            | RequestKind::Uploads
            | RequestKind::UploadsBelow
            | RequestKind::Parts
    )
}

fn has_body(kind: RequestKind) -> bool {
    matches!(kind, RequestKind::Put(_) | RequestKind::Part)
}

fn is_conditional(kind: RequestKind) -> bool {
    matches!(kind, RequestKind::Put(_) | RequestKind::Complete)
}

fn completes(kind: RequestKind) -> bool {
    kind == RequestKind::Complete
}

fn is_abort(kind: RequestKind) -> bool {
    kind == RequestKind::Abort
}

fn is_get(kind: RequestKind) -> bool {
    matches!(kind, RequestKind::Get(_))
}

fn is_get_of_payload(kind: RequestKind) -> bool {
    kind == RequestKind::Get(Object::Payload)
}

impl Mishap {
    pub(super) fn affects(&self, kind: RequestKind) -> bool {
        (self.affected)(kind)
    }
}

impl fmt::Display for HeardInstead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("connection closed"),
            Self::Nothing => f.write_str("gave up waiting"),
            Self::Status(status, code) => write!(f, "{status} {code}"),
        }
    }
}
