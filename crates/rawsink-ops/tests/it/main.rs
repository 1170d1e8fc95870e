//! Tests of the operator tools' public behaviour: one binary, one module per subject.
//!
//! A test of a guarantee has its number in its name (`g03_...`); other names state the behaviour.

#![expect(clippy::unwrap_used, reason = "a test ends at the first unexpected answer")]

mod clean; // leftovers of crashed writers are deleted, live writers lose nothing
mod copy; // runs copied between sinks: the same bytes, or nothing
mod coverage; // coverage, compared with an expectation that is computed in another way
mod doctor; // findings on honest and lying stores, and on errors
mod manifest; // payloads with authority, and disagreements between state and seal
mod scrub; // damaged and lost runs: found, resumed, recorded
mod validate_all; // validation of every pending run
mod verify; // runs compared with their seals
mod wrong_answers; // a gateway's pages are no damage
