use std::io::Read;

use super::*;

const OUTPUT: &str = concat!(
    r#"{"type":"SCHEMA","stream":"a","schema":{"x":1}}"#,
    "\n",
    r#"{"type":"RECORD","stream":"a","record":{"n": 1.0}}"#,
    "\r\n",
    r#"{"type":"STATE","value":{"at": 1}}"#,
    "\n",
    r#"{"type":"SCHEMA","stream":"b","schema":{}}"#,
    "\n",
    r#"{"type":"RECORD","stream":"b","record":{ }}"#,
    "\n",
    r#"{"type":"RECORD","stream":"a","record":{"é":"\u0000"}}"#,
    "\n",
);

fn extraction(max_row_bytes: usize) -> Extraction {
    let key = PartitionKey::new("s", "1", STREAM, "2024-06-01").unwrap();
    let names = StreamNames::new(key, [].into()).unwrap();
    Extraction::new(names, std::env::temp_dir(), max_row_bytes)
}

/// Takes the output in chunks of this length.
fn taken(output: &str, chunk_bytes: usize) -> Result<Extracted> {
    let mut extraction = extraction(1000);
    for chunk in output.as_bytes().chunks(chunk_bytes) {
        extraction.chunk(chunk)?;
    }
    extraction.finish()
}

#[test]
fn a_chunk_may_end_anywhere() {
    for chunk_bytes in 1..=OUTPUT.len() {
        let mut extracted = taken(OUTPUT, chunk_bytes).unwrap();
        let rows = extracted.streams.iter_mut().map(|stream| {
            let mut rows = Vec::new();
            stream.take_rows().read_to_end(&mut rows).unwrap();
            assert_eq!(stream.payload.payload_sha256, rawsink::sink::sha256(&rows));
            assert_eq!(stream.payload.payload_bytes, rows.len() as u64);
            (stream.name.clone(), stream.payload.record_count, String::from_utf8(rows).unwrap())
        });
        let expected = [
            ("a".to_owned(), 2, "{\"n\": 1.0}\n{\"é\":\"\\u0000\"}\n".to_owned()),
            ("b".to_owned(), 1, "{ }\n".to_owned()),
        ];
        assert_eq!(rows.collect::<Vec<_>>(), expected, "chunks of {chunk_bytes} bytes");
        assert_eq!(extracted.state.unwrap().get(), "{\"at\": 1}");
    }
}

#[test]
fn output_that_is_cut_inside_a_line_is_refused() {
    for end in (0..OUTPUT.len()).filter(|end| OUTPUT.is_char_boundary(*end)) {
        let cut = &OUTPUT[..end];
        let outcome = taken(cut, 7);
        if cut.is_empty() || cut.ends_with('\n') {
            outcome.unwrap();
            continue;
        }
        let refused = outcome.unwrap_err();
        let line = cut.matches('\n').count() as u64 + 1;
        assert_eq!(RefusedMessage::of(&refused).unwrap().line, line, "{cut}");
    }
}

#[test]
fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
    let mut extraction = extraction(10);
    let chunk = vec![b'x'; 1 << 20];
    let chunks = (0..100).position(|_| extraction.chunk(&chunk).is_err()).unwrap();
    assert_eq!(chunks, MAX_METADATA_BYTES >> 20);
}
