//! Valid rows, for every input method.

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::stream;
use rawsink::{
    Config, Error, ErrorKind, Metadata, PartitionWriter, RawSink, Result,
    runtime::Runtime,
    sink::SinkOptions,
    store::{MemoryStore, Object, Store},
};
use serde::Serialize;
use serde_json::{json, value::RawValue};

use rawsink_testkit::{
    backend::{AnyStore, Backend, Memory},
    on_every_local_store,
    sample::{key, metadata, path, payload, read, rows, run},
};

on_every_local_store!(
    chunks_may_be_split_anywhere,
    a_refused_chunk_names_its_line_and_closes_the_writer,
    rows_of_a_stream_are_sealed_unless_it_fails,
    refused_lines_are_kept_and_counted_in_the_sealed_metadata,
    more_refused_lines_than_allowed_seal_nothing,
    a_refused_line_that_cannot_be_kept_ends_the_writer,
);

const MAX_ROW_BYTES: usize = 64;

/// The way lines reach a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Lines,
    Source,
    /// A source that returns one byte at a time and is interrupted before each.
    Trickle,
    /// Chunks of three bytes, split anywhere.
    Chunks,
}

const WAYS: [Way; 4] = [Way::Lines, Way::Source, Way::Trickle, Way::Chunks];

struct Trickle(Cursor<Vec<u8>>, bool);

impl Read for Trickle {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let one = into.len().min(1);
        self.0.read(&mut into[..one])
    }
}

/// Returns its bytes, then an error.
struct Breaking(Cursor<Vec<u8>>);

impl Read for Breaking {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(io::Error::other("the cable is out")),
            some => Ok(some),
        }
    }
}

fn sink(store: AnyStore) -> RawSink {
    let options = SinkOptions::default().max_row_bytes(MAX_ROW_BYTES);
    RawSink::with(store.0, options, Runtime::default())
}

async fn start(backend: &dyn Backend) -> PartitionWriter {
    sink(backend.store()).write_partition(&key(), &run(1)).await.unwrap()
}

/// Writes a text whose lines end in line feeds.
async fn write(writer: &mut PartitionWriter, way: Way, text: &[u8]) -> Result<()> {
    let text = text.to_vec();
    match way {
        Way::Lines => {
            let whole = text.strip_suffix(b"\n").unwrap_or(&text);
            for line in whole.split(|byte| *byte == b'\n') {
                writer.write_payload_line(line).await?;
            }
        }
        Way::Chunks => {
            for chunk in text.chunks(3) {
                writer.write_chunk(chunk).await?;
            }
        }
        Way::Source => drop(writer.write_payload_from(Cursor::new(text), |_, _| ()).await?),
        Way::Trickle => {
            let source = Trickle(Cursor::new(text), false);
            writer.write_payload_from(source, |_, _| ()).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn objects_are_kept_byte_for_byte() {
    for line in [
        "{}",
        "{\"a\":1}\r",
        " \t{ \"a\" : 1.0 } \t",
        "{\"a\":1,\"a\":2}",
        "{\"caf\u{e9}\":\"\\u00e9\\ud83d\"}",
        "{\"n\":12345678901234567890123456789.0e-400}",
        "{\"nul\":\"\\u0000\",\"nel\":\"\u{85}\u{2028}\"}",
        &format!("{{\"a\":{}}}", "9".repeat(MAX_ROW_BYTES - 6)),
    ] {
        for way in WAYS {
            let backend = Memory::default();
            let mut writer = start(&backend).await;
            let text = format!("{{\"first\":1}}\n{line}\n{{\"last\":1}}\n");
            write(&mut writer, way, text.as_bytes()).await.unwrap();
            let sealed = writer.finalize(Metadata::default()).await.unwrap();
            assert_eq!(
                (sealed.payload.record_count, sealed.payload.payload_bytes),
                (3, text.len() as u64)
            );
            let back = read(&sink(backend.store()), &key(), &run(1)).await.unwrap();
            assert_eq!(back, ["{\"first\":1}", line, "{\"last\":1}"], "{way:?}");
        }
    }
}

#[tokio::test]
async fn g06_a_line_that_is_no_object_closes_the_writer_and_is_named() {
    let too_long = format!("{{\"a\":{}}}", "9".repeat(MAX_ROW_BYTES - 5));
    for (line, says) in [
        (&b""[..], "is blank"),
        (b"\r", "is blank"),
        (b"  \t", "is blank"),
        (b"\xEF\xBB\xBF{}", "starts with a byte order mark"),
        (b"{\"a\":\"\xFF\"}", "is not valid UTF-8 (byte 7)"),
        (b"{\"a\":\"\xC3", "is not valid UTF-8 (byte 7)"),
        (b"{\"a\":\"\xED\xA0\x80\"}", "is not valid UTF-8"),
        (b"[{}]", "is not a JSON object"),
        (b"\"{}\"", "is not a JSON object"),
        (b"17", "is not a JSON object"),
        (b"null", "is not a JSON object"),
        (b"{\"a\":1", "is not valid JSON"),
        (b"{} {}", "is not valid JSON"),
        (b"{},", "is not valid JSON"),
        (b"{'a':1}", "is not valid JSON"),
        (b"{\"a\":NaN}", "is not valid JSON"),
        (b"a,b,c", "is not valid JSON"),
        (b"{\"a\":\"\x00\"}", "is not valid JSON"),
        (b"\x00", "is not valid JSON"),
        (too_long.as_bytes(), "is longer than 64 bytes"),
    ] {
        for way in WAYS {
            for (before, number) in [(&b""[..], 1), (b"{}\n{}\r\n", 3)] {
                let backend = Memory::default();
                let mut writer = start(&backend).await;
                let text = [before, line, b"\n{\"after\":1}\n"].concat();
                let refused = write(&mut writer, way, &text).await.unwrap_err();
                let shown = String::from_utf8_lossy(line);
                assert_eq!(refused.kind(), ErrorKind::Invalid, "{shown:?} {way:?}");
                assert!(
                    refused.message().starts_with(&format!("line {number} {says}")),
                    "{refused}"
                );
                assert_eq!(refused.place(), Some(path(&key(), &run(1)).as_str()));
                let closed = write(&mut writer, way, b"{}\n").await.unwrap_err();
                assert_eq!(closed.kind(), ErrorKind::Closed);
                let closed = writer.finalize(Metadata::default()).await.unwrap_err();
                assert_eq!(closed.kind(), ErrorKind::Closed);
                assert_eq!(backend.residue(&path(&key(), &run(1))).await, Vec::<String>::new());
            }
        }
    }
}

#[tokio::test]
async fn a_single_line_must_not_contain_a_line_feed() {
    for line in ["{}\n", "{\n}", "{}\n{}", "\n"] {
        let refused = start(&Memory::default()).await.write_payload_line(line.as_bytes()).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.message().contains("line 1 contains a line feed"), "{refused}");
    }
}

#[tokio::test]
async fn a_missing_final_line_feed_is_added() {
    for way in WAYS {
        let backend = Memory::default();
        let mut writer = start(&backend).await;
        write(&mut writer, way, b"{\"a\":1}\r\n{\"b\":2}").await.unwrap();
        // A chunk's last line is open until the payload ends.
        let rows = if way == Way::Chunks { (1, 9) } else { (2, 17) };
        assert_eq!((writer.record_count(), writer.payload_bytes()), rows);
        let sealed = writer.finalize(Metadata::default()).await.unwrap();
        assert_eq!((sealed.payload.record_count, sealed.payload.payload_bytes), (2, 17));
        let rows = read(&sink(backend.store()), &key(), &run(1)).await.unwrap();
        assert_eq!(rows, ["{\"a\":1}\r", "{\"b\":2}"]);
    }
}

#[tokio::test]
async fn a_source_may_be_empty_and_followed_by_others() {
    let backend = Memory::default();
    let mut writer = start(&backend).await;
    assert_eq!(writer.write_payload_from(io::empty(), |_, _| ()).await.unwrap(), 0);
    assert_eq!(writer.write_payload_from(&b"{}\n{}"[..], |_, _| ()).await.unwrap(), 2);
    assert_eq!(writer.write_payload_from(&b"{}"[..], |_, _| ()).await.unwrap(), 1);
    writer.finalize(Metadata::default()).await.unwrap();
    assert_eq!(read(&sink(backend.store()), &key(), &run(1)).await.unwrap(), ["{}"; 3]);
}

#[tokio::test]
async fn g08_a_failing_source_closes_the_writer_with_unavailable() {
    let whole = payload(&rows("a", 20));
    for cut in [0, 1, 20, whole.len() - 1, whole.len()] {
        let backend = Memory::default();
        let mut writer = start(&backend).await;
        let source = Breaking(Cursor::new(whole[..cut].to_vec()));
        let refused = writer.write_payload_from(source, |_, _| ()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert!(refused.message().contains("the cable is out"), "{refused}");
        let closed = writer.finalize(Metadata::default()).await.unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::Closed);
        assert_eq!(backend.residue(&path(&key(), &run(1))).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_long_source_arrives_complete_and_progress_only_grows() {
    let store = AnyStore(Arc::new(MemoryStore::with_part_bytes(100_003)));
    let written = rows("a", 60_000);
    let whole = payload(&written);
    assert!(whole.len() > 3_000_000, "several of the chunks that a source is read in");
    let mut writer = RawSink::new(store.clone()).write_partition(&key(), &run(1)).await.unwrap();
    let seen = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
    let noted = seen.clone();
    let progress = move |rows, bytes| {
        assert!(noted.0.swap(rows, Ordering::Relaxed) <= rows);
        assert!(noted.1.swap(bytes, Ordering::Relaxed) <= bytes);
    };
    let count = writer.write_payload_from(Cursor::new(whole.clone()), progress).await.unwrap();
    assert_eq!(count, 60_000);
    assert_eq!(seen.0.load(Ordering::Relaxed), 60_000);
    assert_eq!(seen.1.load(Ordering::Relaxed), whole.len() as u64);
    writer.finalize(Metadata::default()).await.unwrap();
    let inspected = store.inspect(&path(&key(), &run(1))).await.unwrap();
    assert_eq!(inspected.payload.unwrap().bytes, whole.len() as u64);
    assert_eq!(read(&RawSink::new(store), &key(), &run(1)).await.unwrap(), written);
}

#[tokio::test]
async fn typed_rows_become_one_line_each() {
    #[derive(Serialize)]
    struct Click<'a> {
        campaign: &'a str,
        clicks: u32,
    }
    let backend = Memory::default();
    let mut writer = start(&backend).await;
    writer.write_payload_row(&Click { campaign: "a\nb", clicks: 7 }).await.unwrap();
    writer.write_payload_row(&BTreeMap::from([(1, 'x')])).await.unwrap();
    writer.write_payload_row(&json!({"deep": {"list": [1, null]}})).await.unwrap();
    let raw: Box<RawValue> = serde_json::from_str(" {\"kept\" :1.10}").unwrap();
    writer.write_payload_row(&raw).await.unwrap();
    writer.finalize(Metadata::default()).await.unwrap();
    let expected = [
        r#"{"campaign":"a\nb","clicks":7}"#,
        r#"{"1":"x"}"#,
        r#"{"deep":{"list":[1,null]}}"#,
        r#"{"kept" :1.10}"#,
    ];
    assert_eq!(read(&sink(backend.store()), &key(), &run(1)).await.unwrap(), expected);
}

/// Writes a valid row, then an invalid one; returns the writer's message.
async fn refusal<T: Serialize + Sync + ?Sized>(row: &T) -> String {
    let backend = Memory::default();
    let mut writer = start(&backend).await;
    writer.write_payload_row(&json!({})).await.unwrap();
    let refused = writer.write_payload_row(row).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let closed = writer.finalize(Metadata::default()).await.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Closed);
    let there = backend.store().inspect(&path(&key(), &run(1))).await.unwrap();
    assert_eq!((there.payload, there.seal), (None, None), "{}", Object::Payload.file_name());
    refused.message().to_owned()
}

#[tokio::test]
async fn g06_typed_rows_that_are_no_one_line_object_close_the_writer() {
    let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    assert_eq!(refusal(&7).await, "line 2 is not a JSON object: \"7\"");
    assert_eq!(
        refusal("{}").await,
        "line 2 is not a JSON object; it looks like JSON inside a text; decode it once: \"\"{}\"\""
    );
    assert_eq!(refusal(&None::<u8>).await, "line 2 is not a JSON object: \"null\"");
    for array in [raw("[{}]"), raw("[1]")] {
        assert!(
            refusal(&array)
                .await
                .starts_with("line 2 is not a JSON object; it looks like a JSON array")
        );
    }
    assert_eq!(refusal(&raw("{\n}")).await, "line 2 contains a line feed");
    let inside = BTreeMap::from([("a", raw("[1,\n2]"))]);
    assert_eq!(refusal(&inside).await, "line 2 contains a line feed");
    let no_json = BTreeMap::from([(vec![1], 2)]);
    assert!(refusal(&no_json).await.starts_with("line 2 cannot be serialised: "));
    let not_a_number = BTreeMap::from([("clicks", f64::NAN)]);
    assert_eq!(
        refusal(&not_a_number).await,
        "line 2 cannot be serialised: NaN is not a JSON number"
    );
    let long = json!({"a": "x".repeat(MAX_ROW_BYTES)});
    assert!(refusal(&long).await.starts_with("line 2 is longer than 64 bytes"));
}

/// Refused lines with their numbers.
type Kept = Arc<Mutex<Vec<(u64, Vec<u8>)>>>;

/// Keeps refused lines in memory.
fn keep(writer: &mut PartitionWriter, max: u64) -> Kept {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let list = kept.clone();
    writer.keep_refused(max, move |row, line| {
        list.lock().unwrap().push((row.line, line.to_vec()));
        Ok(())
    });
    kept
}

async fn refused_lines_are_kept_and_counted_in_the_sealed_metadata(backend: &dyn Backend) {
    let mut writer = start(backend).await;
    let kept = keep(&mut writer, 4);
    writer.write_chunk(b"{\"n\":1}\nno\n{\"n\"").await.unwrap();
    writer.write_chunk(b":2}\n\n").await.unwrap();
    writer.write_payload_line(b"[]").await.unwrap();
    writer.write_payload_row(&json!({"a": "x".repeat(MAX_ROW_BYTES)})).await.unwrap();
    writer.write_payload_row(&json!({"n": 3})).await.unwrap();
    let numbers: Vec<u64> = kept.lock().unwrap().iter().map(|(line, _)| *line).collect();
    assert_eq!(numbers, [2, 4, 5, 6]);
    assert_eq!(kept.lock().unwrap()[3].1.len(), MAX_ROW_BYTES);
    let metadata = metadata(&key(), &run(1));
    writer.complete_payload(&metadata).await.unwrap();
    let sealed = writer.finalize(metadata).await.unwrap();
    assert_eq!(sealed.payload.record_count, 3);
    let sink = sink(backend.store());
    assert_eq!(
        read(&sink, &key(), &run(1)).await.unwrap(),
        ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"]
    );
    let (metadata, _) = sink.metadata(&key(), &run(1)).await.unwrap();
    assert_eq!(metadata.integer("rejected_count"), Some(4));
}

async fn more_refused_lines_than_allowed_seal_nothing(backend: &dyn Backend) {
    let mut writer = start(backend).await;
    let kept = keep(&mut writer, 1);
    writer.write_chunk(b"{}\nno\n[1]\n{}\n").await.unwrap();
    let error = writer.finalize(metadata(&key(), &run(1))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.message().starts_with("2 lines were refused, more than 1; first: line 2"),
        "{error}"
    );
    assert_eq!(kept.lock().unwrap().len(), 2);
    assert!(sink(backend.store()).list_partitions(&key()).await.unwrap().is_empty());
}

async fn a_refused_line_that_cannot_be_kept_ends_the_writer(backend: &dyn Backend) {
    let mut writer = start(backend).await;
    writer.keep_refused(9, |_, _| Err(Error::new(ErrorKind::Unavailable, "the disk is full")));
    let error = writer.write_chunk(b"{}\nno\n{}\n").await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, "the disk is full"));
    assert_eq!(writer.write_chunk(b"{}\n").await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_count_of_refused_lines_in_the_metadata_must_be_the_right_one() {
    for (given, expected) in [("null", Some(1)), ("1", Some(1)), ("0", None), ("\"1\"", None)] {
        let backend = Memory::default();
        let mut writer = start(&backend).await;
        keep(&mut writer, 1);
        writer.write_chunk(b"{}\nno\n").await.unwrap();
        let text = format!("{{\"rejected_count\":{given}}}");
        let sealed = writer.finalize(Metadata::parse(text.as_bytes()).unwrap()).await;
        let found = match sealed {
            Ok(_) => {
                let sink = sink(backend.store());
                sink.metadata(&key(), &run(1)).await.unwrap().0.integer("rejected_count")
            }
            Err(error) => {
                assert!(error.message().contains("the number of refused lines is 1"), "{error}");
                None
            }
        };
        assert_eq!(found, expected, "{given}");
    }
}

#[tokio::test]
async fn required_members_and_skipped_blank_lines_apply_to_every_way_of_writing() {
    for way in WAYS {
        let backend = Memory::default();
        let mut writer = start(&backend).await;
        writer.require_member("id");
        writer.skip_blank();
        write(&mut writer, way, b"{\"id\":1}\n\n \n{\"id\":2}\n").await.unwrap();
        let error = write(&mut writer, way, b"{\"error\":{\"id\":1}}\n").await.unwrap_err();
        assert!(error.message().starts_with("line 5 has no member \"id\""), "{way:?}: {error}");
    }
    let backend = Memory::default();
    let mut writer = start(&backend).await;
    writer.require_member("id");
    writer.write_payload_row(&json!({"id": 1})).await.unwrap();
    let error = writer.write_payload_row(&json!({"error": 1})).await.unwrap_err();
    assert!(error.message().starts_with("line 2 has no member \"id\""), "{error}");
}

async fn chunks_may_be_split_anywhere(backend: &dyn Backend) {
    let payload = b"{\"n\":1}\r\n{\"n\":2}\n{\"n\":3}";
    for size in 1..=payload.len() {
        let run = run(u16::try_from(size).unwrap());
        let sink = sink(backend.store());
        let mut writer = sink.write_partition(&key(), &run).await.unwrap();
        for chunk in payload.chunks(size) {
            writer.write_chunk(chunk).await.unwrap();
        }
        let sealed = writer.finalize(metadata(&key(), &run)).await.unwrap();
        assert_eq!(sealed.payload.record_count, 3, "chunks of {size}");
        let read = read(&sink, &key(), &run).await.unwrap();
        assert_eq!(read, ["{\"n\":1}\r", "{\"n\":2}", "{\"n\":3}"], "chunks of {size}");
    }
}

async fn a_refused_chunk_names_its_line_and_closes_the_writer(backend: &dyn Backend) {
    let mut writer = start(backend).await;
    writer.write_chunk(b"{}\n{\"a\"").await.unwrap();
    let error = writer.write_chunk(b":}\n{}\n").await.unwrap_err();
    assert!(error.message().starts_with("line 2 is not valid JSON"), "{error}");
    assert_eq!(writer.write_chunk(b"{}\n").await.unwrap_err().kind(), ErrorKind::Closed);
    let mut writer = start(backend).await;
    writer.write_chunk(b"{}\n{\"a\"").await.unwrap();
    let error = writer.write_payload_line(b"{}").await.unwrap_err();
    assert!(error.message().starts_with("line 2 is incomplete"), "{error}");
}

#[test]
fn an_illegal_length_limit_of_rows_names_its_setting() {
    for limit in [0, 1, usize::MAX] {
        let options = SinkOptions::default().max_row_bytes(limit);
        let error = RawSink::open(&Config::directory("/srv").options(options)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{limit}: {error}");
        assert_eq!(error.setting(), Some("max_row_bytes"), "{limit}");
    }
}

async fn rows_of_a_stream_are_sealed_unless_it_fails(backend: &dyn Backend) {
    let mut writer = start(backend).await;
    let good = stream::iter((0..3).map(|n| Ok::<_, std::convert::Infallible>(json!({"n": n}))));
    assert_eq!(writer.write_rows(good).await.unwrap(), 3);
    let failing = stream::iter([Ok(json!({})), Err(io::Error::other("page 2 was lost"))]);
    let error = writer.write_rows(failing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.message(), "the row source failed: page 2 was lost");
    assert_eq!(writer.finalize(Metadata::default()).await.unwrap_err().kind(), ErrorKind::Closed);
}
