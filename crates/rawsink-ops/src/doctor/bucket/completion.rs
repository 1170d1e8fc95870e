//! Conditions on Complete: over an existing object, and many concurrent Completes of one key.

use bytes::Bytes;
use futures_util::future::join_all;

use super::{
    Assumed, Examination, Observation, Ready, describe,
    race::{self, Race, Survivor},
};
use crate::doctor::finding::Finding;
use rawsink::store::{
    WriterToken,
    raw::{Condition, Reply, S3Fault},
    s3::CompleteConditions,
};

const COMPLETES: usize = 10;
const ROUNDS: usize = 2;
const VARIABLE: &str = "RAW_SINK_COMPLETE_CONDITIONS";

/// Observations of conditions on Complete.
#[derive(Debug)]
pub(super) struct Completion {
    /// The first creator uses PUT, the second Complete.
    over_object: Reply<Race>,
    at_once: Vec<Reply<Race>>,
}

/// How a server treats the conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    Honours,
    Ignores,
    /// It refuses a Complete because of the condition.
    Refuses,
    Unknown,
}

impl Completion {
    pub(super) async fn observe(exam: &Examination<'_>) -> Self {
        let over_object = complete_over_object(exam).await;
        let mut at_once = Vec::new();
        for round in 0..ROUNDS {
            if exam.is_over() {
                break;
            }
            at_once.push(complete_at_once(exam, &format!("complete-race-{round}")).await);
        }
        Self { over_object, at_once }
    }

    fn races(&self) -> Vec<Race> {
        self.at_once.iter().filter_map(|race| race.clone().ok()).collect()
    }

    fn fault(&self) -> Option<&S3Fault> {
        self.at_once.iter().chain([&self.over_object]).find_map(|race| race.as_ref().err())
    }

    fn habit(&self) -> Habit {
        let races = self.races();
        let won: Vec<usize> = races.iter().map(|race| race.winners().len()).collect();
        let second = self.over_object.as_ref().ok().map(|race| &race.replies[1]);
        let refused = |reply: &Reply<()>| reply.as_ref().is_err_and(S3Fault::refuses_payload);
        match second {
            Some(Ok(())) => Habit::Ignores,
            _ if won.iter().any(|winners| *winners > 1) => Habit::Ignores,
            Some(reply)
                if refused(reply) && races.iter().flat_map(|race| &race.replies).all(refused) =>
            {
                Habit::Refuses
            }
            Some(Err(fault)) if fault.refuses_condition() && won.contains(&1) => Habit::Honours,
            _ => Habit::Unknown,
        }
    }
}

impl Observation for Completion {
    const IDS: &'static [&'static str] = &["complete-conditions"];

    fn findings(&self, assumed: &Assumed) -> Vec<Finding> {
        let id = Self::IDS[0];
        let races = self.races();
        let over = self
            .over_object
            .as_ref()
            .map_or_else(|_| "-".to_owned(), |race| describe(&race.replies[1]));
        let seen = format!("over an object: {over}; {}", race::summary(&races));
        let contradicted = races.iter().chain(&self.over_object).any(Race::is_contradicted);
        vec![match (self.habit(), assumed.conditions) {
            (Habit::Unknown, _) => match self.fault() {
                Some(fault) => super::failed_request(id, "a Complete", fault),
                None => Finding::inconclusive(id, seen),
            },
            (Habit::Refuses, _) => Finding::fault(
                id,
                format!("the server refuses a Complete with a condition: {over}"),
            )
            .advise("use another store: this one cannot store payloads of several parts"),
            (Habit::Honours, _) if contradicted => Finding::fault(
                id,
                format!("honoured, but the read-back was not the winner's object; {seen}"),
            ),
            (Habit::Honours, CompleteConditions::Enforced) => {
                Finding::ok(id, format!("honoured; {seen}"))
            }
            (Habit::Honours, CompleteConditions::Ignored) => {
                Finding::note(id, format!("honoured; {seen}"))
                    .set(VARIABLE, "enforced")
                    .advise("saves the check before the seal: two requests per partition")
            }
            (Habit::Ignores, CompleteConditions::Enforced) => {
                Finding::fault(id, format!("ignored, but the settings rely on them; {seen}"))
                    .set(VARIABLE, "ignored")
            }
            (Habit::Ignores, CompleteConditions::Ignored) => {
                Finding::ok(id, format!("ignored, and not relied on; {seen}"))
            }
        }]
    }
}

fn part(creator: usize) -> [(i32, Bytes); 1] {
    [(1, race::body(creator))]
}

async fn complete(exam: &Examination<'_>, name: &str, ready: &Ready) -> Reply<()> {
    let Ready { upload, parts } = ready;
    let completed = exam.scratch.complete_upload(name, upload, parts, Condition::CreateOnly);
    completed.await.map(|_| ())
}

async fn complete_over_object(exam: &Examination<'_>) -> Reply<Race> {
    let (name, tokens) = ("complete-over-object", [exam.token(), exam.token()]);
    exam.create(name, &race::body(0), &tokens[0]).await?;
    let ready = exam.upload(name, &tokens[1], &part(1)).await?;
    let second = complete(exam, name, &ready).await;
    let survivor = race::find_survivor(exam, name, &tokens).await;
    Ok(Race { replies: vec![Ok(()), second], survivor })
}

async fn complete_at_once(exam: &Examination<'_>, name: &str) -> Reply<Race> {
    let tokens: Vec<WriterToken> = (0..COMPLETES).map(|_| exam.token()).collect();
    let uploads = join_all(
        tokens
            .iter()
            .enumerate()
            .map(async |(creator, token)| exam.upload(name, token, &part(creator)).await),
    );
    let ready: Vec<Ready> = uploads.await.into_iter().collect::<Reply<_>>()?;
    let replies = join_all(ready.iter().map(|ready| complete(exam, name, ready))).await;
    let survivor: Reply<Survivor> = race::find_survivor(exam, name, &tokens).await;
    Ok(Race { replies, survivor })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::doctor::finding::Severity;

    const RELYING: Assumed = Assumed {
        conditions: CompleteConditions::Enforced,
        grace_s: 90,
        complete_deadline_s: 600,
        seal_timeout: Duration::from_secs(20),
        max_parts: 10_000,
        provider: "unknown",
    };
    const NOT_RELYING: Assumed = Assumed { conditions: CompleteConditions::Ignored, ..RELYING };

    fn reply(status: u16) -> Reply<()> {
        match status {
            200 => Ok(()),
            status => Err(S3Fault { status: Some(status), ..S3Fault::default() }),
        }
    }

    fn race(statuses: &[u16]) -> Race {
        let winner = statuses.iter().position(|status| *status == 200);
        let survivor = Ok(winner.map_or(Survivor::Nothing, Survivor::Of));
        Race { replies: statuses.iter().map(|status| reply(*status)).collect(), survivor }
    }

    fn outcome(second: u16, at_once: &[u16], assumed: &Assumed) -> Severity {
        let seen =
            Completion { over_object: Ok(race(&[200, second])), at_once: vec![Ok(race(at_once))] };
        seen.findings(assumed)[0].outcome
    }

    #[test]
    fn conditions_that_fail_in_a_race_are_ignored() {
        assert_eq!(outcome(412, &[200, 412], &RELYING), Severity::Ok);
        assert_eq!(outcome(412, &[200, 409], &RELYING), Severity::Ok);
        assert_eq!(outcome(412, &[200, 200], &RELYING), Severity::Fault);
        assert_eq!(outcome(200, &[200, 412], &RELYING), Severity::Fault);
        assert_eq!(outcome(412, &[200, 200], &NOT_RELYING), Severity::Ok);
        assert_eq!(outcome(412, &[200, 412], &NOT_RELYING), Severity::Note);
    }

    #[test]
    fn a_server_that_refuses_the_condition_is_a_fault() {
        for assumed in [RELYING, NOT_RELYING] {
            assert_eq!(outcome(501, &[501, 501], &assumed), Severity::Fault);
            assert_eq!(outcome(400, &[400, 400], &assumed), Severity::Fault);
        }
    }

    #[test]
    fn inconclusive_answers_are_unknown() {
        assert_eq!(outcome(503, &[200, 412], &RELYING), Severity::Unknown);
        assert_eq!(outcome(412, &[503, 503], &RELYING), Severity::Unknown);
        let seen = Completion { over_object: Err(S3Fault::default()), at_once: Vec::new() };
        assert_eq!(seen.findings(&RELYING)[0].outcome, Severity::Unknown);
    }

    #[test]
    fn a_refused_complete_that_replaced_the_object_is_a_fault() {
        let replaced = Race { survivor: Ok(Survivor::Of(1)), ..race(&[200, 412]) };
        let seen = Completion { over_object: Ok(replaced), at_once: vec![Ok(race(&[200, 412]))] };
        assert_eq!(seen.findings(&RELYING)[0].outcome, Severity::Fault);
    }
}
