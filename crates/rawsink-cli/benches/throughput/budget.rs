//! The budgets of `docs/performance.md`.

/// CPU time as a multiple of the floor's.
pub(crate) const CPU_RATIO: f64 = 1.25;
/// Resident memory of one writer or reader, in MiB.
pub(crate) const PEAK_MIB: f64 = 64.0;
/// Wall time of a command with almost no work, in milliseconds.
pub(crate) const START_MS: f64 = 20.0;
/// Requests of a partition that fits one part.
pub(crate) const SMALL_REQUESTS: f64 = 5.0;
/// The same if the server honours conditions on Complete.
pub(crate) const SMALL_REQUESTS_ENFORCED: f64 = 3.0;

/// Wall time of small partitions in a directory as a multiple of the floor's.
pub(crate) const SMALL_RATIO: f64 = 1.25;

/// Returns whether a figure is within its budget, at the printed precision.
pub(crate) fn judge(figure: f64, budget: f64) -> &'static str {
    if (figure * 100.0).round() <= budget * 100.0 { "kept" } else { "missed" }
}
