//! Records of partitions and runs: whole paths for other programs, a table for a person.

use std::{
    fmt::Write,
    io,
    sync::{LazyLock, Mutex, PoisonError},
};

use rawsink::{layout::Place, partition::Selection};
use serde::Serialize;

use crate::{
    escape,
    output::{self, Output},
    screen::Screen,
};

/// The terminal, if data is printed on one.
static SCREEN: LazyLock<Option<Screen>> = LazyLock::new(Screen::of_stdout);

/// The heading printed last.
static HEADING: Mutex<String> = Mutex::new(String::new());

/// Prints a record of a partition or run. A pipe gets its path and fields, separated by tabs. A terminal gets a
/// row with day and run, below the path of the query, which is printed once.
pub(crate) fn row<T: Serialize>(
    record: &T,
    place: &Place,
    fields: &[&str],
    output: &Output,
) -> io::Result<()> {
    let Some(screen) = screen(output) else {
        return output.data(record, line_of(&place.to_string(), fields));
    };
    heading(&query_of(place))?;
    let below: Vec<&str> = place.values().skip(3).collect();
    print(&format!("  {}", below.join("/")), fields, screen)
}

/// Prints a record like [`row`], for records in no order: a terminal gets the short path with the fields.
pub(crate) fn line<T: Serialize>(
    record: &T,
    place: &Place,
    fields: &[&str],
    output: &Output,
) -> io::Result<()> {
    match screen(output) {
        Some(screen) => print(&short(place), fields, screen),
        None => output.data(record, line_of(&place.to_string(), fields)),
    }
}

/// Returns the terminal if records are printed as a table.
pub(crate) fn screen(output: &Output) -> Option<Screen> {
    SCREEN.filter(|_| !output.is_json())
}

/// Prints the path that the next rows share, unless it was the last one.
pub(crate) fn heading(place: &Place) -> io::Result<()> {
    let path = short(place);
    let mut last = HEADING.lock().unwrap_or_else(PoisonError::into_inner);
    if *last == path {
        return Ok(());
    }
    output::line(&path)?;
    *last = path;
    Ok(())
}

fn query_of(place: &Place) -> Place {
    let selection = place.partition().map(|key| Selection {
        source: Some(key.source().to_owned()),
        customer_id: Some(key.customer_id().to_owned()),
        query_name: Some(key.query_name().to_owned()),
        ..Selection::default()
    });
    selection.map_or_else(|| place.clone(), |selection| Place::enclosing(&selection))
}

fn line_of(path: &str, fields: &[&str]) -> String {
    [&[path], fields].concat().join("\t")
}

/// Returns the path without labels, unless it would be read as one with labels.
fn short(place: &Place) -> String {
    let values: Vec<&str> = place.values().collect();
    let is_clear = values.iter().skip(1).all(|value| !value.contains('='));
    if is_clear { values.join("/") } else { place.to_string() }
}

fn print(name: &str, fields: &[&str], screen: Screen) -> io::Result<()> {
    output::text(format!("{}\n", row_of(name, fields, screen.is_coloured)).as_bytes())
}

fn row_of(name: &str, fields: &[&str], is_coloured: bool) -> String {
    let mut row = escape::field(name).into_owned();
    for (number, field) in fields.iter().enumerate() {
        let field = escape::field(field);
        let colour = colour_of(&field).filter(|_| is_coloured && number == 0);
        let (start, end) = colour.map_or(("", ""), |colour| (colour, "\x1b[0m"));
        let width = if number + 1 < fields.len() { 8 } else { 0 };
        // Writing to a string does not fail.
        let _ = write!(row, "  {start}{field:<width$}{end}");
    }
    row
}

/// Returns the escape sequence of the colour of a status or outcome.
fn colour_of(word: &str) -> Option<&'static str> {
    match word {
        "success" | "passed" => Some("\x1b[32m"),
        "pending" | "unsealed" => Some("\x1b[33m"),
        "failed" | "missing" => Some("\x1b[31m"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_coloured_by_its_meaning_and_escaped() {
        let fields = ["failed", "a \u{1b}[2Jmessage"];
        assert_eq!(row_of("  a", &fields, false), "  a  failed    a \\u{1b}[2Jmessage");
        assert_eq!(row_of("a", &fields[..1], true), "a  \x1b[31mfailed\x1b[0m");
        assert_eq!(line_of("a/b", &["failed", "a message"]), "a/b\tfailed\ta message");
    }

    #[test]
    fn a_short_path_names_the_same_run() {
        let run = "ads/123/campaign/2024-06-01/2024-06-02T00:00:00.000Z";
        let place = Place::parse(run, "").unwrap();
        assert_eq!(short(&place), run);
        let odd = Place::parse("ads/customer_id=1=2/query_name=q", "").unwrap();
        assert_eq!(Place::parse(&short(&odd), "").unwrap(), odd);
    }
}
