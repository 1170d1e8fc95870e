//! Many small partitions in one process, compared with the same requests by the plain SDK.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use aws_sdk_s3::{config::SharedHttpClient, primitives::ByteStream};
use rawsink::{
    Metadata, PartitionKey, RawSink, RunId,
    runtime::Runtime,
    sink::SinkOptions,
    store::{
        S3Store,
        s3::{CompleteConditions, S3Config},
    },
};
use tokio::task::JoinSet;

use crate::{
    bucket::{self, Bucket, Counted},
    budget::{self, judge},
    lab::{Lab, Sink},
    measure::Usage,
    rows,
};

const ROWS: u64 = 10;
const IN_FLIGHT: usize = 16;
/// Rounds for each of the other tables': one takes a second of CPU time, in which a server's pauses show.
const ROUNDS_EACH: u32 = 4;
/// The file for a child's number of requests.
const REQUESTS: &str = "requests";

/// Prints the table.
pub(crate) fn table(lab: &Lab, partitions: u32) {
    println!(
        "\n| {partitions} partitions of {ROWS} rows, {IN_FLIGHT} in flight | requests each | budget | verdict \
         | per second | CPU ms each | ratio |\n|---|---|---|---|---|---|---|"
    );
    for (conditions, shown, budget) in [
        ("ignored", "conditions on Complete not known", budget::SMALL_REQUESTS),
        ("enforced", "conditions on Complete enforced", budget::SMALL_REQUESTS_ENFORCED),
    ] {
        let lab = lab.with("RAW_SINK_COMPLETE_CONDITIONS", conditions);
        let Rounds { least: [library, plain], requests: [requests, plain_requests], ratio } =
            rounds(&lab, partitions);
        let count = f64::from(partitions);
        let (per_s, each_ms) =
            (|usage: Usage| count / usage.wall_s, |usage: Usage| usage.cpu_s * 1000.0 / count);
        println!(
            "| library, {shown} | {:.2} | {budget} | {} | {:.0} | {:.2} | {:.2} |",
            requests / count,
            judge(requests / count, budget),
            per_s(library),
            each_ms(library),
            ratio
        );
        println!(
            "| plain SDK, the same requests | {:.2} | | | {:.0} | {:.2} | |",
            plain_requests / count,
            per_s(plain),
            each_ms(plain)
        );
    }
}

/// The results of the library and of the plain SDK.
struct Rounds {
    least: [Usage; 2],
    requests: [f64; 2],
    /// The median of the ratios of the rounds.
    ratio: f64,
}

/// Runs the library and the plain SDK in turn, each first in every other round.
fn rounds(lab: &Lab, partitions: u32) -> Rounds {
    let (mut least, mut requests, mut ratios) = ([None::<Usage>; 2], [0.0; 2], Vec::new());
    for round in 0..lab.rounds * ROUNDS_EACH {
        let mut cpu_s = [0.0; 2];
        for turn in [round % 2, 1 - round % 2] {
            let way = usize::from(turn == 1);
            lab.clear(Sink::Object);
            let name = ["library", "plain"][way];
            let usage = lab.own(Sink::Object, &["small", name, &partitions.to_string()]);
            least[way] = Some(least[way].map_or(usage, |best| best.least(usage)));
            cpu_s[way] = usage.cpu_s;
            let counted = std::fs::read_to_string(lab.dir.join(REQUESTS)).unwrap();
            requests[way] = counted.parse().unwrap();
        }
        ratios.push(cpu_s[0] / cpu_s[1]);
    }
    ratios.sort_by(f64::total_cmp);
    Rounds { least: least.map(Option::unwrap), requests, ratio: ratios[ratios.len() / 2] }
}

/// The child: writes the partitions one way and the number of requests to a file.
pub(crate) fn child(way: &str, partitions: u32) {
    let config = bucket::config();
    let counted = Counted::new(bucket::connections(&config));
    let http = SharedHttpClient::new(counted.clone());
    match way {
        "library" => crate::on_runtime(by_library(config, http, partitions)),
        _ => crate::on_runtime(by_plain_sdk(config, http, partitions)),
    }
    std::fs::write(REQUESTS, counted.requests().to_string()).unwrap();
}

fn run() -> RunId {
    "2024-06-02T04:05:06.789Z".parse().unwrap()
}

async fn by_library(config: S3Config, http: SharedHttpClient, partitions: u32) {
    let store = S3Store::with_connector(&config, Runtime::default(), http).unwrap();
    let sink = RawSink::with(Arc::new(store), SinkOptions::default(), Runtime::default());
    all(partitions, move |n| {
        let sink = sink.clone();
        async move {
            let key = PartitionKey::new("ads", &n.to_string(), "campaign", "2024-06-01").unwrap();
            let mut writer = sink.write_partition(&key, &run()).await.unwrap();
            for row in payload(n).lines() {
                writer.write_payload_line(row.as_bytes()).await.unwrap();
            }
            let metadata = Metadata::for_run(&key, &run()).field("api_version", "v21");
            writer.finalize(metadata.build().unwrap()).await.unwrap();
        }
    })
    .await;
}

async fn by_plain_sdk(config: S3Config, http: SharedHttpClient, partitions: u32) {
    let bucket = Arc::new(Bucket::new(&config, http));
    let last_check = config.complete_conditions() == CompleteConditions::Ignored;
    all(partitions, move |n| {
        let bucket = bucket.clone();
        async move { requests_of(&bucket, n, last_check).await }
    })
    .await;
}

/// The requests of one small partition.
async fn requests_of(bucket: &Bucket, n: u32, last_check: bool) {
    let (sdk, name) = (&bucket.sdk, &bucket.name);
    let run = format!("{}/ads/customer_id={n}/run_id={}", bucket.prefix, run());
    let (payload_key, seal_key) = (format!("{run}/payload.jsonl"), format!("{run}/metadata.json"));
    sdk.list_objects_v2().bucket(name).prefix(&run).send().await.unwrap();
    let put = |key: &str, body: String| {
        let put = sdk.put_object().bucket(name).key(key).if_none_match("*");
        put.metadata("rawsink-writer", "0").body(ByteStream::from(body.into_bytes())).send()
    };
    put(&payload_key, payload(n)).await.unwrap();
    if last_check {
        sdk.list_multipart_uploads().bucket(name).prefix(&payload_key).send().await.unwrap();
        sdk.head_object().bucket(name).key(&payload_key).send().await.unwrap();
    }
    put(&seal_key, format!("{{\"customer_id\":\"{n}\",\"_seal\":\"{}\"}}", "0".repeat(400)))
        .await
        .unwrap();
}

fn payload(n: u32) -> String {
    let first = u64::from(n) * ROWS;
    (first..first + ROWS).map(rows::row).collect()
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
