//! The program `rawsink`: lands, seals, validates and reads raw API extracts.
//!
//! It only shows what the library does and adds no rules of its own: one file a command, all
//! printing in `output`, exit codes in `exit`.

mod commands;
mod context;
mod exit;
mod filter;
mod output;
mod partition;
mod progress;
mod signals;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::{
    commands::Command,
    context::Context,
    exit::{Answer, Failure},
    output::Output,
};

/// The version; where `make dist` has built the program, with the commit.
const VERSION: &str = match option_env!("RAWSINK_BUILD") {
    Some(build) if !build.is_empty() => build,
    _ => env!("CARGO_PKG_VERSION"),
};

/// A landing zone for raw API extracts: partitions that are sealed once and never change
#[derive(Debug, Parser)]
#[command(name = "rawsink", version = VERSION, propagate_version = true, after_help = commands::EXAMPLES)]
struct Cli {
    /// Print data as one JSON object a line
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cli.command.threads())
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(cause) => return exit::report(Err(Failure::internal(&cause))),
    };
    let outcome = runtime.block_on(run(cli.command, &output));
    // A thread may still wait for input that nobody wants any more; writers have ended by now.
    runtime.shutdown_background();
    exit::report(outcome)
}

async fn run(command: Command, output: &Output) -> Result<Answer, Failure> {
    signals::survive_file_size_limit();
    match command {
        Command::Completions(args) => commands::completions::run(&args, Cli::command()),
        Command::ManPages(args) => commands::man_pages::run(&args, Cli::command()),
        Command::Demo(args) => commands::demo::run(&args, output).await,
        command => {
            let context = Context::from_env(output)?;
            match command {
                Command::Write(args) => commands::write::run(args, &context).await,
                Command::Read(args) => commands::read::run(&args, &context).await,
                Command::List(args) => commands::list::run(&args, &context).await,
                Command::Show(args) => commands::show::run(&args, &context).await,
                Command::Verify(args) => commands::verify::run(&args, &context).await,
                Command::Validate(args) => commands::validate::run(&args, &context).await,
                Command::State(args) => commands::state::run(&args, &context).await,
                Command::Manifest(args) => commands::manifest::run(&args, &context).await,
                Command::Copy(args) => commands::copy::run(&args, &context).await,
                Command::Clean(args) => commands::clean::run(&args, &context).await,
                Command::Coverage(args) => commands::coverage::run(&args, &context).await,
                Command::Config(args) => commands::config::run(&args, &context),
                Command::Doctor(args) => commands::doctor::run(&args, &context).await,
                Command::Completions(_) | Command::ManPages(_) | Command::Demo(_) => {
                    unreachable!("handled above")
                }
            }
        }
    }
}

#[cfg(test)]
mod docs;
#[cfg(test)]
mod generated;
