//! The semantics page names the guarantees that the model and the simulation check.

use std::{collections::BTreeSet, fs, path::Path};

use crate::model::properties::ALL;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the numbers in the messages of auditor and actors: `"G03: ...`.
fn checked_by_the_simulation() -> BTreeSet<String> {
    let (mut ahead, mut found) = (vec![root().join("src/simulation")], BTreeSet::new());
    while let Some(path) = ahead.pop() {
        if path.is_dir() {
            ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.file_name().is_some_and(|name| name != "tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                let numbers = line.match_indices("\"G").map(|(at, _)| &line[at + 1..]);
                found.extend(
                    numbers.filter(|text| text[3..].starts_with(':')).map(|text| text[..3].into()),
                );
            }
        }
    }
    found
}

#[test]
fn the_semantics_page_matches_the_proofs() {
    let page = fs::read_to_string(root().join("../../docs/semantics.md")).unwrap();
    let simulated = checked_by_the_simulation();
    let mut rows = 0;
    for row in page.lines().filter(|line| line.starts_with("| G")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let explored = ALL.iter().any(|property| property.starts_with(cells[1]));
        let expected = [(explored, "[model]"), (simulated.contains(cells[1]), "[simulation]")];
        let expected = expected.iter().filter(|(is, _)| *is).map(|(_, link)| *link);
        assert_eq!(cells[4], expected.collect::<Vec<_>>().join(", "), "{row}");
        rows += 1;
    }
    assert_eq!(rows, 20);
}
