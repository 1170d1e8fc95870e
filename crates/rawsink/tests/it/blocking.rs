//! The blocking facade: the same operations without an async runtime.

use std::io::Read;

use rawsink::{
    Config, ErrorKind, Metadata, blocking,
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
    sink.block_on(backend.tamper(&path(&key(), &run(1)), Object::Payload, Some(b"{\"n\":2}\n")));
    let mut bytes = Vec::new();
    let mut reader = sink.open_partition(&key(), &run(1)).unwrap();
    let error = reader.read_to_end(&mut bytes).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    let cause = error.get_ref().unwrap().downcast_ref::<rawsink::Error>().unwrap();
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
fn handles_can_be_sent_to_other_threads() {
    fn is_send<T: Send>() {}
    is_send::<rawsink::PartitionWriter>();
    is_send::<rawsink::PartitionReader>();
    is_send::<blocking::PartitionWriter>();
    is_send::<blocking::PartitionReader>();
    is_send::<blocking::RawSink>();
}
