//! Tests that manual pages contain every command and option.

use clap::{Command, CommandFactory};

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
