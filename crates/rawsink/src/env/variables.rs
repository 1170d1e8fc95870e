//! The table of variables.

use std::{
    collections::BTreeSet,
    path::{self, Path},
};

use super::Origin;
#[cfg(feature = "s3")]
use crate::store::s3::S3Config;
use crate::{
    open::{Backend, Config},
    store::{
        LeftoverPolicy,
        fs::{FsConfig, Links, Mounted},
    },
};

/// One variable of the table.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Variable {
    /// Its name in the environment.
    pub name: &'static str,
    /// Which backend reads it.
    pub used_by: UsedBy,
    /// What it decides, in one sentence.
    pub meaning: &'static str,
    /// Which values are legal.
    pub values: &'static str,
    /// What applies when it is not set.
    pub default: Fallback,
    /// The field of the configuration types that it sets.
    pub(super) field: &'static str,
    /// The value in use; `None` for a configuration that it does not apply to.
    pub(super) shown: fn(&Config) -> Option<String>,
}

/// Which backend reads a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedBy {
    /// Both.
    Both,
    /// The filesystem sink alone.
    Filesystem,
    /// The object sink alone.
    Object,
    /// Either sink, with a state in PostgreSQL.
    Postgres,
}

/// What applies when a variable is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// This value.
    Value(&'static str),
    /// The endpoint's provider decides.
    Provider,
    /// The variable is required.
    Required,
}

impl Fallback {
    /// Returns the text for the documentation.
    pub fn text(self) -> &'static str {
        match self {
            Self::Value(value) => value,
            Self::Provider => "by provider",
            Self::Required => "required",
        }
    }
}

impl Variable {
    pub(super) fn origin(&self, set: &BTreeSet<&'static str>) -> Origin {
        match self.default {
            _ if set.contains(self.name) => Origin::Environment,
            Fallback::Provider => Origin::Provider,
            Fallback::Value(_) | Fallback::Required => Origin::Default,
        }
    }
}

/// Returns the variable that sets a field of the configuration types, as errors name it
/// ([`Error::setting`](crate::Error::setting)).
pub fn variable_of(field: &str) -> Option<&'static str> {
    VARIABLES.iter().find(|variable| variable.field == field).map(|variable| variable.name)
}

/// Variables that hold a secret. Each may be given as a file instead, by its name and `_FILE`.
pub const SECRETS: [&str; 4] = [
    "RAW_SINK_ACCESS_KEY_ID",
    "RAW_SINK_SECRET_ACCESS_KEY",
    "RAW_SINK_SESSION_TOKEN",
    "RAW_SINK_STATE_PASSWORD",
];

/// A function that shows a field of a bucket's configuration.
macro_rules! of_bucket {
    ($bucket:ident => $shown:expr) => {
        |_config| {
            #[cfg(feature = "s3")]
            return bucket(_config, |$bucket| $shown);
            #[cfg(not(feature = "s3"))]
            None
        }
    };
}

/// Every variable that is read.
pub const VARIABLES: [Variable; 29] = [
    Variable {
        name: "RAW_SINK",
        used_by: UsedBy::Both,
        meaning: "Which backend stores the partitions.",
        values: "`filesystem` or `object`",
        default: Fallback::Value("filesystem"),
        field: "backend",
        shown: |config| Some(kind(config).to_owned()),
    },
    Variable {
        name: "RAW_SINK_ROOT",
        used_by: UsedBy::Filesystem,
        meaning: "Directory of the filesystem sink. The first writer creates it; the directory above it \
                  has to exist, except for the default.",
        values: "a path, absolute or relative to the current directory",
        default: Fallback::Value("data/raw"),
        field: "root",
        shown: root,
    },
    Variable {
        name: "RAW_SINK_ROOT_MOUNTED",
        used_by: UsedBy::Filesystem,
        meaning: "Whether a file system other than that of `/` has to be mounted at the root or above \
                  it.",
        values: "`0` or `1`",
        default: Fallback::Value("0"),
        field: "mounted",
        shown: |config| of_directory(config, |directory| directory.mounted == Mounted::Required),
    },
    Variable {
        name: "RAW_SINK_FOLLOW_LINKS",
        used_by: UsedBy::Filesystem,
        meaning: "Whether symbolic links below the root are followed. The root itself may be one.",
        values: "`0` or `1`",
        default: Fallback::Value("0"),
        field: "links",
        shown: |config| of_directory(config, |directory| directory.links == Links::Followed),
    },
    Variable {
        meaning: "Endpoint of the object storage. Required for AWS too, so that a missing variable \
                  cannot redirect data.",
        values: "an `https` URL without a path; `http` on loopback",
        shown: of_bucket!(bucket => bucket.endpoint_url.clone()),
        ..required("RAW_SINK_ENDPOINT_URL", "endpoint_url")
    },
    Variable {
        meaning: "Region that requests are signed for.",
        values: "a region name",
        default: Fallback::Provider,
        shown: of_bucket!(bucket => bucket.region.clone()),
        ..required("RAW_SINK_REGION", "region")
    },
    Variable {
        meaning: "The bucket. Must be unversioned.",
        values: "a bucket name",
        shown: of_bucket!(bucket => bucket.bucket.clone()),
        ..required("RAW_SINK_BUCKET", "bucket")
    },
    Variable {
        meaning: "Root inside the bucket.",
        values: "a path, such as `raw`",
        shown: of_bucket!(bucket => bucket.prefix.clone()),
        ..required("RAW_SINK_PREFIX", "prefix")
    },
    Variable {
        meaning: "Id of the access key. With `_FILE` appended to the name: a file that holds it, read \
                  again when the server refuses the old value.",
        values: "secret",
        shown: of_bucket!(bucket => bucket.access_key.id.shown()),
        ..required("RAW_SINK_ACCESS_KEY_ID", "access_key_id")
    },
    Variable {
        meaning: "Secret access key. With `_FILE`, a file that holds it.",
        values: "secret",
        shown: of_bucket!(bucket => bucket.access_key.secret.shown()),
        ..required("RAW_SINK_SECRET_ACCESS_KEY", "secret_access_key")
    },
    Variable {
        meaning: "Session token of a temporary key. With `_FILE`, a file that holds it.",
        values: "secret",
        default: Fallback::Value("none"),
        shown: of_bucket!(bucket => {
            let token = bucket.access_key.session_token.as_ref();
            token.map_or_else(none, crate::secret::Secret::shown)
        }),
        ..required("RAW_SINK_SESSION_TOKEN", "session_token")
    },
    Variable {
        meaning: "How requests name the bucket: in the path, or in the host name.",
        values: "`path` or `virtual`",
        default: Fallback::Provider,
        shown: of_bucket!(bucket => bucket.addressing.name().to_owned()),
        ..required("RAW_SINK_ADDRESSING", "addressing")
    },
    Variable {
        meaning: "Certificates of a private authority, besides the system's.",
        values: "a PEM file",
        default: Fallback::Value("none"),
        shown: of_bucket!(bucket => {
            let path = bucket.ca_file.as_ref();
            path.map_or_else(none, |path| absolute(path))
        }),
        ..required("RAW_SINK_CA_FILE", "ca_file")
    },
    Variable {
        meaning: "Whether plain `http` to another machine is allowed.",
        values: "`0` or `1`",
        default: Fallback::Value("0"),
        shown: of_bucket!(bucket => u8::from(bucket.allow_http).to_string()),
        ..required("RAW_SINK_ALLOW_HTTP", "allow_http")
    },
    Variable {
        meaning: "Size of a part of a multipart upload. A writer's memory is about this times the \
                  parts in flight.",
        values: "from 5 MiB to 1 GiB",
        default: Fallback::Value("8 MiB"),
        shown: of_bucket!(bucket => byte_count(bucket.part_bytes)),
        ..required("RAW_SINK_PART_BYTES", "part_bytes")
    },
    Variable {
        meaning: "Number of parts of one payload to send in parallel.",
        values: "1 to 64",
        default: Fallback::Value("4"),
        shown: of_bucket!(bucket => bucket.uploads_in_flight.to_string()),
        ..required("RAW_SINK_UPLOADS_IN_FLIGHT", "uploads_in_flight")
    },
    Variable {
        meaning: "Whether the server honours `If-None-Match` on CompleteMultipartUpload. `auto` uses \
                  what is known of the provider, and `ignored` for an unknown one.",
        values: "`enforced`, `ignored` or `auto`",
        default: Fallback::Provider,
        shown: of_bucket!(bucket => bucket.complete_conditions.name().to_owned()),
        ..required("RAW_SINK_COMPLETE_CONDITIONS", "complete_conditions")
    },
    Variable {
        meaning: "Seconds to wait before the payload appears, after finding a leftover, or after \
                  aborting another upload where conditions on Complete are ignored. At least the seal deadline plus 1.5 times the seal timeout.",
        values: "seconds, 1 to 86400",
        default: Fallback::Value("90"),
        shown: of_bucket!(bucket => seconds(bucket.timing.leftover_grace)),
        ..required("RAW_SINK_LEFTOVER_GRACE_S", "leftover_grace")
    },
    Variable {
        meaning: "Seconds after its last check in which a writer may send the seal.",
        values: "seconds, 1 to 86400",
        default: Fallback::Value("60"),
        shown: of_bucket!(bucket => seconds(bucket.timing.seal_deadline)),
        ..required("RAW_SINK_SEAL_DEADLINE_S", "seal_deadline")
    },
    Variable {
        meaning: "Seconds that one request to send the seal may take.",
        values: "seconds, 1 to 86400",
        default: Fallback::Value("20"),
        shown: of_bucket!(bucket => seconds(bucket.timing.seal_timeout)),
        ..required("RAW_SINK_SEAL_TIMEOUT_S", "seal_timeout")
    },
    Variable {
        meaning: "Seconds in which CompleteMultipartUpload, and the sealing as a whole, is retried.",
        values: "seconds, 1 to 86400",
        default: Fallback::Value("600"),
        shown: of_bucket!(bucket => seconds(bucket.timing.complete_deadline)),
        ..required("RAW_SINK_COMPLETE_DEADLINE_S", "complete_deadline")
    },
    Variable {
        meaning: "Seconds in which a failed request is sent again.",
        values: "seconds, 1 to 86400",
        default: Fallback::Value("300"),
        shown: of_bucket!(bucket => seconds(bucket.retry.deadline)),
        ..required("RAW_SINK_RETRY_DEADLINE_S", "retry_deadline")
    },
    Variable {
        meaning: "Seconds without progress after which a request is given up and sent again. A request that makes progress may take any time.",
        values: "seconds, 1 to 86400",
        default: Fallback::Value("60"),
        shown: of_bucket!(bucket => seconds(bucket.retry.stall_timeout)),
        ..required("RAW_SINK_STALL_TIMEOUT_S", "stall_timeout")
    },
    Variable {
        name: "RAW_SINK_LEFTOVER",
        used_by: UsedBy::Both,
        meaning: "What a writer does with a payload that an earlier attempt at the same run left \
                  without a seal: replace it, or end with `Conflict`.",
        values: "`replace` or `refuse`",
        default: Fallback::Value("replace"),
        field: "leftover",
        shown: |config| Some(leftover(config.options.leftover).to_owned()),
    },
    Variable {
        name: "RAW_SINK_MAX_ROW_BYTES",
        used_by: UsedBy::Both,
        meaning: "Longest row, in bytes without its line feed. `write`, `validate` and the library's \
                  row readers return `Invalid` for a longer one.",
        values: "from 2 bytes to 1 GiB: a number, or with `KiB`, `MiB`, `GiB`",
        default: Fallback::Value("16 MiB"),
        field: "max_row_bytes",
        shown: |config| Some(byte_count(config.options.max_row_bytes)),
    },
    Variable {
        name: "RAW_SINK_MAX_RUN_AHEAD_S",
        used_by: UsedBy::Both,
        meaning: "How many seconds the time of a run id may be ahead of this host's clock. `write` \
                  refuses a later one, because no run of today could supersede it.",
        values: "seconds, 0 to 3155760000 (100 years)",
        default: Fallback::Value("3600"),
        field: "max_run_ahead",
        shown: |config| Some(config.options.max_run_ahead.as_secs().to_string()),
    },
    Variable {
        name: "RAW_SINK_STATE_URL",
        used_by: UsedBy::Both,
        meaning: "Where `PartitionState` is kept. The first change of the state creates the file and the table.",
        values: "`sqlite:<path>` or `postgres://<user>@<host>:<port>/<database>`, see \
                 [state.md](state.md)",
        default: Fallback::Value("sqlite:data/state_store.db"),
        field: "state",
        shown: state,
    },
    Variable {
        name: "RAW_SINK_LOG",
        used_by: UsedBy::Both,
        meaning: "Which events the program logs: a level, or levels by module such as \
                  `info,rawsink::store=trace`. The option `-v` takes precedence.",
        values: "`off`, `error`, `warn`, `info`, `debug` or `trace`",
        default: Fallback::Value("info"),
        field: "log",
        shown: |_| None,
    },
    Variable {
        name: "RAW_SINK_STATE_PASSWORD",
        used_by: UsedBy::Postgres,
        meaning: "Password of the database, unless the URL contains it. With `_FILE` appended to the \
                  name: a file that holds it, read at each connection.",
        values: "secret",
        default: Fallback::Value("none"),
        field: "state_password",
        shown: state_password,
    },
];

/// A required variable of a bucket, for rows that change some of it.
const fn required(name: &'static str, field: &'static str) -> Variable {
    Variable {
        name,
        used_by: UsedBy::Object,
        meaning: "",
        values: "",
        default: Fallback::Required,
        field,
        shown: |_| None,
    }
}

fn kind(config: &Config) -> &'static str {
    match config.backend {
        Backend::Directory(_) => "filesystem",
        #[cfg(feature = "s3")]
        Backend::Bucket(_) => "object",
    }
}

#[cfg_attr(not(feature = "s3"), expect(clippy::unnecessary_wraps, reason = "a bucket has none"))]
fn root(config: &Config) -> Option<String> {
    match &config.backend {
        Backend::Directory(directory) => Some(absolute(&directory.root)),
        #[cfg(feature = "s3")]
        Backend::Bucket(_) => None,
    }
}

#[cfg_attr(not(feature = "s3"), expect(clippy::unnecessary_wraps, reason = "a bucket has none"))]
fn of_directory(config: &Config, shown: impl Fn(&FsConfig) -> bool) -> Option<String> {
    match &config.backend {
        Backend::Directory(directory) => Some(u8::from(shown(directory)).to_string()),
        #[cfg(feature = "s3")]
        Backend::Bucket(_) => None,
    }
}

fn state(config: &Config) -> Option<String> {
    let shown = config.state.as_ref()?.to_string();
    Some(match shown.strip_prefix("sqlite:") {
        Some(path) => format!("sqlite:{}", absolute(Path::new(path))),
        None => shown,
    })
}

/// Returns an absolute path; without a current directory as it is given.
fn absolute(path: &Path) -> String {
    path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

#[cfg(feature = "s3")]
fn bucket(config: &Config, shown: impl Fn(&S3Config) -> String) -> Option<String> {
    match &config.backend {
        Backend::Directory(_) => None,
        Backend::Bucket(bucket) => Some(shown(bucket)),
    }
}

#[cfg(feature = "postgres")]
fn state_password(config: &Config) -> Option<String> {
    let Some(crate::state::StateConfig::Postgres(postgres)) = &config.state else { return None };
    let password = postgres.password.as_ref();
    Some(password.map_or_else(none, crate::secret::Secret::shown))
}

#[cfg(not(feature = "postgres"))]
fn state_password(_: &Config) -> Option<String> {
    None
}

#[cfg(any(feature = "s3", feature = "postgres"))]
fn none() -> String {
    "none".to_owned()
}

fn leftover(policy: LeftoverPolicy) -> &'static str {
    match policy {
        LeftoverPolicy::Replace => "replace",
        LeftoverPolicy::Refuse => "refuse",
    }
}

#[cfg(feature = "s3")]
fn seconds(time: std::time::Duration) -> String {
    time.as_secs_f64().to_string()
}

/// Returns a number of bytes in the largest unit that divides it.
fn byte_count(bytes: usize) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{} {name}", bytes / unit),
        None => bytes.to_string(),
    }
}
