//! Several ways of the same work, measured in turn.

use crate::measure::Usage;

/// What each way used in each round.
pub(crate) struct Rounds(Vec<Vec<Usage>>);

impl Rounds {
    /// Measures each way `count` times. Every round begins with another way.
    pub(crate) fn measure(count: u32, ways: usize, mut way: impl FnMut(usize) -> Usage) -> Self {
        let round = |first: usize| {
            let mut round: Vec<_> = (0..ways).map(|turn| way((first + turn) % ways)).collect();
            round.rotate_right(first);
            round
        };
        Self((0..count as usize).map(|number| number % ways).map(round).collect())
    }

    /// Returns the minimum of a way.
    pub(crate) fn least(&self, way: usize) -> Usage {
        self.0.iter().map(|round| round[way]).reduce(Usage::least).unwrap()
    }

    /// Returns the median of the rounds' ratios of the first way to another.
    pub(crate) fn ratio(&self, way: usize, figure: fn(Usage) -> f64) -> f64 {
        let ratio = |round: &Vec<Usage>| figure(round[0]) / figure(round[way]);
        let mut ratios: Vec<_> = self.0.iter().map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }
}
