//! Sequential writers, on every store.

use rawsink::{
    ErrorKind, Metadata, RawSink,
    sink::SinkOptions,
    store::{LeftoverPolicy, Object},
};

use super::{assert_nothing, open, open_with, put, start};
use rawsink_testkit::{
    backend::{Backend, Meddling, SecondWriter, on_every_store},
    sample::{self, customer, eventually, key, metadata, path, read, rows, run, seal},
};

on_every_store!(
    g01_a_run_is_sealed_exactly_when_its_metadata_exists,
    g03_a_sealed_run_is_refused_before_extraction,
    g04_a_second_writer_is_refused_while_the_first_is_alive_or_has_sealed,
    g05_readers_get_exactly_the_sealed_rows_and_metadata,
    g05_an_empty_partition_can_be_sealed,
    g06_g08_a_refused_row_aborts_the_attempt_and_nothing_is_visible,
    g06_a_complete_payload_is_sealed_or_abandoned,
    g08_an_aborted_or_dropped_writer_leaves_nothing,
    g09_a_run_can_be_rewritten_over_any_leftover,
    g18_writers_of_many_partitions_work_in_parallel,
    a_leftover_is_refused_if_configured,
    a_writer_counts_accepted_rows,
    the_seal_contains_the_writers_token,
    a_key_too_long_for_object_storage_is_refused_before_extraction,
);

async fn g01_a_run_is_sealed_exactly_when_its_metadata_exists(backend: &dyn Backend) {
    let (sink, key, run) = (open(backend), key(), run(1));
    let place = path(&key, &run);
    let kind = async || sink.open_partition(&key, &run).await.map(|_| ()).map_err(|e| e.kind());
    let sealed = async || -> Vec<bool> {
        sink.list_runs(&key).await.unwrap().iter().map(|run| run.sealed).collect()
    };
    assert_eq!(kind().await, Err(ErrorKind::NotFound));
    assert_eq!(sealed().await, Vec::<bool>::new());
    backend.tamper(&place, Object::Payload, Some(b"{}\n")).await;
    assert_eq!(kind().await, Err(ErrorKind::NotSealed));
    assert_eq!(sealed().await, [false]);
    backend.tamper(&place, Object::Seal, Some(b"{}")).await;
    assert_eq!(kind().await, Ok(()));
    assert_eq!(sealed().await, [true]);
    backend.tamper(&place, Object::Seal, None).await;
    assert_eq!(kind().await, Err(ErrorKind::NotSealed));
}

async fn g03_a_sealed_run_is_refused_before_extraction(backend: &dyn Backend) {
    let (sink, key, run) = (open(backend), key(), run(1));
    let first = rows("first", 5);
    seal(&sink, &key, &run, &first).await.unwrap();
    let refused = sink.write_partition(&key, &run).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadySealed);
    assert_eq!(refused.place(), Some(path(&key, &run).as_str()));
    assert_eq!(read(&sink, &key, &run).await.unwrap(), first);
}

async fn g04_a_second_writer_is_refused_while_the_first_is_alive_or_has_sealed(
    backend: &dyn Backend,
) {
    let (key, run) = (key(), run(1));
    let mut writer = start(&open(backend)).await;
    put(&mut writer, &rows("first", 3)).await;
    let second = open(backend).write_partition(&key, &run).await;
    let sealed = writer.finalize(Metadata::default()).await.unwrap();
    let (refused, kind) = match backend.second_writer() {
        SecondWriter::Refused => (second.unwrap_err(), ErrorKind::Conflict),
        SecondWriter::Supersedes => {
            let mut second = second.unwrap();
            put(&mut second, &rows("second", 3)).await;
            (second.finalize(Metadata::default()).await.unwrap_err(), ErrorKind::AlreadySealed)
        }
    };
    assert_eq!(refused.kind(), kind, "{refused}");
    let reader = open(backend).open_partition(&key, &run).await.unwrap();
    assert_eq!(reader.seal().unwrap().writer, sealed.writer);
    assert_eq!(read(&open(backend), &key, &run).await.unwrap(), rows("first", 3));
}

async fn g05_readers_get_exactly_the_sealed_rows_and_metadata(backend: &dyn Backend) {
    let (key, run) = (key(), run(1));
    let written = rows("a", 1000);
    let mut writer = start(&open(backend)).await;
    put(&mut writer, &written).await;
    let given =
        r#"{"z":1.10,"record_count":1000,"big":12345678901234567890123,"source":"google_ads"}"#;
    let sealed = writer.finalize(Metadata::parse(given.as_bytes()).unwrap()).await.unwrap();
    for _ in 0..2 {
        let mut reader = open(backend).open_partition(&key, &run).await.unwrap();
        assert_eq!(serde_json::to_string(reader.metadata()).unwrap(), given);
        assert_eq!(reader.summary(), None, "nothing was read yet");
        assert_eq!(sample::read_all(&mut reader).await.unwrap(), written);
        assert_eq!(reader.summary(), Some(&sealed.payload));
        let seal = reader.seal().unwrap();
        assert_eq!(seal.payload_sha256, sealed.payload.payload_sha256);
        assert_eq!((seal.record_count, sealed.payload.record_count), (1000, 1000));
        assert_eq!(sealed.payload.payload_bytes, sample::payload(&written).len() as u64);
    }
}

async fn g05_an_empty_partition_can_be_sealed(backend: &dyn Backend) {
    let (sink, key, run) = (open(backend), key(), run(1));
    // Over a leftover too: the empty payload replaces it.
    backend.tamper(&path(&key, &run), Object::Payload, Some(b"{}\n")).await;
    let sealed = seal(&sink, &key, &run, &[]).await.unwrap();
    assert_eq!((sealed.payload.payload_bytes, sealed.payload.record_count), (0, 0));
    assert_eq!(read(&sink, &key, &run).await.unwrap(), Vec::<String>::new());
}

async fn g06_g08_a_refused_row_aborts_the_attempt_and_nothing_is_visible(backend: &dyn Backend) {
    let mut writer = start(&open(backend)).await;
    put(&mut writer, &rows("a", 2)).await;
    let refused = writer.write_payload_line(b"[1]").await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "{}: line 3 is not a JSON object; it looks like a JSON array; write each element on its own line \
             (jq -c '.[]'): \"[1]\"",
            path(&key(), &run(1))
        )
    );
    assert_nothing(backend, "at once").await;
    let place = path(&key(), &run(1));
    assert_eq!(backend.residue(&place).await, Vec::<String>::new(), "at once too");
    // The run is free, although the closed writer still exists.
    start(&open(backend)).await.abort().await;
    for closed in [
        writer.write_payload_line(b"{}").await.unwrap_err(),
        writer.write_payload_row(&serde_json::json!({})).await.unwrap_err(),
        writer.write_payload_from(&b"{}\n"[..], |_, _| ()).await.unwrap_err(),
        writer.finalize(metadata(&key(), &run(1))).await.unwrap_err(),
    ] {
        assert_eq!(closed.kind(), ErrorKind::Closed);
    }
    assert_nothing(backend, "after finalize too").await;
    seal(&open(backend), &key(), &run(1), &rows("b", 2)).await.unwrap();
}

async fn g06_a_complete_payload_is_sealed_or_abandoned(backend: &dyn Backend) {
    let sink = open(backend);
    let good = metadata(&key(), &run(1));
    for count in [1, 60_000] {
        let mut writer = start(&sink).await;
        put(&mut writer, &rows("given up", count)).await;
        writer.complete_payload(&good).await.unwrap();
        let closed = writer.write_payload_line(b"{}").await.unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::Closed, "{closed}");
        assert!(closed.message().contains("complete"), "{closed}");
        writer.abort().await;
        // A bucket keeps the payload as a leftover.
        let found = sink.open_partition(&key(), &run(1)).await.unwrap_err().kind();
        assert!(matches!(found, ErrorKind::NotFound | ErrorKind::NotSealed), "{found:?}");
    }
    let bad = Metadata::for_run(&key(), &run(1)).record_count(7).build().unwrap();
    let mut writer = start(&sink).await;
    assert_eq!(writer.complete_payload(&bad).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(writer.finalize(good.clone()).await.unwrap_err().kind(), ErrorKind::Closed);
    let mut writer = start(&sink).await;
    writer.complete_payload(&good).await.unwrap();
    assert_eq!(writer.finalize(bad).await.unwrap_err().kind(), ErrorKind::Invalid);

    let mut writer = start(&sink).await;
    let sealed = rows("sealed", 3);
    put(&mut writer, &sealed).await;
    writer.complete_payload(&good).await.unwrap();
    assert_eq!(writer.finalize(good).await.unwrap().payload.record_count, 3);
    assert_eq!(read(&sink, &key(), &run(1)).await.unwrap(), sealed);
}

async fn g08_an_aborted_or_dropped_writer_leaves_nothing(backend: &dyn Backend) {
    let place = path(&key(), &run(1));
    for count in [0, 1, 60_000] {
        let mut writer = start(&open(backend)).await;
        put(&mut writer, &rows("a", count)).await;
        assert_nothing(backend, "while it writes").await;
        writer.abort().await;
        assert_eq!(backend.residue(&place).await, Vec::<String>::new(), "{count} rows, aborted");

        let mut writer = start(&open(backend)).await;
        put(&mut writer, &rows("a", count)).await;
        drop(writer);
        eventually(async || backend.residue(&place).await.is_empty()).await;
    }
}

async fn g09_a_run_can_be_rewritten_over_any_leftover(backend: &dyn Backend) {
    let (sink, key, run) = (open(backend), key(), run(1));
    start(&sink).await.abort().await;
    drop(start(&sink).await);
    let mut refused = start(&sink).await;
    refused.write_payload_line(b"").await.unwrap_err();
    drop(refused);
    start(&sink)
        .await
        .finalize(Metadata::for_run(&key, &run).record_count(7).build().unwrap())
        .await
        .unwrap_err();
    backend.tamper(&path(&key, &run), Object::Payload, Some(b"left")).await;
    let again = rows("again", 10);
    seal(&sink, &key, &run, &again).await.unwrap();
    assert_eq!(read(&sink, &key, &run).await.unwrap(), again);
}

async fn g18_writers_of_many_partitions_work_in_parallel(backend: &dyn Backend) {
    let sink = open(backend);
    let parts: Vec<_> = (0..12).map(|n| (customer(&format!("{}", n / 3)), run(n % 3))).collect();
    let mut writers = Vec::new();
    for (key, run) in &parts {
        writers.push(sink.write_partition(key, run).await.unwrap());
    }
    for round in 0..20 {
        for (n, writer) in writers.iter_mut().enumerate() {
            let row = format!("{{\"writer\":{n},\"round\":{round}}}");
            writer.write_payload_line(row.as_bytes()).await.unwrap();
        }
    }
    for (n, writer) in writers.into_iter().enumerate() {
        if n % 4 == 3 {
            writer.abort().await;
        } else {
            drop(writer.finalize(Metadata::default()).await.unwrap());
        }
    }
    for (n, (key, run)) in parts.iter().enumerate() {
        let expected: Vec<String> =
            (0..20).map(|round| format!("{{\"writer\":{n},\"round\":{round}}}")).collect();
        match read(&sink, key, run).await {
            Ok(rows) => assert!(n % 4 != 3 && rows == expected, "{n}"),
            Err(error) => assert!(n % 4 == 3 && error.kind() == ErrorKind::NotFound, "{error}"),
        }
    }
}

async fn a_leftover_is_refused_if_configured(backend: &dyn Backend) {
    let refuse = SinkOptions::default().leftover(LeftoverPolicy::Refuse);
    let sink = open_with(backend, refuse);
    let place = path(&key(), &run(1));
    backend.tamper(&place, Object::Payload, Some(b"left")).await;
    let refused = sink.write_partition(&key(), &run(1)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.place()), (ErrorKind::Conflict, Some(place.as_str())));
    backend.tamper(&place, Object::Payload, None).await;
    seal(&sink, &key(), &run(1), &rows("a", 1)).await.unwrap();
}

async fn a_writer_counts_accepted_rows(backend: &dyn Backend) {
    let mut writer = start(&open(backend)).await;
    assert_eq!((writer.record_count(), writer.payload_bytes()), (0, 0));
    let mut bytes = 0;
    for (n, row) in (1..).zip(rows("a", 100)) {
        writer.write_payload_line(row.as_bytes()).await.unwrap();
        bytes += row.len() as u64 + 1;
        assert_eq!((writer.record_count(), writer.payload_bytes()), (n, bytes));
    }
}

async fn the_seal_contains_the_writers_token(backend: &dyn Backend) {
    let sink = open_with(backend, SinkOptions::default());
    for n in 1..4 {
        let sealed = seal(&sink, &key(), &run(n), &rows("a", 1)).await.unwrap();
        assert_eq!(sealed.writer, format!("{n:032x}"));
        let reader = sink.open_partition(&key(), &run(n)).await.unwrap();
        assert_eq!(reader.seal().unwrap().writer, sealed.writer);
        assert!(reader.seal().unwrap().software.starts_with("rawsink "));
    }
}

async fn a_key_too_long_for_object_storage_is_refused_before_extraction(backend: &dyn Backend) {
    let sink: RawSink = RawSink::new(Meddling::with_prefix_bytes(backend.store(), 1000));
    let refused = sink.write_partition(&key(), &run(1)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.message().contains("the limit is 1024"), "{refused}");
    assert_eq!(sink.open_partition(&key(), &run(1)).await.unwrap_err().kind(), ErrorKind::Invalid);
}
