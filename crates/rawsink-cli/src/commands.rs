//! The commands, one file each.

pub(crate) mod check;
pub(crate) mod clean;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod copy;
pub(crate) mod coverage;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod init;
pub(crate) mod list;
pub(crate) mod man_pages;
pub(crate) mod manifest;
pub(crate) mod read;
mod rows;
pub(crate) mod scrub;
pub(crate) mod show;
pub(crate) mod singer;
pub(crate) mod state;
pub(crate) mod validate;
pub(crate) mod verify;
pub(crate) mod write;

use std::num::NonZeroUsize;

use clap::{Subcommand, builder::TypedValueParser};

pub(crate) const EXAMPLES: &str = "\
Examples:
  P=google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01
  rawsink write $P -- extract --customer 123
  rawsink list google_ads
  rawsink validate $P --latest
  rawsink read $P --current

Exit codes:
  0   success
  1   the check failed
  2   invalid argument, setting or metadata
  3   not found, not sealed, already sealed, or conflict
  4   permission denied or not supported
  5   corrupt
  65  a line is not a row, or not a Singer message
  70  bug in rawsink
  75  temporary failure, or outcome unknown; try again
  129, 130, 131, 143  interrupted by SIGHUP, SIGINT, SIGQUIT, SIGTERM";

/// Parses a number of jobs.
fn jobs_parser() -> impl TypedValueParser<Value = NonZeroUsize> {
    clap::value_parser!(u8)
        .range(1..=64)
        .map(|jobs| NonZeroUsize::new(usize::from(jobs)).expect("the range begins with one"))
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Write(write::Args),
    Singer(singer::Args),
    Check(check::Args),
    Read(read::Args),
    List(list::Args),
    Show(show::Args),
    Diff(diff::Args),
    Verify(verify::Args),
    Validate(validate::Args),
    Scrub(scrub::Args),
    State(state::Args),
    Manifest(manifest::Args),
    Copy(copy::Args),
    Clean(clean::Args),
    Coverage(coverage::Args),
    Config(config::Args),
    Doctor(doctor::Args),
    Init(init::Args),
    Demo(demo::Args),
    Completions(completions::Args),
    Man(man_pages::ShowArgs),
    ManPages(man_pages::Args),
}

impl Command {
    /// Returns the number of threads the command needs: one for signals and one for each job.
    pub(crate) fn threads(&self) -> usize {
        match self {
            Self::Validate(args) => args.jobs() + 1,
            Self::Scrub(args) => args.jobs() + 1,
            Self::Copy(args) => args.jobs() + 1,
            Self::Coverage(args) => args.jobs() + 1,
            _ => 2,
        }
    }
}
