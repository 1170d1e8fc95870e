//! Settings name files, and a target must not read endless ones.

use percent_encoding::percent_decode_str;

/// Returns whether a text may name a file of a device or of the kernel, however it is quoted or encoded.
pub fn names_a_device(text: &str) -> bool {
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    let plain: String = decoded.chars().filter(|c| !matches!(c, '"' | '\'' | '\\')).collect();
    ["dev", "proc", "sys", "fd"].iter().any(|name| plain.contains(name))
}
