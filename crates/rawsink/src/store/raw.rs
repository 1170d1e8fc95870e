//! Raw operations in a scratch location, to examine a store. No store uses them.

/// The SDK's connection to a server, such as one in the same process.
#[cfg(feature = "s3")]
pub use aws_sdk_s3::config::SharedHttpClient as Connector;

pub use super::fs::{Access, DirectoryScratch, FileSystem, Taken};
#[cfg(feature = "s3")]
pub use super::s3::{BucketScratch, Condition, Reply, Requests, S3Fault, Traffic, Versioning};
