//! `rawsink man-pages`

use std::path::PathBuf;

use rawsink::{Error, ErrorKind, error::system_text};

use crate::exit::{Answer, Failure};

/// Write a manual page of each command, for whoever packs the program
#[derive(Debug, clap::Args)]
#[command(
    hide = true,
    after_help = "\
Examples:
  rawsink man-pages /usr/local/share/man/man1"
)]
pub(crate) struct Args {
    /// A directory that is there; pages in it are replaced
    dir: PathBuf,
}

pub(crate) fn run(args: &Args, program: clap::Command) -> Result<Answer, Failure> {
    clap_mangen::generate_to(program, &args.dir).map_err(|cause| {
        let place = args.dir.display();
        Error::new(ErrorKind::Invalid, format!("cannot write to {place}: {}", system_text(&cause)))
    })?;
    Ok(Answer::Yes)
}
