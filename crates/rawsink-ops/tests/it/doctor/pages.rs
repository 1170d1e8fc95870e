//! The documentation names every check, and every guarantee that it touches.

use std::{collections::BTreeMap, fs, path::Path};

use rawsink_ops::doctor::checks::{BUCKET, Check, DIRECTORY, SCRATCH};

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)).unwrap()
}

fn checks() -> impl Iterator<Item = &'static Check> {
    BUCKET.iter().chain(&DIRECTORY).chain([&SCRATCH])
}

#[test]
fn exactly_the_existing_checks_are_explained() {
    let page = page("doctor.md");
    let (_, tables) = page.split_once("## Findings").unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.split('|').map(str::trim).collect();
        Some((cells[0].trim_end_matches('`').to_owned(), cells[1].to_owned()))
    };
    let explained: Vec<(String, String)> = tables.lines().filter_map(row).collect();
    let touches = |check: &Check| super::numbers(check.guarantees).join(" ");
    let asked: Vec<(String, String)> =
        checks().map(|check| (check.id.to_owned(), touches(check))).collect();
    assert_eq!(explained, asked, "docs/doctor.md has one row for each check, in the same order");
}

#[test]
fn the_semantics_page_names_the_checks_of_every_guarantee() {
    let mut touching: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for check in checks() {
        for guarantee in check.guarantees {
            touching.entry(guarantee.to_string()).or_default().push(format!("[`{}`]", check.id));
        }
    }
    let page = page("semantics.md");
    let cells =
        |row: &'_ str| row.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let head = page.lines().find(|line| line.starts_with("| id")).map(cells).unwrap();
    let column = head.iter().position(|cell| cell == "doctor findings").unwrap();
    for row in page.lines().filter(|line| line.starts_with("| G")).map(cells) {
        let ids = touching.remove(&row[1]);
        let expected = ids.map_or_else(String::new, |ids| ids.join(", "));
        assert_eq!(row[column], expected, "the checks of {}", row[1]);
    }
    assert!(touching.is_empty(), "{touching:?}");
}
