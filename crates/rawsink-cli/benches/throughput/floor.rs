//! The minimum work, with the same crates and the same chunks.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
};

use crate::{bucket::Bucket, checks::Checks};

const CHUNK_BYTES: usize = 512 * 1024;

/// Reads the rows of a file or of the bucket once and does the work that `name` lists.
pub(crate) fn run(name: &str, file: &Path) {
    let work: Vec<&str> = name.split('+').collect();
    let mut checks = Checks::of(&work);
    if work.contains(&"upload") {
        crate::on_runtime(Bucket::from_env().upload(file, &mut checks));
    } else if work.contains(&"download") {
        crate::on_runtime(Bucket::from_env().download(&mut checks));
    } else {
        read(file, work.contains(&"store"), &mut checks);
    }
    checks.finish();
}

fn read(file: &Path, store: bool, checks: &mut Checks) {
    let mut store = store.then(|| File::create("floor.out").unwrap());
    let mut input = File::open(file).unwrap();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let filled = input.read(&mut buffer).unwrap();
        if filled == 0 {
            break;
        }
        checks.update(&buffer[..filled]);
        if let Some(store) = &mut store {
            store.write_all(&buffer[..filled]).unwrap();
        }
    }
    if let Some(store) = store {
        store.sync_all().unwrap();
        std::fs::remove_file("floor.out").unwrap();
    }
}
