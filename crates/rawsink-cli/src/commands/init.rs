//! `rawsink init`

use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rawsink::{Error, Result, error::system_text};
use rawsink_ops::shell::quoted;
use serde::Serialize;

use crate::{
    exit::{Exit, Failure},
    output::{self, Output},
};

/// Write a file of settings with comments
///
/// The file works with --env, and with `EnvironmentFile=` of systemd. Its mode is 0600, because it may hold keys. An
/// existing file is not changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink init --root /srv/raw
  rawsink init store.env --bucket landing --endpoint https://s3.example.com
  rawsink --env store.env doctor")]
pub(crate) struct Args {
    /// The file to create
    #[arg(default_value = "rawsink.env")]
    file: PathBuf,

    /// Store partitions in this directory
    #[arg(long, value_name = "DIR", default_value = "data/raw")]
    root: PathBuf,

    /// Store partitions in this bucket
    #[arg(long, conflicts_with = "root", requires = "endpoint")]
    bucket: Option<String>,

    /// Endpoint of the object storage
    #[arg(long, value_name = "URL", requires = "bucket")]
    endpoint: Option<String>,

    /// Root inside the bucket
    #[arg(long, default_value = "raw", requires = "bucket")]
    prefix: String,
}

/// The created file, as JSON.
#[derive(Serialize)]
struct Created<'a> {
    file: &'a Path,
}

const HEAD: &str = "\
# Settings of rawsink. Lines are NAME=VALUE, quoted as for sh and systemd.
# Use them with \"rawsink --env FILE COMMAND\"; the environment is not read then.
";

const STATE: &str = "\
# Which run of each partition has authority. Hosts that share a bucket need one database:
# postgres://USER@HOST/DATABASE, with the password in RAW_SINK_STATE_PASSWORD_FILE.
";

const MORE: &str = "\
# Every other setting has a default: \"rawsink config\" shows it.
";

pub(crate) fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    let text = settings(args)?;
    let file = &args.file;
    let refused = |what: &str, cause: std::io::Error| {
        let message = format!("cannot {what} the settings: {}", system_text(&cause));
        Error::invalid(message).on_path(file.display())
    };
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let mut created = created.map_err(|cause| refused("create", cause))?;
    created
        .write_all(text.as_bytes())
        .and_then(|()| created.sync_all())
        .map_err(|cause| refused("write", cause))?;
    let name = quoted(&file.display().to_string());
    output.data(&Created { file }, format!("created {name}"))?;
    if args.bucket.is_some() {
        output::note(format!("set the key in {name}"));
    }
    let make = if args.bucket.is_none() && !args.root.exists() {
        format!("mkdir -p {} && ", quoted(&args.root.display().to_string()))
    } else {
        String::new()
    };
    output::hint(format!(r#"run "{make}rawsink --env {name} doctor" to test the store"#));
    Ok(Exit::Success)
}

fn settings(args: &Args) -> Result<String> {
    let absolute = |path: &Path| {
        let path = std::path::absolute(path).map_err(|cause| {
            Error::invalid(format!("cannot find the current directory: {}", system_text(&cause)))
        })?;
        Ok::<_, Error>(path.display().to_string())
    };
    let setting = |name: &str, value: &str| format!("{name}={}\n", quoted(value));
    let beside = if args.bucket.is_some() { &args.file } else { &args.root };
    let state = absolute(&beside.with_file_name("state_store.db"))?;
    let state = format!("sqlite:{state}");
    let store = match (&args.bucket, &args.endpoint) {
        (Some(bucket), Some(endpoint)) => [
            "# Partitions are stored in a bucket, below a prefix.\n",
            &setting("RAW_SINK", "object"),
            &setting("RAW_SINK_ENDPOINT_URL", endpoint),
            &setting("RAW_SINK_BUCKET", bucket),
            &setting("RAW_SINK_PREFIX", &args.prefix),
            "\n# The key. A name that ends with _FILE is that of a file with the value.\n",
            "RAW_SINK_ACCESS_KEY_ID=\n",
            "RAW_SINK_SECRET_ACCESS_KEY=\n",
        ]
        .concat(),
        _ => [
            "# Partitions are stored in a directory. The first writer creates it.\n",
            &setting("RAW_SINK", "filesystem"),
            &setting("RAW_SINK_ROOT", &absolute(&args.root)?),
        ]
        .concat(),
    };
    Ok([HEAD, "\n", &store, "\n", STATE, &setting("RAW_SINK_STATE_URL", &state), "\n", MORE]
        .concat())
}
