//! How the text of a variable becomes a setting.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    Effective, LeftoverPolicy, Origin, SECRETS, SinkKind, UsedBy, VARIABLES, secret::Secret,
};

pub(super) type Parsed<T> = Result<T, String>;

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

    /// Takes one variable; unset or empty means the default of the table, a fault is noted.
    pub(super) fn take<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Parsed<T>,
        default: T,
    ) -> T {
        let variable = VARIABLES.iter().find(|variable| variable.name == name);
        let shown = variable.map_or("", |variable| variable.default);
        self.take_or(name, parse, default, shown, Origin::Default)
    }

    /// Takes one variable that is not shown as it stands, since it may carry a secret.
    pub(super) fn take_shown<T: ToString>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Parsed<T>,
        default: T,
    ) -> T {
        let value = self.take(name, parse, default);
        if let Some(shown) = self.outcome.effective.last_mut() {
            shown.value = value.to_string();
        }
        value
    }

    /// Takes one variable, whose default comes from elsewhere and is shown so.
    pub(super) fn take_or<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Parsed<T>,
        default: T,
        shown: &str,
        origin: Origin,
    ) -> T {
        let Some(text) = self.text(name) else {
            self.outcome.effective.push(Effective { name, value: shown.to_owned(), origin });
            return default;
        };
        let parsed = parse(&text);
        self.outcome.effective.push(Effective { name, value: text, origin: Origin::Environment });
        parsed.unwrap_or_else(|fault| {
            self.fault(format!("{name} {fault}"));
            default
        })
    }

    /// Takes one variable that has to be set; `None` where it is not, or is wrong.
    pub(super) fn require<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<T> {
        let value =
            self.take_or(name, |text| parse(text).map(Some), None, "(missing)", Origin::Default);
        let missing =
            self.outcome.effective.last().is_some_and(|shown| shown.origin == Origin::Default);
        if missing
            && !self.outcome.faults.iter().any(|fault| fault.starts_with(&format!("{name} ")))
        {
            self.fault(format!("{name} is missing"));
        }
        value
    }

    /// Takes a secret, given by its value or by a file that holds it.
    pub(super) fn secret(&mut self, name: &'static str) -> Option<Secret> {
        let file_name = format!("{name}_FILE");
        let secret = match (self.text(name), self.text(&file_name)) {
            (Some(_), Some(_)) => {
                self.fault(format!("{name} and {file_name} are both set"));
                None
            }
            (Some(value), None) => Some((name, Secret::value(value))),
            (None, Some(path)) => Some((file_name.as_str(), Secret::file(path))),
            (None, None) => None,
        };
        if let Some((given_as, secret)) = &secret
            && let Err(error) = secret.read()
        {
            self.fault(format!("{given_as}: {error}"));
        }
        let secret = secret.map(|(_, secret)| secret);
        let origin = if secret.is_some() { Origin::Environment } else { Origin::Default };
        let value = secret.as_ref().map_or_else(|| "none".to_owned(), Secret::shown);
        self.outcome.effective.push(Effective { name, value, origin });
        secret
    }

    /// Takes a secret that has to be given.
    pub(super) fn require_secret(&mut self, name: &'static str) -> Option<Secret> {
        let faults = self.outcome.faults.len();
        let secret = self.secret(name);
        if secret.is_none() && self.outcome.faults.len() == faults {
            self.fault(format!("{name} (or {name}_FILE) is missing"));
        }
        secret
    }

    /// Notes what is wrong.
    pub(super) fn fault(&mut self, fault: String) {
        self.outcome.faults.push(fault);
    }

    /// Tells whether a variable is there and not empty.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.vars.get(name).is_some_and(|text| text.as_ref().map_or(true, |text| !text.is_empty()))
    }

    /// Forgets variables that are known and have no say here; returns those that were set.
    pub(super) fn ignore(&mut self, used_by: UsedBy) -> Vec<String> {
        let mut set = Vec::new();
        for variable in VARIABLES.iter().filter(|variable| variable.used_by == used_by) {
            for name in [variable.name.to_owned(), format!("{}_FILE", variable.name)] {
                if self.is_set(&name) {
                    set.push(name.clone());
                }
                self.vars.remove(&name);
            }
        }
        set
    }

    /// Notes what may be a mistake.
    pub(super) fn warning(&mut self, warning: String) {
        self.outcome.warnings.push(warning);
    }

    /// Takes a variable's text; unset and empty are the same, what is not UTF-8 is a fault.
    fn text(&mut self, name: &str) -> Option<String> {
        let Ok(text) = self.vars.remove(name)? else {
            self.fault(format!("{name} is not UTF-8"));
            return None;
        };
        Some(text).filter(|text| !text.is_empty())
    }

    pub(super) fn finish(mut self) -> Outcome {
        for name in self.vars.keys() {
            let ours = name == "RAW_SINK" || name.starts_with("RAW_SINK_");
            match nearest(name) {
                Some(known) if ours || squeezed(&known) == squeezed(name) => self
                    .outcome
                    .warnings
                    .push(format!("{name} is not a setting; did you mean {known}?")),
                None if ours => self.outcome.warnings.push(format!("{name} is not a setting")),
                _ => {}
            }
        }
        self.outcome
    }
}

pub(super) fn sink(text: &str) -> Parsed<SinkKind> {
    match text {
        "filesystem" => Ok(SinkKind::Filesystem),
        "object" => Ok(SinkKind::Object),
        _ => Err(format!("is {text:?}, not \"filesystem\" or \"object\"")),
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

/// A row has at least `{}`; a row is held in memory whole, so there is a most.
pub(super) fn row_bytes(text: &str) -> Parsed<usize> {
    bytes(text, 2, 1 << 30, "2 bytes to 1 GiB")
}

/// Reads a number of bytes, with a unit or without.
pub(super) fn bytes(text: &str, least: usize, most: usize, range: &str) -> Parsed<usize> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let (number, unit) = units
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?.trim_end(), *unit)))
        .unwrap_or((text, 1_usize));
    let number: Option<usize> =
        number.parse().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()));
    let bytes = number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| format!("is {text:?}, not a number of bytes"))?;
    if (least..=most).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(format!("is {text:?}, not from {range}"))
    }
}

/// Returns the known name that is at most two edits away.
fn nearest(name: &str) -> Option<String> {
    let files = SECRETS.iter().map(|secret| format!("{secret}_FILE"));
    let known = VARIABLES.iter().map(|variable| variable.name.to_owned()).chain(files);
    known
        .map(|known| (distance(name, &known), known))
        .filter(|(far, _)| *far <= 2)
        .min()
        .map(|(_, known)| known)
}

/// A name without what is easily forgotten.
fn squeezed(name: &str) -> String {
    name.replace('_', "")
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
