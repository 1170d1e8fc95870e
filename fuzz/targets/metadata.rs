//! A caller's metadata keeps its text, and every message about it is one line.

#![no_main]

use std::{collections::BTreeSet, fmt};

use libfuzzer_sys::fuzz_target;
use rawsink::{ErrorKind, Metadata, PartitionKey, RunId, partition::metadata};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

fuzz_target!(|data: &[u8]| {
    let parsed = match Metadata::parse(data) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(!is_legal(data), "{error}");
            return;
        }
    };
    assert!(is_legal(data));
    for name in parsed.names() {
        let raw = parsed.raw(name).expect("it has this name");
        assert!(serde_json::from_str::<IgnoredAny>(raw).is_ok(), "{name}: {raw}");
    }
    let text = serde_json::to_vec(&parsed).unwrap();
    assert_eq!(Metadata::parse(&text).unwrap(), parsed, "its own text is the same document");
    let (stored, seal) = metadata::parse_sealed(data).unwrap();
    assert_eq!((stored, seal), (parsed.clone(), None), "without a block nobody sealed it");

    let key = PartitionKey::new("ads", "1", "campaign", "2024-06-01").unwrap();
    let run: RunId = "2024-06-02T00:00:00.000Z".parse().unwrap();
    for message in parsed.contradictions(&key, &run, 3).into_iter().chain(parsed.gaps()) {
        assert!(!message.contains(char::is_control), "{message:?}");
        assert!(message.chars().count() <= 200, "{message:?}");
    }
});

/// Returns whether a document is one object with distinct names and no seal, by another parser.
fn is_legal(document: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(document) else { return false };
    let Ok(Names(names)) = serde_json::from_str(text) else { return false };
    let distinct: BTreeSet<&String> = names.iter().collect();
    distinct.len() == names.len() && names.iter().all(|name| name != metadata::SEAL_MEMBER)
}

/// The names of the members of an object, repeated ones too.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
