//! The page matches the cells and contains no foreign markup.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rawsink::{PartitionKey, RunId, layout::Place, store::Object};
use rawsink_ops::coverage::{Coverage, PageFacts, Scope};
use serde_json::Value;

use super::cover;
use rawsink_testkit::{
    backend::{Backend, Memory},
    databases::{Database, Sqlite},
    sample::{path, run},
};

const PLACE: &str = "</script><script>alert(1)</script>";

/// Some runs are newer than the page.
fn made() -> Timestamp {
    "2024-06-02T04:05:06.001Z".parse().unwrap()
}

fn written(coverage: &Coverage) -> String {
    let mut page = Vec::new();
    coverage.write_page(&PageFacts { made: made(), place: PLACE.to_owned() }, &mut page).unwrap();
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
    assert_eq!(commands(&data), planned(coverage));
    let worst: Vec<usize> = serde_json::from_value(data["worst"].clone()).unwrap();
    assert_eq!(worst, coverage.worst_first());
}

/// Returns the fields of a cell on the page: standing, run, run without a verdict, reason, rows.
fn short(told: &str) -> String {
    let part: Vec<&str> = told.splitn(9, ' ').collect();
    let (reason, rows) = part[8].split_once(' ').unwrap().1.rsplit_once(' ').unwrap();
    let rows = if ["validated", "lost"].contains(&part[0]) { rows } else { "None" };
    format!("{} {} {} {reason} {rows}", part[0], part[1], part[6])
}

/// Returns the plan's commands by path, without quotes.
fn planned(coverage: &Coverage) -> BTreeMap<String, Vec<String>> {
    let newest = RunId::at(made());
    let mut planned = BTreeMap::<String, Vec<String>>::new();
    for step in coverage.steps(&newest) {
        let path = Place::of_partition(&step.key()).to_string();
        planned.entry(path).or_default().push(unquoted(&step.command(None)));
    }
    planned
}

/// Returns the page's commands by path, without quotes.
fn commands(data: &Value) -> BTreeMap<String, Vec<String>> {
    let mut commands = BTreeMap::new();
    for (number, row) in data["rows"].as_array().unwrap().iter().enumerate() {
        let name = |at: usize| row[at].as_str().unwrap();
        let series = format!("{}/customer_id={}/query_name={}", name(0), name(1), name(2));
        let quoted = data["quoted_rows"].get(number.to_string());
        let quoted = quoted.map_or(series.as_str(), |quoted| quoted.as_str().unwrap());
        for (day, letter) in name(3).chars().enumerate() {
            let [run, unknown, _, step, named] = numbers(data, row, day, letter);
            let Some(step) = step.checked_sub(1) else { continue };
            let day = data["days"][day].as_str().unwrap();
            let partition = format!("{quoted}/logical_date={day}");
            let of_run = |number: u64| {
                let index = usize::try_from(number).unwrap().checked_sub(1);
                let run = index.map_or("-", |index| data["runs"][index].as_str().unwrap());
                format!("{partition}/run_id={run}")
            };
            let text = data["steps"][usize::try_from(step).unwrap()].as_str().unwrap();
            let text = text.replace("{run}", &of_run(run)).replace("{unknown}", &of_run(unknown));
            let text = text.replace("{named}", &of_run(named)).replace("{partition}", &partition);
            let lines = text.lines().map(unquoted).collect();
            commands.insert(format!("{series}/logical_date={day}"), lines);
        }
    }
    commands
}

/// Returns a line of shell without its quotes.
fn unquoted(line: &str) -> String {
    line.replace(r"'\''", "\0").replace('\'', "").replace('\0', "'")
}

/// Returns run, unknown run, reason, step and named run of a cell: the listed or the usual numbers.
fn numbers(data: &Value, row: &Value, day: usize, letter: char) -> [u64; 5] {
    let usual = data["usual"][day].as_u64().unwrap();
    let unusual = row[4].as_array().unwrap();
    if let Some(listed) = unusual.iter().find(|listed| listed[0].as_u64() == Some(day as u64)) {
        return [1, 2, 3, 4, 5].map(|at| listed[at].as_u64().unwrap_or(0));
    }
    let step = data["usual_steps"][letter.to_string()].as_u64().unwrap();
    match letter.to_ascii_lowercase() {
        'm' | 'w' | 'n' => [0, 0, 0, step, 0],
        's' => [usual, usual, 0, step, 0],
        _ => [usual, 0, 0, step, 0],
    }
}

fn shown(data: &Value) -> BTreeMap<String, String> {
    let named = |list: &str, number: u64| {
        let at = usize::try_from(number).unwrap().checked_sub(1);
        at.map_or("-".to_owned(), |at| data[list][at].as_str().unwrap().to_owned())
    };
    let mut shown = BTreeMap::new();
    for row in data["rows"].as_array().unwrap() {
        let name = |at: usize| row[at].as_str().unwrap();
        let mut counts = name(5).split(',');
        let mut rows = None;
        for (day, letter) in name(3).chars().enumerate() {
            let standing = match letter.to_ascii_lowercase() {
                'v' | 'o' => "validated",
                's' => "sealed",
                'u' => "unsealed",
                'f' => "failed",
                'm' => "missing",
                'l' => "lost",
                'w' => "withdrawn",
                'n' => "unreadable",
                other => panic!("{other}"),
            };
            let [run, unknown, reason, _, named_run] = numbers(data, row, day, letter);
            let mut count = None;
            if ["validated", "lost"].contains(&standing) {
                count = match counts.next().unwrap() {
                    "?" => None,
                    "" => rows,
                    number => {
                        rows = Some(number.parse::<u64>().unwrap());
                        rows
                    }
                };
            }
            assert_eq!(
                letter.eq_ignore_ascii_case(&'o'),
                standing == "validated" && count == Some(0)
            );
            let marked =
                (unknown > 0 && standing != "sealed") || (named_run > 0 && standing == "validated");
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
            shown.insert(path, format!("{standing} {run} {unknown} {reason} {count:?}"));
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
