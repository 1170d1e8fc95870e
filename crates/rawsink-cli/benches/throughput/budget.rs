//! What is promised; see `docs/performance.md`.

/// CPU time as a multiple of the floor's.
pub(crate) const CPU_RATIO: f64 = 1.25;
/// Resident memory of one writer or reader, in MiB.
pub(crate) const PEAK_MIB: f64 = 64.0;
/// Wall time of a command that has next to nothing to do, in milliseconds.
pub(crate) const START_MS: f64 = 20.0;
/// Requests of a partition that fits one part.
pub(crate) const SMALL_REQUESTS: f64 = 5.0;
/// The same where the server is known to honour conditions on Complete.
pub(crate) const SMALL_REQUESTS_ENFORCED: f64 = 3.0;

/// Tells whether a figure keeps its budget, by the digits that are shown of it.
pub(crate) fn judge(figure: f64, budget: f64) -> &'static str {
    if (figure * 100.0).round() <= budget * 100.0 { "kept" } else { "missed" }
}
