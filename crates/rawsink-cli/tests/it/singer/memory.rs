//! Many interleaved streams need little memory (G16).

use std::{fs, io::Write};

use super::{TARGET, record, rows, schema};
use crate::{
    landing::{Landing, RUN},
    memory::{BUDGET, MIB, peak},
    running::Running,
};

const STREAMS: u64 = 300;
/// More than the budget.
const BYTES: u64 = 96 * MIB;

#[test]
fn g16_the_memory_of_interleaved_streams_does_not_grow_with_their_records() {
    let landing = Landing::new();
    let args = ["singer", TARGET, "--run-id", RUN, "--accept-unknown-end"];
    let mut running = Running::start(landing.command(args));
    let names: Vec<String> = (0..STREAMS).map(|number| format!("stream_{number}")).collect();
    let schemas: Vec<String> = names.iter().map(|name| schema(name) + "\n").collect();
    running.feed(schemas.concat().as_bytes());
    let row = format!("{{\"filler\":\"{}\"}}", "x".repeat(3000));
    let round: Vec<String> = names.iter().map(|name| record(name, &row) + "\n").collect();
    let round = round.concat();
    let rounds = BYTES / round.len() as u64;
    for _ in 0..rounds {
        running.stdin().write_all(round.as_bytes()).unwrap();
    }
    let peak = peak(&mut running);
    running.finish().exits(0);
    println!("{STREAMS} streams: peak {} KiB for {} MiB", peak / 1024, BYTES / MIB);
    assert!(peak < BUDGET, "{peak} bytes");
    let last = rows(&landing, &names[names.len() - 1]);
    assert_eq!(last, format!("{row}\n").repeat(usize::try_from(rounds).unwrap()));
    assert_eq!(
        fs::read_dir(landing.dir().join("data/raw/crm/customer_id=7")).unwrap().count(),
        300
    );
}
