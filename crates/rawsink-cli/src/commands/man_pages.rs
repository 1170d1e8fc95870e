//! `rawsink man` and `rawsink man-pages`

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::{Command, Stdio},
};

use rawsink::{Error, ErrorKind, error::system_text};

use crate::{
    exit::{Exit, Failure},
    output,
};

/// Show the manual page of a command
///
/// On a terminal the program `man` shows it. In a pipe the page is printed as roff.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink man
  rawsink man state retry")]
pub(crate) struct ShowArgs {
    /// The command; without one, the page of the program
    command: Vec<String>,
}

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

pub(crate) fn show(args: &ShowArgs, mut program: clap::Command) -> Result<Exit, Failure> {
    program.build();
    let mut command = &program;
    for name in &args.command {
        command = command.find_subcommand(name).ok_or_else(|| {
            let names = command.get_subcommands().filter(|command| !command.is_hide_set());
            let names: Vec<&str> = names.map(clap::Command::get_name).collect();
            Error::invalid(format!("no command {name:?}: expected one of {}", names.join(", ")))
        })?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    if !io::stdout().is_terminal() || !viewed(&page) {
        output::text(&page)?;
    }
    Ok(Exit::Success)
}

/// Shows a page by `man`. Returns whether it could.
fn viewed(page: &[u8]) -> bool {
    let viewer = Command::new("man").args(["-l", "-"]).stdin(Stdio::piped()).spawn();
    let Ok(mut viewer) = viewer else { return false };
    let written = viewer.stdin.take().map(|mut input| input.write_all(page));
    viewer.wait().is_ok_and(|status| status.success()) && written.is_some()
}
