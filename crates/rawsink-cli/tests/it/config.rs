//! Settings with their origins; help, version and manual pages.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::landing::{Landing, PARTITION, PROGRAM};

#[test]
fn config_shows_each_value_and_its_origin() {
    let landing = Landing::new();
    let text = landing.rawsink(["config"]).exits(0).stdout;
    let dir = landing.dir().canonicalize().unwrap();
    let data = dir.join("data").display().to_string();
    for line in [
        "RAW_SINK=filesystem\tdefault",
        &format!("RAW_SINK_ROOT={data}/raw\tdefault"),
        "RAW_SINK_LEFTOVER=replace\tdefault",
        &format!("RAW_SINK_STATE_URL=sqlite:{data}/state_store.db\tdefault"),
    ] {
        assert!(text.lines().any(|shown| shown == line), "no {line:?} in {text}");
    }
    assert!(!text.contains("proxy"), "a directory needs none: {text}");
    let landing = landing.with("RAW_SINK_ROOT", "/srv/raw").with("RAW_SINK_LEFTOVER", "");
    let settings = landing.rawsink(["config", "--json"]).exits(0).json();
    let shown = |value| settings.contains(&value);
    assert!(
        shown(json!({"name": "RAW_SINK_ROOT", "value": "/srv/raw", "origin": "environment"})),
        "{settings:?}"
    );
    assert!(
        shown(json!({"name": "RAW_SINK_LEFTOVER", "value": "replace", "origin": "default"})),
        "an empty variable does not count as not set: {settings:?}"
    );
}

#[test]
fn config_shows_absolute_paths_of_a_bucket_and_no_secret() {
    let landing = Landing::new()
        .in_bucket("https://s3.example.org")
        .with("RAW_SINK_ACCESS_KEY_ID", "canary-key")
        .with("RAW_SINK_SECRET_ACCESS_KEY_FILE", "secrets/key");
    landing.file("secrets/key", "canary-secret\n");
    let landing = landing.with("RAW_SINK_CA_FILE", "/etc/ssl/certs/ca-certificates.crt");
    let text = landing.rawsink(["config"]).exits(0).stdout;
    let dir = landing.dir().canonicalize().unwrap();
    let file = dir.join("secrets/key");
    let line = format!("RAW_SINK_SECRET_ACCESS_KEY=(file {})\tenvironment", file.display());
    assert!(text.lines().any(|shown| shown == line), "no {line:?} in {text}");
    assert!(text.contains("RAW_SINK_ACCESS_KEY_ID=(hidden)") && !text.contains("canary"), "{text}");
}

#[test]
fn config_shows_the_proxy_of_the_endpoint_without_its_password() {
    let proxy = |endpoint: &str, vars: &[(&'static str, &str)]| {
        let upper = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"];
        let lower = ["https_proxy", "http_proxy", "all_proxy", "no_proxy"];
        let none = [upper, lower].concat().into_iter().map(|name| (name, ""));
        let landing = Landing::new()
            .in_bucket(endpoint)
            .with("RAW_SINK_ALLOW_HTTP", "1")
            .with("RAW_SINK_ACCESS_KEY_ID", "key")
            .with("RAW_SINK_SECRET_ACCESS_KEY", "secret");
        let vars = none.chain(vars.iter().copied());
        let landing = vars.fold(landing, |landing, (name, value)| landing.with(name, value));
        let text = landing.rawsink(["config"]).exits(0).stdout;
        let json = landing.rawsink(["config", "--json"]).exits(0);
        assert!(!format!("{text}{}", json.stdout).contains("canary"), "{text}");
        let lines: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("proxy=")).collect();
        let [line] = lines.try_into().unwrap();
        let (value, origin) = line.split_once('\t').unwrap();
        assert!(json.json().contains(&json!({"name": "proxy", "value": value, "origin": origin})));
        line.to_owned()
    };
    let url = "http://user:canary@proxy.example.org:3128/canary";
    let shown = "http://proxy.example.org:3128\tenvironment";
    let secure = "https://s3.example.org";
    for (endpoint, vars, expected) in [
        (secure, &[][..], "none\tdefault"),
        (secure, &[("HTTPS_PROXY", url)], shown),
        (secure, &[("HTTPS_PROXY", "http://user:can@ary@proxy.example.org:3128")], shown),
        (secure, &[("ALL_PROXY", "canary@[::1]:3128")], "http://[::1]:3128\tenvironment"),
        (secure, &[("all_proxy", url)], shown),
        (secure, &[("HTTPS_PROXY", url), ("ALL_PROXY", "socks5://canary")], shown),
        (secure, &[("HTTP_PROXY", url)], "none\tdefault"),
        (secure, &[("HTTPS_PROXY", url), ("NO_PROXY", "example.org")], "none\tdefault"),
        (secure, &[("HTTPS_PROXY", url), ("NO_PROXY", "*")], "none\tdefault"),
        (
            secure,
            &[("HTTPS_PROXY", url), ("NO_PROXY", "a.example, *.example.org")],
            "none\tdefault",
        ),
        (secure, &[("HTTPS_PROXY", "no proxy"), ("no_proxy", "s3.example.org")], "none\tdefault"),
        (secure, &[("HTTPS_PROXY", url), ("REQUEST_METHOD", "GET")], "none\tdefault"),
        ("https://192.0.2.1", &[("HTTPS_PROXY", url), ("NO_PROXY", "*")], "none\tdefault"),
        (
            "https://192.0.2.1",
            &[("HTTPS_PROXY", url), ("NO_PROXY", "192.0.2.0/24")],
            "none\tdefault",
        ),
        ("https://192.0.2.1", &[("HTTPS_PROXY", url), ("NO_PROXY", "192.0.3.0/24")], shown),
        ("http://s3.example.org", &[("HTTP_PROXY", url)], shown),
        // Plain requests to this machine never leave it.
        ("http://127.0.0.1:9000", &[("HTTP_PROXY", url)], "none\tdefault"),
        ("http://127.0.0.1:9000", &[("ALL_PROXY", "socks5://canary")], "none\tdefault"),
        ("https://127.0.0.1:9000", &[("HTTPS_PROXY", url)], shown),
    ] {
        assert_eq!(proxy(endpoint, vars), expected, "{endpoint} {vars:?}");
    }
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_and_not_ignored() {
    for (name, value, what) in [
        ("HTTPS_PROXY", "http://user:canary@ no proxy", "is not a URL"),
        ("https_proxy", "ftp://canary", "http://"),
        ("ALL_PROXY", "socks5://canary@[::1]", "socks5"),
    ] {
        let landing = Landing::new()
            .in_bucket("https://s3.example.org")
            .with("RAW_SINK_ACCESS_KEY_ID", "key")
            .with("RAW_SINK_SECRET_ACCESS_KEY", "secret")
            .with(name, value);
        let text = landing.rawsink(["config"]).exits(2).stderr;
        // Even if the settings are in a file.
        assert!(text.contains(&format!("the environment's {name} ")), "{text}");
        assert!(text.contains(what) && !text.contains("canary"), "{text}");
    }
}

#[test]
fn all_faults_are_reported_together_and_nothing_is_done() {
    let landing = Landing::without_root()
        .with("RAW_SINK", "s3")
        .with("RAW_SINK_LEFTOVER", "keep")
        .with("RAW_SINK_MAX_ROW_BYTES", "16 MB")
        .with("RAW_SINK_STATE_URL", "mysql://user:hunter2@host/db");
    for args in [&["config"][..], &["list"], &["write", PARTITION, "--", "touch", "extracted"]] {
        let answer = landing.rawsink(args).exits(2);
        answer.one_error("Invalid");
        assert!(!answer.stderr.contains("hunter2"), "a password is shown: {answer:#?}");
        answer.says(&[
            "RAW_SINK is \"s3\"",
            "RAW_SINK_LEFTOVER is \"keep\"",
            "RAW_SINK_MAX_ROW_BYTES is \"16 MB\"",
            "RAW_SINK_STATE_URL does not start with \"sqlite:\"",
        ]);
    }
    assert_eq!(landing.snapshot().len(), 0);
}

#[test]
fn a_bucket_without_settings_is_one_error_that_lists_them_all() {
    let landing =
        Landing::without_root().with("RAW_SINK", "object").with("RAW_SINK_BUKET", "landing");
    for args in [&["config"][..], &["list"], &["write", PARTITION, "--", "touch", "extracted"]] {
        let answer = landing.rawsink(args).exits(2);
        answer.one_error("Invalid");
        answer.says(&[
            "5 settings are wrong:",
            "RAW_SINK_ENDPOINT_URL is missing",
            "RAW_SINK_BUCKET is missing",
            "RAW_SINK_PREFIX is missing",
            "RAW_SINK_ACCESS_KEY_ID (or RAW_SINK_ACCESS_KEY_ID_FILE) is missing",
            "RAW_SINK_SECRET_ACCESS_KEY (or RAW_SINK_SECRET_ACCESS_KEY_FILE) is missing",
            "RAW_SINK_BUKET is not a setting; did you mean RAW_SINK_BUCKET?",
        ]);
    }
    assert_eq!(landing.snapshot().len(), 0);
}

#[test]
fn unknown_variables_are_warnings_with_the_nearest_name() {
    let landing = Landing::new().with("RAW_SINK_RÖOT", "x").with("RAW_SINK_ROOTS", "/elsewhere");
    let answer = landing.feed(["write", PARTITION, "--run-id", "r"], "{}\n").exits(0);
    answer.says(&["warning: RAW_SINK_ROOTS is not a setting; did you mean RAW_SINK_ROOT?"]);
    assert!(landing.metadata("r").exists(), "the unknown variable had an effect");
    let landing = Landing::new().with("RAW_SINK_SOMETHING_ELSE", "1");
    let answer = landing.rawsink(["config"]).exits(0);
    assert_eq!(answer.stderr, "warning: RAW_SINK_SOMETHING_ELSE is not a setting\n");
}

#[test]
fn the_root_and_the_state_may_be_anywhere() {
    let landing = Landing::new()
        .with("RAW_SINK_ROOT", "some where/else")
        .with("RAW_SINK_STATE_URL", "sqlite:st ate/s.db");
    std::fs::create_dir(landing.dir().join("some where")).unwrap();
    let args = ["write", PARTITION, "--run-id", "r", "--then-validate"];
    landing.feed(args, "{}\n").exits(0);
    let files = landing.files();
    assert!(files.contains(&format!("some where/else/{PARTITION}/run_id=r/metadata.json")));
    assert!(files.contains(&"st ate/s.db".to_owned()), "{files:?}");
    assert_eq!(files.len(), 3, "{files:?}");
}

/// Returns the names under `Commands:` in a help text.
pub(crate) fn commands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| line.starts_with("  "));
    listed.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn every_command_has_help_and_most_have_examples() {
    let landing = Landing::new();
    let help = |args: &[&str]| {
        let answer = landing.rawsink([args, &["--help"]].concat()).exits(0);
        assert_eq!(answer.stderr, "");
        assert!(answer.stdout.contains("Usage: rawsink"), "{answer:#?}");
        answer.stdout
    };
    let top = help(&[]);
    assert!(top.contains("Examples:\n") && top.contains("Exit codes:\n"), "{top}");
    let commands = commands(&top);
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands.iter().filter(|command| *command != "help") {
        let text = help(&[command]);
        let silent = ["config", "state"].contains(&command.as_str());
        assert_eq!(text.contains("Examples:\n"), !silent, "{text}");
        for sub in self::commands(&text).iter().filter(|sub| *sub != "help") {
            help(&[command, sub]);
        }
    }
}

#[test]
fn the_version_is_the_packages() {
    let landing = Landing::new();
    let expected = format!("rawsink {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(landing.rawsink(["--version"]).exits(0).stdout, expected);
}

#[test]
fn manual_pages_are_generated() {
    let landing = Landing::new();
    landing.rawsink(["man-pages", "."]).exits(0);
    let pages = landing.files();
    for page in ["rawsink.1", "rawsink-write.1", "rawsink-state-retry.1"] {
        assert!(pages.iter().any(|known| known == page), "no {page} in {pages:?}");
    }
    landing.rawsink(["man-pages", "missing"]).exits(2).one_error("Invalid");
    assert!(!landing.rawsink(["--help"]).exits(0).stdout.contains("man-pages"));
}

#[test]
fn an_invalid_command_line_is_exit_2_with_a_pointer_to_the_help() {
    let landing = Landing::new();
    for args in [&["wirte"][..], &["write"], &["list", "--all"], &["state"], &[]] {
        let answer = landing.rawsink(args).exits(2);
        assert!(answer.stdout.is_empty() && answer.stderr.contains("Usage"), "{answer:#?}");
    }
    landing.rawsink(["wirte"]).exits(2).says(&["write"]);
}

#[test]
fn help_and_lists_into_a_closed_pipe_end_quietly() {
    let landing = Landing::new();
    for args in ["--help", "write --help", "completions bash", "config"] {
        let script = format!("({PROGRAM} {args}; echo \"exit $?\" >&2) | true");
        let answer = landing.shell(&script).exits(0);
        assert!(!answer.stderr.contains("panic"), "{answer:#?}");
    }
}

#[test]
fn a_file_of_settings_replaces_the_environment() {
    let landing = Landing::without_root().with("RAW_SINK_ROOT", "/nowhere/at/all");
    let created = landing.rawsink(["init", "--root", "store/raw", "set.env"]).exits(0);
    assert_eq!(created.stdout, "created set.env\n");
    assert!(created.stderr.contains("rawsink --env set.env doctor"), "{created:#?}");
    let mode = std::fs::metadata(landing.dir().join("set.env")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::create_dir(landing.dir().join("store")).unwrap();
    landing.feed(["--env", "set.env", "write", PARTITION, "--run-id", "r"], "{}\n").exits(0);
    landing.rawsink(["validate", "--all", "--env", "set.env"]).exits(0);
    let dir = landing.dir().canonicalize().unwrap();
    assert!(dir.join("store/raw").join(PARTITION).join("run_id=r/metadata.json").exists());
    assert!(dir.join("store/state_store.db").exists());
    let shown = landing.rawsink(["config", "--env", "set.env"]).exits(0).stdout;
    let line = format!("RAW_SINK_ROOT={}\tfile", dir.join("store/raw").display());
    assert!(shown.lines().any(|shown| shown == line), "no {line:?} in {shown}");
    landing.rawsink(["list", "--env", "missing.env"]).exits(2).says(&["missing.env"]);
    // Without options it is where commands work without settings.
    landing.rawsink(["init", "same.env"]).exits(0);
    let shown = landing.rawsink(["config", "--env", "same.env"]).exits(0).stdout;
    for line in [
        format!("RAW_SINK_ROOT={}\tfile", dir.join("data/raw").display()),
        format!("RAW_SINK_STATE_URL=sqlite:{}\tfile", dir.join("data/state_store.db").display()),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "no {line:?} in {shown}");
    }
    // A file may hold keys: it is not written over.
    landing.rawsink(["init", "set.env"]).exits(2).says(&["cannot create the settings", "set.env"]);
}

#[test]
fn a_file_for_a_bucket_needs_nothing_but_the_key() {
    let landing = Landing::without_root();
    let endpoint = "https://fsn1.your-objectstorage.com";
    landing
        .rawsink(["init", "--bucket", "landing", "--endpoint", endpoint])
        .exits(0)
        .says(&["set the key"]);
    let file = landing.dir().join("rawsink.env");
    let text = std::fs::read_to_string(&file).unwrap();
    let refused = landing.rawsink(["config", "--env", "rawsink.env"]).exits(2);
    refused.says(&["RAW_SINK_ACCESS_KEY_ID", "RAW_SINK_SECRET_ACCESS_KEY"]);
    std::fs::write(&file, text.replace("_ID=\n", "_ID=k\n").replace("_KEY=\n", "_KEY=s\n"))
        .unwrap();
    let shown = landing.rawsink(["config", "--env", "rawsink.env"]).exits(0).stdout;
    for line in [&format!("RAW_SINK_ENDPOINT_URL={endpoint}\tfile"), "RAW_SINK_PREFIX=raw\tfile"] {
        assert!(shown.lines().any(|shown| shown == line), "no {line:?} in {shown}");
    }
}

#[test]
fn a_manual_page_is_printed_for_each_command() {
    let landing = Landing::new();
    let page = |args: &[&str]| landing.rawsink([&["man"], args].concat());
    assert!(page(&[]).exits(0).stdout.contains(".TH rawsink 1"));
    let retry = page(&["state", "retry"]).exits(0).stdout;
    assert!(
        retry.contains("rawsink\\-state\\-retry") || retry.contains("rawsink-state-retry"),
        "{retry}"
    );
    page(&["no-such"]).exits(2).says(&["no command \"no-such\": expected one of write, "]);
}
