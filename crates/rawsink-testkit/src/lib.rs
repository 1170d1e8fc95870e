//! Shared test code: the stores and databases under test, and sample data.

#![expect(clippy::unwrap_used, reason = "a test ends at the first unexpected answer")]
#![expect(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    reason = "test code"
)]

pub mod backend; // the stores under test, with operations for tests only
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod databases; // the databases under test, with operations for tests only
pub mod json; // another parser's opinion of JSON
pub mod log; // the log as text
#[cfg(feature = "s3")]
pub mod s3_server; // an in-process S3 server with configurable bad habits
pub mod sample; // sample partitions, runs, rows and metadata
pub mod states; // the states under test
pub mod suites; // creates the tests of a suite
