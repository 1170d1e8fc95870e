//! Evidence that rawsink keeps its guarantees.
//!
//! | module | contents |
//! |---|---|
//! | [`model`] | the protocol of one run as a state machine, explored in every interleaving |
//! | [`simulation`] | the real code over a fake server in virtual time, driven by a seed |
//!
//! Both use the bucket of the crate `fake-s3`.

pub mod model;
pub mod simulation;
#[cfg(test)]
mod tests;
