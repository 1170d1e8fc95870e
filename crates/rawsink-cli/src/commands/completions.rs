//! `rawsink completions`

use clap_complete::{Shell, env::Shells};

use crate::{
    complete,
    exit::{Exit, Failure},
    output,
};

/// Print the script that completes commands and names in a shell
///
/// The script calls `rawsink` for each completion, so that it offers the partitions and runs that exist. It waits
/// at most 2 s for a bucket. Names that a shell would need quotes for are left out.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  source <(rawsink completions bash)     # in ~/.bashrc
  source <(rawsink completions zsh)      # in ~/.zshrc, after compinit
  rawsink completions fish > ~/.config/fish/completions/rawsink.fish")]
pub(crate) struct Args {
    shell: Shell,
}

/// Completes words with `:` and `=`, at which bash splits them.
const BASH_WORDS: &str = r#"
_rawsink() {
    local line=${COMP_LINE:0:COMP_POINT}
    local word=${line##*[[:space:]]}
    local before=${word%"$2"}
    if [[ $before == *[:=] ]]; then
        local -a COMP_WORDS
        read -ra COMP_WORDS <<<"$line"
        local COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _clap_complete_rawsink "$1" "$word" "${COMP_WORDS[COMP_CWORD - 1]}"
        COMPREPLY=("${COMPREPLY[@]#"$before"}")
    else
        _clap_complete_rawsink "$@"
    fi
}
complete -o nospace -o bashdefault -F _rawsink rawsink
"#;

/// Completes the first word too if the script is in a folder of `fpath`: zsh reads it only then.
const ZSH_AUTOLOAD: &str = "
if [[ ${funcstack[1]} == _rawsink ]]; then
    _clap_dynamic_completer_rawsink
fi
";

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let shells = Shells::builtins();
    let completer = shells.completer(&args.shell.to_string());
    let mut script = Vec::new();
    completer
        .expect("each shell has a completer")
        .write_registration(complete::VARIABLE, "rawsink", "rawsink", "rawsink", &mut script)
        .expect("a vector takes all bytes");
    script.extend_from_slice(match args.shell {
        Shell::Bash => BASH_WORDS.as_bytes(),
        Shell::Zsh => ZSH_AUTOLOAD.as_bytes(),
        _ => &[],
    });
    output::text(&script)?;
    Ok(Exit::Success)
}
