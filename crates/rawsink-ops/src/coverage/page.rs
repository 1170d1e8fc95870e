//! Renders the coverage as one self-contained page of HTML.
//!
//! A cell is one letter. Runs, reasons and steps that the letter does not imply are listed in its row.
//! Names go into the page as data, never as markup.

mod steps;

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    io::{self, Write},
    num::NonZeroU32,
};

use jiff::Timestamp;
use serde::Serialize;

use self::steps::Steps;
use super::{Cell, Coverage, Evidence, OddDays, Standing, evidence::Index, place};
use crate::shell::{path_argument, quoted};
use rawsink::{partition::RunId, state::Series};

const FRAME: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: [&str; 5] = [
    include_str!("page/model.js"),
    include_str!("page/grid.js"),
    include_str!("page/print.js"),
    include_str!("page/details.js"),
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
    /// The places that cannot be listed.
    hidden: Vec<String>,
    /// Days with data that are not in the grid: first, last, number of partitions.
    odd: Vec<(String, String, usize)>,
    days: Vec<String>,
    runs: &'a [RunId],
    reasons: &'a [String],
    /// The run that most cells of a day are about; 0 for none.
    usual: Vec<u32>,
    /// The commands of the next step. `{partition}`, `{run}`, `{unknown}` and `{named}` are paths.
    steps: &'a [String],
    /// The step of a letter, unless the cell is unusual.
    usual_steps: &'a BTreeMap<char, u32>,
    rows: Vec<Row<'a>>,
    /// The numbers of the rows, from 0, the worst first.
    worst: Vec<usize>,
    /// Paths of rows, by their number, that a shell needs in quotes.
    quoted_rows: BTreeMap<usize, String>,
    /// Run ids, by their number, that a shell needs in quotes.
    quoted_runs: BTreeMap<u32, String>,
}

/// Source, customer, query, one letter for each day, the unusual cells, and the numbers of rows.
///
/// An unusual cell is a list of numbers: day (from 0), run, unknown run, reason, step, run that the step
/// withdraws; 0 for none, without trailing zeros. The numbers of rows, separated by commas, are those of
/// the validated and lost cells; `?` is unknown, and an empty one is the same as before.
#[derive(Serialize)]
struct Row<'a>(&'a str, &'a str, &'a str, String, Vec<Vec<u32>>, String);

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
                _ => self.write_data(facts, &mut WithoutMarkup(&mut *out))?,
            }
            rest = after;
        }
        out.write_all(rest.as_bytes())
    }

    fn write_data(&self, facts: &PageFacts, out: &mut dyn Write) -> io::Result<()> {
        let usual = self.usual_runs();
        let newest = RunId::at(facts.made);
        let mut steps = Steps::of(self, &newest);
        let rows = self.rows.iter();
        let rows = rows.map(|(series, seen)| self.page_row(series, seen, &usual, &mut steps));
        let rows = rows.collect();
        let data = Data {
            made: facts.made,
            place: &facts.place,
            faults: self.faults.len() - self.hidden.len(),
            hidden: self.hidden.iter().map(ToString::to_string).collect(),
            odd: self.odd_days.iter().map(odd).collect(),
            days: self.days.iter().map(ToString::to_string).collect(),
            runs: self.runs.values(),
            reasons: self.reasons.values(),
            usual: usual.into_iter().map(number).collect(),
            steps: steps.texts(),
            usual_steps: steps.by_letter(),
            rows,
            worst: self.worst_first(),
            quoted_rows: self.quoted_rows(),
            quoted_runs: self.quoted_runs(),
        };
        Ok(serde_json::to_writer(out, &data)?)
    }

    fn page_row<'a>(
        &self,
        series: &'a Series,
        seen: &[Evidence],
        usual: &[Index],
        steps: &mut Steps<'_>,
    ) -> Row<'a> {
        let mut letters = vec![MISSING; self.days.len()];
        let (mut unusual, mut counts) = (Vec::new(), RowCounts::default());
        for evidence in seen {
            let Ok(day) = self.days.binary_search(&evidence.day) else { continue };
            let cell = self.cell(evidence.day, Some(evidence));
            let letter = letter(&cell);
            letters[day] = letter;
            let (step, is_withdrawal) = steps.of_cell(&cell);
            let named = evidence.current.filter(|_| is_withdrawal);
            let facts = [evidence.run(), evidence.due, evidence.reason];
            let is_usual = facts == as_usual(cell.standing, usual[day]);
            if !is_usual || step != steps.usual(letter, step) || is_withdrawal {
                let [run, due, reason] = facts.map(number);
                unusual.push(numbers(day, [run, due, reason, step, number(named)]));
            }
            if matches!(cell.standing, Standing::Validated | Standing::Lost) {
                counts.add(cell.record_count);
            }
        }
        let Series { source, customer_id, query_name } = series;
        let letters = letters.into_iter().collect();
        Row(source, customer_id, query_name, letters, unusual, counts.text)
    }

    /// Returns the paths of rows that a shell needs in quotes.
    fn quoted_rows(&self) -> BTreeMap<usize, String> {
        let paths = self.rows().map(|series| {
            let place = place(series, None);
            (place.to_string(), path_argument(&place))
        });
        paths
            .enumerate()
            .filter(|(_, (path, argument))| path != argument)
            .map(|(row, (_, argument))| (row, argument))
            .collect()
    }

    /// Returns the run ids that a shell needs in quotes.
    fn quoted_runs(&self) -> BTreeMap<u32, String> {
        let runs =
            (1..).zip(self.runs.values()).map(|(number, run)| (number, run, quoted(run.as_str())));
        runs.filter(|(_, run, quoted)| run.as_str() != quoted)
            .map(|(number, _, quoted)| (number, quoted))
            .collect()
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

/// The letter of a missing cell.
const MISSING: char = 'm';

/// Returns the letter of a cell: upper case if another run needs a verdict or cannot get authority.
fn letter(cell: &Cell<'_>) -> char {
    let letter = match cell.standing {
        Standing::Validated if cell.is_empty() => 'o',
        Standing::Validated => 'v',
        Standing::Sealed => 's',
        Standing::Unsealed => 'u',
        Standing::Failed => 'f',
        Standing::Missing => MISSING,
        Standing::Lost => 'l',
        Standing::Withdrawn => 'w',
        Standing::Unreadable => 'n',
    };
    let marked = (cell.drift.unknown && cell.standing != Standing::Sealed) || cell.drift.blocked;
    if marked { letter.to_ascii_uppercase() } else { letter }
}

/// The numbers of rows of one row of cells, as text.
#[derive(Default)]
struct RowCounts {
    text: String,
    is_started: bool,
    last: Option<u64>,
}

impl RowCounts {
    fn add(&mut self, count: Option<u64>) {
        if self.is_started {
            self.text.push(',');
        }
        self.is_started = true;
        match count {
            None => self.text.push('?'),
            Some(count) if self.last == Some(count) => {}
            Some(count) => {
                // Writing to a string does not fail.
                let _ = write!(self.text, "{count}");
                self.last = Some(count);
            }
        }
    }
}

/// Returns the run, unknown run and reason of a usual cell.
fn as_usual(standing: Standing, usual: Index) -> [Index; 3] {
    match standing {
        Standing::Missing | Standing::Withdrawn | Standing::Unreadable => [None; 3],
        Standing::Sealed => [usual, usual, None],
        _ => [usual, None, None],
    }
}

fn numbers(day: usize, facts: [u32; 5]) -> Vec<u32> {
    let mut numbers = vec![u32::try_from(day).unwrap_or(u32::MAX)];
    numbers.extend(facts);
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
