//! A bucket: the library, compared with the same requests by the plain SDK, in CPU time.

use std::sync::Arc;

use aws_sdk_s3::{config::SharedHttpClient, primitives::ByteStream};
use rawsink::{
    runtime::Runtime,
    store::{
        S3Store,
        s3::{CompleteConditions, S3Config},
    },
};

use super::{IN_FLIGHT, ROWS, all, payload, run};
use crate::{
    bucket::{self, Bucket, Counted},
    budget::{self, judge},
    lab::{Lab, Sink},
    measure::Usage,
};

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
        let mut counted = [0.0; 2];
        let rounds = super::rounds(&lab, (Sink::Object, ["library", "plain"]), partitions, |way| {
            let text = std::fs::read_to_string(lab.dir.join(REQUESTS)).unwrap();
            counted[way] = text.parse().unwrap();
        });
        let (library, plain) = (rounds.least(0), rounds.least(1));
        let [requests, plain_requests] = counted;
        let count = f64::from(partitions);
        let (per_s, each_ms) =
            (|usage: Usage| count / usage.wall_s, |usage: Usage| usage.cpu_s * 1000.0 / count);
        println!(
            "| library, {shown} | {:.2} | {budget} | {} | {:.0} | {:.2} | {:.2} |",
            requests / count,
            judge(requests / count, budget),
            per_s(library),
            each_ms(library),
            rounds.ratio(1, |usage| usage.cpu_s)
        );
        println!(
            "| plain SDK, the same requests | {:.2} | | | {:.0} | {:.2} | |",
            plain_requests / count,
            per_s(plain),
            each_ms(plain)
        );
    }
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

async fn by_library(config: S3Config, http: SharedHttpClient, partitions: u32) {
    let store = S3Store::with_connector(&config, Runtime::default(), http).unwrap();
    super::land(Arc::new(store), partitions).await;
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
