//! The errors that the server answers.

/// Why the server did not apply a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The upload was aborted, was completed, or never existed.
    NoSuchUpload,
    /// A condition of the request does not hold.
    PreconditionFailed,
    /// A part was not uploaded, or has another tag.
    InvalidPart,
    /// The part numbers are not in ascending order.
    InvalidPartOrder,
    /// A part other than the last is too small.
    EntityTooSmall,
    /// A part number is too large.
    InvalidArgument,
    /// A part is empty, and the server takes no empty part.
    MissingContentLength,
    /// The server does not support the condition.
    NotImplemented,
    /// A Complete of the same upload is running.
    InProgress,
}

impl ErrorCode {
    /// Returns the HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::NoSuchUpload => 404,
            Self::PreconditionFailed => 412,
            Self::InvalidPart
            | Self::InvalidPartOrder
            | Self::EntityTooSmall
            | Self::InvalidArgument => 400,
            Self::MissingContentLength => 411,
            Self::NotImplemented => 501,
            Self::InProgress => 500,
        }
    }

    /// Returns the code in the body of the answer.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoSuchUpload => "NoSuchUpload",
            Self::PreconditionFailed => "PreconditionFailed",
            Self::InvalidPart => "InvalidPart",
            Self::InvalidPartOrder => "InvalidPartOrder",
            Self::EntityTooSmall => "EntityTooSmall",
            Self::InvalidArgument => "InvalidArgument",
            Self::MissingContentLength => "MissingContentLength",
            Self::NotImplemented => "NotImplemented",
            Self::InProgress => "InternalError",
        }
    }
}
