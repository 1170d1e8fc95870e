//! Divides logical partitions among hosts, without communication between them.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use rawsink::{
    error::{Error, Result},
    layout::Place,
    partition::PartitionKey,
};

/// One of N equal shards of all logical partitions, written `2/8`: the second of eight.
///
/// A partition is always in the same one of N shards: the first eight bytes of the SHA-256 of its
/// canonical path, as an unsigned big-endian number, modulo N, plus one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    index: u64,
    count: u64,
}

impl Shard {
    /// The only shard of one: everything.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Returns whether a logical partition is in this shard.
    pub fn contains(self, key: &PartitionKey) -> bool {
        self.count == 1 || hash(key) % self.count == self.index
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl FromStr for Shard {
    type Err = Error;

    /// # Errors
    /// `Invalid` unless the text is `I/N` with I from 1 to N.
    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once('/').and_then(|(number, count)| {
            let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            let both = plain(number) && plain(count);
            let (number, count): (u64, u64) = (number.parse().ok()?, count.parse().ok()?);
            (both && (1..=count).contains(&number)).then(|| Self { index: number - 1, count })
        });
        let wrong =
            || format!("invalid shard {text:?}: expected I/N with I from 1 to N, such as 2/8");
        parsed.ok_or_else(|| Error::invalid(wrong()))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.count)
    }
}

fn hash(key: &PartitionKey) -> u64 {
    first_bytes(Place::of_partition(key).to_string())
}

/// Returns the first eight bytes of the SHA-256 of a text, as an unsigned big-endian number.
pub(crate) fn first_bytes(text: impl AsRef<[u8]>) -> u64 {
    let digest: [u8; 32] = Sha256::digest(text).into();
    digest[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> impl Iterator<Item = PartitionKey> {
        (0..50).flat_map(|customer: u32| {
            (1..=20).map(move |day| {
                let (customer, day) = (customer.to_string(), format!("2024-06-{day:02}"));
                PartitionKey::new("google_ads", &customer, "campaign", &day).unwrap()
            })
        })
    }

    fn shards(count: u64) -> Vec<Shard> {
        (1..=count).map(|number| format!("{number}/{count}").parse().unwrap()).collect()
    }

    #[test]
    fn every_partition_is_in_one_shard_and_shards_are_about_equal() {
        for count in [1, 2, 3, 8, 64] {
            let mut sizes = vec![0; usize::try_from(count).unwrap()];
            for key in keys() {
                let holders = shards(count).into_iter().enumerate();
                let holders: Vec<_> =
                    holders.filter(|(_, shard)| shard.contains(&key)).map(|(at, _)| at).collect();
                let [holder] = holders[..] else { panic!("{key:?} is in {holders:?} of {count}") };
                sizes[holder] += 1;
            }
            let fair = 1000 / count;
            assert!(sizes.iter().all(|size| (fair / 3..=fair * 3).contains(size)), "{sizes:?}");
        }
    }

    /// Hosts with different versions must agree; `printf %s PATH | sha256sum` shows the numbers.
    #[test]
    fn a_partitions_shard_never_changes() {
        let key = PartitionKey::new("google_ads", "123", "campaign", "2024-06-01").unwrap();
        assert_eq!(hash(&key), HASH);
        let holder = shards(8).into_iter().find(|shard| shard.contains(&key)).unwrap();
        assert_eq!(holder.to_string(), format!("{}/8", HASH % 8 + 1));
    }

    const HASH: u64 = 0x3a36_5a5e_bea8_f083;

    #[test]
    fn shards_are_written_as_i_of_n() {
        for wrong in ["", "2", "0/8", "9/8", "1/0", "a/8", "2/8/9", "-1/8", "+1/8", " 1/8", "1/ 8"]
        {
            let error = wrong.parse::<Shard>().unwrap_err();
            assert!(error.message().contains("invalid shard"), "{wrong:?}: {error}");
        }
        for right in ["1/1", "2/8", "8/8"] {
            assert_eq!(right.parse::<Shard>().unwrap().to_string(), right);
        }
    }
}
