//! Writes the URI of a payload so that a reader opens exactly that payload.
//!
//! Readers take some characters for a pattern, decode them, or end the path there, each in its own way.
//! The table says what each of them does with its default options; `make readers-test` checks it with
//! the real readers, and pins their versions.

/// A program or library that opens payloads by their URIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// DuckDB: `read_ndjson(uris)`.
    DuckDb,
    /// Polars: `scan_ndjson(uris)`.
    Polars,
    /// `PyArrow`: `dataset(paths, filesystem=...)`.
    PyArrow,
    /// Spark: `spark.read.json(uris)`.
    Spark,
}

/// Where payloads are stored.
#[derive(Clone, Copy)]
enum Place {
    Directory,
    Bucket,
}

/// How a reader opens payloads in one kind of place.
struct Syntax {
    /// The text before an absolute path, or before the bucket.
    start: &'static str,
    /// Characters of patterns, which stand for themselves in a class of one character: `[*]`.
    in_class: &'static str,
    /// Characters that cannot stand for themselves.
    impossible: &'static str,
}

/// The characters that some reader does not take for themselves, with and without `--for`.
const SPECIAL: &str = "*?[]{}\\%#";

impl Reader {
    /// Every reader.
    pub const ALL: [Self; 4] = [Self::DuckDb, Self::Polars, Self::PyArrow, Self::Spark];

    /// Returns the name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::DuckDb => "duckdb",
            Self::Polars => "polars",
            Self::PyArrow => "pyarrow",
            Self::Spark => "spark",
        }
    }

    /// Returns the name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::DuckDb => "DuckDB",
            Self::Polars => "Polars",
            Self::PyArrow => "PyArrow",
            Self::Spark => "Spark",
        }
    }

    fn syntax(self, place: Place) -> Syntax {
        let (start, in_class, impossible) = match (self, place) {
            (Self::DuckDb | Self::Polars, Place::Directory) => ("", "*?[", "\\"),
            // A question mark begins the parameters of a request.
            (Self::DuckDb, Place::Bucket) => ("s3://", "*[", "?\\"),
            // The rest of a pattern is a regular expression, in which other characters have a meaning too.
            (Self::Polars, Place::Bucket) => ("s3://", "", "*?[\\"),
            // A path, not a URI: there are no patterns, and nothing is decoded.
            (Self::PyArrow, _) => ("", "", ""),
            // A backslash escapes, but no pattern may hold a colon, which run ids have (HADOOP-14217).
            (Self::Spark, Place::Directory) => ("file://", "", "*?[]{}\\"),
            (Self::Spark, Place::Bucket) => ("s3a://", "", "*?[]{}\\"),
        };
        Syntax { start, in_class, impossible }
    }

    /// Writes a URI, `file:///path` or `s3://bucket/key` without any escapes, for this reader.
    ///
    /// # Errors
    /// The message, if the reader cannot open exactly this payload.
    pub(super) fn uri(self, uri: &str) -> Result<String, String> {
        let (place, path) = match (uri.strip_prefix("file://"), uri.strip_prefix("s3://")) {
            (Some(path), _) => (Place::Directory, path),
            (None, Some(path)) => (Place::Bucket, path),
            (None, None) => return Err(format!("{uri:?} is neither a file nor in a bucket")),
        };
        let Syntax { start, in_class, impossible } = self.syntax(place);
        let mut written = start.to_owned();
        for character in path.chars() {
            if impossible.contains(character) || ends_line(character) {
                let title = self.title();
                return Err(format!(
                    "{title} cannot open exactly this payload, because its path has {character:?}"
                ));
            }
            if in_class.contains(character) {
                written.extend(['[', character, ']']);
            } else {
                written.push(character);
            }
        }
        Ok(written)
    }
}

/// Returns whether some reader needs escapes in this URI.
pub(super) fn needs_escapes(uri: &str) -> bool {
    uri.contains(|character| SPECIAL.contains(character) || ends_line(character))
}

/// Returns whether some program ends a line at this character, which breaks a list of URIs.
fn ends_line(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ads/customer_id={}/query_name=q/logical_date=2024-06-01/run_id=2024-06-02T00:00:00.000Z/payload.jsonl";

    fn key(customer: &str) -> String {
        KEY.replace("{}", customer)
    }

    #[test]
    fn an_ordinary_name_is_written_as_each_reader_names_files() {
        let key = key("12-3 caf\u{e9} 100%+1#&'\"");
        for (reader, in_directory, in_bucket) in [
            (Reader::DuckDb, "/srv/raw/", "s3://landing/raw/"),
            (Reader::Polars, "/srv/raw/", "s3://landing/raw/"),
            (Reader::PyArrow, "/srv/raw/", "landing/raw/"),
            (Reader::Spark, "file:///srv/raw/", "s3a://landing/raw/"),
        ] {
            let written = reader.uri(&format!("file:///srv/raw/{key}"));
            assert_eq!(written, Ok(format!("{in_directory}{key}")), "{reader:?}");
            let written = reader.uri(&format!("s3://landing/raw/{key}"));
            assert_eq!(written, Ok(format!("{in_bucket}{key}")), "{reader:?}");
        }
    }

    #[test]
    fn characters_of_patterns_are_escaped_or_refused() {
        // The name, and how it is written in a directory and in a bucket.
        for (reader, name, in_directory, in_bucket) in [
            (Reader::DuckDb, "a*b", Some("a[*]b"), Some("a[*]b")),
            (Reader::DuckDb, "a?b", Some("a[?]b"), None),
            (Reader::DuckDb, "[!a]{b}", Some("[[]!a]{b}"), Some("[[]!a]{b}")),
            (Reader::DuckDb, "**", Some("[*][*]"), Some("[*][*]")),
            (Reader::Polars, "a*b", Some("a[*]b"), None),
            (Reader::Polars, "a?b", Some("a[?]b"), None),
            (Reader::Polars, "a[b]", Some("a[[]b]"), None),
            (Reader::Polars, "{a}", Some("{a}"), Some("{a}")),
            (Reader::PyArrow, "*?[]{}", Some("*?[]{}"), Some("*?[]{}")),
            (Reader::Spark, "a*b", None, None),
            (Reader::Spark, "a?b", None, None),
            (Reader::Spark, "a[b", None, None),
            (Reader::Spark, "a]b", None, None),
            (Reader::Spark, "a{b", None, None),
            (Reader::Spark, "a}b", None, None),
        ] {
            let rest = key(name);
            let written = |start: &str, name: Option<&str>| Some(format!("{start}/{}", key(name?)));
            let [directory, bucket] = [Place::Directory, Place::Bucket];
            let expected =
                written(&format!("{}/srv", reader.syntax(directory).start), in_directory);
            assert_eq!(reader.uri(&format!("file:///srv/{rest}")).ok(), expected, "{reader:?}");
            let expected = written(&format!("{}bucket", reader.syntax(bucket).start), in_bucket);
            assert_eq!(reader.uri(&format!("s3://bucket/{rest}")).ok(), expected, "{reader:?}");
        }
    }

    #[test]
    fn the_root_is_escaped_too() {
        let written = Reader::DuckDb.uri("file:///raw [1]/*/x").unwrap();
        assert_eq!(written, "/raw [[]1]/[*]/x");
        let refused = Reader::Spark.uri("file:///raw [1]/x").unwrap_err();
        assert!(refused.contains("Spark cannot open") && refused.contains("'['"), "{refused}");
    }

    #[test]
    fn a_name_that_would_break_a_list_of_lines_is_refused_for_every_reader() {
        for name in ["a\u{2028}b", "a\u{2029}b", "a\nb"] {
            for reader in Reader::ALL {
                assert!(reader.uri(&format!("file:///srv/{}", key(name))).is_err(), "{name:?}");
            }
            assert!(needs_escapes(&key(name)));
        }
    }

    #[test]
    fn a_plain_uri_needs_no_escapes() {
        assert!(!needs_escapes(&format!("file:///srv/raw/{}", key("12-3_a.b caf\u{e9}"))));
        for name in ["a*b", "a?b", "a[b", "a]b", "a{b", "a}b", "a%20b", "a#b"] {
            assert!(needs_escapes(&format!("s3://bucket/{}", key(name))), "{name}");
        }
    }
}
