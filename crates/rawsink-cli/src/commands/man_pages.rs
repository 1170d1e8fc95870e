//! `rawsink man-pages`

use std::path::PathBuf;

use rawsink::{Error, ErrorKind, error::system_text};

use crate::exit::{Exit, Failure};

/// Write a manual page for each command
#[derive(Debug, clap::Args)]
#[command(
    hide = true,
    after_help = "\
Examples:
  rawsink man-pages /usr/local/share/man/man1"
)]
pub(crate) struct Args {
    /// An existing directory; older pages in it are replaced
    dir: PathBuf,
}

pub(crate) fn run(args: &Args, program: clap::Command) -> Result<Exit, Failure> {
    clap_mangen::generate_to(program, &args.dir).map_err(|cause| {
        let place = args.dir.display();
        Error::new(ErrorKind::Invalid, format!("cannot write to {place}: {}", system_text(&cause)))
    })?;
    Ok(Exit::Success)
}
