//! The blocking facade: the same operations without an async runtime.

use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rawsink::{
    Config, Error, ErrorKind, Metadata, blocking,
    partition::row::RefusedRow,
    state::{MemoryState, Status},
    store::Object,
    validate::Rules,
};
use rawsink_testkit::{
    backend::{Backend, Directory, entries},
    sample::{key, path, run},
};

fn sink(backend: &Directory) -> blocking::RawSink {
    blocking::RawSink::open(&Config::directory(backend.root())).unwrap()
}

fn metadata() -> Metadata {
    Metadata::for_run(&key(), &run(1)).schema_version("v1").build().unwrap()
}

fn seal(sink: &blocking::RawSink, payload: &[u8]) {
    let mut writer = sink.write_partition(&key(), &run(1)).unwrap();
    writer.write_chunk(payload).unwrap();
    writer.finalize(metadata()).unwrap();
}

#[test]
fn rows_are_sealed_validated_and_read_without_a_runtime() {
    let backend = Directory::default();
    let (sink, state) = (sink(&backend), MemoryState::new());
    let mut writer = sink.write_partition(&key(), &run(1)).unwrap();
    writer.write_payload_row(&serde_json::json!({"n": 1})).unwrap();
    writer.write_payload_line(b"{\"n\":2}").unwrap();
    writer.write_chunk(b"{\"n\":3}\n{\"n\"").unwrap();
    writer.write_chunk(b":4}").unwrap();
    writer.complete_payload(&metadata()).unwrap();
    assert_eq!(writer.record_count(), 4);
    let sealed = writer.finalize(metadata()).unwrap();
    assert_eq!(sealed.payload.record_count, 4);
    let validated = sink.validate(&state, &key(), &run(1), Rules::default()).unwrap();
    assert_eq!(validated.state.status, Status::Success);
    let mut payload = String::new();
    sink.open_current(&state, &key()).unwrap().read_to_string(&mut payload).unwrap();
    assert_eq!(payload, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n");
    let rows = sink.open_partition(&key(), &run(1)).unwrap();
    assert_eq!(rows.map(|row| row.unwrap().len()).collect::<Vec<_>>(), [7, 7, 7, 7]);
    assert_eq!(sink.list_partitions(&key()).unwrap(), [run(1)]);
}

#[test]
fn g08_a_dropped_writer_leaves_nothing_and_the_run_can_be_written() {
    let backend = Directory::default();
    let sink = sink(&backend);
    let mut writer = sink.write_partition(&key(), &run(1)).unwrap();
    writer.write_chunk(b"{}\n").unwrap();
    drop(writer);
    assert_eq!(entries(&backend.at(&path(&key(), &run(1)))).unwrap_or_default(), [""; 0]);
    seal(&sink, b"{}\n");
    let refused = sink.write_partition(&key(), &run(1)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadySealed);
}

#[test]
fn g10_a_damaged_payload_is_an_error_not_end_of_file() {
    let backend = Directory::default();
    let sink = sink(&backend);
    seal(&sink, b"{\"n\":1}\n");
    let changed = async {
        backend.tamper(&path(&key(), &run(1)), Object::Payload, Some(b"{\"n\":2}\n")).await;
        Ok(())
    };
    sink.block_on(changed).unwrap();
    let mut bytes = Vec::new();
    let mut reader = sink.open_partition(&key(), &run(1)).unwrap();
    let error = reader.read_to_end(&mut bytes).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    let cause = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
    assert_eq!(cause.kind(), ErrorKind::Corrupt);
    let rows: Vec<_> = sink.open_partition(&key(), &run(1)).unwrap().collect();
    assert_eq!(rows.last().unwrap().as_ref().unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_handle_may_be_dropped_inside_an_async_task() {
    let backend = Directory::default();
    let root = backend.root();
    let open = move || {
        let sink = blocking::RawSink::open(&Config::directory(root)).unwrap();
        let mut writer = sink.write_partition(&key(), &run(1)).unwrap();
        writer.write_chunk(b"{}\n").unwrap();
        (sink, writer)
    };
    let (sink, writer) = tokio::task::spawn_blocking(open).await.unwrap();
    drop(writer);
    drop(sink);
}

#[test]
fn g08_a_cancelled_writer_seals_nothing() {
    let backend = Directory::default();
    let sink = sink(&backend);
    let mut writer = sink.write_partition(&key(), &run(1)).unwrap();
    writer.write_chunk(b"{}\n").unwrap();
    writer.canceller().cancel();
    let cancelled = writer.write_chunk(b"{}\n").unwrap_err();
    assert_eq!((cancelled.kind(), cancelled.message()), (ErrorKind::Closed, "cancelled"));
    assert_eq!(cancelled.place(), Some(path(&key(), &run(1)).as_str()));
    assert_eq!(writer.finalize(metadata()).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(entries(&backend.at(&path(&key(), &run(1)))).unwrap_or_default(), [""; 0]);
}

#[test]
fn a_check_that_fails_ends_a_call_that_waits() {
    let backend = Directory::default();
    let checks = Arc::new(AtomicUsize::new(0));
    let counted = checks.clone();
    let check = move || {
        let is_third = counted.fetch_add(1, Ordering::Relaxed) == 2;
        if is_third { Err(Error::new(ErrorKind::Closed, "enough")) } else { Ok(()) }
    };
    let sink = sink(&backend).with_check(Arc::new(check));
    let ended = sink.block_on(std::future::pending::<Result<(), Error>>()).unwrap_err();
    assert_eq!((ended.message(), checks.load(Ordering::Relaxed)), ("enough", 3));
}

#[test]
fn a_row_without_text_ends_the_writer_or_is_kept() {
    let backend = Directory::default();
    let sink = sink(&backend);
    let mut strict = sink.write_partition(&key(), &run(1)).unwrap();
    let refused = strict.refuse_row("no text", b"{\"n\":").unwrap_err();
    assert_eq!(RefusedRow::of(&refused).unwrap().line, 1);
    assert_eq!(strict.finalize(metadata()).unwrap_err().kind(), ErrorKind::Closed);
    let mut patient = sink.write_partition(&key(), &run(1)).unwrap();
    patient.keep_refused(1, |row, text| {
        assert_eq!((row.line, text), (2, &b"{\"n\":"[..]));
        Ok(())
    });
    patient.write_chunk(b"{}\n").unwrap();
    patient.refuse_row("no text", b"{\"n\":").unwrap();
    patient.write_chunk(b"{\"last\":1}").unwrap();
    patient.end_line().unwrap();
    assert_eq!((patient.record_count(), patient.refused_count()), (2, Some(1)));
    patient.finalize(metadata()).unwrap();
}

#[test]
fn handles_can_be_sent_to_other_threads() {
    fn is_send<T: Send>() {}
    is_send::<rawsink::PartitionWriter>();
    is_send::<rawsink::PartitionReader>();
    is_send::<blocking::PartitionWriter>();
    is_send::<blocking::PartitionReader>();
    is_send::<blocking::RawSink>();
}
