//! An abort that meets a running Complete of the same upload.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join, join_all};

use super::{Assumed, Bench, Observed, Ready};
use crate::{
    doctor::finding::Finding,
    store::scratch::{Condition, Fault, Reply},
};

/// So many Completes are waited for, to know how long one takes.
const WAITED_FOR: usize = 3;
/// Aborts are sent at so many moments after a Complete, four in the time that one takes alone.
const MOMENTS: u32 = 8;
/// So many rounds, unless both succeeded often enough before. On Ceph 16 each meeting in six did.
const ROUNDS: u32 = 6;
const ENOUGH: usize = 3;
const BODY: Bytes = Bytes::from_static(b"whole");
const GRACE: &str = "RAW_SINK_LEFTOVER_GRACE_S";
/// How much longer than the Complete deadline the grace has to be where an abort ruins a Complete.
const MARGIN_S: u64 = 60;

/// What was seen of aborts and Completes.
#[derive(Debug)]
pub(super) struct Ending {
    /// Aborts after the Complete was answered.
    afterwards: Vec<Reply<Meeting>>,
    /// Aborts while it ran.
    meetings: Vec<Reply<Meeting>>,
}

/// One upload that was completed and aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Meeting {
    name: String,
    complete: Reply<()>,
    /// How long the Complete took.
    took: Duration,
    abort: Reply<()>,
    /// Whether the object is there, whole, after all meetings.
    there: Reply<bool>,
}

/// When the abort is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// So long after the Complete was sent.
    Sent(Duration),
    /// After its answer.
    Answered,
}

impl Ending {
    pub(super) async fn observe(bench: &Bench<'_>) -> Self {
        let mut seen = Self { afterwards: Vec::new(), meetings: Vec::new() };
        // The least counts: a connection that is new, or waits for its peer, takes longer.
        for number in 0..WAITED_FOR {
            let name = format!("complete-then-abort-{number}");
            seen.afterwards.push(meet(bench, name, Moment::Answered).await);
        }
        let took = seen.afterwards.iter().flatten().map(|met| met.took).min().unwrap_or_default();
        for round in 0..ROUNDS {
            if bench.is_over() || seen.count(Meeting::both_succeeded) >= ENOUGH {
                break;
            }
            let meetings = (0..MOMENTS).map(|moment| {
                let name = format!("abort-complete-{round}-{moment}");
                meet(bench, name, Moment::Sent(took * moment / 4))
            });
            seen.meetings.extend(join_all(meetings).await);
        }
        let completed = seen.meetings.iter_mut().chain(&mut seen.afterwards).flatten();
        join_all(completed.map(async |met| met.there = is_there(bench, &met.name).await)).await;
        seen
    }

    fn failed(&self, id: &str, what: &str, part: fn(&Meeting) -> &Reply<()>) -> Finding {
        let fault = self.meetings.iter().chain(&self.afterwards).find_map(|met| match met {
            Ok(met) => part(met).as_ref().err(),
            Err(fault) => Some(fault),
        });
        fault.map_or_else(|| super::unanswered(id), |fault| super::failed(id, what, fault))
    }

    /// Returns how many objects are not there although their Complete was told 2xx.
    fn lost(&self) -> usize {
        let met = self.meetings.iter().chain(&self.afterwards).flatten();
        met.filter(|met| met.has_lost()).count()
    }

    fn count(&self, what: impl Fn(&Meeting) -> bool) -> usize {
        self.meetings.iter().flatten().filter(|met| what(met)).count()
    }
}

impl Meeting {
    fn has_clear_abort(&self) -> bool {
        self.abort.as_ref().map_or_else(Fault::is_no_such_upload, |()| true)
    }

    fn both_succeeded(&self) -> bool {
        self.complete.is_ok() && self.abort.is_ok()
    }

    fn has_lost(&self) -> bool {
        self.complete.is_ok() && self.there == Ok(false)
    }
}

impl Observed for Ending {
    const IDS: &'static [&'static str] = &["abort-complete"];

    fn findings(&self, assumed: &Assumed) -> Vec<Finding> {
        let id = Self::IDS[0];
        let met = self.count(|_| true);
        if self.count(|met| met.complete.is_ok()) == 0 {
            return vec![self.failed(id, "a Complete", |met| &met.complete)];
        }
        if self.count(Meeting::has_clear_abort) == 0 {
            return vec![self.failed(id, "an abort", |met| &met.abort)];
        }
        let (both, lost) = (self.count(Meeting::both_succeeded), self.lost());
        let seen =
            format!("both answered 2xx in {both} of {met} meetings, {lost} objects lost at once");
        let needed = assumed.complete_deadline_s + MARGIN_S;
        // A server that answers 2xx to whatever abort says nothing by it.
        let polite = self.afterwards.iter().flatten().any(|met| met.abort.is_ok());
        vec![match (both, lost) {
            (0, 0) => Finding::ok(id, seen),
            (_, 0) if polite => Finding::note(
                id,
                format!(
                    "{seen}; this server answers so to an abort of what is complete, too, which says nothing"
                ),
            ),
            _ if assumed.grace_s >= needed => {
                Finding::note(id, format!("{seen}; {GRACE} is long enough for that"))
            }
            _ => Finding::fault(
                id,
                format!("{seen}; such a server can lose an object hours later"),
            )
            .set(GRACE, needed)
            .advise(
                "a restart of a run waits that long; or update the server (Ceph: 18.2.5, 19.2.2)",
            ),
        }]
    }
}

/// Completes an upload and aborts it.
async fn meet(bench: &Bench<'_>, name: String, moment: Moment) -> Reply<Meeting> {
    let (scratch, clock) = (bench.scratch, &bench.surroundings.clock);
    let Ready { upload, parts } = bench.upload(&name, &bench.token(), &[(1, BODY)]).await?;
    let start = bench.now();
    let complete = async {
        let reply = scratch.complete_upload(&name, &upload, &parts, Condition::CreateOnly).await;
        (reply.map(|_| ()), bench.now().saturating_sub(start))
    };
    let abort = scratch.abort_upload(&name, &upload);
    let ((complete, took), abort) = match moment {
        Moment::Answered => (complete.await, abort.await),
        Moment::Sent(delay) => {
            let later = async {
                if !delay.is_zero() {
                    clock.sleep(delay).await;
                }
                abort.await
            };
            join(complete, later).await
        }
    };
    Ok(Meeting { name, complete, took, abort, there: Ok(true) })
}

async fn is_there(bench: &Bench<'_>, name: &str) -> Reply<bool> {
    let read = bench.scratch.patiently(|| bench.scratch.get(name, 0)).await?;
    Ok(read.is_some_and(|read| read.bytes == BODY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::CompleteConditions, doctor::finding::Outcome};

    /// What became of Complete, of the abort, and of the object.
    type Told = (bool, bool, bool);

    fn meeting((complete, abort, there): Told) -> Meeting {
        let gone =
            || Fault { status: Some(404), code: Some("NoSuchUpload".into()), ..Fault::default() };
        let told = |done: bool| if done { Ok(()) } else { Err(gone()) };
        Meeting {
            name: "name".into(),
            complete: told(complete),
            took: Duration::ZERO,
            abort: told(abort),
            there: Ok(there),
        }
    }

    fn finding(afterwards: Told, met: Told, grace_s: u64) -> Finding {
        let seen =
            Ending { afterwards: vec![Ok(meeting(afterwards))], meetings: vec![Ok(meeting(met))] };
        let assumed = Assumed {
            conditions: CompleteConditions::Ignored,
            grace_s,
            complete_deadline_s: 600,
            max_parts: 10_000,
            provider: "unknown",
        };
        seen.findings(&assumed).remove(0)
    }

    const EXACT: Told = (true, false, true);
    const POLITE: Told = (true, true, true);
    const BOTH: Told = (true, true, true);

    #[test]
    fn two_successes_are_a_fault_until_the_grace_is_long_enough() {
        assert_eq!(finding(EXACT, EXACT, 90).outcome, Outcome::Ok);
        let fault = finding(EXACT, BOTH, 659);
        assert_eq!((fault.outcome, fault.set.unwrap().value), (Outcome::Fault, "660".to_owned()));
        assert_eq!(finding(EXACT, BOTH, 660).outcome, Outcome::Note);
    }

    #[test]
    fn two_successes_say_nothing_where_every_abort_succeeds() {
        let note = finding(POLITE, BOTH, 90);
        assert_eq!((note.outcome, note.set), (Outcome::Note, None));
    }

    #[test]
    fn an_object_that_is_gone_is_a_fault_whoever_is_polite() {
        assert_eq!(finding(POLITE, (true, true, false), 90).outcome, Outcome::Fault);
        assert_eq!(finding((true, true, false), EXACT, 90).outcome, Outcome::Fault);
    }

    #[test]
    fn nothing_is_known_where_nothing_was_completed_or_aborted() {
        assert_eq!(
            finding((false, true, false), (false, true, false), 90).outcome,
            Outcome::Unknown
        );
        let seen = Ending { afterwards: Vec::new(), meetings: Vec::new() };
        let assumed = Assumed {
            conditions: CompleteConditions::Ignored,
            grace_s: 90,
            complete_deadline_s: 600,
            max_parts: 1,
            provider: "unknown",
        };
        assert_eq!(seen.findings(&assumed)[0].outcome, Outcome::Unknown);
    }
}
