//! The grid on a terminal.

use super::{SERIES, land, landing, of_day};
use crate::landing::{Answer, Landing, replace};

/// Runs `rawsink coverage` on a terminal of this size.
fn on_terminal(landing: &Landing, size: &str, args: &str) -> Answer {
    landing.shell(&format!("script -qec 'stty {size}; rawsink coverage {args}' /dev/null"))
}

#[test]
fn a_terminal_gets_the_summary_and_a_grid() {
    let landing = landing().with("NO_COLOR", "1");
    let answer = on_terminal(&landing, "cols 80 rows 30", "--until 2024-06-06").exits(1);
    let text = answer.stdout.replace('\r', "");
    let (summary, grid) = text.split_once(&format!("\n{:26}Jun 2024", "")).unwrap();
    assert!(summary.starts_with("1 row of 6 days, 2024-06-01 to 2024-06-06: "), "{text}");
    assert!(summary.contains("\nworst day 2024-06-06: 0 of 1 validated"), "{text}");
    let expected = "
customer  query     open  1  3
123       campaign     5  .F su--

F failed  - missing  u unsealed  s sealed only  . validated
";
    assert_eq!(grid, expected, "{text}");
}

#[test]
fn a_terminal_gets_colours_unless_no_color_forbids_them() {
    for (variable, value, coloured) in
        [("TERM", "xterm", true), ("TERM", "dumb", false), ("NO_COLOR", "1", false)]
    {
        let landing = landing().with("TERM", "xterm").with(variable, value);
        let text = on_terminal(&landing, "cols 80 rows 30", "").stdout;
        let failed = if coloured { "\x1b[1;31mF\x1b[0m" } else { ".F" };
        assert!(text.contains(failed), "{variable}={value}: {text:?}");
        assert_eq!(text.contains('\x1b'), coloured, "{variable}={value}: {text:?}");
    }
}

#[test]
fn a_pipe_and_a_very_narrow_terminal_get_one_line_for_each_row() {
    let landing = landing();
    let line = format!("{SERIES}\tvalidated 2024-06-01, failed 2024-06-02, ");
    let answer = landing.shell("rawsink coverage | cat").exits(0);
    assert!(answer.stdout.starts_with(&line), "{answer:#?}");
    let answer = on_terminal(&landing, "cols 20 rows 30", "").exits(1);
    assert!(answer.stdout.contains(&line), "{answer:#?}");
    // Programs get their cells there too.
    let answer = on_terminal(&landing, "cols 80 rows 30", "--json").exits(1);
    assert!(answer.stdout.starts_with("{\"path\":"), "{answer:#?}");
}

#[test]
fn seals_are_compared_on_request() {
    let landing = Landing::new();
    for day in ["01", "02"] {
        land(&landing, day);
        landing.rawsink(["validate", &of_day(day), "--latest"]).exits(0);
    }
    let path = landing.metadata(crate::landing::RUN);
    let seal = std::fs::read_to_string(&path).unwrap();
    // Other metadata of the same length.
    let edited = seal.replacen("T00:", "T01:", 1);
    assert!(edited != seal && edited.len() == seal.len(), "{seal}");
    replace(&path, edited);
    let until = ["coverage", "--until", "2024-06-02"];
    landing.rawsink(until).exits(0);
    let answer = landing.rawsink([&until[..], &["--seals", "--jobs", "3"]].concat()).exits(1);
    assert_eq!(answer.stdout, format!("{SERIES}\tlost 2024-06-01, validated 2024-06-02\n"));
    let plan = landing.rawsink([&until[..], &["--seals", "--plan"]].concat()).exits(1);
    assert_eq!(plan.stdout, format!("# rawsink write {} -- EXTRACT\n", of_day("01")));
    landing.rawsink(["coverage", "--jobs", "3"]).exits(2);
}
