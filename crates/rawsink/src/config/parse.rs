//! How the text of a variable becomes a setting.

use std::{collections::BTreeMap, path::PathBuf};

use super::{Effective, Origin, SinkKind, StateUrl, VARIABLES};
use crate::store::LeftoverPolicy;

type Parsed<T> = Result<T, String>;

/// Takes variables one by one and gathers faults, origins and unknown names.
pub(super) struct Parser {
    vars: BTreeMap<String, Result<String, ()>>,
    outcome: Outcome,
}

#[derive(Default)]
pub(super) struct Outcome {
    pub(super) faults: Vec<String>,
    pub(super) effective: Vec<Effective>,
    pub(super) warnings: Vec<String>,
}

impl Parser {
    pub(super) fn new(vars: impl IntoIterator<Item = (String, Result<String, ()>)>) -> Self {
        let outcome = Outcome::default();
        Self { vars: vars.into_iter().collect(), outcome }
    }

    /// Takes one variable; unset or empty means the default, a fault is noted.
    pub(super) fn take<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Parsed<T>,
        default: T,
    ) -> T {
        let variable = VARIABLES.iter().find(|variable| variable.name == name);
        let text = match self.vars.remove(name) {
            None => None,
            Some(Ok(text)) => Some(text).filter(|text| !text.is_empty()),
            Some(Err(())) => {
                self.outcome.faults.push(format!("{name} is not UTF-8"));
                return default;
            }
        };
        let origin = if text.is_some() { Origin::Environment } else { Origin::Default };
        let value = text
            .clone()
            .or_else(|| variable.map(|known| known.default.to_owned()))
            .unwrap_or_default();
        self.outcome.effective.push(Effective { name, value, origin });
        match text.as_deref().map(parse) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(fault)) => {
                self.outcome.faults.push(format!("{name} {fault}"));
                default
            }
        }
    }

    pub(super) fn finish(mut self) -> Outcome {
        for name in
            self.vars.keys().filter(|name| *name == "RAW_SINK" || name.starts_with("RAW_SINK_"))
        {
            self.outcome.warnings.push(match nearest(name) {
                Some(known) => format!("{name} is not a setting; did you mean {known}?"),
                None => format!("{name} is not a setting"),
            });
        }
        self.outcome
    }
}

pub(super) fn sink(text: &str) -> Parsed<SinkKind> {
    match text {
        "filesystem" => Ok(SinkKind::Filesystem),
        _ => Err(format!("is {text:?}, not \"filesystem\"")),
    }
}

pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    if text.contains('\0') {
        Err("contains a zero byte".to_owned())
    } else {
        Ok(PathBuf::from(text))
    }
}

pub(super) fn leftover(text: &str) -> Parsed<LeftoverPolicy> {
    match text {
        "replace" => Ok(LeftoverPolicy::Replace),
        "refuse" => Ok(LeftoverPolicy::Refuse),
        _ => Err(format!("is {text:?}, not \"replace\" or \"refuse\"")),
    }
}

/// A row has at least `{}`; more than 1 GiB would not fit the memory that is promised.
pub(super) fn row_bytes(text: &str) -> Parsed<usize> {
    let bytes = bytes(text)?;
    if (2..=1 << 30).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(format!("is {text:?}, not from 2 bytes to 1 GiB"))
    }
}

pub(super) fn state_url(text: &str) -> Parsed<StateUrl> {
    match text.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => {
            Ok(StateUrl::Sqlite(PathBuf::from(path.strip_prefix("//").unwrap_or(path))))
        }
        Some(_) => Err("names no file behind \"sqlite:\"".to_owned()),
        // Not shown: a URL may carry a password.
        None => Err("does not start with \"sqlite:\"".to_owned()),
    }
}

fn bytes(text: &str) -> Parsed<usize> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let (number, unit) = units
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?.trim_end(), *unit)))
        .unwrap_or((text, 1_usize));
    let number: Option<usize> =
        number.parse().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()));
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| format!("is {text:?}, not a number of bytes"))
}

/// Returns the known name that differs in one place, or that holds the same letters.
fn nearest(name: &str) -> Option<&'static str> {
    let known = VARIABLES.iter().map(|variable| variable.name);
    known
        .map(|known| (distance(name, known), known))
        .filter(|(far, _)| *far <= 2)
        .min()
        .map(|(_, known)| known)
}

/// Levenshtein distance in bytes.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in right.bytes().enumerate() {
            let cost = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
