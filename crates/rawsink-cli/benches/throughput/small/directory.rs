//! A directory: the library, compared with files that are written, synced and linked.
//!
//! Almost all of this is the wait for the disk, so wall time counts.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    sync::Arc,
};

use rawsink::store::{FsStore, fs::FsConfig};
use tokio::task::spawn_blocking;

use super::{DATE, IN_FLIGHT, ROWS, all, payload};
use crate::{
    budget::{SMALL_RATIO, judge},
    lab::{Lab, Sink},
};

/// The length of a seal.
const SEAL_BYTES: usize = 500;

/// Prints the table.
pub(crate) fn table(lab: &Lab, partitions: u32) {
    println!(
        "\n| {partitions} partitions of {ROWS} rows in a directory, {IN_FLIGHT} in flight | per second | CPU ms \
         each | ratio of wall time | budget | verdict |\n|---|---|---|---|---|---|"
    );
    let ways = (Sink::Filesystem, ["directory", "files"]);
    let rounds = super::rounds(lab, ways, partitions, |_| {});
    let count = f64::from(partitions);
    let [library, floor] = [0, 1]
        .map(|way| rounds.least(way))
        .map(|usage| format!("{:.0} | {:.2}", count / usage.wall_s, usage.cpu_s * 1000.0 / count));
    let ratio = rounds.ratio(1, |usage| usage.wall_s);
    let verdict = judge(ratio, SMALL_RATIO);
    println!("| library | {library} | {ratio:.2} | {SMALL_RATIO} | {verdict} |");
    println!("| write, sync, link, sync for both files | {floor} | | | |");
}

/// Writes the partitions with the library.
pub(crate) fn by_library(partitions: u32) {
    let store = FsStore::new(&FsConfig::new("data")).unwrap();
    crate::on_runtime(super::land(Arc::new(store), partitions));
}

/// Writes the same files, each with two syncs.
pub(crate) fn by_files(partitions: u32) {
    crate::on_runtime(all(partitions, |n| async move {
        spawn_blocking(move || store(n)).await.unwrap();
    }));
}

fn store(n: u32) {
    let partition =
        format!("ads/customer_id={}/query_name=query_{}/logical_date={DATE}", n / 10, n % 10);
    let run = Path::new("data").join(partition).join(format!("run_id={}", super::run()));
    fs::create_dir_all(&run).unwrap();
    for (name, bytes) in
        [("payload.jsonl", payload(n).into_bytes()), ("metadata.json", vec![b' '; SEAL_BYTES])]
    {
        let staging = run.join(format!(".{name}"));
        let mut file = File::create_new(&staging).unwrap();
        file.write_all(&bytes).unwrap();
        file.sync_all().unwrap();
        fs::hard_link(&staging, run.join(name)).unwrap();
        fs::remove_file(&staging).unwrap();
        File::open(&run).unwrap().sync_all().unwrap();
    }
}
