//! Path and virtual-host addressing.

use super::wire::{Fate, Wire};
use crate::{
    landing::{Landing, PARTITION, RUN, run_path},
    parity::{Client, assert_sealed, bucket, payload_of, rows},
};

/// The host below which MinIO supports virtual-host addressing.
const DOMAIN: &str = "s3.localhost";

/// Returns a landing with one of the two addressing styles, over a wire.
fn addressed(way: &str, prefix: &str) -> (Wire, Landing) {
    let landing = bucket();
    let wire = Wire::to(landing.var("RAW_SINK_ENDPOINT_URL"), |_| Fate::Passed);
    let landing = wire.between(landing).with("RAW_SINK_ADDRESSING", way);
    let named = landing.var("RAW_SINK_ENDPOINT_URL").replace("127.0.0.1", DOMAIN);
    (wire, landing.with("RAW_SINK_ENDPOINT_URL", named).with("RAW_SINK_PREFIX", prefix))
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn path_and_host_addressing_reach_the_same_bucket() {
    // Different from the bucket's name, to distinguish both.
    let prefix = format!("addressed-{}", std::process::id());
    let direct = bucket().with("RAW_SINK_PREFIX", &prefix);
    let name = direct.var("RAW_SINK_BUCKET");
    for (way, host) in [("path", DOMAIN.to_owned()), ("virtual", format!("{name}.{DOMAIN}"))] {
        let (wire, landing) = addressed(way, &prefix);
        let port = landing.var("RAW_SINK_ENDPOINT_URL").rsplit_once(':').unwrap().1;
        let host = format!("{host}:{port}");
        for (run, mib) in [("small", 1), ("large", 12)] {
            let run = format!("{way}-{run}");
            landing.land(&run, rows(&run, mib));
            landing.rawsink(["verify", &run_path(&run)]).exits(0);
            assert_sealed(&direct, &run, &rows(&run, mib));
        }
        let listed = landing.rawsink(["list", PARTITION]).exits(0).stdout;
        assert_eq!(listed, direct.rawsink(["list", PARTITION]).exits(0).stdout);
        let seen = wire.seen();
        assert!(seen.len() > 20, "{} requests", seen.len());
        for request in seen {
            assert_eq!(request.header("host"), host, "{request:?}");
            let in_path = request.target.starts_with(&format!("/{name}/"));
            assert_eq!(in_path, way == "path", "{request:?}");
        }
    }
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn a_bucket_name_with_dots_uses_path_addressing() {
    let landing = bucket().with("RAW_SINK_BUCKET", format!("dotted.{}.bucket", std::process::id()));
    let client = Client::of(&landing);
    client.create_bucket();
    landing.land(RUN, rows("dots", 12));
    assert_sealed(&landing, RUN, &rows("dots", 12));
    assert!(client.head(&payload_of(RUN)).is_some());
}
