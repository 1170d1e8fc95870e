//! Many seeds at once.

use std::{
    num::NonZero,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use super::{Coverage, Options, simulate};

/// What became of many seeds.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// How many there were; those behind a violation are left out.
    pub seeds: u64,
    /// What was met.
    pub coverage: Coverage,
    /// The lowest seed in which a guarantee was broken, and how.
    pub violation: Option<(u64, String)>,
}

/// Simulates seeds in so many threads, up to the first violation.
pub fn simulate_all(seeds: Range<u64>, options: Options, threads: NonZero<usize>) -> Summary {
    let (next, enough) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let summary = Mutex::new(Summary::default());
    let work = || {
        let mut mine = Summary::default();
        while !enough.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            let story = simulate(seed, options);
            mine.seeds += 1;
            mine.coverage.add(&story.coverage);
            if let Some(violation) = story.violation {
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

impl Summary {
    fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.coverage.add(&other.coverage);
        let violations = self.violation.take().into_iter().chain(other.violation);
        self.violation = violations.min();
    }
}
