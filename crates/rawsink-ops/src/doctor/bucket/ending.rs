//! An abort during a running Complete of the same upload.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join, join_all};

use super::{Assumed, Examination, Observation, Ready};
use crate::doctor::finding::Finding;
use rawsink::store::{
    raw::{Condition, Reply, S3Fault},
    s3::CompleteConditions,
};

/// Number of undisturbed Completes to measure how long one takes.
const MEASURED: usize = 3;
/// Number of moments after a Complete at which aborts are sent, four of them within its duration.
const MOMENTS: u32 = 8;
/// Maximum number of rounds. On Ceph 16 both requests succeed in one of six attempts.
const ROUNDS: u32 = 6;
const ENOUGH: usize = 3;
const BODY: Bytes = Bytes::from_static(b"whole");
const GRACE: &str = "RAW_SINK_LEFTOVER_GRACE_S";
const CONDITIONS: &str = "RAW_SINK_COMPLETE_CONDITIONS";
const UPDATE: &str = "or update the server (Ceph: 18.2.5, 19.2.2)";
/// How much longer than the Complete deadline the grace must be if an abort can ruin a Complete.
const MARGIN_S: u64 = 60;

/// Observations of aborts and Completes.
#[derive(Debug)]
pub(super) struct Ending {
    /// Aborts after the answer of the Complete.
    afterwards: Vec<Reply<Meeting>>,
    /// Aborts during the Complete.
    meetings: Vec<Reply<Meeting>>,
    server: Server,
}

/// What is known of a server whose abort and Complete both succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    /// Ceph before 18.2.5 and 19.2.2 loses the object hours later, when it collects garbage.
    Ceph,
    /// One of [`KEEPS_OBJECTS`].
    Tested,
    /// Nothing is known: it may be Ceph, which is not seen to lose an object.
    Unknown,
}

/// How the names of tested servers start that keep every object whose Complete succeeded
/// (`docs/servers.md`).
const KEEPS_OBJECTS: [&str; 2] = ["VERSITYGW", "SeaweedFS"];

/// One upload that was completed and aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Meeting {
    name: String,
    complete: Reply<()>,
    /// How long the Complete took.
    took: Duration,
    abort: Reply<()>,
    /// Whether the complete object exists after all meetings.
    intact: Reply<bool>,
}

/// When the abort is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// This long after the Complete was sent.
    Sent(Duration),
    /// After its answer.
    Answered,
}

impl Ending {
    pub(super) async fn observe(exam: &Examination<'_>) -> Self {
        let (afterwards, meetings, server) = (Vec::new(), Vec::new(), Server::Unknown);
        let mut seen = Self { afterwards, meetings, server };
        // Uses the minimum: a new connection takes longer.
        for number in 0..MEASURED {
            let name = format!("complete-then-abort-{number}");
            seen.afterwards.push(meet(exam, name, Moment::Answered).await);
        }
        let took = seen.afterwards.iter().flatten().map(|met| met.took).min().unwrap_or_default();
        for round in 0..ROUNDS {
            if exam.is_over() || seen.count(Meeting::both_succeeded) >= ENOUGH {
                break;
            }
            let meetings = (0..MOMENTS).map(|moment| {
                let name = format!("abort-complete-{round}-{moment}");
                meet(exam, name, Moment::Sent(took * moment / 4))
            });
            seen.meetings.extend(join_all(meetings).await);
        }
        let completed = seen.meetings.iter_mut().chain(&mut seen.afterwards).flatten();
        join_all(completed.map(async |met| met.intact = is_intact(exam, &met.name).await)).await;
        let traffic = exam.scratch.traffic();
        seen.server = match traffic.server {
            _ if traffic.is_ceph => Server::Ceph,
            Some(name) if KEEPS_OBJECTS.iter().any(|tested| name.starts_with(tested)) => {
                Server::Tested
            }
            _ => Server::Unknown,
        };
        seen
    }

    fn failed(&self, id: &str, what: &str, part: fn(&Meeting) -> &Reply<()>) -> Finding {
        let fault = self.meetings.iter().chain(&self.afterwards).find_map(|met| match met {
            Ok(met) => part(met).as_ref().err(),
            Err(fault) => Some(fault),
        });
        fault.map_or_else(
            || Finding::inconclusive(id, "too few requests were answered"),
            |fault| super::failed_request(id, what, fault),
        )
    }

    /// Returns the number of missing objects whose Complete got 2xx.
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
        self.abort.as_ref().map_or_else(S3Fault::is_no_such_upload, |()| true)
    }

    fn both_succeeded(&self) -> bool {
        self.complete.is_ok() && self.abort.is_ok()
    }

    fn has_lost(&self) -> bool {
        self.complete.is_ok() && self.intact == Ok(false)
    }
}

impl Observation for Ending {
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
            format!("both succeeded in {both} of {met} attempts, {lost} objects lost immediately");
        let needed = assumed.complete_deadline_s + MARGIN_S;
        // 2xx proves nothing if the server also answers 2xx to the abort of a completed upload.
        let always_accepts = self.afterwards.iter().flatten().any(|met| met.abort.is_ok());
        vec![match (both, lost) {
            (0, 0) => Finding::ok(id, seen),
            (_, 0) if always_accepts => Finding::note(
                id,
                format!(
                    "{seen}; proves nothing, because this server also accepts the abort of a completed upload"
                ),
            ),
            (_, 0) if self.server == Server::Tested => {
                Finding::warning(id, format!("{seen}; all completed objects are whole"))
                    .advise("a server that collects garbage later could still lose one (Ceph did)")
            }
            // Such a writer does not check before the seal whether another upload is open, so no grace helps.
            _ if assumed.conditions == CompleteConditions::Enforced => {
                Finding::fault(id, format!("{seen}; {CONDITIONS}=enforced is not safe here"))
                    .set(CONDITIONS, CompleteConditions::Ignored.name())
                    .advise(format!("and set {GRACE}={needed}; {UPDATE}"))
            }
            _ if assumed.grace_s >= needed => {
                Finding::note(id, format!("{seen}; {GRACE} is long enough"))
            }
            (_, 0) if self.server == Server::Ceph => {
                Finding::fault(id, format!("{seen}; this server can lose an object hours later"))
                    .set(GRACE, needed)
                    .advise(format!("a restarted run waits this long; {UPDATE}"))
            }
            (_, 0) => {
                let what = "such a server may lose an object later, and this one is not known to keep them";
                Finding::fault(id, format!("{seen}; {what}"))
                    .set(GRACE, needed)
                    .advise("a restarted run waits this long")
            }
            _ => Finding::fault(id, format!("{seen}; this server loses objects"))
                .set(GRACE, needed)
                .advise("a restarted run waits this long"),
        }]
    }
}

/// Completes an upload and aborts it.
async fn meet(exam: &Examination<'_>, name: String, moment: Moment) -> Reply<Meeting> {
    let (scratch, clock) = (exam.scratch, &exam.runtime.clock);
    let Ready { upload, parts } = exam.upload(&name, &exam.token(), &[(1, BODY)]).await?;
    let start = exam.now();
    let complete = async {
        let reply = scratch.complete_upload(&name, &upload, &parts, Condition::CreateOnly).await;
        (reply.map(|_| ()), exam.now().saturating_sub(start))
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
    Ok(Meeting { name, complete, took, abort, intact: Ok(true) })
}

async fn is_intact(exam: &Examination<'_>, name: &str) -> Reply<bool> {
    let read = exam.scratch.with_retries(|| exam.scratch.get(name, 0)).await?;
    Ok(read.is_some_and(|read| read.bytes == BODY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity;

    /// Whether the Complete succeeded, the abort succeeded, and the object is intact.
    type Results = (bool, bool, bool);

    fn meeting((complete, abort, intact): Results) -> Meeting {
        let gone = || S3Fault {
            status: Some(404),
            code: Some("NoSuchUpload".into()),
            ..S3Fault::default()
        };
        let reply = |done: bool| if done { Ok(()) } else { Err(gone()) };
        Meeting {
            name: "name".into(),
            complete: reply(complete),
            took: Duration::ZERO,
            abort: reply(abort),
            intact: Ok(intact),
        }
    }

    const ASSUMED: Assumed = Assumed {
        conditions: CompleteConditions::Ignored,
        grace_s: 90,
        complete_deadline_s: 600,
        seal_timeout: Duration::from_secs(20),
        max_parts: 10_000,
        provider: "unknown",
    };

    fn finding_of(server: Server, afterwards: Results, met: Results, assumed: Assumed) -> Finding {
        let (afterwards, meetings) = (vec![Ok(meeting(afterwards))], vec![Ok(meeting(met))]);
        Ending { afterwards, meetings, server }.findings(&assumed).remove(0)
    }

    fn finding(afterwards: Results, met: Results, grace_s: u64) -> Finding {
        let assumed = Assumed { grace_s, ..ASSUMED };
        finding_of(Server::Unknown, afterwards, met, assumed)
    }

    const EXACT: Results = (true, false, true);
    const ALWAYS_ACCEPTS: Results = (true, true, true);
    const BOTH: Results = (true, true, true);

    #[test]
    fn two_successes_are_a_fault_until_the_grace_is_long_enough() {
        assert_eq!(finding(EXACT, EXACT, 90).outcome, Severity::Ok);
        let fault = finding(EXACT, BOTH, 659);
        assert_eq!((fault.outcome, fault.set.unwrap().value), (Severity::Fault, "660".to_owned()));
        assert_eq!(finding(EXACT, BOTH, 660).outcome, Severity::Note);
    }

    #[test]
    fn two_successes_prove_nothing_if_every_abort_succeeds() {
        let note = finding(ALWAYS_ACCEPTS, BOTH, 90);
        assert_eq!((note.outcome, note.set), (Severity::Note, None));
    }

    #[test]
    fn no_grace_helps_writers_that_rely_on_conditions() {
        let assumed = Assumed { conditions: CompleteConditions::Enforced, grace_s: 660, ..ASSUMED };
        for (server, met) in
            [(Server::Ceph, BOTH), (Server::Unknown, BOTH), (Server::Tested, (true, true, false))]
        {
            let fault = finding_of(server, EXACT, met, assumed);
            assert_eq!(fault.outcome, Severity::Fault, "{server:?}");
            let set = fault.set.unwrap().to_string();
            assert_eq!(set, "RAW_SINK_COMPLETE_CONDITIONS=ignored", "{server:?}");
        }
    }

    #[test]
    fn only_tested_servers_are_trusted_to_keep_objects() {
        let outcome = |server| finding_of(server, EXACT, BOTH, ASSUMED).outcome;
        assert_eq!(outcome(Server::Ceph), Severity::Fault);
        assert_eq!(outcome(Server::Tested), Severity::Warning);
        assert_eq!(outcome(Server::Unknown), Severity::Fault);
        let lost = finding_of(Server::Tested, EXACT, (true, true, false), ASSUMED);
        assert_eq!(lost.outcome, Severity::Fault);
    }

    #[test]
    fn a_lost_object_is_a_fault_even_if_every_abort_succeeds() {
        assert_eq!(finding(ALWAYS_ACCEPTS, (true, true, false), 90).outcome, Severity::Fault);
        assert_eq!(finding((true, true, false), EXACT, 90).outcome, Severity::Fault);
    }

    #[test]
    fn without_a_complete_or_an_abort_the_finding_is_unknown() {
        assert_eq!(
            finding((false, true, false), (false, true, false), 90).outcome,
            Severity::Unknown
        );
        let (afterwards, meetings) = (Vec::new(), Vec::new());
        let seen = Ending { afterwards, meetings, server: Server::Ceph };
        assert_eq!(seen.findings(&ASSUMED)[0].outcome, Severity::Unknown);
    }
}
