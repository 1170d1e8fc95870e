//! Leftovers of crashed writers in a bucket are deleted, data of live writers is kept.
//!
//! A bucket's leftovers have to be an hour old. So the library cleans, with its clock
//! two hours ahead; the program uses the real one.

use std::sync::Arc;

use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use rawsink::{
    RawSink, Result,
    env::Loaded,
    layout::Place,
    runtime::{FixedClock, Runtime},
    state::{MemoryState, PartitionState},
    store::Discarded,
};
use rawsink_ops::clean::{CleanPolicy, LEAST_AGE_WITHOUT_LOCK, Payloads, execute, plan};

use super::{Client, assert_sealed, bucket, payload_of, rows, seal_of};
use crate::{
    landing::{Landing, PARTITION},
    running::{Running, until},
};

/// Cleans at the minimum age, two hours ahead; returns each file or upload and its result.
pub(super) fn cleaned_later(
    landing: &Landing,
    payloads: Payloads,
) -> Result<Vec<(String, Option<Discarded>)>> {
    let vars = landing.vars().iter().map(|(name, value)| ((*name).to_owned(), Ok(value.clone())));
    let clock = Arc::new(FixedClock(Timestamp::now() + SignedDuration::from_hours(2)));
    let runtime = Runtime { clock, ..Runtime::default() };
    let sink = RawSink::open_in(&Loaded::from_vars(vars).unwrap().config, runtime)?;
    let rules = CleanPolicy { older_than: LEAST_AGE_WITHOUT_LOCK, payloads };
    let state: Arc<dyn PartitionState> = Arc::new(MemoryState::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let planned = plan(&sink, &state, &Place::top(), rules)?;
        let done = planned.then(async |planned| {
            let planned = planned?;
            let name = planned.leftover.found.name.clone();
            Ok((name, execute(&sink, &planned).await?))
        });
        let done: Vec<_> = done.collect().await;
        done.into_iter().collect()
    })
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g18_only_leftovers_of_crashed_writers_are_deleted() {
    let (landing, elsewhere) = (bucket(), bucket());
    let (client, other) = (Client::of(&landing), Client::of(&elsewhere));
    landing.land("sealed", "{}\n");
    client.put(&payload_of("left"), "{\"left\":1}\n");
    client.put("google_ads/notes.txt", "notes");
    let mut dead =
        ["sealed", "open", "left", "open"].map(|run| client.start_upload(&payload_of(run)));
    let part = format!("{}?partNumber=1&uploadId={}", client.path(&payload_of("open")), dead[1]);
    assert_eq!(client.status("PUT", &part, "{\"part\":1}\n"), "200");
    let not_ours = ["google_ads/notes.txt", &seal_of("open"), "payload.jsonl"];
    for key in not_ours {
        client.start_upload(key);
    }
    other.start_upload(&payload_of("open"));

    let mut done = cleaned_later(&landing, Payloads::UnderLock).unwrap();
    done.sort_unstable_by(|left, right| left.0.cmp(&right.0));
    dead.sort_unstable();
    let payload = ("payload.jsonl".to_owned(), None);
    let mut expected: Vec<_> = dead.map(|id| (id, Some(Discarded::Removed))).into();
    expected.push(payload.clone());
    expected.sort_unstable_by(|left, right| left.0.cmp(&right.0));
    assert_eq!(done, expected);
    for run in ["sealed", "open", "left"] {
        assert_eq!(client.open_uploads(&payload_of(run)), 0, "{run}");
    }
    assert_eq!(not_ours.map(|key| client.open_uploads(key)), [1; 3]);
    assert_eq!(other.open_uploads(&payload_of("open")), 1);

    assert_eq!(cleaned_later(&landing, Payloads::UnderLock).unwrap(), [payload]);
    let removed = ("payload.jsonl".to_owned(), Some(Discarded::Removed));
    assert_eq!(cleaned_later(&landing, Payloads::Everywhere).unwrap(), [removed]);
    assert_eq!(cleaned_later(&landing, Payloads::Everywhere).unwrap(), []);
    let left = [seal_of("sealed"), payload_of("sealed"), "google_ads/notes.txt".to_owned()];
    assert_eq!(client.keys(), left);
    assert_sealed(&landing, "sealed", "{}\n");
}

/// Starts a writer and feeds it half of its 24 MiB of rows, so that an upload is open.
fn half_way(landing: &Landing, run: &str) -> (Running, String) {
    let (client, text) = (Client::of(landing), rows(run, 24));
    let mut writer = Running::start(landing.command(["write", PARTITION, "--run-id", run]));
    writer.feed(&text.as_bytes()[..12 << 20]);
    until("an upload is open", || client.open_uploads(&payload_of(run)) == 1);
    (writer, text)
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g08_a_writer_whose_upload_was_aborted_gets_an_error() {
    let landing = bucket();
    let (mut writer, text) = half_way(&landing, "ended");
    // Parts in flight change the listed upload, which is then kept.
    until("the upload is ended", || {
        let done = cleaned_later(&landing, Payloads::UnderLock).unwrap();
        assert_eq!(done.len(), 1, "{done:?}");
        let outcome = done[0].1.unwrap();
        assert!([Discarded::Changed, Discarded::Removed].contains(&outcome), "{done:?}");
        outcome == Discarded::Removed
    });
    writer.feed(&text.as_bytes()[12 << 20..]);
    writer.finish().exits(3).one_error("Conflict");
    let client = Client::of(&landing);
    assert_eq!(client.open_uploads(&payload_of("ended")), 0);
    assert_eq!(client.keys(), [""; 0]);
    landing.feed(["write", PARTITION, "--run-id", "ended"], &text).exits(0);
    assert_sealed(&landing, "ended", &text);
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g18_cleaning_at_the_minimum_age_keeps_data_of_a_live_writer() {
    let landing = bucket();
    let client = Client::of(&landing);
    let (mut writer, text) = half_way(&landing, "alive");
    client.put(&payload_of("left"), "{\"left\":1}\n");
    for _ in 0..5 {
        let clean = ["clean", "--older-than", "1h", "--apply", "--payloads-too"];
        let met = landing.rawsink(clean).exits(0);
        assert_eq!(met.stdout, "");
        met.says(&["0 removed", "2 kept because they are younger than --older-than"]);
    }
    landing.rawsink(["clean", "--older-than", "59m", "--apply"]).exits(2).one_error("Invalid");
    writer.feed(&text.as_bytes()[12 << 20..]);
    writer.finish().exits(0);
    assert_sealed(&landing, "alive", &text);
    assert_eq!(client.get(&payload_of("left")), "{\"left\":1}\n");
}
