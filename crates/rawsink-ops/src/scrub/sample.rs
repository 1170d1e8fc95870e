//! Selects a random sample of runs that a seed reproduces.

use std::{fmt, str::FromStr};

use rawsink::{
    error::{Error, Result},
    layout::Place,
    partition::{PartitionKey, RunId},
};

use crate::shard::first_bytes;

const MILLION: u32 = 1_000_000;

/// A share of all runs, written as a percentage: `5%`, `0.5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// From 1 to a million.
    parts_per_million: u32,
}

/// A random sample of all runs.
///
/// Whether a run is in the sample depends on its path and the seed alone: on the first eight bytes of
/// the SHA-256 of the seed and the canonical path. Samples of different seeds are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The share of all runs.
    pub share: Share,
    /// The seed.
    pub seed: u64,
}

impl Sample {
    /// Returns whether a run is in the sample.
    pub fn contains(self, key: &PartitionKey, run: &RunId) -> bool {
        let text = format!("{} {}", self.seed, Place::of_run(key, run));
        first_bytes(text) % u64::from(MILLION) < u64::from(self.share.parts_per_million)
    }
}

impl FromStr for Share {
    type Err = Error;

    /// # Errors
    /// `Invalid` unless the text is a percentage from `0.0001%` to `100%`.
    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.strip_suffix('%').and_then(|number| {
            let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
            let is_plain =
                |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if !is_plain(whole) || !is_plain(fraction) || fraction.len() > 4 {
                return None;
            }
            let (whole, fraction): (u32, u32) =
                (whole.parse().ok()?, format!("{fraction:0<4}").parse().ok()?);
            let parts_per_million = whole.checked_mul(10_000)?.checked_add(fraction)?;
            (1..=MILLION).contains(&parts_per_million).then_some(Self { parts_per_million })
        });
        let wrong = || {
            format!("invalid share {text:?}: expected a percentage up to 100%, such as 5% or 0.5%")
        };
        parsed.ok_or_else(|| Error::invalid(wrong()))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.parts_per_million / 10_000, self.parts_per_million % 10_000);
        if fraction == 0 {
            return write!(f, "{whole}%");
        }
        let fraction = format!("{fraction:04}");
        write!(f, "{whole}.{}%", fraction.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage() {
        for (text, parts_per_million) in [
            ("5%", 50_000),
            ("100%", MILLION),
            ("0.5%", 5_000),
            ("0.0001%", 1),
            ("12.25%", 122_500),
        ] {
            let share: Share = text.parse().unwrap();
            assert_eq!(share, Share { parts_per_million }, "{text}");
            assert_eq!(share.to_string(), text);
        }
        assert_eq!("05.10%".parse::<Share>().unwrap().to_string(), "5.1%");
        for wrong in
            ["", "5", "%", "0%", "100.0001%", "101%", "-5%", ".5%", "5.%", "0.00001%", "5 %", "+5%"]
        {
            let error = wrong.parse::<Share>().unwrap_err();
            assert!(error.message().contains("invalid share"), "{wrong:?}: {error}");
        }
    }

    #[test]
    fn a_sample_has_about_its_share_and_depends_on_path_and_seed() {
        let runs = || {
            (0..10_000).map(|n: u32| {
                let key = PartitionKey::new("ads", &n.to_string(), "q", "2024-06-01").unwrap();
                (key, "r1".parse::<RunId>().unwrap())
            })
        };
        let drawn = |share: &str, seed| -> Vec<bool> {
            let sample = Sample { share: share.parse().unwrap(), seed };
            runs().map(|(key, run)| sample.contains(&key, &run)).collect()
        };
        let count = |drawn: &[bool]| drawn.iter().filter(|is_drawn| **is_drawn).count();
        let first = drawn("5%", 1);
        assert!((400..600).contains(&count(&first)), "{}", count(&first));
        assert_eq!(first, drawn("5%", 1));
        let both = first.iter().zip(drawn("5%", 2)).filter(|(one, other)| **one && *other).count();
        assert!(both < 60, "samples of two seeds are independent: {both} in both");
        assert_eq!(count(&drawn("100%", 3)), 10_000);
    }
}
