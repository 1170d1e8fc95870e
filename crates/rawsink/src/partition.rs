//! Names, rows, metadata and the seal of a partition.
//!
//! Must not know paths ([`layout`](crate::layout)) or stores ([`store`](crate::store)).

mod finite;
mod key;
pub mod metadata;
pub mod row;
mod selection;

pub(crate) use self::{
    finite::Finite,
    key::{check_segment, check_source},
};
pub use self::{
    key::{LogicalDate, MAX_SEGMENT_BYTES, PartitionKey, RunId},
    metadata::{Metadata, MetadataBuilder, Seal},
    selection::Selection,
};
