//! What the library promises, shown from the outside: one binary, one module for each subject.
//!
//! A behaviour of a store is a case that every store runs (`backend::on_every_store`), one of a state
//! a case that every database runs (`databases::on_every_database`). A test of a guarantee has its
//! number in its name (`g03_...`); other names say what holds.

#![expect(clippy::unwrap_used, reason = "a test ends at the first answer that it did not expect")]

mod architecture; // which module may import which, and where clock, environment and output are
mod backend; // the stores under test, and what only a test may do to them
mod clean; // what dead writers left: which of it goes, and that the living lose nothing
mod concurrency; // threads that race for one run, work side by side, or judge at once
mod consume; // consumers see what has authority, and nothing else
mod copy; // runs copied between sinks: the same bytes, or nothing
mod coverage; // what is covered, beside an expectation that is worked out otherwise
mod databases; // the databases under test, and what only a test may do to them
mod doctor; // what an examination finds: on honest stores, on lying ones, in trouble
mod faults; // a fault at every store call, before and after it
mod model; // random histories against a model of one page
mod pages; // what the pages for people link to is there
mod reader; // what readers hand out, and what they refuse to
mod rows; // what a row is, whichever way it comes
mod s3_reads; // readers and listings over an S3 server that cuts answers short
mod s3_server; // an S3 server in this process, with bad habits as data
mod s3_writes; // writers over an S3 server that misbehaves
mod sample; // partitions, runs, rows and metadata that the tests use
mod secrets; // secrets stand in no error, log, Debug output or panic
mod sink; // writers: sealing, restarts, refusals, memory
mod sink_listing; // the ways to list agree with each other
mod state_postgres; // what is true of a state in PostgreSQL alone
mod state_sqlite; // what is true of a state in an SQLite file alone
mod state_suite; // the contract of a state
mod store_suite; // the contract of a store
mod validate; // verdicts, and what they do to the state
mod validate_all; // judging every run that waits for a verdict

use std::{fs, path::Path};

/// Returns the `.rs` files below `dir` whose parent module does not name them.
fn forgotten(dir: &Path, parent: &Path) -> Vec<String> {
    let listed = fs::read_to_string(parent).unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(forgotten(&path, &path.with_extension("rs")));
        } else if path != parent && path.extension().is_some_and(|extension| extension == "rs") {
            let line = format!("mod {};", path.file_stem().unwrap().to_str().unwrap());
            if !listed.lines().any(|known| known.starts_with(&line)) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn every_file_of_this_folder_is_a_module_of_this_binary() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    assert_eq!(forgotten(&folder, &folder.join("main.rs")), Vec::<String>::new());
}
