//! Times of the bucket as the types of `s3s` and as the `Date` header.

use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

/// Converts milliseconds since the Unix epoch.
pub(super) fn timestamp(ms: u64) -> s3s::dto::Timestamp {
    (SystemTime::UNIX_EPOCH + Duration::from_millis(ms)).into()
}

/// Formats milliseconds since the Unix epoch as a `Date` header, ahead by some seconds.
pub(super) fn header(ms: u64, ahead_s: i64) -> String {
    let since = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    let shown = since.saturating_add(SignedDuration::from_secs(ahead_s));
    let time = Timestamp::from_duration(shown).unwrap_or(Timestamp::MAX);
    time.strftime("%a, %d %b %Y %T GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::header;

    #[test]
    fn a_date_header_may_be_ahead_or_behind() {
        let four = 1_717_300_800_000;
        assert_eq!(header(four, 0), "Sun, 02 Jun 2024 04:00:00 GMT");
        assert_eq!(header(four, 3600), "Sun, 02 Jun 2024 05:00:00 GMT");
        assert_eq!(header(four, -3600), "Sun, 02 Jun 2024 03:00:00 GMT");
    }
}
