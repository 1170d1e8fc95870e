//! Draws the coverage on a terminal: a grid of one character a day, the worst rows first.
//!
//! What does not fit is left out with a note: the oldest days, then the complete rows, then the rows that
//! need the least work. Names are shortened in the middle and stay distinct.

mod calendar;
mod mark;
mod names;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use indicatif::HumanCount;
use rawsink::state::Series;
use rawsink_ops::coverage::{Coverage, Tally};

use self::{calendar::Calendar, mark::Mark, names::shortened};
use crate::{escape, progress::count, screen::Screen};

/// Lines of the terminal beside the rows: summary, ruler, legend, notes and prompt.
const OTHER_LINES: usize = 10;
/// The least number of rows that are shown, however low the terminal is.
const FEWEST_ROWS: usize = 10;
/// The narrowest a column of names gets, unless the names are shorter.
const NARROWEST: usize = 8;
/// The columns of a week and its gap: the least that a grid shows.
const WEEK: usize = 8;
/// Between columns.
const GAP: &str = "  ";

/// Returns the grid; `None` if the coverage has no cells, or the terminal is too narrow.
pub(super) fn draw(coverage: &Coverage, screen: Screen) -> Option<String> {
    let rows = ShownRows::of(coverage, screen.height);
    if coverage.rows().len() == 0 || coverage.days().is_empty() {
        return None;
    }
    let mut text = String::new();
    if !rows.shown.is_empty() {
        let labels = Labels::of(coverage, &rows.shown, screen.width);
        let room = screen.width.checked_sub(labels.width() + GAP.len())?;
        let calendar = Calendar::of(coverage.days(), room).filter(|_| room >= WEEK)?;
        let grid = Grid { coverage, labels, calendar, is_coloured: screen.is_coloured };
        grid.write(&rows.shown, &mut text);
        text.push_str(&grid.legend(&rows.shown, screen.width));
        text.push_str(&grid.hidden_days());
    }
    text.push_str(&rows.notes());
    Some(text)
}

/// The rows that a terminal shows.
struct ShownRows {
    /// The numbers of the rows, the worst first.
    shown: Vec<usize>,
    /// Number of rows that need work and do not fit.
    hidden: usize,
    /// Number of complete rows that are left out.
    folded: usize,
}

impl ShownRows {
    fn of(coverage: &Coverage, height: usize) -> Self {
        let mut shown = coverage.worst_first();
        let all = shown.len();
        let room = height.saturating_sub(OTHER_LINES).max(FEWEST_ROWS);
        if all <= room {
            return Self { shown, hidden: 0, folded: 0 };
        }
        // Complete rows come last.
        let open = shown.partition_point(|row| !is_complete(coverage.row_tally(*row)));
        shown.truncate(open.min(room));
        Self { hidden: open - shown.len(), folded: all - open, shown }
    }

    fn notes(&self) -> String {
        let mut notes = String::new();
        if self.hidden > 0 {
            let rows = count(self.hidden as u64, "more row");
            let need = if self.hidden == 1 { "needs" } else { "need" };
            let _ = writeln!(notes, "{rows} {need} work; --html FILE or a pipe shows every row");
        }
        match (self.folded, self.shown.is_empty()) {
            (0, _) => {}
            (folded, true) => {
                let _ = writeln!(notes, "all {} rows are complete", HumanCount(folded as u64));
            }
            (1, false) => notes.push_str("1 more row is complete\n"),
            (folded, false) => {
                let _ = writeln!(notes, "{} are complete", count(folded as u64, "more row"));
            }
        }
        notes
    }
}

/// Returns whether nothing is left to do in a row.
fn is_complete(tally: Tally) -> bool {
    tally.open() + tally.unknown + tally.blocked == 0
}

/// The columns left of the days: source (if there are several), customer, query, and the number of days
/// that need work.
struct Labels {
    /// Title and width of each column of names.
    columns: Vec<(&'static str, usize)>,
    /// The shortened names of each column.
    names: Vec<BTreeMap<String, String>>,
    count_width: usize,
}

impl Labels {
    fn of(coverage: &Coverage, shown: &[usize], width: usize) -> Self {
        let sources: BTreeSet<&str> = coverage.rows().map(|row| row.source.as_str()).collect();
        let titles = ["source", "customer", "query"];
        let skipped = usize::from(sources.len() == 1);
        let mut full: Vec<BTreeSet<&str>> = vec![BTreeSet::new(); titles.len() - skipped];
        let parts = shown.iter().map(|row| parts(coverage.row(*row).0)).collect::<Vec<_>>();
        for parts in &parts {
            for (names, part) in full.iter_mut().zip(&parts[skipped..]) {
                names.insert(part);
            }
        }
        let most = shown.iter().map(|row| coverage.row_tally(*row).open()).max().unwrap_or(0);
        let count_width = "open".len().max(HumanCount(most as u64).to_string().len());
        // If all days fit beside names of at least a quarter of the width, they do.
        let other = full.len() * GAP.len() + count_width + GAP.len();
        let beside = width.saturating_sub(other + Calendar::width_of(coverage.days()));
        let room = if beside >= width / 4 { beside } else { width * 2 / 5 };
        let widths = fitting(full.iter().map(names::widest).collect(), room);
        let names: Vec<BTreeMap<String, String>> =
            full.iter().zip(widths).map(|(names, width)| shortened(names, width)).collect();
        let width = |names: &BTreeMap<String, String>| {
            names.values().map(|name| names::width(name)).max().unwrap_or(0)
        };
        let columns = titles[skipped..].iter().zip(&names);
        let columns = columns.map(|(title, names)| (*title, width(names).max(title.len())));
        Self { columns: columns.collect(), names, count_width }
    }

    fn width(&self) -> usize {
        let names = self.columns.iter().map(|(_, width)| width + GAP.len()).sum::<usize>();
        names + self.count_width
    }

    fn titles(&self) -> String {
        let mut line = String::new();
        for &(title, width) in &self.columns {
            let _ = write!(line, "{title:<width$}{GAP}");
        }
        let _ = write!(line, "{:>width$}", "open", width = self.count_width);
        line
    }

    fn of_row(&self, series: &Series, open: usize) -> String {
        let parts = parts(series);
        let mut line = String::new();
        let skipped = parts.len() - self.columns.len();
        for ((part, names), (_, width)) in
            parts[skipped..].iter().zip(&self.names).zip(&self.columns)
        {
            let name = names.get(part.as_ref()).map_or(part.as_ref(), String::as_str);
            let padding = " ".repeat(width.saturating_sub(names::width(name)));
            let _ = write!(line, "{name}{padding}{GAP}");
        }
        let open = if open == 0 { String::new() } else { HumanCount(open as u64).to_string() };
        let _ = write!(line, "{open:>width$}", width = self.count_width);
        line
    }
}

/// Returns the names as a terminal shows them.
fn parts(series: &Series) -> [Cow<'_, str>; 3] {
    [&series.source, &series.customer_id, &series.query_name].map(|name| escape::field(name))
}

/// Narrows the widest columns until all fit.
fn fitting(mut widths: Vec<usize>, room: usize) -> Vec<usize> {
    while widths.iter().sum::<usize>() > room {
        let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > NARROWEST) else {
            break;
        };
        *widest -= 1;
    }
    widths
}

/// The grid itself.
struct Grid<'a> {
    coverage: &'a Coverage,
    labels: Labels,
    calendar: Calendar,
    is_coloured: bool,
}

impl Grid<'_> {
    /// Writes the ruler and the rows.
    fn write(&self, shown: &[usize], text: &mut String) {
        let [months, days] = self.calendar.ruler();
        let blank = " ".repeat(self.labels.width());
        text.push_str(format!("{blank}{GAP}{months}").trim_end());
        text.push('\n');
        text.push_str(format!("{}{GAP}{days}", self.labels.titles()).trim_end());
        text.push('\n');
        for row in shown {
            let open = self.coverage.row_tally(*row).open();
            text.push_str(&self.labels.of_row(self.coverage.row(*row).0, open));
            text.push_str(GAP);
            self.write_marks(&self.marks(*row), text);
            text.push('\n');
        }
    }

    /// Returns the marks of the shown days of a row.
    fn marks(&self, row: usize) -> Vec<Mark> {
        let cells = self.coverage.row(row).1.skip(self.calendar.hidden);
        cells.map(|cell| Mark::of(&cell)).collect()
    }

    fn write_marks(&self, marks: &[Mark], text: &mut String) {
        let mut colour = None;
        for (mark, begins_week) in marks.iter().zip(self.calendar.week_begins()) {
            let next = self.is_coloured.then(|| mark.colour());
            if colour.is_some() && (begins_week || colour != next) {
                text.push_str(mark::RESET);
                colour = None;
            }
            if begins_week {
                text.push(' ');
            }
            if colour != next {
                text.push_str(mark.colour());
                colour = next;
            }
            text.push(mark.sign());
        }
        if colour.is_some() {
            text.push_str(mark::RESET);
        }
    }

    /// Explains the marks that are shown.
    fn legend(&self, shown: &[usize], width: usize) -> String {
        let marks: BTreeSet<Mark> = shown.iter().flat_map(|row| self.marks(*row)).collect();
        let (mut text, mut used) = (String::from("\n"), 0);
        for mark in marks {
            let item = 2 + mark.says().len();
            if used > 0 && used + GAP.len() + item > width {
                text.push('\n');
                used = 0;
            } else if used > 0 {
                text.push_str(GAP);
                used += GAP.len();
            }
            let (colour, reset) =
                if self.is_coloured { (mark.colour(), mark::RESET) } else { ("", "") };
            let _ = write!(text, "{colour}{}{reset} {}", mark.sign(), mark.says());
            used += item;
        }
        text.push('\n');
        text
    }

    fn hidden_days(&self) -> String {
        let days = self.coverage.days();
        let Some(last) = self.calendar.hidden.checked_sub(1).and_then(|last| days.get(last)) else {
            return String::new();
        };
        let hidden = count(self.calendar.hidden as u64, "earlier day");
        format!("{hidden} hidden; --until {last} or a wider terminal shows more\n")
    }
}
