//! One line of a tap's output, as one message of the Singer specification.
//!
//! Values keep their exact text, because a record becomes a row byte for byte.

use std::{borrow::Cow, error::Error as StdError, fmt};

use rawsink::{
    error::Error,
    partition::row::{self, RowFault},
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Number of characters of a line that a message shows.
const SAMPLE_CHARS: usize = 60;

/// A line of a tap that was refused. `Display` writes a whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedMessage {
    /// The line's number, from 1.
    pub line: u64,
    /// The reason, as the rest of a sentence about the line.
    pub fault: String,
}

impl RefusedMessage {
    /// Returns the refused line of an error of this module.
    pub fn of(error: &Error) -> Option<&Self> {
        StdError::source(error)?.downcast_ref()
    }
}

impl fmt::Display for RefusedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} {}", self.line, self.fault)
    }
}

impl StdError for RefusedMessage {}

impl From<RefusedMessage> for Error {
    fn from(refused: RefusedMessage) -> Self {
        Self::invalid(refused.to_string()).because(refused)
    }
}

/// A message. The members that the specification does not name are ignored.
#[derive(Debug)]
pub(super) enum Message<'l> {
    Schema(StreamSchema<'l>),
    Record {
        stream: Cow<'l, str>,
        record: &'l RawValue,
        version: Option<&'l RawValue>,
        time_extracted: Option<&'l RawValue>,
    },
    /// Holds the state; `None` for `null`, which is none.
    State(Option<&'l RawValue>),
    ActivateVersion {
        stream: Cow<'l, str>,
        version: &'l RawValue,
    },
}

/// What a tap says of a stream before its records.
#[derive(Debug)]
pub(super) struct StreamSchema<'l> {
    pub(super) stream: Cow<'l, str>,
    pub(super) schema: &'l RawValue,
    pub(super) key_properties: Option<&'l RawValue>,
    pub(super) bookmark_properties: Option<&'l RawValue>,
}

/// The members of a message that have a meaning.
#[derive(Deserialize)]
struct Members<'l> {
    #[serde(borrow, default, deserialize_with = "given")]
    r#type: Option<&'l RawValue>,
    #[serde(borrow, default, deserialize_with = "given")]
    stream: Option<&'l RawValue>,
    #[serde(borrow, default, deserialize_with = "given")]
    record: Option<&'l RawValue>,
    #[serde(borrow, default, deserialize_with = "given")]
    schema: Option<&'l RawValue>,
    #[serde(borrow, default)]
    key_properties: Option<&'l RawValue>,
    #[serde(borrow, default)]
    bookmark_properties: Option<&'l RawValue>,
    #[serde(borrow, default, deserialize_with = "given")]
    value: Option<&'l RawValue>,
    #[serde(borrow, default)]
    version: Option<&'l RawValue>,
    #[serde(borrow, default)]
    time_extracted: Option<&'l RawValue>,
}

/// Returns a member that may be `null`, which is not the same as a missing one.
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

impl<'l> Message<'l> {
    /// Parses a line, without its line feed.
    ///
    /// # Errors
    /// The rest of a sentence about the line.
    pub(super) fn parse(line: &'l [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(line).map_err(|_| not_json(line, "is not valid UTF-8"))?;
        let members: Members<'l> = match serde_json::from_str(text) {
            // An array of values would be taken for the members in their order.
            Ok(members) if text.trim_start().starts_with('{') => members,
            Ok(_) => return Err("is not a Singer message: it is no JSON object".to_owned()),
            Err(fault) => return Err(not_json(line, &fault.to_string())),
        };
        members.message()
    }
}

impl<'l> Members<'l> {
    fn message(self) -> Result<Message<'l>, String> {
        let kind = self.r#type.and_then(text).ok_or("is not a Singer message: it has no type")?;
        match &*kind {
            "SCHEMA" => {
                let schema = self.schema.filter(|schema| is_object(schema));
                let schema = schema.ok_or("is a SCHEMA without a JSON object as its schema")?;
                Ok(Message::Schema(StreamSchema {
                    stream: self.stream("SCHEMA")?,
                    schema,
                    key_properties: self.key_properties,
                    bookmark_properties: self.bookmark_properties,
                }))
            }
            "RECORD" => {
                let stream = self.stream("RECORD")?;
                let record = self.record.filter(|record| is_object(record));
                let record = record.ok_or_else(|| {
                    format!("is a RECORD of stream {stream:?} without a JSON object as its record")
                })?;
                let (version, time_extracted) = (self.version, self.time_extracted);
                Ok(Message::Record { stream, record, version, time_extracted })
            }
            "STATE" => {
                let value = self.value.ok_or("is a STATE without a value")?;
                Ok(Message::State(Some(value).filter(|value| value.get() != "null")))
            }
            "ACTIVATE_VERSION" => {
                let version = self.version.ok_or("is an ACTIVATE_VERSION without a version")?;
                Ok(Message::ActivateVersion { stream: self.stream("ACTIVATE_VERSION")?, version })
            }
            "BATCH" => Err("is a BATCH, whose records are in files that are not read; remove \
                            batch_config from the settings of the tap"
                .to_owned()),
            other => Err(format!("has the unknown message type {other:?}, which may carry data")),
        }
    }

    fn stream(&self, kind: &str) -> Result<Cow<'l, str>, String> {
        let stream = self.stream.and_then(text).filter(|stream| !stream.is_empty());
        stream.ok_or_else(|| format!("is a {kind} without the name of a stream"))
    }
}

fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

    serde_json::from_str(raw.get()).ok().map(|Text(text)| text)
}

fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

/// Describes a line that is not JSON, as rows are described; `otherwise` if it is JSON as a row.
fn not_json(line: &[u8], otherwise: &str) -> String {
    let fault = match row::check(line, usize::MAX) {
        Err(fault @ (RowFault::NotJson { byte: 1, .. } | RowFault::Blank)) => {
            let sample: String = String::from_utf8_lossy(line).chars().take(SAMPLE_CHARS).collect();
            return format!("is not a Singer message: it {fault}: {sample:?}");
        }
        Err(fault) => fault.to_string(),
        Ok(_) => otherwise.to_owned(),
    };
    format!("is not a Singer message: it {fault}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: &str) -> String {
        Message::parse(line.as_bytes()).map(|message| format!("{message:?}")).unwrap_err()
    }

    #[test]
    fn a_record_keeps_every_byte_of_its_value() {
        for record in [
            r#"{"b": 1.0, "a":1e400,"a":12345678901234567890123}"#,
            "{ \t\"x\" : [ ] }",
            r#"{"s":"\u00e9\ud800 é","n":-0}"#,
            "{}",
        ] {
            let line = format!(
                r#" {{"stream":"us\u0065rs" , "time_extracted":"t", "record" :  {record} ,"type":"RECORD"}}  "#
            );
            let Ok(Message::Record { stream, record: raw, version, time_extracted }) =
                Message::parse(line.as_bytes())
            else {
                panic!("{line}")
            };
            assert_eq!((&*stream, raw.get()), ("users", record));
            assert_eq!((version.is_some(), time_extracted.unwrap().get()), (false, "\"t\""));
        }
    }

    #[test]
    fn a_line_that_is_no_message_is_refused_with_its_reason() {
        for (line, reason) in [
            ("", "it is blank"),
            ("INFO: starting", "byte 1: expected a value): \"INFO: starting\""),
            (r#"{"type":"RECORD","stream":"a","record":{"x":NaN}}"#, "byte 45"),
            (r#"{"type":"RECORD","stream":"a","record":{}"#, "not valid JSON (byte"),
            (r#"{"type":"RECORD","stream":"a","record":{}} {}"#, "not valid JSON (byte"),
            (r#"["RECORD","a",{}]"#, "no JSON object"),
            ("{}", "it has no type"),
            (r#"{"type":1}"#, "it has no type"),
            (r#"{"type":"RECORD","record":{}}"#, "a RECORD without the name of a stream"),
            (r#"{"type":"RECORD","stream":"","record":{}}"#, "without the name of a stream"),
            (r#"{"type":"RECORD","stream":"a"}"#, "stream \"a\" without a JSON object"),
            (r#"{"type":"RECORD","stream":"a","record":null}"#, "without a JSON object"),
            (r#"{"type":"RECORD","stream":"a","record":[1]}"#, "without a JSON object"),
            (r#"{"type":"RECORD","stream":"a","record":{},"record":{}}"#, "duplicate field"),
            (r#"{"type":"SCHEMA","stream":"a"}"#, "as its schema"),
            (r#"{"type":"SCHEMA","schema":{}}"#, "a SCHEMA without the name of a stream"),
            (r#"{"type":"STATE"}"#, "a STATE without a value"),
            (r#"{"type":"ACTIVATE_VERSION","stream":"a"}"#, "without a version"),
            (r#"{"type":"BATCH","stream":"a","manifest":[]}"#, "remove batch_config"),
            (r#"{"type":"record","stream":"a","record":{}}"#, "unknown message type \"record\""),
        ] {
            assert!(fault(line).contains(reason), "{line}: {}", fault(line));
        }
        let fault = Message::parse(b"{\"type\":\"\xff\"}").unwrap_err();
        assert!(fault.contains("is not valid UTF-8 (byte 10)"), "{fault}");
    }

    #[test]
    fn a_state_of_null_is_no_state() {
        let state = |line| match Message::parse(line) {
            Ok(Message::State(state)) => state.map(|state| state.get().to_owned()),
            other => panic!("{other:?}"),
        };
        assert_eq!(state(br#"{"type":"STATE","value":null}"#), None);
        assert_eq!(state(br#"{"type":"STATE","value": {"a": 1} }"#).unwrap(), r#"{"a": 1}"#);
    }
}
