//! Create-only PUT: one after the other, many at once, and what is read afterwards.

use futures_util::future::join_all;

use super::{
    Assumed, Bench, Observed,
    race::{self, Race},
    told,
};
use crate::{doctor::finding::Finding, store::WriterToken};

const CREATORS: usize = 20;
const ROUNDS: usize = 5;
const USELESS: &str = "partitions can be overwritten here: use a bucket that never had versions, \
    another store, or RAW_SINK=filesystem";

/// What was seen of create-only PUT.
#[derive(Debug)]
pub(super) struct Creation {
    /// Two creators, one after the other.
    in_turn: Race,
    /// Many creators at once.
    at_once: Vec<Race>,
}

impl Creation {
    pub(super) async fn observe(bench: &Bench<'_>) -> Self {
        let in_turn = put(bench, "create-only-put", 2, Order::InTurn).await;
        let mut at_once = Vec::new();
        for round in 0..ROUNDS {
            if bench.is_over() {
                break;
            }
            let name = format!("create-only-race-{round}");
            at_once.push(put(bench, &name, CREATORS, Order::AtOnce).await);
        }
        Self { in_turn, at_once }
    }

    fn put_finding(&self) -> Finding {
        let id = Self::IDS[0];
        let (first, second) = (&self.in_turn.told[0], &self.in_turn.told[1]);
        if let Err(fault) = first {
            if fault.refuses_payload() {
                return Finding::fault(id, format!("the condition was refused: {fault}"))
                    .advise(USELESS);
            }
            return super::failed(id, "a PUT", fault);
        }
        match second {
            Ok(()) => Finding::fault(id, "a second PUT was accepted").advise(USELESS),
            Err(_) => Finding::ok(id, format!("a second PUT was told {}", told(second))),
        }
    }

    fn race_finding(&self) -> Finding {
        let id = Self::IDS[1];
        let seen = race::summary(&self.at_once);
        let won = |race: &Race| race.winners().len();
        if self.at_once.iter().any(|race| won(race) > 1) {
            return Finding::fault(id, seen).advise(USELESS);
        }
        if self.at_once.iter().all(|race| won(race) == 0) {
            let told = race::refusals(&self.at_once);
            return Finding::unknown(id, format!("{seen}; told {told}")).advise("run doctor again");
        }
        Finding::ok(id, format!("{seen}; the others were told {}", race::refusals(&self.at_once)))
    }

    fn reading_finding(&self) -> Finding {
        let id = Self::IDS[2];
        let races: Vec<&Race> = self.at_once.iter().chain([&self.in_turn]).collect();
        let wrong = races.iter().filter(|race| race.is_contradicted()).count();
        if wrong > 0 {
            let seen = format!("not the winner's object was there in {wrong} of {}", races.len());
            return Finding::fault(id, seen).advise(USELESS);
        }
        if let Some(fault) = races.iter().find_map(|race| race.there.as_ref().err()) {
            return super::failed(id, "a GET", fault);
        }
        Finding::ok(id, format!("the winner's object was there, {} of {0}", races.len()))
    }
}

impl Observed for Creation {
    const IDS: &'static [&'static str] = &["create-only-put", "create-only-race", "read-back"];

    fn findings(&self, _: &Assumed) -> Vec<Finding> {
        vec![self.put_finding(), self.race_finding(), self.reading_finding()]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    InTurn,
    AtOnce,
}

/// Lets creators put one key.
async fn put(bench: &Bench<'_>, name: &str, creators: usize, order: Order) -> Race {
    let tokens: Vec<WriterToken> = (0..creators).map(|_| bench.token()).collect();
    let put = async |creator: usize| {
        let body = race::body(creator);
        bench.scratch.create(name, &body, &tokens[creator]).await.map(|_| ())
    };
    let told = match order {
        Order::AtOnce => join_all((0..creators).map(&put)).await,
        Order::InTurn => {
            let mut told = Vec::new();
            for creator in 0..creators {
                told.push(put(creator).await);
            }
            told
        }
    };
    Race { told, there: race::whose(bench, name, &tokens).await }
}
