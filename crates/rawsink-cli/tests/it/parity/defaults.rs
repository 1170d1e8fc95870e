//! One round with the default grace and deadlines.

use std::time::{Duration, Instant};

use super::{Client, assert_sealed, bucket, payload_of};
use crate::{
    landing::{PARTITION, RUN},
    running::Running,
};

#[test]
#[ignore = "parity: needs an object storage server"]
fn g09_with_the_default_settings_a_leftover_is_replaced_after_90_seconds() {
    let landing = bucket()
        .with("RAW_SINK_LEFTOVER_GRACE_S", "")
        .with("RAW_SINK_SEAL_DEADLINE_S", "")
        .with("RAW_SINK_SEAL_TIMEOUT_S", "");
    assert_eq!(Client::of(&landing).put(&payload_of(RUN), "{\"left\":1}\n"), "200");
    landing.rawsink(["read", PARTITION, "--latest"]).exits(3);
    let start = Instant::now();
    let mut writer = Running::start(landing.command(["write", PARTITION, "--run-id", RUN]));
    writer.feed(b"{\"new\":1}\n");
    let answer = writer.finish().exits(0);
    assert!(start.elapsed() > Duration::from_secs(89), "after {:?}: {answer:#?}", start.elapsed());
    answer.says(&["an earlier writer of this run may still be active"]);
    assert_sealed(&landing, RUN, "{\"new\":1}\n");
}
