//! Settings: the one reader of the environment.
//!
//! Owns the table of variables, from which `docs/configuration.md` is generated. Every fault is
//! reported at once, naming the variable. Variables that start with `RAW_SINK_` and are not in the
//! table are warned about.

pub(crate) mod certificates;
mod env_file;
mod object;
mod parse;
mod provider;
mod secret;
mod state;
mod variables;

use std::path::{Path, PathBuf};

use serde::Serialize;

use self::parse::Parser;
pub use self::{
    object::{Addressing, CompleteConditions, ObjectSettings},
    provider::{PROVIDERS, Provider},
    secret::Secret,
    state::{PostgresSettings, StateUrl, TlsMode},
    variables::{SECRETS, UsedBy, VARIABLES, Variable},
};
use crate::{
    error::{Error, Result, system_text},
    row::DEFAULT_MAX_ROW_BYTES,
};

/// Which backend a sink has (specification, section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SinkKind {
    /// A directory.
    #[default]
    Filesystem,
    /// A bucket of an S3-compatible object storage.
    Object,
}

/// What to do about a payload without a seal that an earlier attempt left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeftoverPolicy {
    /// Replace it by this attempt's payload (G09).
    #[default]
    Replace,
    /// End with `Conflict`, so that a person decides.
    Refuse,
}

/// Where reading a directory's files blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Blocking {
    /// On the runtime's blocking pool, one chunk ahead: nothing else has to wait.
    #[default]
    Pool,
    /// On the calling thread: a fifth less CPU, for a program that does one thing at a time.
    Inline,
}

/// All settings; plain data, so that a program without an environment fills it itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The backend, `RAW_SINK`.
    pub sink: SinkKind,
    /// Directory of the filesystem sink, `RAW_SINK_ROOT`.
    pub root: PathBuf,
    /// Everything about the bucket; needed by the object sink.
    pub object: Option<ObjectSettings>,
    /// What to do about leftovers, `RAW_SINK_LEFTOVER`.
    pub leftover: LeftoverPolicy,
    /// Longest row in bytes, `RAW_SINK_MAX_ROW_BYTES`.
    pub max_row_bytes: usize,
    /// Where the state is kept, `RAW_SINK_STATE_URL`.
    pub state_url: StateUrl,
    /// Where reading a directory blocks; the program's choice, not the environment's.
    pub blocking: Blocking,
}

impl Settings {
    /// Returns where the sink's paths begin, without a slash at the end: `file:///srv/raw` or
    /// `s3://bucket/prefix`.
    ///
    /// Names are not percent-encoded: DuckDB, Spark, Polars and the tools of the vendors take
    /// them as they are.
    ///
    /// # Errors
    /// `Invalid` where the root is no UTF-8, or the object sink has no bucket.
    pub fn root_uri(&self) -> Result<String> {
        match self.sink {
            SinkKind::Filesystem => {
                let root = std::path::absolute(&self.root).ok();
                let root = root.as_deref().and_then(|root| root.to_str());
                let wrong = || Error::invalid("RAW_SINK_ROOT cannot be written as a URI");
                Ok(format!("file://{}", root.ok_or_else(wrong)?.trim_end_matches('/')))
            }
            SinkKind::Object => {
                let missing = || Error::invalid("the object sink needs the settings of its bucket");
                let ObjectSettings { bucket, prefix, .. } =
                    self.object.as_ref().ok_or_else(missing)?;
                Ok(format!("s3://{bucket}/{prefix}"))
            }
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sink: SinkKind::default(),
            root: PathBuf::from("data/raw"),
            object: None,
            leftover: LeftoverPolicy::default(),
            max_row_bytes: DEFAULT_MAX_ROW_BYTES,
            state_url: StateUrl::Sqlite(PathBuf::from("data/state_store.db")),
            blocking: Blocking::default(),
        }
    }
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The variable is not set.
    Default,
    /// The variable is not set, and the endpoint's provider is known.
    Provider,
    /// The environment.
    Environment,
}

/// One effective setting, fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// The variable.
    pub name: &'static str,
    /// Its value as it counts.
    pub value: String,
    /// Where the value came from.
    pub origin: Origin,
}

/// Settings with their origins, and what looks like a typing error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Every variable with its value and origin, in the order of the table.
    pub effective: Vec<Effective>,
    /// Sentences about variables that are set and not known.
    pub warnings: Vec<String>,
}

/// Tells whether a variable is a setting, or may be meant for one.
fn is_near(name: &str) -> bool {
    name.starts_with("RAW_SINK") || name.starts_with("RAWSINK_")
}

impl Loaded {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// `Invalid`, naming every variable that is wrong.
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
    pub fn from_env() -> Result<Self> {
        Self::from_vars(std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| is_near(name))?;
            Some((name, value.into_string().map_err(|_| ())))
        }))
    }

    /// Reads the variables of a file, `NAME=VALUE` a line, quoted as for `systemd` and `sh`, and none of
    /// the process's environment. Other names are left out.
    ///
    /// # Errors
    /// `Invalid` for a file that cannot be read, and as [`from_vars`](Self::from_vars).
    pub fn from_file(path: &Path) -> Result<Self> {
        let wrong = |what: String| Error::invalid(what).on_path(path.display());
        let text = std::fs::read_to_string(path)
            .map_err(|cause| wrong(format!("cannot read the settings: {}", system_text(&cause))))?;
        let vars = env_file::parse(&text).map_err(wrong)?;
        let vars = vars.into_iter().filter(|(name, _)| is_near(name));
        Self::from_vars(vars.map(|(name, value)| (name, Ok(value))))
            .map_err(|error| error.on_path(path.display()))
    }

    /// Reads given variables; a value is an error where it is not UTF-8. Files of secrets and
    /// certificates are read once to see whether they can be used.
    ///
    /// # Errors
    /// `Invalid`, naming every variable that is wrong.
    pub fn from_vars(vars: impl IntoIterator<Item = (String, Result<String, ()>)>) -> Result<Self> {
        let mut parser = Parser::new(vars);
        let defaults = Settings::default();
        let chosen = parser.is_set("RAW_SINK");
        let sink = parser.take("RAW_SINK", parse::sink, defaults.sink);
        let (root, object) = match sink {
            SinkKind::Filesystem => {
                let ignored = parser.ignore(UsedBy::Object);
                if !chosen && !ignored.is_empty() {
                    let names = ignored.join(", ");
                    parser.warning(format!("RAW_SINK is not set to object, so not used: {names}"));
                }
                (parser.take("RAW_SINK_ROOT", parse::path, defaults.root), None)
            }
            SinkKind::Object => {
                parser.ignore(UsedBy::Filesystem);
                (defaults.root, object::take(&mut parser))
            }
        };
        let settings = Settings {
            sink,
            root,
            object,
            leftover: parser.take("RAW_SINK_LEFTOVER", parse::leftover, defaults.leftover),
            max_row_bytes: parser.take(
                "RAW_SINK_MAX_ROW_BYTES",
                parse::row_bytes,
                defaults.max_row_bytes,
            ),
            state_url: state::take(&mut parser, defaults.state_url),
            blocking: defaults.blocking,
        };
        let outcome = parser.finish();
        if outcome.faults.is_empty() {
            return Ok(Self { settings, effective: outcome.effective, warnings: outcome.warnings });
        }
        let faults = match outcome.faults.as_slice() {
            [fault] => fault.clone(),
            faults => format!("{} settings are wrong:\n  {}", faults.len(), faults.join("\n  ")),
        };
        // What is missing may be there under a name that is not quite right.
        let message = [vec![faults], outcome.warnings].concat().join("\n  ");
        Err(Error::invalid(message))
    }
}

#[cfg(test)]
mod tests;
