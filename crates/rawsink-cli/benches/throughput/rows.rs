//! The rows of the benchmark: 300 bytes each with the line feed, like an advertising API's.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

const ROW_BYTES: usize = 300;

/// Writes `mib` MiB of rows and returns the file's length.
pub(crate) fn generate(path: &Path, mib: u64) -> u64 {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let count = mib * (1 << 20) / ROW_BYTES as u64;
    for n in 0..count {
        file.write_all(row(n).as_bytes()).unwrap();
    }
    file.flush().unwrap();
    count * ROW_BYTES as u64
}

/// Returns a row with its line feed.
pub(crate) fn row(n: u64) -> String {
    let id = 20_000_000_000 + n % 5000;
    let (clicks, impressions) = (n % 997, 1000 + n % 89_003);
    let mut row = format!(
        r#"{{"campaign":{{"resourceName":"customers/1234567890/campaigns/{id}","name":"Brand | Search | {n:08}"}},"metrics":{{"clicks":"{clicks}","impressions":"{impressions}","costMicros":"{}","ctr":0.{clicks:03}1}},"segments":{{"date":"2024-06-01","device":"MOBILE"}}"#,
        n * 7919 % 1_000_000_000
    );
    let padding = ROW_BYTES - 1 - row.len() - r#","note":""}"#.len();
    row.push_str(r#","note":""#);
    row.extend(std::iter::repeat_n('x', padding));
    row.push_str("\"}\n");
    row
}
