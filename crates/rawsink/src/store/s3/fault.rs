//! Why a request has no value, and which kind of error that is.
//!
//! Classified by status first: some servers answer 429 in HTML and 503 without a code.

use std::{fmt, time::Duration};

use crate::error::{Error, ErrorKind};

/// What the server said, or that it said nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fault {
    /// The HTTP status; `None` where there was no whole answer.
    pub status: Option<u16>,
    /// The S3 error code.
    pub code: Option<String>,
    /// What the server, or the connection, said.
    pub message: String,
    /// The server's id of the request.
    pub request_id: Option<String>,
    /// How far the clocks are apart, where that is the reason.
    pub skew: Option<Duration>,
    /// Whether this side refused to speak to the server: its certificate is not trusted, or it does
    /// not speak TLS.
    pub untrusted: bool,
}

impl Fault {
    /// A body that ended before its length was reached.
    pub(crate) fn cut_short() -> Self {
        Self { message: "the answer was cut short".to_owned(), ..Self::default() }
    }

    /// Tells whether the request may have been applied all the same: no whole answer, or a failure
    /// of the server behind the point where it acts.
    pub(crate) fn may_have_been_applied(&self) -> bool {
        match self.status {
            None | Some(200..=299 | 408) => true,
            Some(501) => false,
            Some(status) => status >= 500 || self.is("RequestTimeout"),
        }
    }

    /// Tells whether the same request may succeed later.
    pub(crate) fn may_pass(&self) -> bool {
        let passing = [
            "SlowDown",
            "RequestTimeout",
            "OperationAborted",
            "ConditionalRequestConflict",
            "InternalError",
        ];
        match self.status {
            None if self.untrusted => false,
            None | Some(200..=299 | 408 | 429 | 500 | 502..=504) => true,
            _ => self
                .code
                .as_deref()
                .is_some_and(|code| passing.iter().any(|name| code.starts_with(name))),
        }
    }

    /// Tells whether the server asks for fewer requests.
    pub(crate) fn asks_to_slow_down(&self) -> bool {
        matches!(self.status, Some(429 | 503))
            || self.code.as_deref().is_some_and(|code| code.starts_with("SlowDown"))
    }

    /// Step 4: a clean refusal of the payload, final by its kind. 409 and 412 say neither that
    /// something is there nor that it is not.
    pub(crate) fn refuses_payload(&self) -> bool {
        match self.status {
            Some(501) => true,
            Some(408 | 409 | 412 | 429) => false,
            Some(400..=499) => !self.is("RequestTimeout") && !self.says_that_the_upload_ended(),
            _ => false,
        }
    }

    /// Step 6: a clean refusal of the seal.
    pub(crate) fn refuses_seal(&self) -> bool {
        matches!(self.status, Some(400 | 401 | 403 | 404 | 501)) && !self.is("RequestTimeout")
    }

    /// Tells whether the condition of the request, or another request like it, was in the way.
    pub(crate) fn refuses_condition(&self) -> bool {
        matches!(self.status, Some(409 | 412))
    }

    /// Tells whether credentials or policy are in the way.
    pub(crate) fn is_denied(&self) -> bool {
        self.kind() == ErrorKind::Denied
    }

    /// Tells whether the server does not know such a request.
    pub(crate) fn is_unsupported(&self) -> bool {
        self.kind() == ErrorKind::Unsupported
    }

    /// Tells whether the upload that was named is not there (any more).
    pub(crate) fn is_no_such_upload(&self) -> bool {
        self.is("NoSuchUpload")
    }

    /// The same of a request that changes or lists an upload: Ceph calls one that is being ended no
    /// such key.
    pub(crate) fn says_that_the_upload_ended(&self) -> bool {
        self.is_no_such_upload() || self.is("NoSuchKey")
    }

    /// Tells whether the key that was named is not there. A 404 of a HEAD has no code.
    pub(crate) fn is_no_such_object(&self) -> bool {
        self.status == Some(404) && !self.is("NoSuchBucket") && !self.is_no_such_upload()
    }

    /// Tells whether an object has nothing at the offset that was asked for.
    pub(crate) fn is_behind_the_end(&self) -> bool {
        self.status == Some(416)
    }

    fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    fn kind(&self) -> ErrorKind {
        let setting = [
            "NoSuchBucket",
            "InvalidBucketName",
            "PermanentRedirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
        ];
        match (self.status, self.code.as_deref()) {
            _ if self.untrusted => ErrorKind::Invalid,
            (_, Some(code)) if setting.contains(&code) => ErrorKind::Invalid,
            (_, Some("XAmzContentSHA256Mismatch" | "NotImplemented")) => ErrorKind::Unsupported,
            // A part whose first sending arrived after its second, where each has a tag of its own.
            (_, Some("InvalidPart")) => ErrorKind::Unavailable,
            _ if self.may_pass() => ErrorKind::Unavailable,
            (Some(401 | 403), _) => ErrorKind::Denied,
            (Some(405 | 501), _) => ErrorKind::Unsupported,
            (Some(409 | 412), _) => ErrorKind::Conflict,
            (Some(300..=499), _) => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status, &self.code) {
            (None, _) if self.untrusted => f.write_str("the server was not asked")?,
            (None, _) => f.write_str("the server did not answer")?,
            (Some(status), None) => write!(f, "the server answered {status}")?,
            (Some(status), Some(code)) => write!(f, "the server answered {status} {code}")?,
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(skew) = self.skew {
            write!(f, " (the clocks are {} s apart: set this machine's clock)", skew.as_secs())?;
        }
        if self.untrusted {
            f.write_str(" (RAW_SINK_CA_FILE names the certificates of a private authority)")?;
        }
        match &self.request_id {
            Some(id) => write!(f, " [request {id}]"),
            None => Ok(()),
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::new(fault.kind(), fault.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_not_trusted_is_a_setting_to_change_and_is_not_asked_again() {
        let fault = Fault { message: "unknown issuer".into(), untrusted: true, ..Fault::default() };
        assert!(!fault.may_pass() && Fault::default().may_pass());
        let error = Error::from(fault);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains("unknown issuer (RAW_SINK_CA_FILE"), "{error}");
    }
}
