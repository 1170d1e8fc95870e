//! The page matches the cells and contains no foreign markup.

use std::collections::BTreeMap;

use rawsink::{PartitionKey, store::Object};
use rawsink_ops::coverage::{Coverage, PageFacts, Scope};
use serde_json::Value;

use super::cover;
use rawsink_testkit::{
    backend::{Backend, Memory},
    databases::{Database, Sqlite},
    sample::{path, run},
};

const PLACE: &str = "</script><script>alert(1)</script>";

fn written(coverage: &Coverage) -> String {
    let made = "2024-06-01T00:00:00Z".parse().unwrap();
    let mut page = Vec::new();
    coverage.write_page(&PageFacts { made, place: PLACE.to_owned() }, &mut page).unwrap();
    String::from_utf8(page).unwrap()
}

/// Returns the data of a page, which contains no markup for a browser.
fn carried(page: &str) -> Value {
    let (_, data) = page.split_once("id=\"data\">").unwrap();
    let (data, _) = data.split_once("</script>").unwrap();
    assert!(!data.contains('<'), "{data}");
    serde_json::from_str(data).unwrap()
}

/// Reads the data of a page as its script does.
#[track_caller]
pub(super) fn assert_page_matches(coverage: &Coverage, told: &BTreeMap<String, String>) {
    let page = written(coverage);
    assert!(!page.contains("{{"), "every part is filled in");
    assert_eq!(page.matches("</script").count(), 2, "the data and the script");
    for address in ["http:", "https:", "//cdn", "@import", "url("] {
        assert!(!page.contains(address), "{address}");
    }
    let data = carried(&page);
    assert_eq!(data["place"], PLACE);
    assert_eq!(shown(&data), told.iter().map(|(path, text)| (path.clone(), short(text))).collect());
}

/// Returns the fields of a cell on the page: standing, run, run without a verdict, reason.
fn short(told: &str) -> String {
    let part: Vec<&str> = told.splitn(9, ' ').collect();
    let reason = part[8].split_once(' ').unwrap().1.rsplit_once(' ').unwrap().0;
    format!("{} {} {} {reason}", part[0], part[1], part[6])
}

fn shown(data: &Value) -> BTreeMap<String, String> {
    let named = |list: &str, number: u64| {
        let at = usize::try_from(number).unwrap().checked_sub(1);
        at.map_or("-".to_owned(), |at| data[list][at].as_str().unwrap().to_owned())
    };
    let mut shown = BTreeMap::new();
    for row in data["rows"].as_array().unwrap() {
        let name = |at: usize| row[at].as_str().unwrap();
        for (day, letter) in name(3).chars().enumerate() {
            let usual = data["usual"][day].as_u64().unwrap();
            let standing = match letter.to_ascii_lowercase() {
                'v' => "validated",
                's' => "sealed",
                'u' => "unsealed",
                'f' => "failed",
                'm' => "missing",
                'l' => "lost",
                'w' => "withdrawn",
                other => panic!("{other}"),
            };
            let unusual = row[4].as_array().unwrap();
            let found = unusual.iter().find(|numbers| numbers[0].as_u64() == Some(day as u64));
            let numbers: [u64; 3] = found.map_or(
                match standing {
                    "missing" | "withdrawn" => [0; 3],
                    "sealed" => [usual, usual, 0],
                    _ => [usual, 0, 0],
                },
                |found| [1, 2, 3].map(|at| found[at].as_u64().unwrap_or(0)),
            );
            let [run, unknown, reason] = numbers;
            let marked = unknown > 0 && standing != "sealed";
            assert_eq!(letter.is_ascii_uppercase(), marked, "{row} {day}");
            let (run, unknown) = (named("runs", run), named("runs", unknown));
            let reason = named("reasons", reason);
            let path = format!(
                "{}/customer_id={}/query_name={}/logical_date={}",
                name(0),
                name(1),
                name(2),
                data["days"][day].as_str().unwrap()
            );
            shown.insert(path, format!("{standing} {run} {unknown} {reason}"));
        }
    }
    shown
}

#[tokio::test]
async fn a_page_names_only_runs_of_its_cells_and_counts_malformed_records() {
    let (backend, database) = (Memory::default(), Sqlite::new());
    let key = PartitionKey::new("ads", "1", "q", "2024-06-01").unwrap();
    for n in 1..=5 {
        backend.tamper(&path(&key, &run(n)), Object::Seal, Some(b"{}")).await;
    }
    let record = |day: &str| {
        format!(
            "; INSERT INTO partition_state VALUES ('ads', '1', 'q', '{day}', 'success', '{}', 'v1', \
             1, '2024-06-09T00:00:00Z', NULL, 1)",
            run(2)
        )
    };
    let sql = database.contract().to_owned() + &record("2024-06-01") + &record("2024-06-31");
    database.execute(&sql).await;
    let odd = PartitionKey::new("ads", "1", "q", "1970-01-01").unwrap();
    backend.tamper(&path(&odd, &run(5)), Object::Seal, Some(b"{}")).await;
    let data = carried(&written(&cover(&backend, &database, &Scope::default()).await));
    assert_eq!(data["runs"], serde_json::json!([run(2), run(5)]));
    assert_eq!(data["faults"], 1);
    assert_eq!(data["odd"], serde_json::json!([["1970-01-01", "1970-01-01", 1]]));
}
