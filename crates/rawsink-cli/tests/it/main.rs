//! Tests of the program's public behaviour: every test runs real processes.
//!
//! One binary, one module per subject. Random tests print their seed and read it from
//! `RAWSINK_TEST_SEED`. Tests that need a mount or network namespace fail without one, unless
//! `RAWSINK_TEST_NO_NAMESPACES` is set.

#![expect(clippy::unwrap_used, reason = "a test ends at the first unexpected answer")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests read settings from the environment and wait with a real time limit"
)]
#![expect(clippy::print_stdout, reason = "seeds and outcomes help to read a failure")]

mod clean; // leftovers of crashed writers: listed, and deleted on request
mod completion; // what a shell offers: commands, options, names that exist
mod config; // settings with their origins, help, manual pages
mod copy; // runs copied to another sink, killed and rerun
mod coverage; // coverage: rows, cells, plan, page
mod demo; // the demo, and the commands that it suggests
mod disk; // disks that are full, limited or forbidden
mod doctor; // results of an examination, and its cleanup
mod errors; // errors with and without --json
mod foreign_text; // text of others on a terminal, in pipes and in JSON
mod future; // run ids from the future
mod kill; // kill -9 of a writer at any moment
mod landing; // a working directory, and results of the program in it
mod listing; // short and misspelt paths, long listings, differences
mod manifest; // payloads for consumers, and their locations
mod memory; // peak memory of writing and reading
mod namespace; // mounts and networks for one test
mod network; // servers that are silent, down, or something else
mod parity; // against a real object storage server: `make parity`
mod postgres; // a state in PostgreSQL: `make parity`
mod race; // processes that race for one run
mod random; // reproducible random numbers
mod read; // read, show, verify, validate and list, on intact and damaged runs
mod released; // data of a released program, read by today's program
mod root; // a root that is missing, misspelt, not mounted, a file, or behind a link
mod running; // the running program: input, waiting, signals
mod scrub; // damaged and lost runs: lines, hints, exit codes, samples, interruptions
mod secrets; // no output and no process list contains a secret
mod signals; // SIGTERM and SIGINT in the middle of a stream
mod singer; // Singer taps: each stream lands as a run, or nothing is sealed
mod state; // the state commands
mod validate_all; // validate --all: selection, concurrency, exit codes
mod write; // landing rows: sources, refusals, metadata, names
mod wrong_answers; // a gateway that answers with other bytes: `make parity`
