//! Peak memory of writing and reading does not grow with the payload (G16).

use std::{
    fs,
    io::{Read, Write},
};

use crate::{
    landing::{Landing, PARTITION, RUN},
    running::Running,
};

pub(crate) const MIB: u64 = 1024 * 1024;
const SMALL: u64 = 32 * MIB;
const LARGE: u64 = 256 * MIB;
/// Maximum peak memory of a writer or reader.
pub(crate) const BUDGET: u64 = 64 * MIB;
/// The minimum difference that is growth.
const NOISE: u64 = 8 * MIB;
/// The last bytes, transferred only after the measurement.
const REST: u64 = MIB;

/// Returns 1 MiB of rows of about 300 bytes.
fn rows() -> Vec<u8> {
    let mut rows = Vec::new();
    for row in 0.. {
        let line = format!("{{\"row\":\"{row:06}\",\"filler\":\"{}\"}}\n", "x".repeat(270));
        if rows.len() + line.len() > usize::try_from(MIB).unwrap() {
            break;
        }
        rows.extend_from_slice(line.as_bytes());
    }
    let missing = usize::try_from(MIB).unwrap() - rows.len();
    let end = rows.len() - 3;
    rows.splice(end..end, std::iter::repeat_n(b'x', missing));
    rows
}

/// Returns the peak memory of a live process.
pub(crate) fn peak(process: &mut Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it is alive");
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Writes `bytes` bytes and returns the writer's peak before its last row.
fn peak_of_writing(landing: &Landing, bytes: u64) -> u64 {
    let rows = rows();
    let mut writer = Running::start(landing.command(["write", PARTITION, "--run-id", RUN]));
    for _ in 0..bytes / MIB {
        writer.stdin().write_all(&rows).unwrap();
    }
    let peak = peak(&mut writer);
    writer.finish().exits(0);
    peak
}

/// Reads everything and returns the reader's peak before its last bytes.
fn peak_of_reading(landing: &Landing, bytes: u64) -> u64 {
    let mut reader = Running::start(landing.command(["read", PARTITION, "--latest"]));
    let mut stdout = reader.child().stdout.take().unwrap();
    let begun =
        std::io::copy(&mut stdout.by_ref().take(bytes - REST), &mut std::io::sink()).unwrap();
    assert_eq!(begun, bytes - REST);
    let peak = peak(&mut reader);
    let rest = std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
    assert_eq!(rest, REST);
    reader.finish().exits(0);
    peak
}

#[test]
fn g16_the_memory_of_writing_and_reading_does_not_grow_with_the_payload() {
    let peaks = [SMALL, LARGE].map(|bytes| {
        let landing = Landing::new();
        let written = peak_of_writing(&landing, bytes);
        assert_eq!(fs::metadata(landing.payload(RUN)).unwrap().len(), bytes);
        (written, peak_of_reading(&landing, bytes))
    });
    let [(written_small, read_small), (written_large, read_large)] = peaks;
    for (what, small, large) in
        [("writing", written_small, written_large), ("reading", read_small, read_large)]
    {
        println!("{what}: peak {} KiB for 32 MiB, {} KiB for 256 MiB", small / 1024, large / 1024);
        assert!(large < BUDGET, "{what} 256 MiB needs {large} bytes");
        assert!(large < small + NOISE, "{what} 256 MiB needs {large} bytes, 32 MiB {small}");
    }
}
