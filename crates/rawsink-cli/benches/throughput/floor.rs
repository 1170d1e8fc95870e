//! What has to be done at the very least, with the same crates and the same chunks.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
};

use sha2::{Digest, Sha256};

const CHUNK_BYTES: usize = 512 * 1024;

/// Goes once through a file and does what `name` lists.
pub(crate) fn run(name: &str, file: &Path) {
    let work: Vec<&str> = name.split('+').collect();
    let mut store = work.contains(&"store").then(|| File::create("floor.out").unwrap());
    let (mut sha256, mut rows) = (Sha256::new(), 0_u64);
    let mut input = File::open(file).unwrap();
    let (mut buffer, mut kept) = (vec![0; CHUNK_BYTES], 0);
    loop {
        let filled = kept + input.read(&mut buffer[kept..]).unwrap();
        if filled == kept {
            break;
        }
        // A row that is cut by the end of the buffer waits for the next round.
        let whole = memchr::memrchr(b'\n', &buffer[..filled]).unwrap() + 1;
        let chunk = &buffer[..whole];
        if work.contains(&"json") {
            let mut start = 0;
            for end in memchr::memchr_iter(b'\n', chunk) {
                rawsink::row::check(&chunk[start..end], usize::MAX).unwrap();
                start = end + 1;
                rows += 1;
            }
        }
        if work.contains(&"sha256") {
            sha256.update(chunk);
        }
        if let Some(store) = &mut store {
            store.write_all(chunk).unwrap();
        }
        buffer.copy_within(whole..filled, 0);
        kept = filled - whole;
    }
    if let Some(store) = store {
        store.sync_all().unwrap();
        std::fs::remove_file("floor.out").unwrap();
    }
    std::hint::black_box((sha256.finalize(), rows));
}
