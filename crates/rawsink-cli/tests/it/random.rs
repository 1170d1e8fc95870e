//! Reproducible random numbers.

use std::{env, time::SystemTime};

/// `SplitMix64`: enough to spread tests, and the same on every machine.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Uses the seed from `RAWSINK_TEST_SEED` or a new one, and prints it.
    pub(crate) fn seeded(test: &str) -> Self {
        let seed = env::var("RAWSINK_TEST_SEED").ok().map_or_else(
            || {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
                now.as_secs() ^ u64::from(now.subsec_nanos()) << 32
            },
            |text| text.parse().expect("RAWSINK_TEST_SEED is a number"),
        );
        println!("{test}: RAWSINK_TEST_SEED={seed}");
        Self(seed)
    }

    /// Returns a number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (word ^ (word >> 31)) % limit
    }
}

/// Returns the number of rounds of a random test: `RAWSINK_TEST_ROUNDS` or its default.
pub(crate) fn rounds(default: u64) -> u64 {
    env::var("RAWSINK_TEST_ROUNDS")
        .map_or(default, |text| text.parse().expect("RAWSINK_TEST_ROUNDS is a number"))
}
