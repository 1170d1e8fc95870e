//! Observations of all requests together: clocks, and the request rate.

use std::time::Duration;

use super::{Assumed, Examination, Observation};
use crate::doctor::finding::Finding;
use rawsink::store::raw::Traffic;

/// Minimum difference that is a warning.
const SKEW_S: u64 = 60;
/// Difference from which servers refuse signed requests.
const REFUSED_S: u64 = 15 * 60;

/// Observations of all requests.
#[derive(Debug)]
pub(super) struct Load {
    traffic: Traffic,
    took: Duration,
}

impl Load {
    pub(super) fn observe(exam: &Examination<'_>) -> Self {
        Self { traffic: exam.scratch.traffic(), took: exam.passed() }
    }

    fn clock_finding(&self) -> Finding {
        let id = Self::IDS[0];
        let Some(ahead) = self.traffic.ahead else {
            return Finding::note(id, "no answer had a Date header");
        };
        let seconds = ahead.unsigned_abs().as_secs();
        let direction = if ahead.is_negative() { "behind" } else { "ahead of" };
        let seen = format!("this machine is {seconds} s {direction} the server");
        match seconds {
            0 | 1 => Finding::ok(id, "less than 2 s apart"),
            2..SKEW_S => Finding::ok(id, seen),
            _ => Finding::warning(id, seen).advise(format!(
                "set this machine's clock: servers refuse requests at a difference of {} min",
                REFUSED_S / 60
            )),
        }
    }

    fn rate_finding(&self) -> Finding {
        let id = Self::IDS[1];
        let Traffic { sent, refused_for_rate, .. } = self.traffic;
        let milliseconds = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = sent.saturating_mul(1000) / milliseconds;
        let seen = format!(
            "{sent} requests in {}.{} s, {rate}/s, up to 20 in parallel; {refused_for_rate} got 429 or 503",
            milliseconds / 1000,
            milliseconds % 1000 / 100
        );
        if refused_for_rate == 0 {
            return Finding::ok(id, seen);
        }
        Finding::warning(id, seen).set("RAW_SINK_UPLOADS_IN_FLIGHT", 2).advise(
            "send fewer requests in parallel or raise the limit; refused requests are retried",
        )
    }
}

impl Observation for Load {
    const IDS: &'static [&'static str] = &["clock", "request-rate"];

    fn findings(&self, _: &Assumed) -> Vec<Finding> {
        vec![self.clock_finding(), self.rate_finding()]
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::doctor::finding::Severity;

    fn load(ahead_s: Option<i64>, refused_for_rate: u64) -> Load {
        let ahead = ahead_s.map(SignedDuration::from_secs);
        let traffic = Traffic { sent: 90, refused_for_rate, ahead, server: None, is_ceph: false };
        Load { traffic, took: Duration::from_millis(1500) }
    }

    #[test]
    fn a_clock_difference_of_a_minute_is_a_warning() {
        for (ahead_s, outcome, said) in [
            (Some(1), Severity::Ok, "less than 2 s apart"),
            (Some(59), Severity::Ok, "59 s ahead of"),
            (Some(-59), Severity::Ok, "59 s behind"),
            (Some(60), Severity::Warning, "60 s ahead of"),
            (Some(-60), Severity::Warning, "60 s behind"),
            (None, Severity::Note, "no answer had a Date header"),
        ] {
            let finding = load(ahead_s, 0).clock_finding();
            assert_eq!(finding.outcome, outcome, "{ahead_s:?}");
            assert!(finding.seen.contains(said), "{finding:?}");
        }
    }

    #[test]
    fn the_rate_is_reported_and_a_refusal_is_a_warning() {
        let finding = load(None, 0).rate_finding();
        assert_eq!(finding.outcome, Severity::Ok);
        assert!(finding.seen.starts_with("90 requests in 1.5 s, 60/s"), "{finding:?}");
        assert_eq!(load(None, 1).rate_finding().outcome, Severity::Warning);
    }
}
