//! The row checker agrees with `serde_json` on its documented rules, and rows survive any cut into chunks.
//!
//! The first byte is the length of the chunks, the rest is the payload.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use rawsink::{
    Metadata, PartitionKey, RawSink, RunId,
    partition::row::{self, RowFault},
    sink::SinkOptions,
    store::MemoryStore,
};
use rawsink_fuzz::runtime;
use serde_json::Value;

/// Length limit of a row, so short that a mutation reaches it.
const LIMIT: usize = 200;

fuzz_target!(|data: &[u8]| {
    let Some((&step, payload)) = data.split_first() else { return };
    let lines = lines(payload);
    let faults: Vec<_> = lines.iter().filter_map(|line| check(line).err()).collect();
    let landed = land(payload, usize::from(step) + 1);
    match (&landed, faults.first()) {
        (Ok(rows), None) => assert_eq!(*rows, lines),
        (Err(error), Some(fault)) => {
            assert!(error.contains(&fault.to_string()), "{error}: {fault}");
        }
        _ => panic!("landed {landed:?}, faults {faults:?}"),
    }
});

/// Returns the lines of a payload. The line feed of the last one may be missing.
fn lines(payload: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = payload.split(|byte| *byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    lines
}

/// Checks a line and compares the verdict with another parser's, which builds the value.
fn check(line: &[u8]) -> Result<(), RowFault> {
    let verdict = row::check(line, LIMIT).map(drop);
    let value = serde_json::from_slice::<Value>(line);
    match (&verdict, &value) {
        (Ok(()), Ok(value)) => assert!(value.is_object(), "{value}"),
        // A row is kept as it is, also where a value of Rust could not hold it.
        (Ok(()), Err(error)) => {
            let reason = error.to_string();
            let limits = [
                "number out of range",
                "recursion limit exceeded",
                "lone leading surrogate",
                "unexpected end of hex escape",
            ];
            assert!(limits.iter().any(|limit| reason.starts_with(limit)), "{reason}");
        }
        (Err(RowFault::TooLong(limit)), _) => assert!(line.len() > *limit),
        (Err(fault), Ok(value)) => {
            assert!(*fault == RowFault::NotAnObject && !value.is_object(), "{fault}: {value}");
        }
        (Err(RowFault::NotUtf8(byte)), Err(_)) => {
            assert_eq!(std::str::from_utf8(line).unwrap_err().valid_up_to() + 1, *byte);
        }
        (Err(RowFault::NotJson { byte, .. }), Err(_)) => {
            assert!((1..=line.len() + 1).contains(byte), "{byte}");
            // Before the first wrong byte nothing is wrong.
            let start = row::check(&line[..byte - 1], LIMIT);
            let ends = |reason: &str| reason.starts_with("the line ends");
            assert!(
                !matches!(start, Err(RowFault::NotJson { reason, .. }) if !ends(reason)),
                "{start:?}"
            );
        }
        (Err(RowFault::Blank), Err(_)) => assert!(line.trim_ascii().is_empty()),
        (Err(RowFault::ByteOrderMark), Err(_)) => {
            assert!(line.trim_ascii_start().starts_with(b"\xEF\xBB\xBF"));
        }
        // A value that Rust could not hold, and no object.
        (Err(RowFault::NotAnObject), Err(_)) => assert!(!line.trim_ascii_start().starts_with(b"{")),
        (Err(fault), Err(_)) => panic!("{fault}"),
    }
    verdict
}

/// Lands a payload in chunks; returns its rows as a reader sees them, or the error.
fn land(payload: &[u8], step: usize) -> Result<Vec<Vec<u8>>, String> {
    let key = PartitionKey::new("ads", "1", "campaign", "2024-06-01").unwrap();
    let run: RunId = "2024-06-02T00:00:00.000Z".parse().unwrap();
    let options = SinkOptions::default().max_row_bytes(LIMIT);
    let sink = RawSink::with(Arc::new(MemoryStore::new()), options, runtime());
    let landing = async {
        let mut writer = sink.write_partition(&key, &run).await?;
        for chunk in payload.chunks(step) {
            writer.write_chunk(chunk).await?;
        }
        writer.finalize(Metadata::for_run(&key, &run).build()?).await
    };
    let executor = tokio::runtime::Builder::new_current_thread().build().unwrap();
    executor.block_on(async {
        let sealed = landing.await.map_err(|error| error.to_string())?;
        let mut reader = sink.open_partition(&key, &run).await.unwrap();
        let mut rows = Vec::new();
        while let Some(row) = reader.next_row().await.unwrap() {
            rows.push(row.to_vec());
        }
        assert_eq!(sealed.payload.record_count, rows.len() as u64);
        Ok(rows)
    })
}
