//! The simulation of many seeds, in parallel.

use std::{
    num::NonZero,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use super::{encounters::Encounters, options::Options, seed::simulate};

/// The result of many seeds.
#[derive(Debug, Clone, Default)]
pub struct SeedsResult {
    /// The number of simulated seeds; it stops at a violation.
    pub seeds: u64,
    /// Counts of everything that the simulations met.
    pub encounters: Encounters,
    /// The lowest seed with a violation, and the violation.
    pub violation: Option<(u64, String)>,
}

/// Simulates seeds in this number of threads, up to the first violation.
pub fn simulate_all(seeds: Range<u64>, options: Options, threads: NonZero<usize>) -> SeedsResult {
    let (next, enough) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let summary = Mutex::new(SeedsResult::default());
    let work = || {
        let mut mine = SeedsResult::default();
        while !enough.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            let result = simulate(seed, options);
            mine.seeds += 1;
            mine.encounters.add(&result.encounters);
            if let Some(violation) = result.violation {
                mine.violation = Some((seed, violation));
                enough.store(true, Ordering::Relaxed);
            }
        }
        summary.lock().unwrap_or_else(PoisonError::into_inner).add(mine);
    };
    thread::scope(|scope| {
        for _ in 0..threads.get() {
            scope.spawn(work);
        }
    });
    summary.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl SeedsResult {
    fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.encounters.add(&other.encounters);
        let violations = self.violation.take().into_iter().chain(other.violation);
        self.violation = violations.min();
    }
}
