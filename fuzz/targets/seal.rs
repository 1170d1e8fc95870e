//! A stored `metadata.json` with a seal block is parsed to the same seal again, or refused with its kind.
//!
//! The input is the text of the block.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rawsink::{
    ErrorKind,
    partition::metadata::{self, SEAL_FORMAT, SEAL_MEMBER},
};
use serde_json::Value;

fuzz_target!(|block: &[u8]| {
    let document = [b"{\"rows\":1.0,\"_seal\":", block, b"}"].concat();
    let value = serde_json::from_slice::<Value>(block).ok();
    match metadata::parse_sealed(&document) {
        Ok((metadata, Some(seal))) => {
            assert_eq!(seal.format, SEAL_FORMAT);
            let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
            let sha256 = &seal.payload_sha256;
            assert!(sha256.len() == 64 && sha256.bytes().all(is_digit), "{sha256}");
            assert!(![&seal.writer, &seal.software].iter().any(|it| it.contains(char::is_control)));
            if let Some(value) = value {
                let known = serde_json::to_value(&seal).unwrap();
                for (name, known) in known.as_object().unwrap() {
                    assert_eq!(value.get(name), Some(known), "{name}");
                }
            }
            let again = rewritten(&metadata, &seal);
            assert_eq!(metadata::parse_sealed(&again).unwrap(), (metadata, Some(seal)));
        }
        Ok((_, None)) => panic!("the document has a block"),
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            let format = value.and_then(|value| value.get("format").and_then(Value::as_u64));
            assert_ne!(format, Some(SEAL_FORMAT), "{error}");
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
    }
});

/// Returns the document of a metadata and its seal.
fn rewritten(metadata: &rawsink::Metadata, seal: &rawsink::Seal) -> Vec<u8> {
    let mut text = serde_json::to_string(metadata).unwrap();
    let end = text.pop();
    assert_eq!(end, Some('}'));
    let comma = if text.len() > 1 { "," } else { "" };
    let seal = serde_json::to_string(seal).unwrap();
    format!("{text}{comma}\"{SEAL_MEMBER}\":{seal}}}").into_bytes()
}
