//! What a shell offers: commands, options, and the names that exist.

use crate::landing::{Landing, PARTITION, RUN};

/// Returns what bash offers at the end of a line, without options unless one is begun. Like bash it
/// splits words at `:` and `=`.
fn offered(landing: &Landing, line: &str) -> Vec<String> {
    let word = line.rsplit([' ', ':', '=']).next().unwrap();
    let script = format!(
        "set -e; . <(rawsink completions bash); COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; \
         COMP_WORDS=({line}''); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _rawsink rawsink '{word}' ''; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    landing.file("complete.bash", script);
    let answer = landing.shell("bash complete.bash").exits(0);
    assert_eq!(answer.stderr, "");
    let is_wanted =
        |offer: &&str| !offer.is_empty() && offer.starts_with('-') == word.starts_with('-');
    answer.stdout.lines().filter(is_wanted).map(str::to_owned).collect()
}

#[test]
fn each_level_of_a_path_is_completed_with_the_names_that_exist() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    let run = format!("google_ads/123/campaign/2024-06-01/{RUN}");
    for (words, expected) in [
        ("rawsink read ", "google_ads/"),
        ("rawsink read goo", "google_ads/"),
        ("rawsink list google_ads/1", "google_ads/123/"),
        ("rawsink validate --all google_ads/123/c", "google_ads/123/campaign/"),
        ("rawsink coverage google_ads/123/campaign/", "google_ads/123/campaign/2024-06-01/"),
        ("rawsink state history google_ads/123/campaign/2024-06-01/", &run),
        ("rawsink write data/raw/goo", "data/raw/google_ads/"),
        ("rawsink read google_ads/123/campaign/2024-06-01/2024-06-02T00:0", "00:00.000Z"),
        ("rawsink read google_ads/customer_id=", "123/"),
        ("rawsink diff google_ads/123/campaign/2024-06-01/2024 goo", "google_ads/"),
    ] {
        assert_eq!(offered(&landing, words), [expected], "{words}");
    }
    for words in ["rawsink read facebook/", "rawsink read ads_customer=/"] {
        assert!(offered(&landing, words).is_empty(), "{words}");
    }
    let commands = offered(&landing, "rawsink s");
    assert_eq!(commands, ["singer", "show", "scrub", "state"]);
    assert_eq!(offered(&landing, "rawsink write --expect"), ["--expect-records"]);
}

#[test]
fn the_file_of_settings_on_the_line_is_used() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    landing.file("other.env", format!("RAW_SINK_ROOT={}/elsewhere\n", landing.dir().display()));
    let write = ["--env", "other.env", "write", "facebook/1/ads/2024-06-01"];
    landing.feed(write, "{}\n").exits(0);
    assert_eq!(offered(&landing, "rawsink --env other.env read "), ["facebook/"]);
    assert!(offered(&landing, "rawsink --env missing.env read ").is_empty());
}

#[test]
fn zsh_and_fish_complete_paths_with_labels_too() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    let (above, _) = PARTITION.rsplit_once("logical_date=").unwrap();
    for shell in ["zsh", "fish"] {
        let mut command = landing.command(["--", "rawsink", "read", above]);
        command.envs([("RAWSINK_COMPLETE", shell), ("_CLAP_COMPLETE_INDEX", "2")]);
        let answer = crate::landing::answer(command, b"").exits(0);
        assert_eq!(answer.stdout.trim_end(), format!("{PARTITION}/"), "{shell}");
    }
}

#[test]
fn each_shell_has_a_script() {
    let landing = Landing::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = landing.rawsink(["completions", shell]).exits(0).stdout;
        assert!(script.contains("RAWSINK_COMPLETE"), "{shell}: {script}");
    }
    landing.rawsink(["completions", "basic"]).exits(2);
}
