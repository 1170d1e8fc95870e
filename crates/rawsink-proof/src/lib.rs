//! Evidence that rawsink keeps its guarantees.
//!
//! | module | contents |
//! |---|---|
//! | [`model`] | the protocol of one run as a state machine, explored in every interleaving |
//! | [`authority`] | authority over one partition as a state machine, with the library's own functions |
//! | [`simulation`] | the real code over a fake server in virtual time, driven by a seed |
//!
//! The first and the last use the bucket of the crate `fake-s3`.

pub mod authority;
pub mod model;
pub mod simulation;
#[cfg(test)]
mod tests;
mod words;
