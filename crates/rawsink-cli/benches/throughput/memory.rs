//! Peak memory of the commands, for any payload size.

use crate::{
    budget::{PEAK_MIB, judge},
    lab::{Lab, PARTITION, ROWS, Sink},
    rows,
};

const COMMANDS: [&str; 4] = ["write", "read", "verify", "validate"];

/// Prints the table for payloads of these sizes in MiB.
pub(crate) fn table(lab: &Lab, sinks: &[Sink], sizes_mib: &[u64]) {
    let mut peaks = vec![Vec::new(); sinks.len() * COMMANDS.len()];
    for mib in sizes_mib {
        rows::generate(&lab.dir.join(ROWS), *mib);
        let each = sinks.iter().flat_map(|sink| COMMANDS.map(|command| (*sink, command)));
        for ((sink, command), peaks) in each.zip(&mut peaks) {
            if command == "write" {
                lab.clear(sink);
            }
            let operand = if command == "write" { ROWS } else { "--latest" };
            peaks.push(lab.program(sink, &[command, PARTITION, operand]).peak_mib);
        }
        for sink in sinks {
            lab.clear(*sink);
        }
    }
    let sizes: Vec<String> = sizes_mib.iter().map(|mib| format!("{mib} MiB")).collect();
    println!(
        "\n| sink | peak memory of | {} | budget | verdict |\n|---|---|{}---|---|",
        sizes.join(" | "),
        "---|".repeat(sizes.len())
    );
    for (sink, peaks) in sinks.iter().zip(peaks.chunks(COMMANDS.len())) {
        for (command, peaks) in COMMANDS.iter().zip(peaks) {
            let most = peaks.iter().copied().fold(0.0, f64::max);
            let shown: Vec<String> = peaks.iter().map(|mib| format!("{mib:.1} MiB")).collect();
            println!(
                "| {} | `{command}` | {} | {PEAK_MIB} MiB | {} |",
                sink.name(),
                shown.join(" | "),
                judge(most, PEAK_MIB)
            );
        }
    }
}
