//! Parses the text of variables.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

#[cfg(any(feature = "s3", feature = "postgres"))]
use super::Secret;
#[cfg(feature = "s3")]
use super::proxy::ProxyVars;
use super::{SECRETS, UsedBy, VARIABLES};
#[cfg(feature = "s3")]
use crate::{
    error::ConfigFault,
    store::s3::{Addressing, CompleteConditions, Proxy, S3Config},
};
use crate::{
    error::{Error, Result},
    literal,
    partition::row::LEGAL_MAX_ROW_BYTES,
    state::StateConfig,
    store::LeftoverPolicy,
};

pub(super) type Parsed<T> = Result<T, String>;

/// The values of `RAW_SINK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Filesystem,
    Object,
}

/// Takes variables one by one, and collects faults and unknown names.
pub(super) struct Parser {
    vars: BTreeMap<String, Result<String, ()>>,
    /// Variables that are set and known.
    set: BTreeSet<&'static str>,
    /// Variables with a reported fault: each gets at most one.
    faulty: BTreeSet<&'static str>,
    faults: Vec<String>,
    warnings: Vec<String>,
    #[cfg(feature = "s3")]
    proxies: ProxyVars,
}

/// Returns whether a variable is about proxies.
pub(super) fn is_proxy(name: &str) -> bool {
    #[cfg(feature = "s3")]
    return ProxyVars::known(name).is_some();
    #[cfg(not(feature = "s3"))]
    return name.is_empty();
}

impl Parser {
    pub(super) fn new(vars: impl IntoIterator<Item = (String, Result<String, ()>)>) -> Self {
        #[cfg(feature = "s3")]
        let (vars, proxies) = ProxyVars::separate(vars);
        Self {
            #[cfg(feature = "s3")]
            vars,
            #[cfg(not(feature = "s3"))]
            vars: vars.into_iter().collect(),
            set: BTreeSet::new(),
            faulty: BTreeSet::new(),
            faults: Vec::new(),
            warnings: Vec::new(),
            #[cfg(feature = "s3")]
            proxies,
        }
    }

    /// Returns the proxy of requests to a bucket; `None` after a fault.
    #[cfg(feature = "s3")]
    pub(super) fn proxy_of(&mut self, config: &S3Config) -> Option<Proxy> {
        let proxy = self.proxies.of(config);
        // Settings may come from a file; a proxy never does.
        let fault = |(name, what)| self.faults.push(format!("the environment's {name} {what}"));
        proxy.map_err(fault).ok()
    }

    /// Takes a variable's text. An empty variable is not set; one that is not UTF-8 is a fault.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let text = self.raw(name, name);
        if text.is_some() {
            self.set.insert(name);
        }
        text
    }

    /// Takes the text of a variable or of its `_FILE` variant.
    fn raw(&mut self, variable: &'static str, name: &str) -> Option<String> {
        let Ok(text) = self.vars.remove(name)? else {
            self.faulty.insert(variable);
            self.faults.push(format!("{name} is not UTF-8"));
            return None;
        };
        Some(text).filter(|text| !text.is_empty())
    }

    /// Takes a variable; returns the default if it is not set or has a fault.
    pub(super) fn take<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Parsed<T>,
        default: T,
    ) -> T {
        let Some(text) = self.text(name) else { return default };
        parse(&text).unwrap_or_else(|what| {
            self.fault(name, &what);
            default
        })
    }

    /// Takes a variable that changes a builder, which keeps its default if it is not set.
    #[cfg(feature = "s3")]
    pub(super) fn set<B, T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Parsed<T>,
        builder: B,
        set: impl Fn(B, T) -> B,
    ) -> B {
        match self.take(name, |text| parse(text).map(Some), None) {
            Some(value) => set(builder, value),
            None => builder,
        }
    }

    /// Takes a number of seconds.
    #[cfg(feature = "s3")]
    pub(super) fn seconds(&mut self, name: &'static str, default: Duration) -> Duration {
        self.take(name, seconds, default)
    }

    /// Takes a required variable.
    #[cfg(feature = "s3")]
    pub(super) fn require(&mut self, name: &'static str) -> Option<String> {
        let text = self.text(name);
        if text.is_none() {
            self.fault(name, "is missing");
        }
        text
    }

    /// Takes a secret, given as its value or as a file that holds it.
    #[cfg(any(feature = "s3", feature = "postgres"))]
    pub(super) fn secret(&mut self, name: &'static str) -> Option<Secret> {
        let file_name = format!("{name}_FILE");
        let (given_as, secret) = match (self.raw(name, name), self.raw(name, &file_name)) {
            (Some(_), Some(_)) => {
                self.fault(name, &format!("and {file_name} are both set"));
                return None;
            }
            (Some(value), None) => (name.to_owned(), Secret::value(value)),
            (None, Some(path)) => (file_name, Secret::file(path)),
            (None, None) => return None,
        };
        self.set.insert(name);
        if let Err(error) = secret.read() {
            self.faulty.insert(name);
            self.faults.push(format!("{given_as}: {error}"));
        }
        Some(secret)
    }

    /// Takes a required secret.
    #[cfg(feature = "s3")]
    pub(super) fn require_secret(&mut self, name: &'static str) -> Option<Secret> {
        let secret = self.secret(name);
        if secret.is_none() && self.faulty.insert(name) {
            self.faults.push(format!("{name} (or {name}_FILE) is missing"));
        }
        secret
    }

    /// Adds a fault of a variable, unless it has one.
    pub(super) fn fault(&mut self, name: &'static str, what: &str) {
        if self.faulty.insert(name) {
            self.faults.push(format!("{name} {what}"));
        }
    }

    /// Adds the faults of a configuration type, each with the variable of its field.
    #[cfg(feature = "s3")]
    pub(super) fn config_faults(&mut self, faults: Vec<ConfigFault>) {
        for ConfigFault { field, what } in faults {
            let name = super::variable_of(field).expect("every field has a variable");
            self.fault(name, &what);
        }
    }

    /// Adds a warning.
    pub(super) fn warning(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// Returns whether a variable is set and not empty.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.vars.get(name).is_some_and(|text| text.as_ref().map_or(true, |text| !text.is_empty()))
    }

    /// Removes known variables that do not apply; returns those that were set.
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

    /// Returns the variables that were set, and the warnings.
    ///
    /// # Errors
    /// `Invalid` with all faults, one a line, and the warnings: a missing variable may exist under a
    /// misspelt name.
    pub(super) fn finish(mut self) -> Result<(BTreeSet<&'static str>, Vec<String>)> {
        self.warn_of_unknown_names();
        if self.faults.is_empty() {
            return Ok((self.set, self.warnings));
        }
        let faults = match self.faults.as_slice() {
            [fault] => fault.clone(),
            faults => format!("{} settings are wrong:\n  {}", faults.len(), faults.join("\n  ")),
        };
        Err(Error::invalid([vec![faults], self.warnings].concat().join("\n  ")))
    }

    fn warn_of_unknown_names(&mut self) {
        for name in self.vars.keys() {
            let ours = name.starts_with("RAW_SINK_");
            match nearest(name) {
                Some(known) if ours || squeezed(&known) == squeezed(name) => {
                    self.warnings.push(format!("{name} is not a setting; did you mean {known}?"));
                }
                None if ours => self.warnings.push(format!("{name} is not a setting")),
                _ => {}
            }
        }
    }
}

pub(super) fn kind(text: &str) -> Parsed<Kind> {
    match text {
        "filesystem" => Ok(Kind::Filesystem),
        "object" => Ok(Kind::Object),
        _ => Err(format!("is {text:?}, not \"filesystem\" or \"object\"")),
    }
}

pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    literal::check_path(text).map(|()| PathBuf::from(text))
}

pub(super) fn leftover(text: &str) -> Parsed<LeftoverPolicy> {
    match text {
        "replace" => Ok(LeftoverPolicy::Replace),
        "refuse" => Ok(LeftoverPolicy::Refuse),
        _ => Err(format!("is {text:?}, not \"replace\" or \"refuse\"")),
    }
}

/// Parses the length limit of a row.
pub(super) fn row_bytes(text: &str) -> Parsed<usize> {
    let bytes = bytes(text)?;
    if LEGAL_MAX_ROW_BYTES.contains(&bytes) {
        Ok(bytes)
    } else {
        Err(format!("is {text:?}, not from 2 bytes to 1 GiB"))
    }
}

/// Parses a number of bytes, with or without a unit.
pub(super) fn bytes(text: &str) -> Parsed<usize> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let (digits, unit) = units
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?.trim_end(), *unit)))
        .unwrap_or((text, 1_usize));
    let bytes = number(digits).ok().and_then(|number| number.checked_mul(unit));
    bytes.ok_or_else(|| format!("is {text:?}, not a number of bytes"))
}

/// Parses a whole number of digits only.
pub(super) fn number(text: &str) -> Parsed<usize> {
    let number = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    number.ok_or_else(|| format!("is {text:?}, not a whole number"))
}

#[cfg(feature = "s3")]
fn seconds(text: &str) -> Parsed<Duration> {
    seconds_in(text, 1..=86_400)
}

/// Parses how far a run id may be ahead, up to 100 years.
pub(super) fn ahead(text: &str) -> Parsed<Duration> {
    seconds_in(text, 0..=3_155_760_000)
}

fn seconds_in(text: &str, legal: RangeInclusive<u64>) -> Parsed<Duration> {
    let number = text.parse().ok().filter(|number| legal.contains(number));
    number.map(Duration::from_secs).ok_or_else(|| {
        let (least, most) = legal.into_inner();
        format!("is {text:?}, not a number of seconds from {least} to {most}")
    })
}

#[cfg(feature = "s3")]
pub(super) fn addressing(text: &str) -> Parsed<Option<Addressing>> {
    match text {
        "path" => Ok(Some(Addressing::Path)),
        "virtual" => Ok(Some(Addressing::Virtual)),
        _ => Err(format!("is {text:?}, not \"path\" or \"virtual\"")),
    }
}

#[cfg(feature = "s3")]
pub(super) fn conditions(text: &str) -> Parsed<Option<CompleteConditions>> {
    match text {
        "auto" => Ok(None),
        "enforced" => Ok(Some(CompleteConditions::Enforced)),
        "ignored" => Ok(Some(CompleteConditions::Ignored)),
        _ => Err(format!("is {text:?}, not \"enforced\", \"ignored\" or \"auto\"")),
    }
}

pub(super) fn flag(text: &str) -> Parsed<bool> {
    match text {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(format!("is {text:?}, not \"0\" or \"1\"")),
    }
}

/// Parses the URL of the state. The fault never shows the text, which may carry a password.
pub(super) fn state(text: &str) -> Parsed<StateConfig> {
    literal::check(text)?;
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        #[cfg(feature = "postgres")]
        return crate::state::postgres_config(text).map(StateConfig::Postgres);
        #[cfg(not(feature = "postgres"))]
        return Err("is a PostgreSQL URL, which this build does not support".to_owned());
    }
    let path = text.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
    match path {
        // SQLite does not interpret these as file names.
        Some(path)
            if path.starts_with("file:") || path.contains(":memory:") || path.contains('?') =>
        {
            Err("does not name a plain file after \"sqlite:\"".to_owned())
        }
        // The password would be shown as a part of the path.
        Some(path)
            if path.split_once(':').is_some_and(|(_, rest)| rest.contains('@'))
                || path.contains("password=") =>
        {
            Err("names a server after \"sqlite:\"; a server is postgres://USER@HOST/DATABASE"
                .to_owned())
        }
        Some(path) if !path.is_empty() => {
            // More slashes than one at the start are one, also in the path that is shown.
            let below_root = path.trim_start_matches('/');
            let path = if path.starts_with("//") { &format!("/{below_root}") } else { path };
            let path = self::path(path)?;
            let unsupported = || "is an SQLite file, which this build does not support".to_owned();
            StateConfig::sqlite(path).ok_or_else(unsupported)
        }
        Some(_) => Err("has no file name after \"sqlite:\"".to_owned()),
        None => Err("does not start with \"sqlite:\" or \"postgres://\"".to_owned()),
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

/// Returns a name without underscores.
fn squeezed(name: &str) -> String {
    name.replace('_', "")
}

/// Returns the Levenshtein distance in bytes.
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
