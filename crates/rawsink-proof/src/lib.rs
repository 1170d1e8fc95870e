//! Shows that rawsink keeps its guarantees.
//!
//! | file | what it is |
//! |---|---|
//! | `server` | an S3 server as data, with the behaviours of real ones |
//! | `model` | the protocol of one run as a state machine, every interleaving of which is explored |

pub mod server;
