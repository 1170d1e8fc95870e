//! What the program promises, shown from the outside: every test runs real processes.
//!
//! One binary, one module for each subject. Random tests print their seed and take it back from
//! `RAWSINK_TEST_SEED`. Tests that need a mount or network namespace fail where there is none, unless
//! `RAWSINK_TEST_NO_NAMESPACES` is set.

#![expect(clippy::unwrap_used, reason = "a test ends at the first answer that it did not expect")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests take their knobs from the environment and wait with a limit of real time"
)]
#![expect(clippy::print_stdout, reason = "seeds and outcomes are for whoever reads a failure")]

mod clean; // what dead writers left: shown, and removed when that is said
mod config; // settings with their origins, help, completions
mod copy; // runs copied to another sink, killed and repeated
mod coverage; // what is covered: rows, cells, plan, page
mod demo; // the demo, and the commands that it ends with
mod disk; // disks that are full, limited, forbidden or not there
mod doctor; // what an examination answers, and that it leaves nothing
mod kill; // kill -9 of a writer at any moment
mod landing; // a directory to land in, and the program's answers in it
mod manifest; // what consumers read, and where it lies
mod memory; // peak memory of writing and reading
mod namespace; // mounts and networks that only one test sees
mod parity; // against a real object storage server: `make parity`
mod postgres; // a state in PostgreSQL: `make parity`
mod race; // processes that race for one run
mod random; // reproducible random numbers
mod read; // read, show, verify, validate and list, on runs whole and broken
mod running; // the program while it runs: feeding it, waiting, signals
mod secrets; // secrets stand in nothing that is printed, and not in the process list
mod signals; // SIGTERM and SIGINT in the middle of a stream
mod state; // the state as the program shows it
mod validate_all; // validate --all: what is judged, by whom, and how it ends
mod write; // landing rows: sources, refusals, metadata, names

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
