//! The metadata of a run, merged from the program, a file and the command line.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rawsink::{
    Error, Metadata, PartitionKey, Result, RunId,
    error::system_text,
    partition::metadata::{MAX_METADATA_BYTES, MetadataBuilder},
};
use serde::Serialize;
use serde_json::value::RawValue;

/// Options that set metadata.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct MetadataArgs {
    /// File with a JSON object of metadata; order and numbers are kept
    #[arg(long, value_name = "FILE")]
    pub(in crate::commands) metadata: Option<PathBuf>,

    /// Set a metadata field to a string, or with `:=` to a JSON value; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub(in crate::commands) set: Vec<String>,

    /// Time of the extraction [default: the start of this command]
    #[arg(long, value_name = "TIME")]
    extracted_at: Option<Timestamp>,
}

/// Metadata without the number of rows.
#[derive(Debug)]
pub(in crate::commands) struct Prepared(MetadataBuilder);

impl MetadataArgs {
    /// Reads and checks the metadata before the extraction starts.
    pub(in crate::commands) fn prepare(
        &self,
        key: &PartitionKey,
        run: &RunId,
        now: Timestamp,
    ) -> Result<Prepared> {
        let mut builder = Metadata::for_run(key, run).extracted_at(now).schema_version("v1");
        if let Some(path) = &self.metadata {
            let refused = |cause| {
                Error::invalid(format!("cannot read the metadata: {}", system_text(&cause)))
                    .on_path(path.display())
            };
            let document = read_bounded(path).map_err(refused)?;
            builder = builder
                .merge(Metadata::parse(&document).map_err(|error| error.on_path(path.display()))?);
        }
        for setting in &self.set {
            builder = set(builder, setting)?;
        }
        if let Some(time) = self.extracted_at {
            builder = builder.extracted_at(time);
        }
        // Reports a contradiction now, not after hours of extraction.
        let given = builder.clone().build()?;
        let wrong = given.contradictions(key, run, given.integer("record_count").unwrap_or(0));
        if !wrong.is_empty() {
            return Err(Error::invalid(wrong.join("; ")));
        }
        Ok(Prepared(builder))
    }
}

impl Prepared {
    /// Returns the recommended fields that the finished metadata will lack.
    pub(in crate::commands) fn gaps(&self) -> Result<Vec<String>> {
        let mut gaps = self.0.clone().build()?.gaps();
        gaps.retain(|gap| gap != "record_count is missing");
        Ok(gaps)
    }

    /// Adds a member that only the program may set.
    pub(in crate::commands) fn with<T: Serialize>(self, name: &str, value: &T) -> Result<Self> {
        if self.0.clone().build()?.raw(name).is_some() {
            return Err(Error::invalid(format!(
                "metadata has the member {name:?}, which the command sets"
            )));
        }
        Ok(Self(self.0.field(name, value)))
    }

    /// Adds the number of rows unless the caller gave one, which the seal checks.
    pub(in crate::commands) fn finish(self, rows: u64) -> Result<Metadata> {
        let given = self.0.clone().build()?;
        if given.raw("record_count").is_some() {
            Ok(given)
        } else {
            self.0.record_count(rows).build()
        }
    }
}

/// Reads a file, up to one byte more than metadata may have.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut document = Vec::new();
    File::open(path)?.take(MAX_METADATA_BYTES as u64 + 1).read_to_end(&mut document)?;
    Ok(document)
}

fn set(builder: MetadataBuilder, setting: &str) -> Result<MetadataBuilder> {
    let (name, value) = setting
        .split_once('=')
        .filter(|(name, _)| !name.trim_end_matches(':').is_empty())
        .ok_or_else(|| {
            Error::invalid(format!("--set {setting:?} is not KEY=VALUE or KEY:=JSON"))
        })?;
    match name.strip_suffix(':') {
        None => Ok(builder.field(name, value)),
        Some(name) => {
            let json: Box<RawValue> = serde_json::from_str(value).map_err(|fault| {
                Error::invalid(format!("--set {setting:?} has no valid JSON value: {fault}"))
            })?;
            Ok(builder.field(name, &json))
        }
    }
}
