//! Configuration from environment variables: the one reader of the environment.
//!
//! Owns the table of [variables](VARIABLES), from which `docs/configuration.md` and the output of
//! `rawsink config` are generated. All faults are reported at once, each with its variable. The rules
//! for values belong to the configuration types; this module only finds the variable of a field.

mod file;
mod parse;
#[cfg(feature = "s3")]
mod proxy;
mod variables;

use std::path::Path;

use serde::Serialize;

use self::parse::Parser;
pub use self::variables::{Fallback, SECRETS, UsedBy, VARIABLES, Variable, variable_of};
#[cfg(any(feature = "s3", feature = "postgres"))]
use crate::secret::Secret;
#[cfg(feature = "s3")]
use crate::store::s3::{AccessKey, RetryConfig, S3Config, Timing};
use crate::{
    error::{Error, Result, system_text},
    open::{Backend, Config},
    sink::{RawSink, SinkOptions},
    small_file,
    state::StateConfig,
    store::fs::{FsConfig, Links, Mounted, Parents},
};

/// Default directory of the filesystem sink.
const DEFAULT_ROOT: &str = "data/raw";
/// Default SQLite file of the state.
const DEFAULT_STATE: &str = "data/state_store.db";

/// Default log level of a program.
const DEFAULT_LOG: &str = "info";

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The variable is not set.
    Default,
    /// The variable is not set, and the endpoint's provider decides.
    Provider,
    /// The variable is set.
    Environment,
    /// A file of settings sets the variable.
    File,
}

/// One effective setting, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// The variable.
    pub name: &'static str,
    /// The value in use; a path is absolute.
    pub value: String,
    /// Where the value came from.
    pub origin: Origin,
}

/// A configuration with the origin of each value, and warnings about likely typing errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Which events a program should log, `RAW_SINK_LOG`. The library installs no logger.
    pub log: String,
    /// Every variable that applies, with its value and origin, in the order of the table.
    pub effective: Vec<Effective>,
    /// Messages about variables that are set and unknown.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads the configuration from environment variables, and logs warnings.
    ///
    /// # Errors
    /// `Invalid`, naming every variable with an illegal value.
    pub fn from_env() -> Result<Self> {
        let Loaded { config, warnings, .. } = Loaded::from_env()?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        Ok(config)
    }
}

impl RawSink {
    /// Opens the sink that environment variables select (`RAW_SINK`, `RAW_SINK_ROOT`, ...).
    ///
    /// # Errors
    /// As [`Config::from_env`] and [`RawSink::open`].
    pub fn from_env() -> Result<Self> {
        Self::open(&Config::from_env()?)
    }
}

/// Returns whether a variable is a setting, or may be a misspelt one.
fn may_be_setting(name: &str) -> bool {
    name.starts_with("RAW_SINK") || name.starts_with("RAWSINK_")
}

/// Returns the variables of this process whose names are UTF-8.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
fn process_vars() -> impl Iterator<Item = (String, Result<String, ()>)> {
    std::env::vars_os().filter_map(|(name, value)| {
        Some((name.into_string().ok()?, value.into_string().map_err(|_| ())))
    })
}

impl Loaded {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// `Invalid`, naming every variable with an illegal value.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(
            process_vars().filter(|(name, _)| may_be_setting(name) || parse::is_proxy(name)),
        )
    }

    /// Reads the variables of a file, and of the process's environment only the proxies.
    ///
    /// The file has `NAME=VALUE` lines, quoted as for `systemd` and `sh`. Other names are skipped.
    ///
    /// # Errors
    /// `Invalid` for a file that cannot be read, and as [`from_vars`](Self::from_vars).
    pub fn from_file(path: &Path) -> Result<Self> {
        let wrong = |what: String| Error::invalid(what).on_path(path.display());
        let text = small_file::read_text(path)
            .map_err(|cause| wrong(format!("cannot read the settings: {}", system_text(&cause))))?;
        let vars = file::parse(&text).map_err(wrong)?;
        let vars = vars.into_iter().filter(|(name, _)| may_be_setting(name));
        let loaded = Self::from_settings(vars.map(|(name, value)| (name, Ok(value))));
        let mut loaded = loaded.map_err(|error| error.on_path(path.display()))?;
        for setting in &mut loaded.effective {
            if setting.origin == Origin::Environment {
                setting.origin = Origin::File;
            }
        }
        Ok(loaded)
    }

    /// Reads the given variables, and of the process's environment only the proxies.
    ///
    /// # Errors
    /// As [`from_vars`](Self::from_vars).
    pub fn from_settings(
        settings: impl IntoIterator<Item = (String, Result<String, ()>)>,
    ) -> Result<Self> {
        let proxies = process_vars().filter(|(name, _)| parse::is_proxy(name));
        Self::from_vars(settings.into_iter().chain(proxies))
    }

    /// Reads the given variables. `Err(())` stands for a value that is not UTF-8.
    ///
    /// Files of secrets and certificates are read once, to check that they are usable.
    ///
    /// # Errors
    /// `Invalid`, naming every variable with an illegal value.
    pub fn from_vars(vars: impl IntoIterator<Item = (String, Result<String, ()>)>) -> Result<Self> {
        let mut parser = Parser::new(vars);
        let options = SinkOptions::default();
        let backend = backend(&mut parser);
        let options = SinkOptions {
            leftover: parser.take("RAW_SINK_LEFTOVER", parse::leftover, options.leftover),
            max_row_bytes: parser.take(
                "RAW_SINK_MAX_ROW_BYTES",
                parse::row_bytes,
                options.max_row_bytes,
            ),
            max_run_ahead: parser.take(
                "RAW_SINK_MAX_RUN_AHEAD_S",
                parse::ahead,
                options.max_run_ahead,
            ),
            ..options
        };
        let state = state(&mut parser);
        let log = parser.take("RAW_SINK_LOG", |text| Ok(text.to_owned()), DEFAULT_LOG.to_owned());
        let (set, warnings) = parser.finish()?;
        // Without a fault every part exists.
        let backend = backend.ok_or_else(|| Error::invalid("the settings are incomplete"))?;
        let config = Config { backend, state, options };
        let effective = VARIABLES.iter().filter_map(|variable| {
            let value = match variable.name {
                "RAW_SINK_LOG" => log.clone(),
                // A password in the URL is not this variable's.
                name if SECRETS.contains(&name) && !set.contains(name) => {
                    (variable.shown)(&config).map(|_| "none".to_owned())?
                }
                _ => (variable.shown)(&config)?,
            };
            Some(Effective { name: variable.name, value, origin: variable.origin(&set) })
        });
        let effective = effective.collect();
        Ok(Self { config, log, effective, warnings })
    }
}

/// Reads the backend; `None` after a fault.
fn backend(parser: &mut Parser) -> Option<Backend> {
    let chosen = parser.is_set("RAW_SINK");
    match parser.take("RAW_SINK", parse::kind, parse::Kind::Filesystem) {
        parse::Kind::Filesystem => {
            let ignored = parser.ignore(UsedBy::Object);
            if !chosen && !ignored.is_empty() {
                let names = ignored.join(", ");
                parser.warning(format!(
                    "RAW_SINK is not set to object, so these settings are ignored: {names}"
                ));
            }
            Some(Backend::Directory(directory(parser)))
        }
        #[cfg(feature = "s3")]
        parse::Kind::Object => {
            parser.ignore(UsedBy::Filesystem);
            bucket(parser).map(|config| Backend::Bucket(Box::new(config)))
        }
        #[cfg(not(feature = "s3"))]
        parse::Kind::Object => {
            parser.fault("RAW_SINK", "is object, which this build does not support");
            None
        }
    }
}

/// Reads the configuration of a directory.
fn directory(parser: &mut Parser) -> FsConfig {
    let root = parser.take("RAW_SINK_ROOT", parse::path, DEFAULT_ROOT.into());
    // Another root may be misspelt or not mounted; the default one cannot.
    let is_default = std::path::absolute(&root).ok() == std::path::absolute(DEFAULT_ROOT).ok();
    let parents = if is_default { Parents::Created } else { Parents::MustExist };
    let is_mounted = parser.take("RAW_SINK_ROOT_MOUNTED", parse::flag, false);
    let follows_links = parser.take("RAW_SINK_FOLLOW_LINKS", parse::flag, false);
    FsConfig::new(root)
        .parents(parents)
        .mounted(if is_mounted { Mounted::Required } else { Mounted::Any })
        .links(if follows_links { Links::Followed } else { Links::Refused })
}

/// Reads the configuration of a bucket; `None` after a fault.
#[cfg(feature = "s3")]
fn bucket(parser: &mut Parser) -> Option<S3Config> {
    let endpoint_url = parser.require("RAW_SINK_ENDPOINT_URL");
    let bucket = parser.require("RAW_SINK_BUCKET");
    let prefix = parser.require("RAW_SINK_PREFIX");
    let id = parser.require_secret("RAW_SINK_ACCESS_KEY_ID");
    let secret = parser.require_secret("RAW_SINK_SECRET_ACCESS_KEY");
    let token = parser.secret("RAW_SINK_SESSION_TOKEN");
    let none = || Secret::value(String::new());
    let key = AccessKey::new(id.unwrap_or_else(none), secret.unwrap_or_else(none));
    let timing = Timing::default();
    let timing = Timing {
        leftover_grace: parser.seconds("RAW_SINK_LEFTOVER_GRACE_S", timing.leftover_grace),
        seal_deadline: parser.seconds("RAW_SINK_SEAL_DEADLINE_S", timing.seal_deadline),
        seal_timeout: parser.seconds("RAW_SINK_SEAL_TIMEOUT_S", timing.seal_timeout),
        complete_deadline: parser.seconds("RAW_SINK_COMPLETE_DEADLINE_S", timing.complete_deadline),
    };
    let mut retry = RetryConfig::default();
    retry.deadline = parser.seconds("RAW_SINK_RETRY_DEADLINE_S", retry.deadline);
    retry.stall_timeout = parser.seconds("RAW_SINK_STALL_TIMEOUT_S", retry.stall_timeout);
    let builder = S3Config::builder(
        endpoint_url.unwrap_or_default(),
        bucket.unwrap_or_default(),
        prefix.unwrap_or_default(),
        key.session_token(token),
    );
    let builder = builder
        .region(parser.text("RAW_SINK_REGION"))
        .addressing(parser.take("RAW_SINK_ADDRESSING", parse::addressing, None))
        .ca_file(parser.take("RAW_SINK_CA_FILE", |text| parse::path(text).map(Some), None))
        .allow_http(parser.take("RAW_SINK_ALLOW_HTTP", parse::flag, false))
        .complete_conditions(parser.take("RAW_SINK_COMPLETE_CONDITIONS", parse::conditions, None))
        .timing(timing)
        .retry(retry);
    let builder = parser.set("RAW_SINK_PART_BYTES", parse::bytes, builder, |builder, bytes| {
        builder.part_bytes(bytes)
    });
    let builder =
        parser.set("RAW_SINK_UPLOADS_IN_FLIGHT", parse::number, builder, |builder, parts| {
            builder.uploads_in_flight(parts)
        });
    match builder.checked() {
        Ok(config) => {
            let proxy = parser.proxy_of(&config)?;
            Some(S3Config { proxy, ..config })
        }
        Err(faults) => {
            parser.config_faults(faults);
            None
        }
    }
}

/// Parses the URL of a state, or the path of an SQLite file, as `RAW_SINK_STATE_URL` has it.
///
/// # Errors
/// `Invalid` for a malformed URL, and for one of another database.
pub fn state_config(url: &str) -> Result<StateConfig> {
    let what = |what: String| Error::invalid(format!("the URL of the state {what}"));
    parse::state(url).map_err(what)
}

/// Reads where the state is stored.
fn state(parser: &mut Parser) -> Option<StateConfig> {
    let state = parser.take(
        "RAW_SINK_STATE_URL",
        |url| parse::state(url).map(Some),
        StateConfig::sqlite(DEFAULT_STATE),
    );
    #[cfg(feature = "postgres")]
    if let Some(StateConfig::Postgres(mut postgres)) = state {
        let password = parser.secret("RAW_SINK_STATE_PASSWORD");
        if password.is_some() && postgres.password.is_some() {
            let what = "contains a password, and RAW_SINK_STATE_PASSWORD is also set";
            parser.fault("RAW_SINK_STATE_URL", what);
        }
        for name in &postgres.ignored {
            parser.warning(format!("{name} in RAW_SINK_STATE_URL has no effect"));
        }
        for what in postgres.file_faults() {
            parser.fault("RAW_SINK_STATE_URL", &what);
        }
        postgres.password = password.or(postgres.password);
        return Some(StateConfig::Postgres(postgres));
    }
    parser.ignore(UsedBy::Postgres);
    state
}

#[cfg(test)]
mod tests;
