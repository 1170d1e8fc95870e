//! Which partition a stream lands in.

use std::{collections::BTreeMap, error::Error as StdError, fmt};

use rawsink::{
    error::{Error, ErrorKind, Result},
    partition::PartitionKey,
};

/// Stands for the name of a stream in the `query_name` of a partition.
pub const STREAM: &str = "{stream}";

/// The partitions of all streams of a tap. They differ in their `query_name`.
#[derive(Debug, Clone)]
pub struct StreamNames {
    /// The key whose `query_name` contains [`STREAM`].
    template: PartitionKey,
    /// Names in place of the names of streams.
    renamed: BTreeMap<String, String>,
}

/// A stream whose name is no legal `query_name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableName {
    /// The name of the stream.
    pub stream: String,
}

impl UnusableName {
    /// Returns the stream of an error of this module.
    pub fn of(error: &Error) -> Option<&Self> {
        StdError::source(error)?.downcast_ref()
    }
}

impl fmt::Display for UnusableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {:?} needs another name", self.stream)
    }
}

impl StdError for UnusableName {}

impl StreamNames {
    /// Creates the names of a key whose `query_name` contains [`STREAM`] once, such as `{stream}` or
    /// `crm_{stream}`. `renamed` has the names to use in place of those of some streams.
    ///
    /// # Errors
    /// `Invalid` unless it contains it once.
    pub fn new(template: PartitionKey, renamed: BTreeMap<String, String>) -> Result<Self> {
        if template.query_name().matches(STREAM).count() != 1 {
            return Err(Error::invalid(format!(
                "query_name {:?} does not contain {STREAM} once, so streams have no partition each",
                template.query_name()
            )));
        }
        Ok(Self { template, renamed })
    }

    /// Returns the key that the names were created of.
    pub fn template(&self) -> &PartitionKey {
        &self.template
    }

    /// Returns the partition of a stream.
    ///
    /// # Errors
    /// `Invalid`, with an [`UnusableName`], if the name is not legal in a partition.
    pub fn partition_of(&self, stream: &str) -> Result<PartitionKey> {
        let name = self.renamed.get(stream).map_or(stream, String::as_str);
        let query = self.template.query_name().replace(STREAM, name);
        let (source, customer) = (self.template.source(), self.template.customer_id());
        let date = self.template.logical_date().to_string();
        PartitionKey::new(source, customer, &query, &date).map_err(|error| {
            let unusable = UnusableName { stream: stream.to_owned() };
            Error::new(ErrorKind::Invalid, format!("{unusable}: {}", error.message()))
                .because(unusable)
        })
    }

    /// Returns the first renamed stream that is not among these.
    pub fn unknown(&self, is_known: impl Fn(&str) -> bool) -> Option<&str> {
        self.renamed.keys().map(String::as_str).find(|stream| !is_known(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(query: &str) -> Result<StreamNames> {
        let renamed = [("public/users".to_owned(), "users".to_owned())].into();
        StreamNames::new(PartitionKey::new("crm", "7", query, "2024-06-01").unwrap(), renamed)
    }

    #[test]
    fn the_name_of_a_stream_is_part_of_its_query_name() {
        for (query, stream, expected) in [
            ("{stream}", "orders", "orders"),
            ("crm_{stream}.v1", "orders", "crm_orders.v1"),
            ("{stream}", "public/users", "users"),
            ("{stream}", "{stream}", "{stream}"),
        ] {
            let key = names(query).unwrap().partition_of(stream).unwrap();
            let expected = PartitionKey::new("crm", "7", expected, "2024-06-01").unwrap();
            assert_eq!(key, expected);
        }
        for query in ["orders", "{stream}{stream}", "{Stream}"] {
            assert_eq!(names(query).unwrap_err().kind(), ErrorKind::Invalid, "{query}");
        }
    }

    #[test]
    fn a_stream_with_an_illegal_name_needs_another() {
        let error = names("{stream}").unwrap().partition_of("public/orders").unwrap_err();
        assert_eq!(UnusableName::of(&error).unwrap().stream, "public/orders");
        assert!(error.message().contains("contains a slash"), "{error}");
    }
}
