//! The coverage as one page of HTML that needs nothing else.
//!
//! A cell is one letter; what cannot be told from it stands beside its row, and only where it is
//! needed. Names go into the page as data, never as markup.

use std::{
    collections::HashMap,
    io::{self, Write},
    num::NonZeroU32,
};

use jiff::Timestamp;
use serde::Serialize;

use super::{Cell, Coverage, Drift, Evidence, Standing, evidence::Index};
use crate::{key::RunId, state::Series};

const FRAME: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: [&str; 4] = [
    include_str!("page/model.js"),
    include_str!("page/grid.js"),
    include_str!("page/print.js"),
    include_str!("page/page.js"),
];

/// What a page says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageFacts {
    /// When state and storage were compared.
    pub made: Timestamp,
    /// Where the partitions lie, for a person.
    pub place: String,
}

/// The data of a page. Runs and reasons are named by their number in these lists, from 1.
#[derive(Serialize)]
struct Data<'a> {
    made: Timestamp,
    place: &'a str,
    /// How many records of the state make no sense.
    faults: usize,
    days: Vec<String>,
    runs: &'a [RunId],
    reasons: &'a [String],
    /// The run that most cells of a day are about; 0 for none.
    usual: Vec<u32>,
    rows: Vec<Row<'a>>,
}

/// Source, customer, query, one letter for each day, and what is unusual: day (from 0), run, lost
/// run, unknown run, reason; 0 for none, zeros at the end left out.
#[derive(Serialize)]
struct Row<'a>(&'a str, &'a str, &'a str, String, Vec<Vec<u32>>);

impl Coverage {
    /// Writes the page, which draws itself in a browser without any network.
    ///
    /// # Errors
    /// What writing answers.
    pub fn write_page(&self, facts: &PageFacts, out: &mut dyn Write) -> io::Result<()> {
        let mut rest = FRAME;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").unwrap_or_default();
            out.write_all(before.as_bytes())?;
            match name {
                "style" => out.write_all(STYLE.as_bytes())?,
                "script" => out.write_all(SCRIPT.concat().as_bytes())?,
                _ => serde_json::to_writer(WithoutMarkup(&mut *out), &self.data(facts))?,
            }
            rest = after;
        }
        out.write_all(rest.as_bytes())
    }

    fn data<'a>(&'a self, facts: &'a PageFacts) -> Data<'a> {
        let usual = self.usual_runs();
        let rows = self.rows.iter().map(|(series, seen)| self.row(series, seen, &usual));
        Data {
            made: facts.made,
            place: &facts.place,
            faults: self.faults.len(),
            days: self.days.iter().map(ToString::to_string).collect(),
            runs: self.runs.values(),
            reasons: self.reasons.values(),
            rows: rows.collect(),
            usual: usual.into_iter().map(number).collect(),
        }
    }

    fn row<'a>(&self, series: &'a Series, seen: &[Evidence], usual: &[Index]) -> Row<'a> {
        let mut letters = vec![letter(Standing::Missing, Drift::default()); self.days.len()];
        let mut unusual = Vec::new();
        for evidence in seen {
            let Ok(day) = self.days.binary_search(&evidence.day) else { continue };
            let Cell { standing, drift, .. } = self.cell(evidence.day, Some(evidence));
            letters[day] = letter(standing, drift);
            let lost = evidence.current.filter(|_| drift.lost);
            let unknown = evidence.sealed.filter(|_| drift.unknown);
            let told = [evidence.run(), lost, unknown, evidence.reason];
            if told != as_usual(standing, usual[day]) {
                unusual.push(numbers(day, told));
            }
        }
        let Series { source, customer_id, query_name } = series;
        Row(source, customer_id, query_name, letters.into_iter().collect(), unusual)
    }

    /// Returns the run that most cells of each day are about.
    fn usual_runs(&self) -> Vec<Index> {
        let mut counts = vec![HashMap::<Index, usize>::new(); self.days.len()];
        for evidence in self.rows.iter().flat_map(|(_, seen)| seen) {
            if let Ok(day) = self.days.binary_search(&evidence.day) {
                *counts[day].entry(evidence.run()).or_default() += 1;
            }
        }
        // The same page for the same coverage: of two that are as usual, the one that came first.
        let most = |counts: HashMap<Index, usize>| {
            counts.into_iter().max_by_key(|(run, count)| (*count, std::cmp::Reverse(*run)))
        };
        counts.into_iter().map(|counts| most(counts).and_then(|(run, _)| run)).collect()
    }
}

/// Returns a cell's letter; a capital one where state and storage contradict each other. That a run
/// without a verdict is unknown to the state contradicts nothing.
fn letter(standing: Standing, drift: Drift) -> char {
    let letter = match standing {
        Standing::Validated => 'v',
        Standing::Sealed => 's',
        Standing::Unsealed => 'u',
        Standing::Failed => 'f',
        Standing::Missing => 'm',
    };
    let marked = drift.lost || (drift.unknown && standing != Standing::Sealed);
    if marked { letter.to_ascii_uppercase() } else { letter }
}

/// Returns the run, lost run, unknown run and reason of a cell that needs no words.
fn as_usual(standing: Standing, usual: Index) -> [Index; 4] {
    match standing {
        Standing::Missing => [None; 4],
        Standing::Sealed => [usual, None, usual, None],
        _ => [usual, None, None, None],
    }
}

fn numbers(day: usize, told: [Index; 4]) -> Vec<u32> {
    let mut numbers = vec![u32::try_from(day).unwrap_or(u32::MAX)];
    numbers.extend(told.map(number));
    while numbers.len() > 1 && numbers.last() == Some(&0) {
        numbers.pop();
    }
    numbers
}

fn number(index: Index) -> u32 {
    index.map_or(0, NonZeroU32::get)
}

/// Writes JSON that no browser takes for markup: `<` occurs in its strings alone.
struct WithoutMarkup<'a>(&'a mut dyn Write);

impl Write for WithoutMarkup<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        for (at, part) in bytes.split(|byte| *byte == b'<').enumerate() {
            if at > 0 {
                self.0.write_all(b"\\u003c")?;
            }
            self.0.write_all(part)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
