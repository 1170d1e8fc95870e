//! `rawsink completions`

use clap_complete::Shell;

use crate::{
    exit::{Exit, Failure},
    output,
};

/// Print shell completions
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink completions bash > /etc/bash_completion.d/rawsink
  rawsink completions zsh > ~/.zfunc/_rawsink")]
pub(crate) struct Args {
    shell: Shell,
}

pub(crate) fn run(args: &Args, mut program: clap::Command) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "rawsink", &mut script);
    output::text(&script)?;
    Ok(Exit::Success)
}
