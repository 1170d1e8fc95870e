//! Every file of `JSONTestSuite` as a member of a row: `make json-suite`.

use std::{fs, path::PathBuf};

use rawsink::{
    ErrorKind, RawSink,
    partition::row::{RefusedRow, RowFault},
    runtime::Runtime,
    sink::SinkOptions,
};

use rawsink_testkit::{
    backend::{Backend, Memory},
    json::is_start,
    sample::{key, metadata, read, run},
};

/// Returns a row with the text of a file as the value of a member.
fn row(text: &[u8]) -> Vec<u8> {
    [b"{\"a\":", text, b"}"].concat()
}

/// Lands a row, and returns it as it was stored, or the refusal.
async fn land(row: &[u8]) -> Result<String, RefusedRow> {
    let store = Memory::default().store();
    let sink = RawSink::with(store.0, SinkOptions::default(), Runtime::default());
    let mut writer = sink.write_partition(&key(), &run(1)).await.unwrap();
    match writer.write_payload_line(row).await {
        Ok(()) => {
            writer.finalize(metadata(&key(), &run(1))).await.unwrap();
            Ok(read(&sink, &key(), &run(1)).await.unwrap().concat())
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            drop(writer);
            assert!(sink.list_partitions(&key()).await.unwrap().is_empty(), "{error}");
            Err(RefusedRow::of(&error).cloned().unwrap())
        }
    }
}

#[tokio::test]
#[ignore = "suite: make json-suite"]
#[expect(clippy::disallowed_methods, reason = "a variable names the folder of the suite")]
async fn every_file_is_kept_or_refused_at_its_first_wrong_byte() {
    let dir = PathBuf::from(std::env::var("RAWSINK_JSON_SUITE").unwrap()).join("test_parsing");
    let mut counts = [0; 4];
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let mut text = fs::read(&file).unwrap();
        if name.starts_with("y_") {
            // A line feed is white space there, which a row cannot have.
            text.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
        }
        let row = row(&text);
        let landed = land(&row).await;
        match (&name[..2], &landed) {
            ("y_" | "i_", Ok(stored)) => {
                assert_eq!(stored.as_bytes(), row, "{name}");
                counts[usize::from(name.starts_with("i_"))] += 1;
            }
            ("n_" | "i_", Err(refused)) => {
                counts[2 + usize::from(name.starts_with("i_"))] += 1;
                match refused.fault {
                    RowFault::NotJson { byte, .. } => {
                        assert!(is_start(&row[..byte - 1]), "{name}: {refused}");
                        assert!(byte > row.len() || !is_start(&row[..byte]), "{name}: {refused}");
                    }
                    RowFault::NotUtf8(byte) => {
                        assert_eq!(std::str::from_utf8(&row).unwrap_err().valid_up_to() + 1, byte);
                    }
                    RowFault::LineFeed => assert!(row.contains(&b'\n'), "{name}"),
                    _ => panic!("{name}: {refused}"),
                }
            }
            _ => panic!("{name}: {landed:?}"),
        }
    }
    let [kept, kept_too, refused, refused_too] = counts;
    println!(
        "{kept} files that must be accepted, {refused} that must be refused; of those that may be \
         either {kept_too} accepted, {refused_too} refused"
    );
    assert!(kept > 90 && refused > 180, "the suite is incomplete");
}
