//! `rawsink diff`

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use rawsink::{Error, PartitionKey, RunId, layout::Place};
use serde::Serialize;

use crate::{
    complete,
    context::Context,
    exit::{Exit, Failure},
    output,
    partition::{self, ChoiceArgs},
    progress::{self, Progress},
};

/// Compare the rows of two sealed runs
///
/// The command counts the rows that only one of the runs has, in any order, and compares both with their
/// seals. With --rows it prints these rows, each after `-` or `+`. Rows are compared byte for byte. Memory
/// grows by about 50 bytes with each row of FROM. Exit code 1 means that the rows differ.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  P=google_ads/123/campaign/2024-06-01
  rawsink diff $P/2024-06-02T00:00:00.000Z $P --current
  rawsink diff --rows $P/2024-06-02T00:00:00.000Z $P --latest | grep '^-'")]
pub(crate) struct Args {
    /// Path of the older run; it must name a run
    #[arg(add = complete::paths())]
    from: String,

    /// Path of the newer run, or of its partition with --current or --latest
    #[arg(add = complete::paths())]
    to: String,

    #[command(flatten)]
    choice: ChoiceArgs,

    /// Print the rows that only one of the runs has
    #[arg(long)]
    rows: bool,
}

/// The result, as JSON.
#[derive(Serialize)]
struct Compared {
    from: String,
    to: String,
    from_rows: u64,
    to_rows: u64,
    added: u64,
    removed: u64,
    /// Whether the payloads are equal byte for byte, so in the order of their rows too.
    identical: bool,
}

/// A row that only one of the runs has, as JSON.
#[derive(Serialize)]
struct Differing<'a> {
    change: &'a str,
    row: &'a str,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let from = partition::parse(&args.from, context)?;
    let Some(from) = from.partition().zip(from.run()) else {
        let message = "FROM must name a run; --current and --latest select that of TO";
        return Err(Error::invalid(message).at(from).into());
    };
    let to = args.choice.choose(&args.to, context).await?;
    let mut rows = Counted::default();
    let (from_rows, from_sha256) = each_row(&from, context, |row| rows.add(row, 1)).await?;
    let (to_rows, to_sha256) = each_row(&to, context, |row| rows.add(row, -1)).await?;
    let compared = Compared {
        from: Place::of_run(&from.0, &from.1).to_string(),
        to: Place::of_run(&to.0, &to.1).to_string(),
        from_rows,
        to_rows,
        added: rows.sum(|more| -more),
        removed: rows.sum(|more| more),
        identical: from_sha256 == to_sha256,
    };
    if args.rows {
        print_rows(&from, "-", 1, &mut rows, context).await?;
        print_rows(&to, "+", -1, &mut rows, context).await?;
    }
    let is_equal = compared.added == 0 && compared.removed == 0;
    if args.rows && !context.output.is_json() {
        output::note(text(&compared));
    } else {
        context.output.data(&compared, text(&compared))?;
    }
    Ok(if is_equal { Exit::Success } else { Exit::CheckFailed })
}

fn text(compared: &Compared) -> String {
    let Compared { from, to, from_rows, to_rows, added, removed, identical } = compared;
    let order = match (added, removed, identical) {
        (0, 0, true) => "; the payloads are identical",
        (0, 0, false) => "; the same rows in another order",
        _ => "",
    };
    let counts = [from_rows, to_rows, added, removed].map(|rows| progress::rows(*rows));
    let [from_rows, to_rows, added, removed] = counts;
    format!("from {from}: {from_rows}\nto {to}: {to_rows}\n{added} added, {removed} removed{order}")
}

/// How often each row occurs in one run more than in the other.
#[derive(Default)]
struct Counted {
    rows: HashMap<u128, i64>,
    /// Two keyed hashes: equal ones of different rows are out of the question.
    hashes: [RandomState; 2],
}

impl Counted {
    fn key(&self, row: &[u8]) -> u128 {
        let [first, second] = self.hashes.each_ref().map(|hash| u128::from(hash.hash_one(row)));
        first << 64 | second
    }

    fn add(&mut self, row: &[u8], more: i64) {
        let key = self.key(row);
        let count = self.rows.entry(key).or_default();
        *count += more;
        if *count == 0 {
            self.rows.remove(&key);
        }
    }

    /// Takes a row whose surplus has the sign of `more`. Returns whether there is one.
    fn take(&mut self, row: &[u8], more: i64) -> bool {
        let key = self.key(row);
        let is_surplus = self.rows.get(&key).is_some_and(|count| count.signum() == more);
        if is_surplus {
            self.add(row, -more);
        }
        is_surplus
    }

    fn sum(&self, surplus: impl Fn(i64) -> i64) -> u64 {
        let surplus = self.rows.values().map(|count| surplus(*count));
        surplus.filter_map(|rows| u64::try_from(rows).ok()).sum()
    }
}

/// Calls `take` with each row. Returns the number of rows and the SHA-256 of the payload, which is that of the seal.
async fn each_row(
    run: &(PartitionKey, RunId),
    context: &Context<'_>,
    mut take: impl FnMut(&[u8]),
) -> Result<(u64, String), Failure> {
    let mut reader = context.sink.open_partition(&run.0, &run.1).await?;
    let progress = Progress::of_bytes("comparing", reader.payload_bytes());
    let (mut count, mut bytes) = (0, 0);
    while let Some(rows) = reader.next_rows().await? {
        rows.iter().for_each(&mut take);
        count += rows.iter().count() as u64;
        bytes += rows.as_bytes().len() as u64;
        progress.set(count, bytes);
    }
    Ok((count, reader.drain().await?.payload_sha256))
}

/// Prints the rows that this run has more often.
async fn print_rows(
    run: &(PartitionKey, RunId),
    change: &str,
    more: i64,
    counted: &mut Counted,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let mut reader = context.sink.open_partition(&run.0, &run.1).await?;
    while let Some(rows) = reader.next_rows().await? {
        for row in rows.iter().filter(|row| counted.take(row, more)) {
            let row = &String::from_utf8_lossy(row);
            if context.output.is_json() {
                output::record(&Differing { change, row })?;
            } else {
                output::line(format_args!("{change}{row}"))?;
            }
        }
    }
    Ok(())
}
