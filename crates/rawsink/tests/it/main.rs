//! Tests of the library's public behaviour: one binary, one module per subject.
//!
//! Every store runs the cases of a store (`backend::on_every_store`), every database those of a
//! state (`suites::on_every_state`). A test of a guarantee has its
//! number in its name (`g03_...`); other names state the behaviour.

#![expect(clippy::unwrap_used, reason = "a test ends at the first unexpected answer")]

mod architecture; // allowed imports, and use of clock, environment and output
mod blocking; // the same operations without an async runtime
mod concurrency; // threads that race for one run or work in parallel
mod consume; // consumers see only authoritative runs
mod faults; // a fault at every store call, before and after it
mod future; // run ids from the future
mod json_suite; // rows against JSONTestSuite: `make json-suite`
mod model; // random histories compared with a small model
mod pages; // links of the documentation
mod reader; // what readers return and refuse
mod rows; // valid rows, for every input method
#[cfg(feature = "s3")]
mod s3_reads; // readers and listings over an S3 server that interrupts replies
#[cfg(feature = "s3")]
mod s3_restores; // restores of damaged runs over such a server
#[cfg(feature = "s3")]
mod s3_writes; // writers over an S3 server that misbehaves
#[cfg(feature = "s3")]
mod secrets; // no error, log, Debug output or panic contains a secret
mod sink; // writers: sealing, restarts, refusals, memory
mod sink_listing; // the ways to list agree with each other
#[cfg(feature = "postgres")]
mod state_postgres; // behaviour of a state in PostgreSQL only
#[cfg(feature = "sqlite")]
mod state_sqlite; // behaviour of a state in an SQLite file only
mod state_suite; // the contract of a state
mod store_suite; // the contract of a store
mod validate; // verdicts and their effect on the state
#[cfg(feature = "s3")]
mod wrong_answers; // a server that answers with other bytes than the stored ones
