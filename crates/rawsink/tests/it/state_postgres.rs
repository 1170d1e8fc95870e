//! Behaviour of a state in PostgreSQL only.

mod altered; // tables changed while a state is in use
mod hostile; // servers that return the password
mod losses; // servers that are missing, silent or lost in the middle
mod rights; // passwords, roles and certificates
mod tables; // types, collations, constraints and triggers

use jiff::Timestamp;
use rawsink::{
    RunId,
    state::{Outcome, Verdict},
};

use rawsink_testkit::sample::run;

fn now() -> Timestamp {
    "2024-06-04T00:00:00Z".parse().unwrap()
}

fn verdict(run_id: RunId) -> Verdict {
    let outcome = Outcome::Passed { schema_version: Some("v1".into()), record_count: 3 };
    Verdict::new(run_id, outcome)
}

fn passed(n: u16) -> Verdict {
    verdict(run(n))
}
