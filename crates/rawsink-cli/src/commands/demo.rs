//! `rawsink demo`

mod sample;
mod tree;

use std::{io::Cursor, path::PathBuf};

use rawsink::{
    Clock, Error, ErrorKind, Metadata, RunId, SystemClock, config::Loaded, consume, layout::Place,
    validate,
};

use self::sample::Extract;
use crate::{
    context::Context,
    exit::{Answer, Failure},
    output,
    output::Output,
    progress,
};

/// Go the whole way once, on a built-in sample: land, seal, refuse, validate, read
///
/// Lands an extract in the shape of the Google Ads API's search results in a directory of its own,
/// on the embedded defaults, whatever the environment says. May be run again: it lands a new run.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink demo
  rawsink demo --dir try-it")]
pub(crate) struct Args {
    /// Directory to work in; kept afterwards
    #[arg(long, value_name = "DIR", default_value = "rawsink-demo")]
    dir: PathBuf,
}

pub(crate) async fn run(args: &Args, output: &Output) -> Result<Answer, Failure> {
    let context = Context::new(settings(args)?, output)?;
    let extracts = sample::extracts()?;
    let run = RunId::at(SystemClock.now());
    let demo = Demo { context: &context, run };
    demo.land(&extracts).await?;
    demo.refuse(&extracts).await?;
    demo.validate(&extracts).await?;
    demo.consume(&extracts).await?;
    demo.show_tree(args).await?;
    demo.show_next(&extracts, args)?;
    Ok(Answer::Yes)
}

/// The settings of the demo: everything below its directory.
fn settings(args: &Args) -> Result<Loaded, Failure> {
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
    async fn land(&self, extracts: &[Extract]) -> Result<(), Failure> {
        self.say(&format!(
            "1. Land {} extracts as run {} and seal each\n",
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
        self.say(&format!(
            "   {}, each partition with its SHA-256 in its seal\n",
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

    /// Shows that a sealed run is refused before anything is extracted.
    async fn refuse(&self, extracts: &[Extract]) -> Result<(), Failure> {
        let first = &extracts[0];
        self.say("\n2. Try to land the first one again under the same run id\n")?;
        match self.context.sink.write_partition(&first.key, &self.run).await {
            Err(error) if error.kind() == ErrorKind::AlreadySealed => {
                self.say(&format!("   refused: {}\n", error.message()))
            }
            Err(error) => Err(error.into()),
            Ok(_) => Err(Error::new(ErrorKind::Internal, "a sealed run was not refused").into()),
        }
    }

    async fn validate(&self, extracts: &[Extract]) -> Result<(), Failure> {
        self.say("\n3. Validate: read every row, record the verdict in the state\n")?;
        for extract in extracts {
            let Context { sink, state, .. } = self.context;
            let rules =
                validate::Rules { gaps: validate::Gaps::Refuse, ..validate::Rules::default() };
            let validation =
                validate::validate(sink, &**state, &extract.key, &self.run, rules).await?;
            if !validation.passed() {
                let why = validation.faults.join("; ");
                return Err(Failure::Refused(format!(
                    "{} failed: {why}",
                    Place::of_run(&extract.key, &self.run)
                )));
            }
            if validation.state.current_run_id.as_ref() != Some(&self.run) {
                return Err(Failure::Refused(format!(
                    "{}: a newer run has authority in this directory: name another one by --dir",
                    Place::of_partition(&extract.key)
                )));
            }
        }
        self.say(&format!("   {} passed, 0 failed; this run has authority now\n", extracts.len()))
    }

    async fn consume(&self, extracts: &[Extract]) -> Result<(), Failure> {
        self.say(
            "\n4. Read back as a consumer does: ask the state, read the run that has authority\n",
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
                return Err(Error::corrupt("the rows read are not the rows landed").into());
            }
            rows += reader.summary().map_or(0, |summary| summary.record_count);
        }
        self.say(&format!("   {}, byte for byte what was landed\n", progress::rows(rows)))
    }

    async fn show_tree(&self, args: &Args) -> Result<(), Failure> {
        self.say(&format!("\n5. What is there now, below {}\n", args.dir.display()))?;
        let tree = tree::draw(&self.context.sink).await?;
        self.say(&tree)
    }

    fn show_next(&self, extracts: &[Extract], args: &Args) -> Result<(), Failure> {
        let raw = quoted(&args.dir.join("raw").display().to_string());
        let state = quoted(&format!("sqlite:{}", args.dir.join("state_store.db").display()));
        let partition = Place::of_partition(&extracts[0].key);
        self.say(&format!(
            "\nTry next, with the program in your PATH:\n\
             \x20 export RAW_SINK_ROOT={raw} RAW_SINK_STATE_URL={state}\n\
             \x20 rawsink read {partition} --current | head -n 1\n\
             \x20 rawsink show {partition} --current\n\
             \x20 rawsink state list\n\
             \x20 echo '{{\"n\":1}}' | rawsink write my_api/customer_id=1/query_name=first/logical_date=2024-06-01\n"
        ))
    }

    /// Tells the story: to standard output, or beside it where that is for JSON.
    fn say(&self, text: &str) -> Result<(), Failure> {
        let output = self.context.output;
        if output.is_json() {
            output::note(text.trim_end());
            return Ok(());
        }
        Ok(output::text(text.as_bytes())?)
    }
}

/// Quotes a word for a shell where that is needed.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "/._-:".contains(character);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
