//! What several fuzz targets share.

mod answering;
mod devices;

use std::sync::Arc;

use rawsink::runtime::{FixedClock, Runtime, Tokens};

pub use self::{answering::Answering, devices::names_a_device};

/// A text that no parser may show.
pub const CANARY: &str = "zq7canary7qz";

/// Returns a runtime that repeats itself, so that a finding can be reproduced.
///
/// # Panics
/// Never.
pub fn runtime() -> Runtime {
    let now = "2024-06-02T04:05:06Z".parse().expect("this is a time");
    Runtime { clock: Arc::new(FixedClock(now)), tokens: Arc::new(SameToken) }
}

#[derive(Debug)]
struct SameToken;

impl Tokens for SameToken {
    fn next(&self) -> u128 {
        7
    }
}
