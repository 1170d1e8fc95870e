//! Create-only PUT: sequential, concurrent, and read back.

use std::{cell::Cell, time::Duration};

use futures_util::future::join_all;

use super::{
    Assumed, Examination, Observation, describe,
    race::{self, Race},
};
use crate::doctor::finding::Finding;
use rawsink::store::WriterToken;

const CREATORS: usize = 20;
const ROUNDS: usize = 5;
const ADVICE: &str = "partitions can be overwritten here: use a bucket that never had versions, \
    another store, or RAW_SINK=filesystem";

/// Observations of create-only PUT.
#[derive(Debug)]
pub(super) struct Creation {
    /// Two creators, one after the other.
    in_turn: Race,
    /// Many concurrent creators.
    at_once: Vec<Race>,
    /// The longest time until one of them was answered.
    slowest: Duration,
}

impl Creation {
    pub(super) async fn observe(exam: &Examination<'_>) -> Self {
        let (in_turn, _) = put(exam, "create-only-put", 2, Order::InTurn).await;
        let (mut at_once, mut slowest) = (Vec::new(), Duration::ZERO);
        for round in 0..ROUNDS {
            if exam.is_over() {
                break;
            }
            let name = format!("create-only-race-{round}");
            let (race, took) = put(exam, &name, CREATORS, Order::AtOnce).await;
            at_once.push(race);
            slowest = slowest.max(took);
        }
        Self { in_turn, at_once, slowest }
    }

    fn put_finding(&self) -> Finding {
        let id = Self::IDS[0];
        let (first, second) = (&self.in_turn.replies[0], &self.in_turn.replies[1]);
        if let Err(fault) = first {
            if fault.refuses_payload() {
                return Finding::fault(id, format!("the server refused the condition: {fault}"))
                    .advise(ADVICE);
            }
            return super::failed_request(id, "a PUT", fault);
        }
        match second {
            Ok(()) => Finding::fault(id, "a second PUT succeeded").advise(ADVICE),
            Err(_) => Finding::ok(id, format!("a second PUT got {}", describe(second))),
        }
    }

    fn race_finding(&self, seal_timeout: Duration) -> Finding {
        let id = Self::IDS[1];
        let seen = race::summary(&self.at_once);
        let won = |race: &Race| race.winners().len();
        if self.at_once.iter().any(|race| won(race) > 1) {
            return Finding::fault(id, seen).advise(ADVICE);
        }
        if self.at_once.iter().all(|race| won(race) == 0) {
            let refusals = race::refusals(&self.at_once);
            return Finding::inconclusive(id, format!("{seen}; all got {refusals}"));
        }
        let seen = format!("{seen}; the others got {}", race::refusals(&self.at_once));
        if self.slowest <= seal_timeout / 2 {
            return Finding::ok(id, seen);
        }
        let seconds = self.slowest.as_secs() + 1;
        Finding::warning(id, format!("{seen}; one was answered after {seconds} s")).advise(format!(
            "raise RAW_SINK_SEAL_TIMEOUT_S to {} and RAW_SINK_LEFTOVER_GRACE_S with it: a seal that is answered later \
             is in doubt",
            2 * seconds
        ))
    }

    fn reading_finding(&self) -> Finding {
        let id = Self::IDS[2];
        let races: Vec<&Race> = self.at_once.iter().chain([&self.in_turn]).collect();
        let wrong = races.iter().filter(|race| race.is_contradicted()).count();
        if wrong > 0 {
            let seen = format!("not the winner's object in {wrong} of {} races", races.len());
            return Finding::fault(id, seen).advise(ADVICE);
        }
        if let Some(fault) = races.iter().find_map(|race| race.survivor.as_ref().err()) {
            return super::failed_request(id, "a GET", fault);
        }
        Finding::ok(id, format!("the winner's object in {} of {0} races", races.len()))
    }
}

impl Observation for Creation {
    const IDS: &'static [&'static str] = &["create-only-put", "create-only-race", "read-back"];

    fn findings(&self, assumed: &Assumed) -> Vec<Finding> {
        vec![self.put_finding(), self.race_finding(assumed.seal_timeout), self.reading_finding()]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    InTurn,
    AtOnce,
}

/// Lets creators put one key; returns the longest time until one was answered, too.
async fn put(
    exam: &Examination<'_>,
    name: &str,
    creators: usize,
    order: Order,
) -> (Race, Duration) {
    let tokens: Vec<WriterToken> = (0..creators).map(|_| exam.token()).collect();
    let slowest = Cell::new(Duration::ZERO);
    let put = async |creator: usize| {
        let (body, start) = (race::body(creator), exam.now());
        let reply = exam.scratch.create(name, &body, &tokens[creator]).await.map(|_| ());
        slowest.set(slowest.get().max(exam.now().saturating_sub(start)));
        reply
    };
    let replies = match order {
        Order::AtOnce => join_all((0..creators).map(&put)).await,
        Order::InTurn => {
            let mut replies = Vec::new();
            for creator in 0..creators {
                replies.push(put(creator).await);
            }
            replies
        }
    };
    let survivor = race::find_survivor(exam, name, &tokens).await;
    (Race { replies, survivor }, slowest.into_inner())
}
