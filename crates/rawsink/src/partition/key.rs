//! The key of a logical partition and the id of a run: the rules for legal names.
//!
//! Must not know paths (`layout`) or stores (`store`).

use std::{fmt, str::FromStr};

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use serde::{Serialize, Serializer};

use crate::{
    error::{Error, Result},
    foreign::is_foreign,
};

/// Longest path segment with its `name=`, in bytes. Common file systems have this limit.
pub const MAX_SEGMENT_BYTES: usize = 255;

/// A logical partition: `(source, customer_id, query_name, logical_date)`.
///
/// Every component is one safe path segment: not empty, at most 255 bytes with its `name=`, no `/`,
/// `\` or control character, no space at either end, not `.` or `..`. Names are compared byte by
/// byte and never normalised. Keys sort component by component. If one name starts with another,
/// their canonical paths may sort in the opposite order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionKey {
    source: String,
    customer_id: String,
    query_name: String,
    logical_date: LogicalDate,
}

impl PartitionKey {
    /// Creates a key from its four components.
    ///
    /// # Errors
    /// `Invalid` for a component that is not a safe path segment, a `source` that starts with `_`,
    /// `.` or `customer_id=` or is a name of a file system or an appliance (`lost+found`), and a
    /// `logical_date` that is not a calendar date written `YYYY-MM-DD`.
    pub fn new(
        source: &str,
        customer_id: &str,
        query_name: &str,
        logical_date: &str,
    ) -> Result<Self> {
        check_source(source)?;
        check_segment("customer_id", customer_id, "customer_id=".len())?;
        check_segment("query_name", query_name, "query_name=".len())?;
        Ok(Self {
            source: source.to_owned(),
            customer_id: customer_id.to_owned(),
            query_name: query_name.to_owned(),
            logical_date: logical_date.parse()?,
        })
    }

    /// Returns the name of the upstream system, such as `google_ads`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the customer's id, normally without hyphens.
    pub fn customer_id(&self) -> &str {
        &self.customer_id
    }

    /// Returns the query's name, such as `campaign_daily_performance`.
    pub fn query_name(&self) -> &str {
        &self.query_name
    }

    /// Returns the reporting day.
    pub fn logical_date(&self) -> LogicalDate {
        self.logical_date
    }
}

/// The reporting day of a logical partition: a real calendar date, written `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogicalDate(Date);

impl LogicalDate {
    /// Returns the next day; `None` after the year 9999.
    pub fn next_day(self) -> Option<Self> {
        self.0.tomorrow().ok().map(Self)
    }
}

impl FromStr for LogicalDate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid(format!("logical_date {text:?} is not a date (YYYY-MM-DD)"));
        let date: Date = text.parse().map_err(|error: jiff::Error| wrong().because(error))?;
        // One spelling per day: another spelling would be another directory.
        if date.to_string() == text && text.len() == "YYYY-MM-DD".len() {
            Ok(Self(date))
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for LogicalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of one pipeline execution. All partitions that it writes share the id.
///
/// Normally an ISO 8601 UTC time stamp with milliseconds ([`is_canonical`](Self::is_canonical)).
/// Runs with other names can be read and written. A run is newer than another if its id is greater
/// byte by byte. For canonical ids this is the order of time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(String);

impl RunId {
    /// Creates the run id of an execution that starts at `time`.
    pub fn at(time: Timestamp) -> Self {
        Self(time.to_zoned_datetime(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the id has the form `YYYY-MM-DDTHH:MM:SS.mmmZ`, so that byte order is time
    /// order.
    pub fn is_canonical(&self) -> bool {
        self.0.parse::<Timestamp>().is_ok_and(|time| Self::at(time) == *self)
    }

    /// Returns the time that the id names, in any form of ISO 8601; UTC without an offset. `None` for an
    /// id that is no time.
    pub fn time(&self) -> Option<Timestamp> {
        self.0.parse().ok().or_else(|| {
            let civil: DateTime = self.0.parse().ok()?;
            Some(civil.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp())
        })
    }
}

impl FromStr for RunId {
    type Err = Error;

    /// # Errors
    /// `Invalid` for text that is not a safe path segment.
    fn from_str(text: &str) -> Result<Self> {
        check_segment("run_id", text, "run_id=".len())?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Checks a `source`: a safe segment that does not start with `_`, `.` or `customer_id=`, and is no
/// name of other software. Every other component has a label in the path.
pub(crate) fn check_source(source: &str) -> Result<()> {
    check_segment("source", source, 0)?;
    if source.starts_with(['_', '.']) {
        return Err(Error::invalid(format!("source {source:?} starts with '_' or '.'")));
    }
    // In a path it would look like a customer.
    if source.starts_with("customer_id=") {
        return Err(Error::invalid(format!("source {source:?} starts with 'customer_id='")));
    }
    if is_foreign(source) {
        return Err(Error::invalid(format!(
            "source {source:?} is a name that file systems or appliances use for themselves, so no \
             listing shows it; use another name"
        )));
    }
    Ok(())
}

/// Checks that `value` is one safe path segment; `name_bytes` is the length of its `name=`.
pub(crate) fn check_segment(name: &str, value: &str, name_bytes: usize) -> Result<()> {
    let fault = if value.is_empty() {
        "is empty".to_owned()
    } else if value == "." || value == ".." {
        "is not a valid name".to_owned()
    } else if value.contains(['/', '\\']) {
        "contains a slash or backslash".to_owned()
    } else if value.chars().any(char::is_control) {
        "contains a control character".to_owned()
    } else if value.trim() != value {
        "starts or ends with a space".to_owned()
    } else if name_bytes + value.len() > MAX_SEGMENT_BYTES {
        format!("is longer than {} bytes", MAX_SEGMENT_BYTES - name_bytes)
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!("{name} {value:?} {fault}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_one_safe_segment() {
        let long = "x".repeat(244);
        for bad in
            ["", ".", "..", "a/b", "a\\b", "a\nb", "a\u{0}", " a", "a ", "a\u{a0}", "\u{85}", &long]
        {
            let error = PartitionKey::new("s", bad, "q", "2024-06-01").unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Invalid, "{bad:?}");
            assert!(error.message().starts_with("customer_id "), "{error}");
        }
        for good in ["123-456", "a:b=c%2F+d#e é", "...", ".x", "_", "x".repeat(243).as_str()] {
            PartitionKey::new("s", good, "q", "2024-06-01").unwrap();
        }
    }

    #[test]
    fn a_source_starts_with_neither_underscore_nor_dot() {
        for bad in ["_tmp", ".git"] {
            assert!(PartitionKey::new(bad, "1", "q", "2024-06-01").is_err());
        }
    }

    #[test]
    fn a_source_has_no_name_of_a_file_system_or_an_appliance() {
        for bad in ["lost+found", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information"]
        {
            let error = PartitionKey::new(bad, "1", "q", "2024-06-01").unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Invalid, "{bad:?}");
            assert!(error.message().contains("no listing shows it"), "{error}");
            // Every other component has a label in the path.
            PartitionKey::new("ads", bad, bad, "2024-06-01").unwrap();
            bad.parse::<RunId>().unwrap();
        }
        for good in ["lost", "found+lost", "lost+found.1", "eaDir", "recycle", "Lost+Found"] {
            PartitionKey::new(good, "1", "q", "2024-06-01").unwrap();
        }
    }

    #[test]
    fn a_logical_date_is_a_real_date_in_one_spelling() {
        for bad in [
            "2024-02-30",
            "2023-02-29",
            "2024-6-1",
            "20240601",
            "2024-06-01T00",
            "2024-06-01 ",
            "+002024-06-01",
            "",
        ] {
            assert!(bad.parse::<LogicalDate>().is_err(), "{bad:?}");
        }
        assert_eq!("2024-02-29".parse::<LogicalDate>().unwrap().to_string(), "2024-02-29");
    }

    #[test]
    fn days_follow_the_calendar() {
        let day = |text: &str| text.parse::<LogicalDate>().unwrap();
        assert_eq!(day("2024-02-28").next_day(), Some(day("2024-02-29")));
        assert_eq!(day("2024-12-31").next_day(), Some(day("2025-01-01")));
        assert_eq!(day("9999-12-31").next_day(), None);
    }

    #[test]
    fn a_run_id_made_from_time_is_canonical_and_sorts_by_time() {
        let early = RunId::at("2024-06-02T04:05:06.789Z".parse().unwrap());
        let late = RunId::at("2024-06-02T04:05:07Z".parse().unwrap());
        assert_eq!(early.as_str(), "2024-06-02T04:05:06.789Z");
        assert_eq!(late.as_str(), "2024-06-02T04:05:07.000Z");
        assert!(early < late && early.is_canonical() && late.is_canonical());
    }

    #[test]
    fn a_run_id_names_a_time_in_any_form() {
        let at = |time: &str| Some(time.parse::<Timestamp>().unwrap());
        for (run, time) in [
            ("2024-06-02T04:05:06.789Z", at("2024-06-02T04:05:06.789Z")),
            ("2024-06-02T04:05:06+02:00", at("2024-06-02T02:05:06Z")),
            ("20240602T040506Z", at("2024-06-02T04:05:06Z")),
            ("2024-06-02 04:05:06", at("2024-06-02T04:05:06Z")),
            ("2024-06-02", at("2024-06-02T00:00:00Z")),
            ("2024-06-02T25:05:06.789Z", None),
            ("backfill 7", None),
            ("1717300000", None),
        ] {
            assert_eq!(run.parse::<RunId>().unwrap().time(), time, "{run}");
        }
    }

    #[test]
    fn other_run_ids_are_legal_but_not_canonical() {
        for other in [
            "2024-06-02T04:05:06Z",
            "2024-06-02T04:05:06.789+00:00",
            "backfill 7",
            "2024-06-02T25:05:06.789Z",
        ] {
            assert!(!other.parse::<RunId>().unwrap().is_canonical(), "{other:?}");
        }
    }
}
