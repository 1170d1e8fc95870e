//! The server's answers as the types of the library.

use fake_s3::{ErrorCode, ListedUpload, WriteCondition, format_name, parse_name};
use rawsink::store::s3::{self, S3Fault};

use super::{requests::SimHead, time::timestamp_of};

/// Parses a name that the server gave before.
pub(super) fn number(name: &str) -> u64 {
    parse_name(name).expect("the server gave this name")
}

pub(super) fn head(head: SimHead) -> s3::Head {
    s3::Head {
        etag: format_name(head.tag),
        // HTTP has whole seconds.
        modified: timestamp_of(head.modified / 1_000_000 * 1_000_000),
        bytes: head.bytes,
        writer: head.metadata,
    }
}

pub(super) fn open_upload(upload: &ListedUpload) -> s3::OpenUpload {
    s3::OpenUpload { initiated: timestamp_of(upload.initiated), id: format_name(upload.id) }
}

/// Returns the condition of a request as the server knows it.
pub(super) fn condition(condition: s3::Condition) -> WriteCondition {
    match condition {
        s3::Condition::CreateOnly => WriteCondition::CreateOnly,
        s3::Condition::Replace => WriteCondition::Overwrite,
    }
}

/// Returns the fault of a request that the server refused.
pub(super) fn refused(error: ErrorCode) -> S3Fault {
    status(error.status(), error.code())
}

/// Returns the fault of an error status.
pub(super) fn status(status: u16, code: &str) -> S3Fault {
    let code = Some(code).filter(|code| !code.is_empty()).map(str::to_owned);
    S3Fault { status: Some(status), code, ..S3Fault::default() }
}

/// Returns the fault of a request without an answer.
pub(super) fn unanswered(message: &str) -> S3Fault {
    S3Fault { message: message.to_owned(), ..S3Fault::default() }
}
