//! The table of variables, from which `docs/configuration.md` is generated.

/// One variable of the table.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name in the environment.
    pub name: &'static str,
    /// Which backend reads it.
    pub used_by: UsedBy,
    /// What it decides, one sentence.
    pub meaning: &'static str,
    /// What may stand there.
    pub values: &'static str,
    /// What counts where it is not set.
    pub default: &'static str,
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

/// Variables that hold a secret; each may be given as a file instead, by its name and `_FILE`.
pub const SECRETS: [&str; 4] = [
    "RAW_SINK_ACCESS_KEY_ID",
    "RAW_SINK_SECRET_ACCESS_KEY",
    "RAW_SINK_SESSION_TOKEN",
    "RAW_SINK_STATE_PASSWORD",
];

const fn both(
    name: &'static str,
    meaning: &'static str,
    values: &'static str,
    default: &'static str,
) -> Variable {
    Variable { name, used_by: UsedBy::Both, meaning, values, default }
}

const fn object(
    name: &'static str,
    meaning: &'static str,
    values: &'static str,
    default: &'static str,
) -> Variable {
    Variable { name, used_by: UsedBy::Object, meaning, values, default }
}

/// Every variable that is read.
pub const VARIABLES: [Variable; 23] = [
    both(
        "RAW_SINK",
        "Which backend holds the partitions.",
        "`filesystem` or `object`",
        "filesystem",
    ),
    Variable {
        name: "RAW_SINK_ROOT",
        used_by: UsedBy::Filesystem,
        meaning: "Directory of the filesystem sink; made by the first writer.",
        values: "a path, absolute or below the current directory",
        default: "data/raw",
    },
    object(
        "RAW_SINK_ENDPOINT_URL",
        "Endpoint of the object storage, AWS too: a forgotten variable must not send data elsewhere.",
        "an `https` URL without a path; `http` on loopback",
        "required",
    ),
    object(
        "RAW_SINK_REGION",
        "Region that requests are signed for.",
        "a region's name",
        "by provider",
    ),
    object("RAW_SINK_BUCKET", "The bucket; unversioned.", "a bucket's name", "required"),
    object("RAW_SINK_PREFIX", "Root inside the bucket.", "a path, such as `raw`", "required"),
    object(
        "RAW_SINK_ACCESS_KEY_ID",
        "Key id. With `_FILE` behind the name: a file that holds it, read again after a 403.",
        "secret",
        "required",
    ),
    object("RAW_SINK_SECRET_ACCESS_KEY", "Secret key; `_FILE` likewise.", "secret", "required"),
    object(
        "RAW_SINK_SESSION_TOKEN",
        "Session token of temporary keys; `_FILE` likewise.",
        "secret",
        "none",
    ),
    object(
        "RAW_SINK_ADDRESSING",
        "How a bucket is named in a request.",
        "`path` or `virtual`",
        "by provider",
    ),
    object(
        "RAW_SINK_CA_FILE",
        "Certificates of a private authority, besides the system's.",
        "a PEM file",
        "none",
    ),
    object(
        "RAW_SINK_ALLOW_HTTP",
        "Whether plain `http` may leave this machine.",
        "`0` or `1`",
        "0",
    ),
    object(
        "RAW_SINK_PART_BYTES",
        "Size of a part of a multipart upload; memory is about this times the parts in flight.",
        "from 5 MiB to 1 GiB",
        "8 MiB",
    ),
    object(
        "RAW_SINK_UPLOADS_IN_FLIGHT",
        "Parts of one payload that are on their way at a time.",
        "1 to 64",
        "4",
    ),
    object(
        "RAW_SINK_COMPLETE_CONDITIONS",
        "Whether the server honours `If-None-Match` on CompleteMultipartUpload; what is not known counts as `ignored`.",
        "`enforced`, `ignored` or `auto`",
        "auto",
    ),
    object(
        "RAW_SINK_LEFTOVER_GRACE_S",
        "Seconds that a writer which found a leftover or ended another's upload lets pass before its payload appears; at least the seal's deadline and one and a half of its timeouts.",
        "seconds",
        "90",
    ),
    object(
        "RAW_SINK_SEAL_DEADLINE_S",
        "Seconds after the last look within which a seal may be sent.",
        "seconds",
        "60",
    ),
    object(
        "RAW_SINK_SEAL_TIMEOUT_S",
        "Seconds that one sending of the seal may take.",
        "seconds",
        "20",
    ),
    object(
        "RAW_SINK_COMPLETE_DEADLINE_S",
        "Seconds that Complete, and all of the sealing, may be tried.",
        "seconds",
        "600",
    ),
    both(
        "RAW_SINK_LEFTOVER",
        "What a writer does about a payload that an earlier attempt at the same run left without a seal: replace it, or refuse with `Conflict`.",
        "`replace` or `refuse`",
        "replace",
    ),
    both(
        "RAW_SINK_MAX_ROW_BYTES",
        "Longest row, in bytes without its line feed. A writer refuses a longer one; a reader of rows ends there.",
        "a number of bytes from 2 to 1073741824, or with `KiB`, `MiB`, `GiB`",
        "16 MiB",
    ),
    both(
        "RAW_SINK_STATE_URL",
        "Where `PartitionState` is kept; file and table are made by the first verdict.",
        "`sqlite:<path>` or `postgres://<user>@<host>:<port>/<database>`, see [state.md](state.md)",
        "sqlite:data/state_store.db",
    ),
    Variable {
        name: "RAW_SINK_STATE_PASSWORD",
        used_by: UsedBy::Postgres,
        meaning: "Password of the database, where the URL carries none. With `_FILE` behind the name: a file that holds it, read at each connection.",
        values: "secret",
        default: "none",
    },
];
