//! Shows that rawsink keeps its guarantees.
//!
//! | file | what it is |
//! |---|---|
//! | `server` | an S3 server as data, with the behaviours of real ones |
//! | `model` | the protocol of one run as a state machine, every interleaving of which is explored |
//! | `simulation` | the real code over the server, in virtual time, driven by a seed |

pub mod model;
pub mod server;
pub mod simulation;
#[cfg(test)]
mod tests;
