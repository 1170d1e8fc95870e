//! Raw operations in a place of their own, for whoever examines a store; no store uses them.

pub(crate) use super::{
    fs::{DirectoryScratch, FileSystem, Taken},
    s3::{BucketScratch, Condition, Fault, Reply, Traffic, Versioning},
};
