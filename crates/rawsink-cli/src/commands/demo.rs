//! `rawsink demo`

mod sample;
mod tree;

use std::{
    io::Cursor,
    path::{Path, PathBuf},
};

use rawsink::{
    Clock, Error, ErrorKind, Metadata, RunId, SystemClock, consume, env::Loaded,
    error::system_text, layout::Place, validate,
};

use self::sample::Extract;
use crate::{
    context::Context,
    exit::{Exit, Failure},
    output,
    output::Output,
    progress,
    shell::quoted,
};

/// Run the full workflow on built-in sample data
///
/// The demo writes, seals, validates and reads sample results in the format of the Google Ads API. It
/// works in its own directory with default settings and ignores environment variables. Each call writes
/// a new run.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink demo
  rawsink demo --dir try-it")]
pub(crate) struct Args {
    /// Directory for the data of the demo; it is kept
    #[arg(long, value_name = "DIR", default_value = "rawsink-demo")]
    dir: PathBuf,
}

pub(crate) async fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    create(&args.dir)?;
    let context = Context::new(load(args)?, output)?;
    let extracts = sample::extracts()?;
    let run = RunId::at(SystemClock.now());
    let demo = Demo { context: &context, run };
    demo.write(&extracts).await?;
    demo.refuse(&extracts).await?;
    demo.validate(&extracts).await?;
    demo.consume(&extracts).await?;
    demo.show_tree(args).await?;
    demo.show_next(&extracts, args)?;
    Ok(Exit::Success)
}

/// Creates the directory of the demo.
fn create(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir).map_err(|cause| {
        let message = format!("cannot create the directory: {}", system_text(&cause));
        Error::invalid(message).on_path(dir.display()).into()
    })
}

/// Returns the settings of the demo: raw data and state below its directory.
fn load(args: &Args) -> Result<Loaded, Failure> {
    let text = |path: PathBuf| path.into_os_string().into_string().map_err(|_| ());
    Ok(Loaded::from_vars([
        ("RAW_SINK_ROOT".to_owned(), text(args.dir.join("raw"))),
        (
            "RAW_SINK_STATE_URL".to_owned(),
            text(args.dir.join("state_store.db")).map(|path| format!("sqlite:{path}")),
        ),
    ])?)
}

struct Demo<'a> {
    context: &'a Context<'a>,
    run: RunId,
}

impl Demo<'_> {
    async fn write(&self, extracts: &[Extract]) -> Result<(), Failure> {
        self.print(&format!(
            "1. Write {} extracts as run {} and seal each\n",
            extracts.len(),
            self.run
        ))?;
        let (mut rows, mut bytes) = (0, 0);
        for extract in extracts {
            let mut writer = self.context.sink.write_partition(&extract.key, &self.run).await?;
            writer.write_payload_from(Cursor::new(extract.payload), |_, _| ()).await?;
            let metadata = self.metadata(extract, writer.record_count())?;
            let sealed = writer.finalize(metadata).await?;
            rows += sealed.payload.record_count;
            bytes += sealed.payload.payload_bytes;
        }
        self.print(&format!(
            "   {}; each seal holds the SHA-256 of its payload\n",
            progress::amount(rows, bytes)
        ))
    }

    fn metadata(&self, extract: &Extract, rows: u64) -> Result<Metadata, Failure> {
        Ok(Metadata::for_run(&extract.key, &self.run)
            .extracted_at(SystemClock.now())
            .schema_version("v1")
            .api_version(&extract.api_version)
            .query_hash(&extract.query_hash)
            .record_count(rows)
            .build()?)
    }

    /// Shows that a write to a sealed run is refused before the extraction starts.
    async fn refuse(&self, extracts: &[Extract]) -> Result<(), Failure> {
        let first = &extracts[0];
        self.print("\n2. Try to write the first extract again with the same run id\n")?;
        match self.context.sink.write_partition(&first.key, &self.run).await {
            Err(error) if error.kind() == ErrorKind::AlreadySealed => {
                self.print(&format!("   refused: {}\n", error.message()))
            }
            Err(error) => Err(error.into()),
            Ok(_) => Err(Error::new(ErrorKind::Internal, "a sealed run was not refused").into()),
        }
    }

    async fn validate(&self, extracts: &[Extract]) -> Result<(), Failure> {
        self.print("\n3. Validate: read every row and record the result in the state\n")?;
        for extract in extracts {
            let Context { sink, state, .. } = self.context;
            let rules =
                validate::Rules { gaps: validate::Gaps::Refuse, ..validate::Rules::default() };
            let validation = validate::run(sink, &**state, &extract.key, &self.run, rules).await?;
            if !validation.passed() {
                let why = validation.faults.join("; ");
                return Err(Failure::CheckFailed {
                    place: Some(Place::of_run(&extract.key, &self.run).to_string()),
                    message: format!("the validation failed: {why}"),
                });
            }
            if validation.state.current_run_id.as_ref() != Some(&self.run) {
                return Err(Failure::CheckFailed {
                    place: Some(Place::of_partition(&extract.key).to_string()),
                    message: "a newer run has authority; use another --dir".to_owned(),
                });
            }
        }
        self.print(&format!("   {} passed, 0 failed; this run now has authority\n", extracts.len()))
    }

    async fn consume(&self, extracts: &[Extract]) -> Result<(), Failure> {
        self.print(
            "\n4. Read as a consumer: look up the run with authority in the state, then read it\n",
        )?;
        let mut rows = 0;
        for extract in extracts {
            let Context { sink, state, .. } = self.context;
            let mut reader = consume::open_current(sink, &**state, &extract.key).await?;
            let mut read = Vec::new();
            while let Some(chunk) = reader.next_chunk().await? {
                read.extend_from_slice(&chunk);
            }
            if read != extract.payload {
                return Err(Error::corrupt("the rows read differ from the rows written").into());
            }
            rows += reader.summary().map_or(0, |summary| summary.record_count);
        }
        self.print(&format!("   {}, identical to the rows written\n", progress::rows(rows)))
    }

    async fn show_tree(&self, args: &Args) -> Result<(), Failure> {
        self.print(&format!("\n5. The files below {}\n", args.dir.display()))?;
        let tree = tree::draw(&self.context.sink).await?;
        self.print(&tree)
    }

    fn show_next(&self, extracts: &[Extract], args: &Args) -> Result<(), Failure> {
        let raw = quoted(&args.dir.join("raw").display().to_string());
        let state = quoted(&format!("sqlite:{}", args.dir.join("state_store.db").display()));
        let partition = Place::of_partition(&extracts[0].key);
        self.print(&format!(
            "\nTry next, with rawsink in your PATH:\n\
             \x20 export RAW_SINK_ROOT={raw} RAW_SINK_STATE_URL={state}\n\
             \x20 rawsink read {partition} --current | head -n 1\n\
             \x20 rawsink show {partition} --current\n\
             \x20 rawsink state list\n\
             \x20 rawsink write my_api/customer_id=1/query_name=first/logical_date=2024-06-01 \\\n\
             \x20   --set api_version=v1 --set query_hash=none -- echo '{{\"n\":1}}'\n"
        ))
    }

    /// Prints a step to standard output, or to standard error with `--json`.
    fn print(&self, text: &str) -> Result<(), Failure> {
        let output = self.context.output;
        if output.is_json() {
            output::note(text.trim_end());
            return Ok(());
        }
        Ok(output::text(text.as_bytes())?)
    }
}
