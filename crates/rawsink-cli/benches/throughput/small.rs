//! Many small partitions in one process, compared with the least that stores the same bytes.

pub(crate) mod bucket;
pub(crate) mod directory;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use rawsink::{
    Metadata, PartitionKey, RawSink, RunId, runtime::Runtime, sink::SinkOptions, store::Store,
};
use tokio::task::JoinSet;

use crate::{
    lab::{Lab, Sink},
    rounds::Rounds,
    rows,
};

const ROWS: u64 = 10;
const IN_FLIGHT: usize = 16;
/// Rounds for each of the other tables': one takes a second, in which the pauses of a server or disk show.
const ROUNDS_EACH: u32 = 4;
const DATE: &str = "2024-06-01";

/// Runs two ways in turn; `after` runs after each child.
fn rounds(
    lab: &Lab,
    (sink, ways): (Sink, [&str; 2]),
    partitions: u32,
    mut after: impl FnMut(usize),
) -> Rounds {
    Rounds::measure(lab.rounds * ROUNDS_EACH, ways.len(), |way| {
        lab.clear(sink);
        let usage = lab.own(sink, &["small", ways[way], &partitions.to_string()]);
        after(way);
        usage
    })
}

/// The child: writes the partitions one way.
pub(crate) fn child(way: &str, partitions: u32) {
    match way {
        "directory" => directory::by_library(partitions),
        "files" => directory::by_files(partitions),
        _ => bucket::child(way, partitions),
    }
}

fn run() -> RunId {
    "2024-06-02T04:05:06.789Z".parse().unwrap()
}

/// Returns the partition of a number: ten queries of each customer, all of one day.
fn key(n: u32) -> PartitionKey {
    let (customer, query) = ((n / 10).to_string(), format!("query_{}", n % 10));
    PartitionKey::new("ads", &customer, &query, DATE).unwrap()
}

fn payload(n: u32) -> String {
    let first = u64::from(n) * ROWS;
    (first..first + ROWS).map(rows::row).collect()
}

/// Writes the partitions with the library.
async fn land(store: Arc<dyn Store>, partitions: u32) {
    let sink = RawSink::with(store, SinkOptions::default(), Runtime::default());
    all(partitions, move |n| {
        let sink = sink.clone();
        async move {
            let mut writer = sink.write_partition(&key(n), &run()).await.unwrap();
            for row in payload(n).lines() {
                writer.write_payload_line(row.as_bytes()).await.unwrap();
            }
            let metadata = Metadata::for_run(&key(n), &run()).field("api_version", "v21");
            writer.finalize(metadata.build().unwrap()).await.unwrap();
        }
    })
    .await;
}

/// Runs a piece of work for each number below `count`, several in parallel.
async fn all<F>(count: u32, work: impl Fn(u32) -> F + Clone + Send + 'static)
where
    F: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicU32::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (next, work) = (next.clone(), work.clone());
        workers.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    break;
                }
                work(n).await;
            }
        });
    }
    workers.join_all().await;
}
