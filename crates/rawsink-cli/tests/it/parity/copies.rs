//! Copies from a directory to the bucket and back.

use std::{thread, time::Duration};

use nix::sys::signal::Signal;

use super::{Client, bucket, payload_of, rows, seal_of};
use crate::{
    landing::{Landing, PARTITION, lines},
    random::Random,
    running::Running,
};

/// Writes the settings of a landing to an environment file.
fn env_file(landing: &Landing, of: &Landing) {
    let text = of.vars().iter().map(|(name, value)| format!("{name}='{value}'\n"));
    landing.file("bucket.env", text.collect::<String>());
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g15_a_tree_copied_to_a_bucket_and_back_is_the_same_after_any_interruption() {
    let (object, directory) = (bucket(), Landing::new());
    let mut random = Random::seeded("copies");
    for n in 0..10 {
        directory
            .land(&format!("run {n}+é"), lines(n * 40 + 1, |row| format!("{{\"n\":{row}}}")))
            .exits(0);
    }
    directory.land("large", rows("large", 24)).exits(0);
    // Sealed by other software.
    let foreign = "data/raw/google_ads/customer_id=9/query_name=q/logical_date=2024-06-01/run_id=x";
    directory.file(&format!("{foreign}/payload.jsonl"), "{\"n\":1.50}\r\n{}");
    directory.file(&format!("{foreign}/metadata.json"), "{\"record_count\": 2 }");
    env_file(&directory, &object);
    let copy = ["copy", "--to-env", "bucket.env", "--jobs", "3"];
    let mut killed = 0;
    for _ in 0..6 {
        let mut running = Running::start(directory.command(copy));
        // The kill has a random moment: no condition is awaited.
        thread::sleep(Duration::from_millis(random.below(700)));
        running.signal(Signal::SIGKILL);
        killed += u32::from(running.finish().code != Some(0));
    }
    println!("copies: {killed} of 6 were killed");
    directory.rawsink(copy).exits(0);
    directory.rawsink(copy).exits(0).says(&["0 copied"]);
    let back = directory.dir().join("back").to_str().unwrap().to_owned();
    object.rawsink(["copy", "--to-root", &back]).exits(0);
    assert_eq!(directory.shell("diff -r data/raw back").exits(0).stdout, "");
    // From bucket to bucket: another prefix of the same bucket.
    let prefix = object.var("RAW_SINK_PREFIX");
    let other = Landing::new();
    let other = object.vars().iter().fold(other, |other, (name, value)| other.with(name, value));
    let other = other.with("RAW_SINK_PREFIX", format!("{prefix}/other"));
    let settings: Vec<String> =
        other.vars().iter().map(|(name, value)| format!("{name}='{value}'")).collect();
    object.file("other.env", settings.join("\n"));
    object.rawsink(["copy", "--to-env", "other.env"]).exits(0);
    let mirror = directory.dir().join("mirror");
    Client::of(&other).mirror(&mirror);
    assert_eq!(directory.shell("diff -r data/raw mirror").exits(0).stdout, "");
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g03_damaged_runs_of_a_bucket_are_repaired_from_a_directory() {
    let (object, directory) = (bucket(), Landing::new());
    for run in ["flipped", "cut", "lost"] {
        directory.land(run, lines(500, |row| format!("{{\"run\":\"{run}\",\"n\":{row}}}")));
    }
    // More than one part.
    directory.land("large", rows("large", 12));
    directory.land("sealed", "{}\n");
    env_file(&directory, &object);
    let copy = ["copy", "--to-env", "bucket.env"];
    directory.rawsink(copy).exits(0);
    // One state for both sinks.
    let state = directory.dir().join("data/state_store.db");
    let validating = object
        .vars()
        .iter()
        .fold(Landing::at(directory.dir()), |landing, (name, value)| landing.with(name, value));
    let validating = validating.with("RAW_SINK_STATE_URL", format!("sqlite:{}", state.display()));
    validating.rawsink(["validate", "--all"]).exits(0);

    let client = Client::of(&object);
    let flipped = client.get(&payload_of("flipped")).replacen("\"n\":7}", "\"n\":8}", 1);
    client.put(&payload_of("flipped"), &flipped);
    client.put(&payload_of("cut"), "{}\n");
    client.put(&payload_of("large"), "{}\n");
    client.status("DELETE", &client.path(&payload_of("lost")), "");
    client.put(&seal_of("sealed"), "{}");
    let repair = [&copy[..], &["--repair", "--jobs", "3"]].concat();
    directory.rawsink(&repair).exits(1).says(&["0 intact in the destination, 5 damaged"]);
    let apply = [&repair[..], &["--apply"]].concat();
    directory.rawsink(&apply).exits(0).says(&["0 intact in the destination, 5 repaired"]);
    directory.rawsink(&apply).exits(0).says(&["5 intact"]);
    let mirror = directory.dir().join("mirror");
    client.mirror(&mirror);
    assert_eq!(directory.shell("diff -r data/raw mirror").exits(0).stdout, "");
    assert_eq!(client.open_uploads(&payload_of("large")), 0);
    validating.rawsink(["read", PARTITION, "--current"]).exits(0);
}
