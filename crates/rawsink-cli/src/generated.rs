//! Tests that completions and manual pages contain every command and option.

use clap::{Command, CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::Cli;

/// Calls `each` with every visible command and the names from the program down to it.
fn walk(command: &Command, path: &[&str], each: &mut dyn FnMut(&[&str], &Command)) {
    let path: Vec<&str> = path.iter().copied().chain([command.get_name()]).collect();
    each(&path, command);
    let shown = |sub: &&Command| sub.get_name() != "help" && !sub.is_hide_set();
    command.get_subcommands().filter(shown).for_each(|sub| walk(sub, &path, each));
}

fn program() -> Command {
    let mut program = Cli::command();
    program.build();
    program
}

#[test]
fn completions_of_each_shell_contain_every_command_and_option() {
    for shell in Shell::value_variants() {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut Cli::command(), "rawsink", &mut script);
        let script = String::from_utf8(script).unwrap();
        let mut known = 0;
        walk(&program(), &[], &mut |path, command| {
            let words = command.get_arguments().filter_map(|arg| arg.get_long());
            for word in words.chain([command.get_name()]) {
                assert!(script.contains(word), "{shell}: {path:?}: no {word}");
                known += 1;
            }
        });
        assert!(known > 50, "{known} words are not the whole command line");
    }
}

#[test]
fn each_command_has_a_manual_page_with_every_option() {
    let dir = tempfile::tempdir().unwrap();
    clap_mangen::generate_to(Cli::command(), dir.path()).unwrap();
    walk(&program(), &[], &mut |path, command| {
        let name = format!("{}.1", path.join("-"));
        let page = std::fs::read_to_string(dir.path().join(&name)).unwrap();
        for long in command.get_arguments().filter_map(|arg| arg.get_long()) {
            let escaped = long.replace('-', "\\-");
            assert!(page.contains(&format!("\\-\\-{escaped}")), "{name}: no --{long}");
        }
    });
}

#[test]
fn the_version_begins_with_that_of_the_package() {
    assert!(crate::VERSION.starts_with(env!("CARGO_PKG_VERSION")), "{}", crate::VERSION);
}
