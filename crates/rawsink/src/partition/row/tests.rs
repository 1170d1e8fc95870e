use proptest::{prelude::*, sample::select};
use rawsink_testkit::json::is_start;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::*;

#[test]
fn an_object_on_one_line_is_a_row_with_any_surrounding_white_space() {
    for good in ["{}", " {\"a\":[1,2e9,null]} ", "\t{\"é\":\"\\ud800\"}\r", "{\"a\":1,\"a\":2}"] {
        assert!(check(good.as_bytes(), 100).is_ok(), "{good:?}");
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(check(deep.as_bytes(), DEFAULT_MAX_ROW_BYTES).is_ok());
}

#[test]
fn any_other_line_is_refused_with_its_fault() {
    for (bad, fault) in [
        (&b""[..], RowFault::Blank),
        (b" \r", RowFault::Blank),
        (b"[1]", RowFault::NotAnObject),
        (b"null", RowFault::NotAnObject),
        (b"\xEF\xBB\xBF{}", RowFault::ByteOrderMark),
        (b"{\"a\":\"\xC3\"}", RowFault::NotUtf8(7)),
        (b"oops \xC3", RowFault::NotJson { byte: 1, reason: "expected a value" }),
        (b"{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":1}", RowFault::TooLong(40)),
    ] {
        assert_eq!(check(bad, 40), Err(fault), "{:?}", String::from_utf8_lossy(bad));
    }
}

/// The expected bytes were counted by hand: the first that cannot continue a JSON text.
#[test]
fn malformed_json_is_refused_at_its_first_wrong_byte() {
    for (bad, byte, reason) in [
        ("hello", 1, "expected a value"),
        (" <!DOCTYPE html>", 2, "expected a value"),
        ("{\"a\":1", 7, "the line ends inside an object"),
        ("{", 2, "the line ends inside an object"),
        ("{\"a\"", 5, "the line ends inside an object"),
        ("{\"a\":", 6, "the line ends inside an object"),
        ("{\"a\":1,", 8, "the line ends inside an object"),
        ("{\"a\":[1", 8, "the line ends inside an array"),
        ("{\"a\":[1,", 9, "the line ends inside an array"),
        ("{\"a\":\"b", 8, "the line ends inside a string"),
        ("{\"a\":\"b\\", 9, "the line ends inside a string"),
        ("{\"a\":\"\\u00", 11, "the line ends inside a string"),
        ("{\"a\":tru", 9, "the line ends inside a value"),
        ("{\"a\":-", 7, "the line ends inside a number"),
        ("{\"a\":1}{}", 8, "trailing characters"),
        ("{} x", 4, "trailing characters"),
        ("{\"a\":1,}", 8, "trailing comma"),
        ("{\"a\":[1,]}", 9, "trailing comma"),
        ("{,\"a\":1}", 2, "expected a name in quotation marks"),
        ("{a:1}", 2, "expected a name in quotation marks"),
        ("{'a':1}", 2, "expected a name in quotation marks"),
        ("{\"a\" 1}", 6, "expected a colon"),
        ("{\"a\":1 \"b\":2}", 8, "expected a comma or }"),
        ("{\"a\":[1 2]}", 9, "expected a comma or ]"),
        ("{\"a\":[1}", 8, "expected a comma or ]"),
        ("{\"a\":}", 6, "expected a value"),
        ("{\"a\":NaN}", 6, "expected a value"),
        ("{\"a\":nan}", 7, "expected a value"),
        ("{\"a\":-Infinity}", 7, "expected a digit"),
        ("{\"a\":01}", 7, "a number starts with 0"),
        ("{\"a\":1.}", 8, "expected a digit"),
        ("{\"a\":1e+}", 9, "expected a digit"),
        ("{\"a\":.5}", 6, "expected a value"),
        ("{\"a\":+1}", 6, "expected a value"),
        ("{\"a\":truE}", 9, "expected a value"),
        ("{\"a\":\"\u{1}\"}", 7, "a control character in a string"),
        ("{\"a\":\"x\ty\"}", 8, "a control character in a string"),
        ("{\"a\u{0}\":1}", 4, "a control character in a string"),
        ("{\"a\":\"\\x\"}", 8, "an unknown escape in a string"),
        ("{\"a\":\"\\uD8Z0\"}", 11, "expected four hexadecimal digits after \\u"),
        ("{\"a\":\"\\ud83d\\u12\"}", 17, "expected four hexadecimal digits after \\u"),
    ] {
        let fault = RowFault::NotJson { byte, reason };
        assert_eq!(check(bad.as_bytes(), 100), Err(fault), "{bad:?}");
    }
}

#[test]
fn a_refused_line_is_described_with_its_probable_cause() {
    for (bad, cause) in [
        (&b"<!DOCTYPE html><p>"[..], "HTML"),
        (b"<?xml version=\"1.0\"?>", "XML"),
        (b"\x1F\x8B\x08\0\0", "gzip data"),
        (b"\xFF\xFE{\0\"\0", "UTF-16"),
        (b"{\0\"\0i\0d\0\"\0", "UTF-16"),
        (b"\0{\0\"\0i\0d\0\"", "UTF-16"),
        (b"\0\0\0\0\0\0", "NUL bytes"),
        (b"{\"id\":1,\0\0\0\0", "NUL bytes"),
        (b"{", "pretty-printed JSON"),
        (b"[", "a JSON array"),
        (b"[{\"id\":1},", "a JSON array"),
        (b"[{\"id\":1}]", "a JSON array"),
        (b"\"{}\"", "JSON inside a text"),
        (b"{\"id\":1},", "a part of a JSON array"),
        (b"{\"id\":1}{\"id\":2}", "several objects on one line"),
        (b"{\"id\":1}\r{\"id\":2}\r", "rows that end with CR alone"),
        (b"\x1E{\"id\":1}", "a JSON text sequence"),
        (b"data: {\"id\":1}", "server-sent events"),
        (b"{\"n\":NaN}", "a number that JSON does not have"),
        (b"{\"n\":nan}", "a number that JSON does not have"),
        (b"{\"n\":-Infinity}", "a number that JSON does not have"),
        (b"{'id': 1}", "a printed Python object"),
        (b"{\"id\": None}", "a printed Python object"),
        (b"{\"city\":\"M\xFCnchen\"}", "Latin-1"),
        (b"{\"text\":\"it\x92s\"}", "Latin-1"),
        (b"{\"city\":\"M\xC3", "a row that was cut off"),
        (b"None of the pages", "text, such as a log message"),
        (b"{\"id\":1,\"name\":\"cu", "a row that was cut off"),
        (b"2024-06-02 INFO fetched", "text, such as a log message"),
        (b"info: fetched page 2", "text, such as a log message"),
        (b"\x1B[31mred", "terminal output"),
    ] {
        let refused = RefusedRow::new(1, check(bad, 100).unwrap_err(), bad);
        let found = refused.cause.unwrap_or_default();
        assert!(found.starts_with(cause), "{:?}: {found:?}", String::from_utf8_lossy(bad));
    }
    for bad in [&b"\"hello\""[..], b"{\"id\":1]", b"{\"id\":\"\x01\"}", b"17", b"", b"{\"a\" 1}"] {
        let refused = RefusedRow::new(1, check(bad, 100).unwrap_err(), bad);
        assert_eq!(refused.cause, None, "{:?}", String::from_utf8_lossy(bad));
    }
}

#[test]
fn hazards_of_a_row_are_found() {
    let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    let long = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
    for (row, expected) in [
        ("{\"a\":1,\"b\":2}".to_owned(), None),
        ("{\"a\":1,\"a\":2}".to_owned(), Some(Hazard::DuplicateNames)),
        ("{\"a\":1,\"\\u0061\":2}".to_owned(), Some(Hazard::DuplicateNames)),
        ("{\"a\":[{\"b\":1,\"b\":1}]}".to_owned(), Some(Hazard::DuplicateNames)),
        ("{\"a\":{\"a\":1},\"b\":{\"a\":1}}".to_owned(), None),
        ("{\"a\":1,\"A\":2}".to_owned(), Some(Hazard::NamesDifferInCase)),
        ("{\"é\":1,\"É\":2}".to_owned(), Some(Hazard::NamesDifferInCase)),
        ("{\"\\n\":1,\"\\u000A\":2}".to_owned(), Some(Hazard::DuplicateNames)),
        ("{\"😀\":1,\"\\ud83d\\ude00\":2}".to_owned(), Some(Hazard::DuplicateNames)),
        ("{\"\\\\\":1,\"\\/\":2}".to_owned(), None),
        ("{\"a\":\"\\ud83d\"}".to_owned(), Some(Hazard::LoneSurrogate)),
        ("{\"a\":\"\\ude00\\ud83d\"}".to_owned(), Some(Hazard::LoneSurrogate)),
        ("{\"\\udfaa\":0}".to_owned(), Some(Hazard::LoneSurrogate)),
        ("{\"a\":\"\\ud83d\\ude00 \\\\ud83d\"}".to_owned(), None),
        ("{\"a\":\"\\u0000\"}".to_owned(), None),
        ("{\"a\":1e400}".to_owned(), Some(Hazard::NumberOutOfRange)),
        ("{\"a\":-1E+309}".to_owned(), Some(Hazard::NumberOutOfRange)),
        (format!("{{\"a\":1{}}}", "0".repeat(309)), Some(Hazard::NumberOutOfRange)),
        ("{\"a\":1e308,\"b\":1e-400}".to_owned(), None),
        ("{\"a\":9223372036854775807}".to_owned(), None),
        ("{\"a\":-9223372036854775808}".to_owned(), None),
        ("{\"a\":9223372036854775808}".to_owned(), Some(Hazard::IntegerOutOfRange)),
        ("{\"a\":0.12345678901234567890}".to_owned(), None),
        (deep(DEEP_LEVELS - 1), None),
        (deep(DEEP_LEVELS), Some(Hazard::DeepNesting)),
        (long(LONG_ROW_BYTES), None),
        (long(LONG_ROW_BYTES + 1), Some(Hazard::LongRow)),
    ] {
        let found = check(row.as_bytes(), DEFAULT_MAX_ROW_BYTES).unwrap();
        let shown = &row[..row.len().min(60)];
        for hazard in Hazard::ALL {
            assert_eq!(found.contains(hazard), expected == Some(hazard), "{hazard}: {shown}");
        }
    }
}

#[test]
fn names_with_lone_surrogates_are_compared_as_they_are() {
    let duplicates = |row: &str| {
        let found = check(row.as_bytes(), 100).unwrap();
        (found.contains(Hazard::DuplicateNames), found.contains(Hazard::NamesDifferInCase))
    };
    assert_eq!(duplicates("{\"\\ud83d\":1,\"\\uD83D\":2}"), (true, false));
    assert_eq!(duplicates("{\"\\ud83d\":1,\"\\\\ud83d\":2}"), (false, false));
    assert_eq!(duplicates("{\"\\ud83d\":1,\"\\ud83e\":2}"), (false, false));
}

#[test]
fn a_required_member_is_one_of_the_outermost_object() {
    let mut checker = RowChecker::new(100);
    checker.require_member("id");
    checker.require_member("naïve");
    for row in ["{\"id\":1,\"naïve\":2}", "{\"na\\u00efve\":{},\"id\":null}"] {
        assert!(checker.check(row.as_bytes()).is_ok(), "{row}");
    }
    for (row, name) in [
        ("{}", "id"),
        ("{\"naïve\":{\"id\":1}}", "id"),
        ("{\"error\":{\"code\":500}}", "id"),
        ("{\"id\":1}", "naïve"),
    ] {
        let fault = Err(RowFault::MissingMember(name.to_owned()));
        assert_eq!(checker.check(row.as_bytes()), fault, "{row}");
    }
}

#[test]
fn rows_of_other_names_do_not_confuse_the_checker() {
    let mut checker = RowChecker::new(10_000);
    let wide: Vec<String> = (0..200).map(|n| format!("\"n{n}\":{{\"a\":{n}}}")).collect();
    for (row, hazard) in [
        ("{\"a\":1,\"b\":2,\"c\":3}", None),
        ("{\"b\":2}", None),
        ("{\"a\":1,\"c\":3,\"c\":3}", Some(Hazard::DuplicateNames)),
        ("{\"c\":1,\"b\":2,\"a\":3}", None),
        ("{\"c\":1,\"b\":2,\"c\":3}", Some(Hazard::DuplicateNames)),
        ("{\"a\":1,\"x\":0,\"b\":2}", None),
        ("{\"x\":1,\"a\":2}", None),
        ("{\"a\":1,\"B\":2}", None),
        ("{\"a\":1,\"b\":2,\"B\":2}", Some(Hazard::NamesDifferInCase)),
        ("{\"a\":1,\"x\":0,\"b\":2}", None),
        (&format!("{{{}}}", wide.join(",")), None),
        (&format!("{{{},\"n7\":0}}", wide.join(",")), Some(Hazard::DuplicateNames)),
    ] {
        let found = checker.check(row.as_bytes()).unwrap();
        for kind in [Hazard::DuplicateNames, Hazard::NamesDifferInCase] {
            assert_eq!(found.contains(kind), hazard == Some(kind), "{kind}: {row}");
        }
    }
}

/// Returns texts that are JSON.
fn json() -> impl Strategy<Value = String> {
    let scalars = select(vec![
        "0",
        "-0",
        "17",
        "1.5",
        "-2E+5",
        "1e400",
        "12345678901234567890",
        "true",
        "false",
        "null",
        "\"\"",
        "\"a\\n\\u0041\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"é \\/ \\\\\"",
    ]);
    let names = select(vec![
        "a",
        "b",
        "c",
        "A",
        "long name",
        "\\u0061",
        "é",
        "É",
        "",
        "\\ud83d",
        "\\uD83D",
        "\\\\ud83d",
    ]);
    scalars.prop_map(str::to_owned).prop_recursive(5, 40, 6, move |inner| {
        let member = (names.clone(), inner.clone());
        let space = select(vec!["", " ", "\t"]);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(","))),
            (prop::collection::vec(member, 0..6), space).prop_map(|(members, space)| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| format!("{space}\"{name}\"{space}:{value}{space}"))
                    .collect();
                format!("{{{space}{}}}", members.join(","))
            }),
        ]
    })
}

/// Returns JSON texts with some bytes changed.
fn nearly_json() -> impl Strategy<Value = String> {
    let byte = select(b"{}[],:\"\\0129eE+-.tfn ux\x01".to_vec());
    let change = (any::<prop::sample::Index>(), 0..3, byte);
    (json(), prop::collection::vec(change, 0..3)).prop_filter_map("not UTF-8", |(text, changes)| {
        let mut bytes = text.into_bytes();
        for (index, kind, byte) in changes {
            let index = index.index(bytes.len());
            match kind {
                0 => bytes[index] = byte,
                1 => bytes.insert(index, byte),
                _ => bytes.truncate(index + 1),
            }
        }
        String::from_utf8(bytes).ok()
    })
}

/// Whether a value has an object with a name twice, by another parser.
struct HasDuplicates(bool);

impl<'de> Deserialize<'de> for HasDuplicates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;
        impl<'de> Visitor<'de> for Values {
            type Value = bool;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value")
            }
            fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
                Ok(false)
            }
            fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
                Ok(false)
            }
            fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
                Ok(false)
            }
            fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
                Ok(false)
            }
            fn visit_str<E>(self, _: &str) -> Result<bool, E> {
                Ok(false)
            }
            fn visit_unit<E>(self) -> Result<bool, E> {
                Ok(false)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<bool, A::Error> {
                let mut found = false;
                while let Some(HasDuplicates(one)) = values.next_element()? {
                    found |= one;
                }
                Ok(found)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
                let (mut found, mut names) = (false, std::collections::BTreeSet::new());
                while let Some((name, HasDuplicates(one))) = members.next_entry::<String, _>()? {
                    found |= one | !names.insert(name);
                }
                Ok(found)
            }
        }
        deserializer.deserialize_any(Values).map(Self)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_scanner_agrees_with_another_parser(texts in prop::collection::vec(nearly_json(), 1..8)) {
        // What a scanner learned from earlier texts must not change a result, however much it may learn.
        let mut scanner = json::Scanner::default();
        let mut others = [(0, 0), (1, 100), (3, 2)].map(|(names, shapes)| json::Scanner::with_limits(names, shapes));
        for text in &texts {
            let found = scanner.scan(text);
            for other in &mut others {
                prop_assert_eq!(other.scan(text), found, "{:?}", text);
            }
            let expected = serde_json::from_str::<IgnoredAny>(text);
            prop_assert_eq!(found.is_ok(), expected.is_ok(), "{:?}: {:?}", text, expected);
            match found {
                Ok(hazards) => {
                    // The other parser refuses values that Rust cannot hold.
                    if let Ok(HasDuplicates(expected)) = serde_json::from_str(text) {
                        prop_assert_eq!(hazards.contains(Hazard::DuplicateNames), expected, "{:?}", text);
                    }
                }
                Err(fault) => {
                    // Up to the first wrong byte the text is the start of one; with it, of none.
                    let is_start = |end: usize| is_start(&text.as_bytes()[..end]);
                    prop_assert!(is_start(fault.at), "{:?}: {:?}", text, fault);
                    let with_it = fault.at + 1;
                    prop_assert!(with_it > text.len() || !is_start(with_it), "{:?}: {:?}", text, fault);
                }
            }
        }
    }
}

/// The number and the bytes of refused lines.
type RefusedLines = Vec<(u64, Vec<u8>)>;

/// Checks a payload in chunks, and returns its rows, their number, and the refused lines.
fn checked(payload: &[u8], step: usize, limit: usize) -> (Vec<u8>, u64, RefusedLines) {
    let refused = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut lines = LineChecker::new(limit);
    let kept = refused.clone();
    lines.keep_refused(u64::MAX, move |row, line| {
        kept.lock().unwrap().push((row.line, line.to_vec()));
        Ok(())
    });
    let (mut rows, mut count) = (Vec::new(), 0);
    let mut take = |accepted: AcceptedRows<'_>| {
        let bytes = accepted.joined.len() + accepted.parts.concat().len();
        assert_eq!(accepted.bytes(), bytes as u64);
        rows.extend(accepted.joined);
        rows.extend(accepted.parts.concat());
        count += accepted.count;
    };
    for chunk in payload.chunks(step) {
        take(lines.chunk(chunk).unwrap());
    }
    take(lines.finish().unwrap());
    assert_eq!(lines.refused_count(), Some(refused.lock().unwrap().len() as u64));
    let refused = refused.lock().unwrap().clone();
    (rows, count, refused)
}

#[test]
fn refused_lines_are_kept_and_the_other_rows_accepted_for_any_cut_into_chunks() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(50));
    let payload = format!("{{\"a\":1}}\nno\n\n{{\"a\":2}}\n{long}\n[]\n{{\"a\":3}}");
    let rows = b"{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n".to_vec();
    for step in 1..=payload.len() {
        let (found, count, refused) = checked(payload.as_bytes(), step, 20);
        assert_eq!((&found, count), (&rows, 3), "{step}");
        let numbers: Vec<u64> = refused.iter().map(|(line, _)| *line).collect();
        assert_eq!(numbers, [2, 3, 5, 6], "{step}");
        assert_eq!(refused[0].1, b"no");
        assert!(refused[2].1 == long.as_bytes()[..20], "{step}");
    }
}

#[test]
fn more_refused_lines_than_allowed_are_an_error_with_the_first() {
    let mut lines = LineChecker::new(100);
    lines.keep_refused(1, |_, _| Ok(()));
    lines.chunk(b"{}\nno\n").unwrap();
    assert!(lines.check_refused().is_ok());
    lines.chunk(b"{}\n[1]\n").unwrap();
    let error = lines.check_refused().unwrap_err();
    assert!(
        error.message().starts_with("2 lines were refused, more than 1; first: line 2 "),
        "{error}"
    );
    assert_eq!(RefusedRow::of(&error).unwrap().line, 2);
}

#[test]
fn blank_lines_can_be_skipped_and_still_count_as_lines() {
    let mut lines = LineChecker::new(100);
    lines.skip_blank();
    let accepted = lines.chunk(b"\n{}\n \r\n{}\n\n").unwrap();
    assert_eq!((accepted.parts.concat(), accepted.count), (b"{}\n{}\n".to_vec(), 2));
    let error = lines.chunk(b"no\n").unwrap_err();
    assert!(error.message().starts_with("line 6 is not valid JSON"), "{error}");
}

#[test]
fn hazards_are_counted_with_the_first_line_of_each() {
    let mut lines = LineChecker::new(100);
    lines.chunk(b"{}\n{\"a\":1,\"a\":1}\n{\"a\":1e999}\n{\"a\":1,\"a\":1e999}\n").unwrap();
    let shown: Vec<String> = lines.hazards().iter().map(|count| count.to_string()).collect();
    assert_eq!(
        shown,
        [
            "rows with duplicate names: 2 (first: line 2)",
            "rows with numbers too large for a double: 2 (first: line 3)"
        ]
    );
}
