//! Conditions on Complete: over an object that is there, and many Completes of one key at once.

use bytes::Bytes;
use futures_util::future::join_all;

use super::{
    Assumed, Bench, Observed, Ready,
    race::{self, Race, There},
    told,
};
use crate::{
    config::CompleteConditions,
    doctor::finding::Finding,
    store::{
        WriterToken,
        scratch::{Condition, Fault, Reply},
    },
};

const COMPLETES: usize = 10;
const ROUNDS: usize = 2;
const VARIABLE: &str = "RAW_SINK_COMPLETE_CONDITIONS";

/// What was seen of conditions on Complete.
#[derive(Debug)]
pub(super) struct Completion {
    /// The first created by PUT, the second by Complete; or why that could not be tried.
    over_object: Reply<Race>,
    at_once: Vec<Reply<Race>>,
}

/// What a server does about the conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    Honours,
    Ignores,
    /// It refuses a Complete because of the condition.
    Refuses,
    NotKnown,
}

impl Completion {
    pub(super) async fn observe(bench: &Bench<'_>) -> Self {
        let over_object = complete_over_object(bench).await;
        let mut at_once = Vec::new();
        for round in 0..ROUNDS {
            if bench.is_over() {
                break;
            }
            at_once.push(complete_at_once(bench, &format!("complete-race-{round}")).await);
        }
        Self { over_object, at_once }
    }

    fn races(&self) -> Vec<Race> {
        self.at_once.iter().filter_map(|race| race.clone().ok()).collect()
    }

    fn fault(&self) -> Option<&Fault> {
        self.at_once.iter().chain([&self.over_object]).find_map(|race| race.as_ref().err())
    }

    fn habit(&self) -> Habit {
        let races = self.races();
        let won: Vec<usize> = races.iter().map(|race| race.winners().len()).collect();
        let second = self.over_object.as_ref().ok().map(|race| &race.told[1]);
        let refused = |told: &Reply<()>| told.as_ref().is_err_and(Fault::refuses_payload);
        match second {
            Some(Ok(())) => Habit::Ignores,
            _ if won.iter().any(|winners| *winners > 1) => Habit::Ignores,
            Some(told)
                if refused(told) && races.iter().flat_map(|race| &race.told).all(refused) =>
            {
                Habit::Refuses
            }
            Some(Err(fault)) if fault.refuses_condition() && won.contains(&1) => Habit::Honours,
            _ => Habit::NotKnown,
        }
    }
}

impl Observed for Completion {
    const IDS: &'static [&'static str] = &["complete-conditions"];

    fn findings(&self, assumed: &Assumed) -> Vec<Finding> {
        let id = Self::IDS[0];
        let races = self.races();
        let over =
            self.over_object.as_ref().map_or_else(|_| "-".to_owned(), |race| told(&race.told[1]));
        let seen = format!("over an object: {over}; {}", race::summary(&races));
        let contradicted = races.iter().chain(&self.over_object).any(Race::is_contradicted);
        vec![match (self.habit(), assumed.conditions) {
            (Habit::NotKnown, _) => match self.fault() {
                Some(fault) => super::failed(id, "a Complete", fault),
                None => Finding::unknown(id, seen).advise("run doctor again"),
            },
            (Habit::Refuses, _) => {
                Finding::fault(id, format!("a Complete with a condition is refused: {over}"))
                    .advise("payloads of several parts cannot be written here")
            }
            (Habit::Honours, _) if contradicted => Finding::fault(
                id,
                format!("honoured, and not the winner's object was there; {seen}"),
            ),
            (Habit::Honours, CompleteConditions::Enforced) => {
                Finding::ok(id, format!("honoured; {seen}"))
            }
            (Habit::Honours, CompleteConditions::Ignored) => {
                Finding::note(id, format!("honoured; {seen}"))
                    .set(VARIABLE, "enforced")
                    .advise("saves the look before the seal, two requests a partition")
            }
            (Habit::Ignores, CompleteConditions::Enforced) => {
                Finding::fault(id, format!("ignored, and the settings rely on them; {seen}"))
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

async fn complete(bench: &Bench<'_>, name: &str, ready: &Ready) -> Reply<()> {
    let Ready { upload, parts } = ready;
    let completed = bench.scratch.complete_upload(name, upload, parts, Condition::CreateOnly);
    completed.await.map(|_| ())
}

async fn complete_over_object(bench: &Bench<'_>) -> Reply<Race> {
    let (name, tokens) = ("complete-over-object", [bench.token(), bench.token()]);
    bench.place(name, &race::body(0), &tokens[0]).await?;
    let ready = bench.upload(name, &tokens[1], &part(1)).await?;
    let second = complete(bench, name, &ready).await;
    let there = race::whose(bench, name, &tokens).await;
    Ok(Race { told: vec![Ok(()), second], there })
}

async fn complete_at_once(bench: &Bench<'_>, name: &str) -> Reply<Race> {
    let tokens: Vec<WriterToken> = (0..COMPLETES).map(|_| bench.token()).collect();
    let made = join_all(
        tokens
            .iter()
            .enumerate()
            .map(async |(creator, token)| bench.upload(name, token, &part(creator)).await),
    );
    let ready: Vec<Ready> = made.await.into_iter().collect::<Reply<_>>()?;
    let told = join_all(ready.iter().map(|ready| complete(bench, name, ready))).await;
    let there: Reply<There> = race::whose(bench, name, &tokens).await;
    Ok(Race { told, there })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Outcome;

    const RELYING: Assumed = Assumed {
        conditions: CompleteConditions::Enforced,
        grace_s: 90,
        complete_deadline_s: 600,
        max_parts: 10_000,
        provider: "unknown",
    };
    const NOT_RELYING: Assumed = Assumed { conditions: CompleteConditions::Ignored, ..RELYING };

    fn told(status: u16) -> Reply<()> {
        match status {
            200 => Ok(()),
            status => Err(Fault { status: Some(status), ..Fault::default() }),
        }
    }

    fn race(statuses: &[u16]) -> Race {
        let winner = statuses.iter().position(|status| *status == 200);
        let there = Ok(winner.map_or(There::Nothing, There::Of));
        Race { told: statuses.iter().map(|status| told(*status)).collect(), there }
    }

    fn outcome(second: u16, at_once: &[u16], assumed: &Assumed) -> Outcome {
        let seen =
            Completion { over_object: Ok(race(&[200, second])), at_once: vec![Ok(race(at_once))] };
        seen.findings(assumed)[0].outcome
    }

    #[test]
    fn what_is_honoured_alone_and_not_in_a_race_is_ignored() {
        assert_eq!(outcome(412, &[200, 412], &RELYING), Outcome::Ok);
        assert_eq!(outcome(412, &[200, 409], &RELYING), Outcome::Ok);
        assert_eq!(outcome(412, &[200, 200], &RELYING), Outcome::Fault);
        assert_eq!(outcome(200, &[200, 412], &RELYING), Outcome::Fault);
        assert_eq!(outcome(412, &[200, 200], &NOT_RELYING), Outcome::Ok);
        assert_eq!(outcome(412, &[200, 412], &NOT_RELYING), Outcome::Note);
    }

    #[test]
    fn a_server_that_refuses_the_condition_itself_cannot_be_written() {
        for assumed in [RELYING, NOT_RELYING] {
            assert_eq!(outcome(501, &[501, 501], &assumed), Outcome::Fault);
            assert_eq!(outcome(400, &[400, 400], &assumed), Outcome::Fault);
        }
    }

    #[test]
    fn answers_that_say_nothing_leave_it_open() {
        assert_eq!(outcome(503, &[200, 412], &RELYING), Outcome::Unknown);
        assert_eq!(outcome(412, &[503, 503], &RELYING), Outcome::Unknown);
        let seen = Completion { over_object: Err(Fault::default()), at_once: Vec::new() };
        assert_eq!(seen.findings(&RELYING)[0].outcome, Outcome::Unknown);
    }

    #[test]
    fn a_refused_complete_that_replaced_the_object_is_a_fault() {
        let replaced = Race { there: Ok(There::Of(1)), ..race(&[200, 412]) };
        let seen = Completion { over_object: Ok(replaced), at_once: vec![Ok(race(&[200, 412]))] };
        assert_eq!(seen.findings(&RELYING)[0].outcome, Outcome::Fault);
    }
}
