//! Names that the server gives, and the stamp that carries them.

/// Names one state of an object, as its `ETag`.
pub type Tag = u64;

/// Identifies a multipart upload.
pub type UploadId = u64;

/// The time and the name that the caller passes with a request that changes the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The server's time in the caller's unit. Gateways may have different clocks.
    pub time: u64,
    /// The name that the server gives to a new object state, part, upload or version. It must be
    /// unique where the server creates one of them.
    pub name: u64,
}

/// Formats a name as the text that clients see: 16 hexadecimal digits.
pub fn format_name(name: u64) -> String {
    format!("{name:016x}")
}

/// Parses a text that [`format_name`] wrote; returns `None` for any other text.
pub fn parse_name(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_its_text_and_no_other_text_is_a_name() {
        for name in [0, 17, u64::MAX] {
            assert_eq!(parse_name(&format_name(name)), Some(name));
        }
        for text in ["", "11", "no-such-upload00", "00000000000000000"] {
            assert_eq!(parse_name(text), None, "{text:?}");
        }
    }
}
