//! What is true of a state in PostgreSQL alone.

mod altered; // tables that somebody changes under a state that is at work
mod losses; // servers that are not there, do not answer, or are gone in the middle
mod rights; // passwords, roles and certificates
mod tables; // types, collations, constraints and triggers

use jiff::Timestamp;
use rawsink::{
    RunId,
    state::{Outcome, Verdict},
};

use crate::sample::run;

fn now() -> Timestamp {
    "2024-06-04T00:00:00Z".parse().unwrap()
}

fn verdict(run_id: RunId) -> Verdict {
    let outcome = Outcome::Passed { schema_version: Some("v1".into()), record_count: 3 };
    Verdict { run_id, outcome }
}

fn passed(n: u16) -> Verdict {
    verdict(run(n))
}
