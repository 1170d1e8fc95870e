//! The program `rawsink`: writes, seals, validates and reads raw API extracts.
//!
//! It calls the library and adds no rules: one file per command, all printing in `output`, exit codes
//! in `exit`, hints in `hint`.

mod again;
mod commands;
mod complete;
mod context;
mod escape;
mod exit;
mod filter;
mod hint;
mod log;
mod nearest;
mod output;
mod partition;
mod progress;
mod screen;
mod signals;
mod table;

use std::{
    panic,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;
use rawsink::{Error, ErrorKind, layout::Place};
use rawsink_ops::shell;

use crate::{
    commands::Command,
    context::Context,
    exit::{Exit, Failure},
    output::Output,
};

/// The version; a program built by `make dist` adds the commit.
const VERSION: &str = match option_env!("RAWSINK_BUILD") {
    Some(build) if !build.is_empty() => build,
    _ => env!("CARGO_PKG_VERSION"),
};

/// Store raw API extracts in partitions that are sealed once and never change
#[derive(Debug, Parser)]
#[command(name = "rawsink", version = VERSION, propagate_version = true, after_help = commands::EXAMPLES)]
struct Cli {
    /// Print data and errors as JSON, one object per line
    #[arg(long, global = true)]
    json: bool,

    /// Log more: -v logs retries and decisions, -vv every request too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Read the settings from FILE instead of the environment
    #[arg(long = "env", global = true, value_name = "FILE")]
    settings: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    CompleteEnv::with_factory(Cli::command).var(complete::VARIABLE).complete();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::report_usage(&error),
    };
    if let Some(file) = &cli.settings {
        again::keep_settings(file);
    }
    let output = Output::new(cli.json, cli.verbose);
    survive_thread_limit(output.clone());
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cli.command.threads())
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(cause) => return exit::report(Err(Failure::internal(&cause)), &output),
    };
    let outcome = runtime.block_on(run(cli.command, cli.settings.as_deref(), &output));
    // A thread may still block on input that is no longer needed; writers have stopped by now.
    runtime.shutdown_background();
    exit::report(outcome, &output)
}

/// Ends the program with a temporary error if the system starts no further thread. The runtime panics
/// then, and its other threads would wait for ever.
fn survive_thread_limit(output: Output) {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        match panic.payload_as_str().and_then(|text| text.strip_prefix("OS can't spawn ")) {
            Some(what) => {
                let message = format!(
                    "the system cannot start another thread: {what}; run the same command again"
                );
                let error = Error::new(ErrorKind::Unavailable, message);
                exit::now(Failure::Library(error), &output)
            }
            None => default(panic),
        }
    }));
}

async fn run(command: Command, file: Option<&Path>, output: &Output) -> Result<Exit, Failure> {
    signals::survive_file_size_limit();
    signals::watch(output.clone()).map_err(|cause| Failure::internal(&cause))?;
    match command {
        Command::Completions(args) => commands::completions::run(&args),
        Command::ManPages(args) => commands::man_pages::run(&args, Cli::command()),
        Command::Man(args) => commands::man_pages::show(&args, Cli::command()),
        Command::Demo(args) => commands::demo::run(&args, output).await,
        Command::Init(args) => commands::init::run(&args, output),
        Command::Write(args) => {
            let context = Context::load(file, output).map_err(commands::write::nothing_sealed)?;
            commands::write::run(args, &context).await
        }
        Command::Singer(args) => {
            let context =
                Context::load_destination(file, output).map_err(commands::write::nothing_sealed)?;
            commands::singer::run(args, &context).await
        }
        command => {
            let context = Context::load(file, output)?;
            let outcome = match command {
                Command::Check(args) => commands::check::run(&args, &context),
                Command::Read(args) => commands::read::run(&args, &context).await,
                Command::List(args) => commands::list::run(&args, &context).await,
                Command::Show(args) => commands::show::run(&args, &context).await,
                Command::Diff(args) => commands::diff::run(&args, &context).await,
                Command::Verify(args) => commands::verify::run(&args, &context).await,
                Command::Validate(args) => commands::validate::run(&args, &context).await,
                Command::Scrub(args) => commands::scrub::run(&args, &context).await,
                Command::State(args) => commands::state::run(&args, &context).await,
                Command::Manifest(args) => commands::manifest::run(&args, &context).await,
                Command::Copy(args) => commands::copy::run(&args, &context).await,
                Command::Clean(args) => commands::clean::run(&args, &context).await,
                Command::Coverage(args) => commands::coverage::run(&args, &context).await,
                Command::Config(args) => commands::config::run(&args, &context),
                Command::Doctor(args) => commands::doctor::run(&args, &context).await,
                Command::Completions(_)
                | Command::ManPages(_)
                | Command::Man(_)
                | Command::Demo(_)
                | Command::Init(_)
                | Command::Write(_)
                | Command::Singer(_) => unreachable!("handled above"),
            };
            match outcome {
                Err(failure) => Err(with_nearest(failure, &context).await),
                done => done,
            }
        }
    }
}

/// Adds the place that a path may mean to the error that nothing exists there.
async fn with_nearest(failure: Failure, context: &Context<'_>) -> Failure {
    let nearest = match &failure {
        Failure::Library(error) | Failure::At(_, error) if error.kind() == ErrorKind::NotFound => {
            match error.place().map(|place| Place::parse(place, "")) {
                Some(Ok(place)) => nearest::nearest(&context.sink, &place).await,
                _ => None,
            }
        }
        _ => None,
    };
    match (failure, nearest) {
        (Failure::Library(error) | Failure::At(_, error), Some(nearest)) => {
            Failure::Misspelt { error, nearest }
        }
        (failure, _) => failure,
    }
}

#[cfg(test)]
mod docs;
#[cfg(test)]
mod generated;
