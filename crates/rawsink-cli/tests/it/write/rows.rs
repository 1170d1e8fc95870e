//! Valid rows, and the error for an invalid one.

use std::fs;

use crate::landing::{Answer, Landing, PARTITION, RUN};

fn write(landing: &Landing, rows: impl AsRef<[u8]>) -> Answer {
    landing.feed(["write", PARTITION, "--run-id", RUN], rows)
}

#[test]
fn an_invalid_row_is_named_by_line_and_nothing_is_sealed() {
    let landing = Landing::new();
    let cases: [(&[u8], &str); 9] = [
        (b"{}\n{}\n{\"a\":\n{}\n", "line 3 is not valid JSON"),
        (b"{}\n[1]\n", "line 2 is not a JSON object"),
        (b"{}\n\n{}\n", "line 2 is blank"),
        (b"{}\n \t\r\n", "line 2 is blank"),
        (b"\xEF\xBB\xBF{}\n", "line 1 starts with a byte order mark"),
        (b"{}\n{\"a\":\"\xFF\"}\n", "line 2 is not valid UTF-8 (byte 7)"),
        (b"{}\n{} {}\n", "line 2 is not valid JSON"),
        (b"{}\n{\"cut\":\"of", "line 2 is not valid JSON"),
        (b"{}\nnull", "line 2 is not a JSON object"),
    ];
    for (rows, said) in cases {
        let answer = write(&landing, rows).exits(65);
        let error = answer.one_error("Invalid");
        assert!(error.contains(said), "not {said:?}: {error}");
        assert!(error.contains(RUN), "names no run: {error}");
        landing.assert_nothing_of(RUN);
    }
    assert_eq!(landing.files(), Vec::<String>::new());
    write(&landing, "{}\n").exits(0);
}

#[test]
fn a_bad_row_far_into_a_large_stream_is_named_too() {
    let landing = Landing::new();
    let mut rows = "{\"filler\":\"0123456789\"}\n".repeat(200_000);
    rows.push_str("oops\n");
    let answer = write(&landing, &rows).exits(65);
    assert!(answer.one_error("Invalid").contains("line 200001 "), "{answer:#?}");
    landing.assert_nothing_of(RUN);
}

#[test]
fn rows_are_kept_byte_for_byte() {
    let rows = "{}\r\n {\"a\" : 1.10}\t\n{\"é\":\"\\u00e9\",\"a\":1,\"a\":2}\n{\"n\":123456789012345678901234567890e-400}\n";
    let landing = Landing::new();
    write(&landing, rows).exits(0);
    assert_eq!(fs::read_to_string(landing.payload(RUN)).unwrap(), rows);
    assert_eq!(landing.rawsink(["read", PARTITION, "--latest"]).exits(0).stdout, rows);
}

#[test]
fn a_missing_last_line_feed_is_added() {
    let landing = Landing::new();
    write(&landing, "{\"n\":1}\n{\"n\":2}").exits(0).says(&["sealed 2 rows"]);
    assert_eq!(fs::read_to_string(landing.payload(RUN)).unwrap(), "{\"n\":1}\n{\"n\":2}\n");
}

#[test]
fn a_row_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let landing = Landing::new().with("RAW_SINK_MAX_ROW_BYTES", "10");
    let fits = "{\"a\":1234}";
    assert_eq!(fits.len(), 10);
    let answer = write(&landing, format!("{fits}\n{{\"a\":12345}}\n")).exits(65);
    let error = answer.one_error("Invalid");
    assert!(error.contains("line 2 is longer than 10 bytes; nothing was sealed"), "{error}");
    landing.assert_nothing_of(RUN);
    write(&landing, format!("{fits}\n{fits}")).exits(0);
}

#[test]
fn a_stream_without_any_line_feed_stops_at_the_limit() {
    let landing = Landing::new().with("RAW_SINK_MAX_ROW_BYTES", "1 MiB");
    let endless = ["write", PARTITION, "--run-id", RUN, "--", "cat", "/dev/zero"];
    let answer = landing.rawsink(endless).exits(65);
    assert!(answer.one_error("Invalid").contains("line 1 is longer than"), "{answer:#?}");
    landing.assert_nothing_of(RUN);
}
