//! Failed requests and their error kinds.
//!
//! The status decides before the code: some servers send 429 in HTML and 503 without a code.

use std::{fmt, time::Duration};

use crate::error::{Error, ErrorKind};

/// Length of the longest error code and of the longest request id, in bytes.
const LONGEST_CODE: usize = 64;
const LONGEST_ID: usize = 128;

/// What is shown in place of a code or an id that has not its usual form.
const MALFORMED: &str = "(malformed)";

/// Returns an error code of letters, digits and dots. Any other text shows nothing and decides nothing.
pub(super) fn checked_code(code: String) -> String {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
    checked(code, LONGEST_CODE, is_usual)
}

/// Returns the id of a request if it is printable ASCII.
pub(super) fn checked_id(id: String) -> String {
    checked(id, LONGEST_ID, |byte| byte.is_ascii_graphic())
}

fn checked(text: String, longest: usize, is_usual: impl Fn(u8) -> bool) -> String {
    let is_legal = text.len() <= longest && text.bytes().all(is_usual);
    if is_legal { text } else { MALFORMED.to_owned() }
}

/// A failed request: the server's error, or no answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct S3Fault {
    /// The HTTP status; `None` without a complete answer.
    pub status: Option<u16>,
    /// The S3 error code.
    pub code: Option<String>,
    /// The message of the server or of the connection.
    pub message: String,
    /// The server's id of the request.
    pub request_id: Option<String>,
    /// Number of failed tries and their total time, if retries ended.
    pub given_up: Option<(u32, Duration)>,
    /// Difference of the clocks, if that is the reason.
    pub skew: Option<Duration>,
    /// Whether this side refused the server: its certificate is not trusted, or it does not use
    /// TLS.
    pub untrusted: bool,
    /// Whether the answer cannot be read, or not be used: another one would not be better.
    pub unusable: bool,
}

impl S3Fault {
    /// Returns the fault of a body that is shorter than announced.
    pub(crate) fn truncated() -> Self {
        Self { message: "the answer was truncated".to_owned(), ..Self::default() }
    }

    /// Returns the fault of a key that HEAD does not find and another answer shows.
    pub(super) fn contradicted(key: &str) -> Self {
        let message = format!(
            "a HEAD of {key} finds nothing, but the object is there: a gateway or another server answers \
             some of the requests"
        );
        Self { status: Some(200), message, ..Self::default() }
    }

    /// Returns whether the server may have applied the request: there is no complete answer, or the
    /// server failed late.
    pub fn may_have_been_applied(&self) -> bool {
        match self.status {
            None | Some(200..=299 | 408) => true,
            Some(501) => false,
            Some(status) => status >= 500 || self.is("RequestTimeout"),
        }
    }

    /// Returns whether the same request may succeed later.
    pub fn may_pass(&self) -> bool {
        let passing = [
            "SlowDown",
            "RequestTimeout",
            "OperationAborted",
            "ConditionalRequestConflict",
            "InternalError",
        ];
        match self.status {
            _ if self.untrusted || self.unusable => false,
            None | Some(408 | 429 | 500 | 502..=504) => true,
            Some(200..=299) if self.code.is_none() => true,
            _ => self
                .code
                .as_deref()
                .is_some_and(|code| passing.iter().any(|name| code.starts_with(name))),
        }
    }

    /// Returns whether the server requests a lower rate.
    pub(crate) fn asks_to_slow_down(&self) -> bool {
        matches!(self.status, Some(429 | 503))
            || self.code.as_deref().is_some_and(|code| code.starts_with("SlowDown"))
    }

    /// Returns whether this is a clean and final refusal of the payload (step 4). After 409 and 412
    /// an object may exist or not.
    pub fn refuses_payload(&self) -> bool {
        match self.status {
            Some(501) => true,
            Some(408 | 409 | 412 | 429) => false,
            Some(400..=499) => !self.is("RequestTimeout") && !self.is_upload_gone(),
            _ => false,
        }
    }

    /// Returns whether this is a clean refusal of the seal (step 6).
    pub(crate) fn refuses_seal(&self) -> bool {
        matches!(self.status, Some(400 | 401 | 403 | 404 | 407 | 501)) && !self.is("RequestTimeout")
    }

    /// Returns whether the request's condition failed, or a concurrent request conflicts with it.
    pub fn refuses_condition(&self) -> bool {
        matches!(self.status, Some(409 | 412))
    }

    /// Returns whether other credentials may be accepted. AWS answers 400 to those that have expired, versitygw 404 to a
    /// key that it does not know.
    pub(super) fn refuses_credentials(&self) -> bool {
        let codes = [
            "ExpiredToken",
            "InvalidToken",
            "TokenRefreshRequired",
            "InvalidAccessKeyId",
            "XAdminUserNotFound",
        ];
        matches!(self.status, Some(401 | 403)) || codes.iter().any(|code| self.is(code))
    }

    /// Returns whether credentials or policy forbid the request.
    pub fn is_denied(&self) -> bool {
        self.kind() == ErrorKind::Denied
    }

    /// Returns whether the server does not support the request.
    pub fn is_unsupported(&self) -> bool {
        self.kind() == ErrorKind::Unsupported
    }

    /// Returns whether the upload does not exist (any more).
    pub fn is_no_such_upload(&self) -> bool {
        self.is("NoSuchUpload")
    }

    /// Returns whether an upload is gone, for requests that change or list it. Ceph answers
    /// `NoSuchKey` for an upload that is being aborted.
    pub(crate) fn is_upload_gone(&self) -> bool {
        self.is_no_such_upload() || self.is("NoSuchKey")
    }

    /// Returns whether a Complete names a part that the server does not have.
    pub(super) fn is_invalid_part(&self) -> bool {
        self.is("InvalidPart")
    }

    /// Returns whether the answer to a GET proves that the key does not exist.
    pub(super) fn is_no_such_key(&self) -> bool {
        self.status == Some(404) && self.is("NoSuchKey")
    }

    /// Returns whether the key seems not to exist. A 404 of a HEAD has no code, so it is no proof.
    pub(crate) fn is_no_such_object(&self) -> bool {
        self.status == Some(404) && !self.is("NoSuchBucket") && !self.is_no_such_upload()
    }

    /// Returns whether a HEAD was refused without a reason. A GET gets the reason.
    pub(super) fn has_no_reason(&self) -> bool {
        self.status == Some(400) && self.code.is_none()
    }

    /// Returns whether the server takes no request without a length. gofakes3 says so of an empty part.
    pub(super) fn wants_length(&self) -> bool {
        self.status == Some(411)
    }

    /// Returns whether the requested offset is past the end of the object.
    pub(crate) fn is_past_the_end(&self) -> bool {
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
            // The first of two sendings of a part arrived last, and each has its own tag.
            (_, Some("InvalidPart")) => ErrorKind::Unavailable,
            _ if self.may_pass() => ErrorKind::Unavailable,
            _ if self.refuses_credentials() || self.status == Some(407) => ErrorKind::Denied,
            (Some(405 | 501), _) => ErrorKind::Unsupported,
            (Some(409 | 412), _) => ErrorKind::Conflict,
            // Not from an S3 server: a gateway whose server is down.
            (Some(404), code) if !code.is_some_and(|code| code.starts_with("NoSuch")) => {
                ErrorKind::Unavailable
            }
            (Some(300..=499), _) => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        }
    }
}

impl fmt::Display for S3Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status, &self.code) {
            (None, _) if self.untrusted => f.write_str("the TLS handshake failed")?,
            (None, _) => f.write_str("the server did not answer")?,
            (Some(status), None) => write!(f, "the server answered {status}")?,
            (Some(status), Some(code)) => write!(f, "the server answered {status} {code}")?,
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(skew) = self.skew {
            write!(f, " (the clocks differ by {} s: set this machine's clock)", skew.as_secs())?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " [request {id}]")?;
        }
        match self.given_up {
            Some((tries, elapsed)) => write!(f, " ({})", summary(tries, elapsed)),
            None => Ok(()),
        }
    }
}

impl From<S3Fault> for Error {
    fn from(fault: S3Fault) -> Self {
        let error = Self::new(fault.kind(), fault.to_string());
        if fault.untrusted { error.by_setting("ca_file") } else { error }
    }
}

/// Returns the number of tries and their total time, for a message.
pub(crate) fn summary(tries: u32, elapsed: Duration) -> String {
    let tries = if tries == 1 { "1 try".to_owned() } else { format!("{tries} tries") };
    format!("{tries} in {} s", elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_ids_of_another_form_are_not_shown() {
        for code in ["NoSuchKey", "Client.Invalid1", ""] {
            assert_eq!(checked_code(code.into()), code);
        }
        for code in ["a b", "Bad-(hidden)", "Access\u{1b}[31mDenied", "Zugriffsfehlerü"] {
            assert_eq!(checked_code(code.into()), "(malformed)", "{code}");
        }
        assert_eq!(checked_code("A".repeat(65)), "(malformed)");
        for id in ["4442587FB7D0A2F9", "tx000-e==/+", "id-(hidden)"] {
            assert_eq!(checked_id(id.into()), id);
        }
        for id in ["a b", "a\tb", "\u{9b}31m", "\u{202e}x", &"1".repeat(129)] {
            assert_eq!(checked_id(id.into()), "(malformed)", "{id}");
        }
    }

    #[test]
    fn an_unknown_key_is_denied_whatever_the_status() {
        for (status, code) in
            [(403, "InvalidAccessKeyId"), (404, "XAdminUserNotFound"), (400, "ExpiredToken")]
        {
            let code = Some(code.to_owned());
            let fault = S3Fault { status: Some(status), code, ..S3Fault::default() };
            assert!(fault.is_denied() && fault.refuses_credentials(), "{fault}");
        }
    }

    #[test]
    fn an_untrusted_server_is_a_setting_to_change_and_not_retried() {
        let fault =
            S3Fault { message: "unknown issuer".into(), untrusted: true, ..S3Fault::default() };
        assert!(!fault.may_pass() && S3Fault::default().may_pass());
        let error = Error::from(fault);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.setting(), Some("ca_file"));
    }
}
