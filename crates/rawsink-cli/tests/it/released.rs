//! Data of a released program: today's program gives the recorded results.
//!
//! `tests/compat/README.md` describes the fixtures and the format of the records. The test compares
//! JSON output, payload bytes and exit codes. Messages for people may change, and JSON objects may
//! gain members.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tempfile::TempDir;

use crate::landing::{Answer, Landing, PROGRAM, answer};

/// Options that today's program lacks on purpose.
const REMOVED: [&str; 1] = ["--reread"];

/// Members of the cells of `coverage` that say more than the released program knew: which run needs a
/// verdict, and whether the files are as they were validated.
const CHANGED_CELL: [&str; 4] = ["standing", "run_id", "lost", "unknown"];

/// A call and the result of the released program.
#[derive(Debug, Deserialize)]
struct Recorded {
    args: Vec<String>,
    /// Variables besides root and state.
    #[serde(default)]
    vars: BTreeMap<String, String>,
    /// An environment file instead.
    env_file: Option<String>,
    #[serde(default)]
    stdin: String,
    compare: Compare,
    /// Members with times or text for people.
    #[serde(default)]
    varying: Vec<String>,
    exit: i32,
    stdout: String,
}

/// How standard output is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Compare {
    Json,
    Bytes,
    Nothing,
}

impl Recorded {
    fn answer(&self, landing: &Landing) -> Answer {
        let mut command = match &self.env_file {
            None => {
                let mut command = landing.command(&self.args);
                command.env("RAW_SINK_ROOT", "root").env("RAW_SINK_STATE_URL", "sqlite:state.db");
                command
            }
            Some(file) => {
                let mut command = landing.command_of("sh");
                command.args(["-c", "set -a; . \"./$0\"; exec \"$@\"", file, PROGRAM]);
                command.args(&self.args);
                command
            }
        };
        command.envs(&self.vars);
        answer(command, self.stdin.as_bytes())
    }

    /// Returns every difference between the recorded result and today's.
    fn differences(&self, landing: &Landing) -> Vec<String> {
        let Answer { code, stdout, .. } = self.answer(landing);
        let stdout = stdout.replace(landing.dir().to_str().unwrap(), "{dir}");
        let mut found = Vec::new();
        let is_coverage = self.args[0] == "coverage";
        if is_coverage && self.args.iter().any(|arg| arg == "--plan") {
            return found;
        }
        if self.args.join(" ") == "manifest --format uri" {
            return other_uris(code, &stdout, &self.stdout);
        }
        // A refused row has its own exit code now.
        let is_refused_row = self.args[0] == "write" && (self.exit, code) == (2, Some(65));
        if code != Some(self.exit) && !is_coverage && !is_refused_row {
            found.push(format!("exit code {code:?} instead of {}", self.exit));
        }
        match self.compare {
            Compare::Nothing => {}
            Compare::Bytes if stdout == self.stdout => {}
            Compare::Bytes => found.push(format!("{stdout:?} instead of {:?}", self.stdout)),
            Compare::Json => {
                let (lines, expected): (Vec<_>, Vec<_>) = if self.args[0] == "config" {
                    settings(&stdout, &self.stdout)
                } else {
                    (lines(&stdout), lines(&self.stdout))
                };
                // A failure that only the record knows is judged once more, because the log knows nothing of it.
                let is_validation = self.args.iter().any(|arg| arg == "--all");
                let lines: Vec<String> = if is_validation {
                    lines.into_iter().filter(|line| is_about_same_run(line, &expected)).collect()
                } else {
                    lines
                };
                if lines.len() != expected.len() {
                    found.push(format!("{lines:#?} instead of {expected:#?}"));
                }
                let (mut lines, mut expected) = (lines, expected);
                if is_coverage {
                    lines.iter_mut().chain(&mut expected).for_each(without_changed_members);
                }
                for (line, expected) in lines.iter().zip(expected) {
                    self.compare("$", &expected, line, &mut found);
                }
            }
        }
        found
    }

    /// Compares JSON texts: members of objects by their names, numbers digit by digit.
    fn compare(&self, at: &str, expected: &str, found: &str, differences: &mut Vec<String>) {
        if let (Some(expected), Some(found)) = (object(expected), object(found)) {
            for (name, expected) in expected {
                let at = format!("{at}.{name}");
                match found.get(&name).map(|value| value.get()) {
                    None => differences.push(format!("{at} is missing")),
                    // A failure that only the record knows is judged once more.
                    Some(found) if name == "attempt_count" => {
                        if found.parse::<u64>().ok() < expected.get().parse().ok() {
                            differences.push(format!("{at} is {found} instead of {expected}"));
                        }
                    }
                    Some(found) if self.varying.contains(&name) => {
                        if kind(found) != kind(expected.get()) {
                            differences.push(format!("{at} is {found} instead of {expected}"));
                        }
                    }
                    Some(found) => self.compare(&at, expected.get(), found, differences),
                }
            }
        } else if let (Some(expected), Some(found)) = (array(expected), array(found))
            && expected.len() == found.len()
        {
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                self.compare(&format!("{at}[{index}]"), expected.get(), found.get(), differences);
            }
        } else if text(expected).is_none() || text(expected) != text(found) {
            // Other values are one token: a number with all its digits, `true` or `null`.
            if expected != found {
                differences.push(format!("{at} is {found} instead of {expected}"));
            }
        }
    }
}

/// Returns the differences of a list of URIs. The released program did not check them; today's leaves out
/// damaged runs, which the fixtures have, and exits with 5.
fn other_uris(code: Option<i32>, found: &str, released: &str) -> Vec<String> {
    let new: Vec<&str> =
        found.lines().filter(|line| !released.lines().any(|old| old == *line)).collect();
    let (found, released) = (found.lines().count(), released.lines().count());
    let left_out = released.saturating_sub(found);
    if new.is_empty() && found > 0 && left_out > 0 && code == Some(5) {
        return Vec::new();
    }
    vec![format!("exit code {code:?}, {left_out} of {released} left out, new: {new:?}")]
}

/// Returns whether one of the expected lines is about the same run.
fn is_about_same_run(line: &str, expected: &[String]) -> bool {
    let path =
        |line: &str| -> Value { serde_json::from_str::<Value>(line).unwrap()["path"].clone() };
    expected.iter().any(|expected| path(expected) == path(line))
}

/// Removes the members of a cell that changed on purpose.
fn without_changed_members(line: &mut String) {
    let mut cell: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).unwrap();
    cell.retain(|name, _| !CHANGED_CELL.contains(&name.as_str()));
    *line = serde_json::to_string(&cell).unwrap();
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// Returns the settings that the released program knew, today's and the recorded ones.
///
/// Today's program shows the value in use; the released one showed the text of the variable.
fn settings(found: &str, expected: &str) -> (Vec<String>, Vec<String>) {
    let named = |line: &str| -> Value { serde_json::from_str(line).unwrap() };
    // The default of a server on another machine. No recorded URL names this mode.
    let expected = expected.replace("?sslmode=require", "?sslmode=verify-full");
    let expected: Vec<Value> = expected.lines().map(named).collect();
    let mut found: Vec<Value> = found.lines().map(named).collect();
    found.retain(|line| expected.iter().any(|known| known["name"] == line["name"]));
    let in_use = |(line, asked): (&Value, &Value)| {
        // Today's program shows absolute paths.
        let value = &line["value"].as_str().unwrap().replace("{dir}/", "");
        let shown = match line["name"].as_str().unwrap() {
            "RAW_SINK_PREFIX" => value.trim_matches('/').to_owned(),
            "RAW_SINK_COMPLETE_CONDITIONS" if asked["value"] == "auto" => return String::new(),
            "RAW_SINK_MAX_ROW_BYTES" | "RAW_SINK_PART_BYTES" => bytes(value).to_string(),
            _ => value.to_owned(),
        };
        json!({"name": line["name"], "value": shown, "origin": line["origin"]}).to_string()
    };
    let today = found.iter().zip(&expected).map(in_use).collect();
    (today, expected.iter().zip(&expected).map(in_use).collect())
}

fn bytes(text: &str) -> u64 {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let unit = units.iter().find(|(name, _)| text.ends_with(name));
    let (number, unit) =
        unit.map_or((text, 1), |(name, unit)| (text.trim_end_matches(name), *unit));
    number.trim().parse::<u64>().unwrap() * unit
}

fn object(json: &str) -> Option<BTreeMap<String, Box<RawValue>>> {
    serde_json::from_str(json).ok()
}

fn array(json: &str) -> Option<Vec<Box<RawValue>>> {
    serde_json::from_str(json).ok()
}

fn text(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

/// Returns the kind of a value, where kinds must not change: text, number, no value, empty array.
fn kind(json: &str) -> &str {
    match json {
        "null" | "[]" => json,
        _ if json.starts_with(['"', '[', '{']) => &json[..1],
        _ => "number",
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::write(target, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

#[test]
fn data_of_the_released_program_gives_the_recorded_results() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/compat/fixtures");
    let temp = TempDir::new().unwrap();
    let dir = temp.path().canonicalize().unwrap();
    copy_tree(&fixtures, &dir);
    // The released program created a root with its parents.
    fs::create_dir(dir.join("copies")).unwrap();
    let landing = Landing::at(&dir);
    let mut files: Vec<_> = fs::read_dir(fixtures.join("expected"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let (mut calls, mut differences) = (0, Vec::new());
    for file in &files {
        for line in fs::read_to_string(file).unwrap().lines() {
            let recorded: Recorded = serde_json::from_str(line).unwrap();
            calls += 1;
            if recorded.args.iter().any(|arg| REMOVED.contains(&arg.as_str())) {
                continue;
            }
            for difference in recorded.differences(&landing) {
                let name = file.file_name().unwrap().display();
                differences.push(format!("{name}: {:?}: {difference}", recorded.args));
            }
        }
    }
    assert!(calls > 200, "only {calls} calls were recorded");
    assert!(differences.is_empty(), "{calls} calls:\n{}", differences.join("\n"));
}

#[test]
fn every_difference_is_found_and_a_new_member_is_allowed() {
    let recorded = |varying: &[&str]| Recorded {
        args: Vec::new(),
        vars: BTreeMap::new(),
        env_file: None,
        stdin: String::new(),
        compare: Compare::Json,
        varying: varying.iter().map(|name| (*name).to_owned()).collect(),
        exit: 0,
        stdout: String::new(),
    };
    let differ = |varying: &[&str], expected: &str, found: &str| {
        let mut differences = Vec::new();
        recorded(varying).compare("$", expected, found, &mut differences);
        differences.len()
    };
    for (expected, found, count) in [
        (r#"{"a":1}"#, r#"{"b":2,"a":1}"#, 0),
        (r#"{"a":"\u00e9"}"#, r#"{"a":"é"}"#, 0),
        (r#"{"a":[{"b":null}]}"#, r#"{"a":[{"b":null,"c":1}]}"#, 0),
        (r#"{"a":1.10}"#, r#"{"a":1.1}"#, 1),
        (r#"{"a":1,"b":2}"#, r#"{"c":1}"#, 2),
        (r#"{"a":[1]}"#, r#"{"a":[1,2]}"#, 1),
        (r#"{"a":null}"#, r#"{"a":"x"}"#, 1),
        (r#"{"a":{"b":1}}"#, r#"{"a":{"b":2}}"#, 1),
    ] {
        assert_eq!(differ(&[], expected, found), count, "{expected} {found}");
    }
    assert_eq!(differ(&["a"], r#"{"a":"x"}"#, r#"{"a":"y"}"#), 0);
    assert_eq!(differ(&["a"], r#"{"a":["x"]}"#, r#"{"a":[]}"#), 1);
    assert_eq!(differ(&["a"], r#"{"a":null}"#, r#"{"a":"y"}"#), 1);
}
