//! The operator's tools of rawsink.
//!
//! | module | purpose |
//! |---|---|
//! | [`doctor`] | tests a store and reports which guarantees it supports |
//! | [`coverage`] | reports existing and missing partitions, and where state and storage disagree |
//! | [`validate`] | validates every due run |
//! | [`scrub`] | reads sealed runs and finds those that are damaged or lost |
//! | [`verify`] | compares stored bytes with their seal |
//! | [`clean`] | lists and removes leftovers of crashed writers |
//! | [`copy`] | copies sealed runs to another sink, byte for byte |
//! | [`manifest`] | lists the URIs of the payloads that have authority |
//! | [`withdraw`] | finds the runs that an operator may withdraw |
//! | [`singer`] | takes the messages of a Singer tap, and lands each stream as a run |
//! | [`shape`] | finds the types of a table that holds every value of some rows |
//! | [`shell`] | quotes paths and names for commands |
//!
//! The tools use the public operations of the core, and raw requests only in [`doctor`].

mod bulk;
pub mod clean;
pub mod copy;
pub mod coverage;
pub mod doctor;
pub mod manifest;
mod recording;
pub mod scrub;
pub mod shape;
mod shard;
pub mod shell;
pub mod singer;
pub mod validate;
pub mod verify;
pub mod withdraw;
