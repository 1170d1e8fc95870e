//! The run up to which everything is done, while runs are read in parallel.

use std::collections::BTreeMap;

use rawsink::layout::Place;

use super::{Condition, ReadRun, Recorded};
use crate::bulk::is_limited_to_run;

/// Where an interrupted scrub resumes: after the last run up to which every result was reported.
///
/// A run that could not be read counts as done when a later one could be. So an outage does not move the
/// point past the runs that it hid. A damaged run whose verdict was to be recorded and could not be
/// is not done.
#[derive(Debug, Default)]
pub struct ResumePoint {
    /// The number of the first run that is not done.
    next: u64,
    after: Option<Place>,
    /// Runs that are done beyond that one, as ranges: the first number, the number after the last, and
    /// the last run. The gaps are the runs being read, so there are few.
    ahead: BTreeMap<u64, (u64, Place)>,
    /// Runs that could not be read, since the last one that could be.
    unread: Vec<(u64, Place)>,
}

impl ResumePoint {
    /// Adds a result that was reported.
    pub fn add(&mut self, read: &ReadRun) {
        let run = (read.number, Place::of_run(&read.key, &read.run));
        match &read.outcome {
            Err(error) if !is_limited_to_run(error.kind()) => return self.unread.push(run),
            Ok(Condition::Damaged(damage))
                if matches!(damage.recorded, Recorded::Failed(_) | Recorded::Abandoned) =>
            {
                return;
            }
            _ => {}
        }
        let unread = std::mem::take(&mut self.unread).into_iter();
        let (earlier, later): (Vec<_>, Vec<_>) = unread.partition(|(number, _)| *number < run.0);
        self.unread = later;
        for (number, place) in earlier.into_iter().chain([run]) {
            self.done(number, place);
        }
    }

    /// Returns the run after which the scrub resumes; `None` if it has to start again.
    pub fn after(&self) -> Option<&Place> {
        self.after.as_ref()
    }

    /// Returns the last run that could not be read, if none after it could be: to skip these runs, a scrub
    /// resumes after it.
    pub fn after_unread(&self) -> Option<&Place> {
        self.unread.iter().max_by_key(|(number, _)| *number).map(|(_, place)| place)
    }

    fn done(&mut self, number: u64, place: Place) {
        let (mut first, mut end, mut last) = (number, number + 1, place);
        if let Some((start, (until, _))) = self.ahead.range(..number).next_back()
            && *until == number
        {
            first = *start;
        }
        if let Some(following) = self.ahead.remove(&end) {
            (end, last) = following;
        }
        self.ahead.insert(first, (end, last));
        if let Some((end, last)) = self.ahead.remove(&self.next) {
            (self.next, self.after) = (end, Some(last));
        }
    }
}

#[cfg(test)]
mod tests {
    use rawsink::{Error, ErrorKind, PartitionKey, state::Evidence};

    use super::*;
    use crate::scrub::{Damage, DamageKind};

    /// Returns the result of the n-th run.
    fn read(number: u64, outcome: Result<Condition, ErrorKind>) -> ReadRun {
        let key = PartitionKey::new("ads", &number.to_string(), "q", "2024-06-01").unwrap();
        let outcome = outcome.map_err(|kind| Error::new(kind, "no"));
        ReadRun { key, run: "r".parse().unwrap(), outcome, number }
    }

    fn damaged(recorded: Recorded) -> Condition {
        Condition::Damaged(Box::new(Damage {
            kind: DamageKind::PayloadDiffers,
            detail: String::new(),
            has_authority: true,
            recorded,
            evidence: Evidence::default(),
        }))
    }

    /// Returns the number of the run after which the scrub resumes.
    fn after(point: &ResumePoint) -> Option<u64> {
        point.after()?.values().nth(1).unwrap().parse().ok()
    }

    #[test]
    fn the_point_moves_when_every_earlier_run_is_done() {
        let mut point = ResumePoint::default();
        let steps =
            [(2, None), (0, Some(0)), (4, Some(0)), (1, Some(2)), (3, Some(4)), (5, Some(5))];
        for (number, expected) in steps {
            point.add(&read(number, Ok(Condition::Intact)));
            assert_eq!(after(&point), expected, "after run {number}");
        }
        assert!(point.ahead.is_empty());
    }

    #[test]
    fn a_long_run_costs_one_range_however_many_others_finish_meanwhile() {
        let mut point = ResumePoint::default();
        for number in 1..1_000 {
            point.add(&read(number, Ok(Condition::Intact)));
        }
        assert_eq!((after(&point), point.ahead.len()), (None, 1));
        point.add(&read(0, Ok(Condition::Intact)));
        assert_eq!((after(&point), point.ahead.len()), (Some(999), 0));
    }

    #[test]
    fn an_outage_does_not_move_the_point() {
        let mut point = ResumePoint::default();
        point.add(&read(0, Ok(Condition::Intact)));
        for number in 1..4 {
            point.add(&read(number, Err(ErrorKind::Unavailable)));
        }
        assert_eq!(after(&point), Some(0));
        point.add(&read(5, Err(ErrorKind::Unavailable)));
        point.add(&read(4, Err(ErrorKind::NotFound)));
        assert_eq!(after(&point), Some(4), "the store answers, so the earlier ones were broken");
        point.add(&read(6, Ok(Condition::Intact)));
        assert_eq!(after(&point), Some(6));
    }

    #[test]
    fn a_damaged_run_without_its_verdict_is_not_done() {
        let refused = || Recorded::Failed(Error::new(ErrorKind::Unavailable, "no"));
        for (recorded, expected) in [
            (Recorded::No, Some(1)),
            (Recorded::Yes, Some(1)),
            (refused(), None),
            (Recorded::Abandoned, None),
        ] {
            let mut point = ResumePoint::default();
            point.add(&read(0, Ok(damaged(recorded))));
            point.add(&read(1, Ok(Condition::Intact)));
            assert_eq!(after(&point), expected);
        }
    }
}
