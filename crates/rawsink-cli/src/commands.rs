//! The commands, one file each.

pub(crate) mod clean;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod copy;
pub(crate) mod coverage;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod list;
pub(crate) mod man_pages;
pub(crate) mod manifest;
pub(crate) mod read;
pub(crate) mod show;
pub(crate) mod state;
pub(crate) mod validate;
pub(crate) mod verify;
pub(crate) mod write;

use clap::Subcommand;

pub(crate) const EXAMPLES: &str = "\
Examples:
  P=google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01
  extract | rawsink write $P
  rawsink list google_ads
  rawsink validate $P --latest
  rawsink read $P --current

Exit codes:
  0 done · 1 the answer is no · 2 invalid · 3 not there, not sealed, sealed already or in conflict
  4 denied or unsupported · 5 corrupt · 70 a bug · 75 try again later or outcome unknown
  130, 143 ended by a signal";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Write(write::Args),
    Read(read::Args),
    List(list::Args),
    Show(show::Args),
    Verify(verify::Args),
    Validate(validate::Args),
    State(state::Args),
    Manifest(manifest::Args),
    Copy(copy::Args),
    Clean(clean::Args),
    Coverage(coverage::Args),
    Config(config::Args),
    Doctor(doctor::Args),
    Demo(demo::Args),
    Completions(completions::Args),
    ManPages(man_pages::Args),
}

impl Command {
    /// Returns how many threads it needs: most do one thing at a time, beside their signals.
    pub(crate) fn threads(&self) -> usize {
        match self {
            Self::Validate(args) => args.jobs() + 1,
            Self::Copy(args) => args.jobs() + 1,
            _ => 2,
        }
    }
}
