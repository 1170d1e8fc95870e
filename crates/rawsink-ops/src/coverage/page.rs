//! Renders the coverage as one self-contained page of HTML.
//!
//! A cell is one letter. Runs and reasons that the letter does not imply are listed in its row. Names
//! go into the page as data, never as markup.

use std::{
    collections::HashMap,
    io::{self, Write},
    num::NonZeroU32,
};

use jiff::Timestamp;
use serde::Serialize;

use super::{Cell, Coverage, Drift, Evidence, OddDays, Standing, evidence::Index};
use rawsink::{partition::RunId, state::Series};

const FRAME: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: [&str; 4] = [
    include_str!("page/model.js"),
    include_str!("page/grid.js"),
    include_str!("page/print.js"),
    include_str!("page/page.js"),
];

/// The facts in the footer of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageFacts {
    /// When state and storage were compared.
    pub made: Timestamp,
    /// Where the partitions are stored, as text for people.
    pub place: String,
}

/// The data of a page. Cells refer to runs and reasons by their number in these lists, from 1.
#[derive(Serialize)]
struct Data<'a> {
    made: Timestamp,
    place: &'a str,
    /// Number of malformed records of the state.
    faults: usize,
    /// Days with data that are not in the grid: first, last, number of partitions.
    odd: Vec<(String, String, usize)>,
    days: Vec<String>,
    runs: &'a [RunId],
    reasons: &'a [String],
    /// The run that most cells of a day are about; 0 for none.
    usual: Vec<u32>,
    rows: Vec<Row<'a>>,
}

/// Source, customer, query, one letter for each day, and the unusual cells: day (from 0), run, unknown
/// run, reason; 0 for none, without trailing zeros.
#[derive(Serialize)]
struct Row<'a>(&'a str, &'a str, &'a str, String, Vec<Vec<u32>>);

impl Coverage {
    /// Writes the page, which a browser draws without network access.
    ///
    /// # Errors
    /// Those of `out`.
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
            odd: self.odd_days.iter().map(odd).collect(),
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
            let facts = [evidence.run(), evidence.due, evidence.reason];
            if facts != as_usual(standing, usual[day]) {
                unusual.push(numbers(day, facts));
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
        // Ties go to the first run, so that the same coverage gives the same page.
        let most = |counts: HashMap<Index, usize>| {
            counts.into_iter().max_by_key(|(run, count)| (*count, std::cmp::Reverse(*run)))
        };
        counts.into_iter().map(|counts| most(counts).and_then(|(run, _)| run)).collect()
    }
}

fn odd(days: &OddDays) -> (String, String, usize) {
    (days.since.to_string(), days.until.to_string(), days.partitions)
}

/// Returns the letter of a cell: upper case if another run needs a verdict.
fn letter(standing: Standing, drift: Drift) -> char {
    let letter = match standing {
        Standing::Validated => 'v',
        Standing::Sealed => 's',
        Standing::Unsealed => 'u',
        Standing::Failed => 'f',
        Standing::Missing => 'm',
        Standing::Lost => 'l',
        Standing::Withdrawn => 'w',
    };
    let marked = drift.unknown && standing != Standing::Sealed;
    if marked { letter.to_ascii_uppercase() } else { letter }
}

/// Returns the run, unknown run and reason of a usual cell.
fn as_usual(standing: Standing, usual: Index) -> [Index; 3] {
    match standing {
        Standing::Missing | Standing::Withdrawn => [None; 3],
        Standing::Sealed => [usual, usual, None],
        _ => [usual, None, None],
    }
}

fn numbers(day: usize, facts: [Index; 3]) -> Vec<u32> {
    let mut numbers = vec![u32::try_from(day).unwrap_or(u32::MAX)];
    numbers.extend(facts.map(number));
    while numbers.len() > 1 && numbers.last() == Some(&0) {
        numbers.pop();
    }
    numbers
}

fn number(index: Index) -> u32 {
    index.map_or(0, NonZeroU32::get)
}

/// Escapes `<` in JSON, so that no browser parses it as markup. It occurs only in strings.
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
