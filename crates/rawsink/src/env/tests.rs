use super::*;
use crate::error::ErrorKind;

fn load(vars: &[(&str, &str)]) -> Result<Loaded> {
    Loaded::from_vars(
        vars.iter().map(|(name, value)| ((*name).to_owned(), Ok((*value).to_owned()))),
    )
}

fn defaults() -> Config {
    let directory = FsConfig::new("data/raw").parents(Parents::Created);
    let state = StateConfig::sqlite("data/state_store.db");
    Config { state, ..Config::new(Backend::Directory(directory)) }
}

#[test]
fn without_variables_the_defaults_apply_and_every_setting_is_shown() {
    let loaded = load(&[]).unwrap();
    assert_eq!(loaded.config, defaults());
    let shown: Vec<_> = loaded.effective.iter().map(|setting| setting.name).collect();
    let used = VARIABLES
        .iter()
        .filter(|variable| matches!(variable.used_by, UsedBy::Both | UsedBy::Filesystem));
    let mut used: Vec<_> = used.map(|variable| variable.name).collect();
    used.sort_unstable();
    let mut sorted = shown.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, used);
    assert!(loaded.effective.iter().all(|setting| setting.origin == Origin::Default));
}

#[test]
fn a_configured_root_needs_its_parent_and_the_mount_and_links_are_settings() {
    let directory = |vars: &[(&str, &str)]| match load(vars).unwrap().config.backend {
        Backend::Directory(directory) => directory,
        other => panic!("{other:?}"),
    };
    let expected = FsConfig::new("/srv/raw").parents(Parents::MustExist);
    assert_eq!(directory(&[("RAW_SINK_ROOT", "/srv/raw")]), expected);
    let set = [
        ("RAW_SINK_ROOT", "/srv/raw"),
        ("RAW_SINK_ROOT_MOUNTED", "1"),
        ("RAW_SINK_FOLLOW_LINKS", "1"),
    ];
    let expected = expected.mounted(Mounted::Required).links(Links::Followed);
    assert_eq!(directory(&set), expected);
}

/// Returns a documented default as it is shown: a path is absolute.
fn shown_default(default: &str) -> String {
    let here = std::env::current_dir().unwrap();
    match default.strip_prefix("sqlite:") {
        _ if default == "data/raw" => here.join(default).display().to_string(),
        Some(path) => format!("sqlite:{}", here.join(path).display()),
        None => default.to_owned(),
    }
}

/// The documented default, the shown value and the value in use are equal.
#[test]
fn documented_defaults_are_shown_and_in_use() {
    for required in [&BUCKET[..0], &BUCKET] {
        let loaded = load(required).unwrap();
        for variable in &VARIABLES {
            let shown = loaded.effective.iter().find(|shown| shown.name == variable.name);
            let is_set = required.iter().any(|(name, _)| *name == variable.name);
            if let (Some(shown), Fallback::Value(default), false) =
                (shown, variable.default, is_set)
            {
                assert_eq!(shown.value, shown_default(default), "{}", variable.name);
            }
        }
        // Setting every shown value except secrets gives the same configuration, with absolute paths.
        let stated = |loaded: &Loaded| {
            let stated = loaded
                .effective
                .iter()
                .filter(|shown| !shown.value.starts_with(['(']) && shown.value != "none");
            let mut stated: Vec<_> =
                stated.map(|shown| (shown.name, shown.value.as_str())).collect();
            let secrets = required.iter().filter(|(name, _)| SECRETS.contains(name));
            stated.extend(secrets.copied());
            load(&stated).unwrap()
        };
        let absolute = stated(&loaded);
        assert_eq!(absolute.config.options, loaded.config.options);
        assert_eq!(stated(&absolute).config, absolute.config);
        let values = |loaded: &Loaded| {
            loaded.effective.iter().map(|shown| shown.value.clone()).collect::<Vec<_>>()
        };
        assert_eq!(values(&absolute), values(&loaded));
    }
}

#[cfg(feature = "s3")]
#[test]
fn relative_paths_are_shown_as_absolute_ones() {
    let here = std::env::current_dir().unwrap();
    let (dir, name) = (here.display(), "Cargo.toml");
    let vars = [
        ("RAW_SINK_ROOT", "some/raw", format!("{dir}/some/raw")),
        ("RAW_SINK_STATE_URL", "sqlite:./s.db", format!("sqlite:{dir}/s.db")),
    ];
    let loaded = load(&vars.clone().map(|(name, value, _)| (name, value))).unwrap();
    for (name, _, shown) in vars {
        let found = loaded.effective.iter().find(|shown| shown.name == name).unwrap();
        assert_eq!(found.value, shown);
    }
    assert_eq!(Secret::file(name).shown(), format!("(file {dir}/{name})"));
}

#[test]
fn empty_variables_are_not_set() {
    assert_eq!(load(&[("RAW_SINK_ROOT", "")]).unwrap().config, defaults());
}

#[test]
fn values_and_their_origin_are_loaded() {
    let loaded = load(&[
        ("RAW_SINK_ROOT", "/srv/raw"),
        ("RAW_SINK_MAX_ROW_BYTES", "64KiB"),
        ("RAW_SINK_STATE_URL", "sqlite:///srv/s.db"),
    ])
    .unwrap();
    assert_eq!(loaded.config.backend, Config::directory("/srv/raw").backend);
    assert_eq!(loaded.config.options.max_row_bytes, 65536);
    assert_eq!(loaded.config.state, StateConfig::sqlite("/srv/s.db"));
    assert_eq!(loaded.effective[1].origin, Origin::Environment);
}

#[test]
fn slashes_before_the_path_of_a_state_are_one() {
    for url in
        ["sqlite:/srv/s.db", "sqlite:///srv/s.db", "sqlite:////srv/s.db", "sqlite://////srv/s.db"]
    {
        let state = load(&[("RAW_SINK_STATE_URL", url)]).unwrap().config.state;
        assert_eq!(state, StateConfig::sqlite("/srv/s.db"), "{url}");
    }
    let state = load(&[("RAW_SINK_STATE_URL", "sqlite://s.db")]).unwrap().config.state;
    assert_eq!(state, StateConfig::sqlite("s.db"));
}

#[test]
fn all_faults_are_reported_at_once() {
    let error = load(&[
        ("RAW_SINK", "s3"),
        ("RAW_SINK_LEFTOVER", "keep"),
        ("RAW_SINK_MAX_ROW_BYTES", "many"),
        ("RAW_SINK_STATE_URL", "mysql://host/db"),
    ])
    .unwrap_err();
    for variable in
        ["RAW_SINK ", "RAW_SINK_LEFTOVER ", "RAW_SINK_MAX_ROW_BYTES ", "RAW_SINK_STATE_URL "]
    {
        assert!(error.message().contains(variable), "{error}");
    }
}

const STATE_URL: &str =
    if cfg!(feature = "postgres") { "postgres://me@localhost/state" } else { "sqlite:state.db" };

/// Returns whether this build supports a variable.
fn is_supported(name: &str) -> bool {
    cfg!(feature = "postgres") || name != "RAW_SINK_STATE_PASSWORD"
}

/// Every required variable of a bucket.
const BUCKET: [(&str, &str); 7] = [
    ("RAW_SINK", "object"),
    ("RAW_SINK_ENDPOINT_URL", "https://s3.example.org"),
    ("RAW_SINK_BUCKET", "landing"),
    ("RAW_SINK_PREFIX", "raw"),
    ("RAW_SINK_ACCESS_KEY_ID", "key"),
    ("RAW_SINK_SECRET_ACCESS_KEY", "secret"),
    ("RAW_SINK_STATE_URL", STATE_URL),
];

/// Returns an illegal value of a variable. Add one for each new variable.
fn garbage(name: &str) -> &'static str {
    match name {
        "RAW_SINK" => "s3",
        "RAW_SINK_ROOT" => "data\0raw",
        "RAW_SINK_LEFTOVER" => "keep",
        "RAW_SINK_MAX_ROW_BYTES" => "many",
        "RAW_SINK_MAX_RUN_AHEAD_S" => "1h",
        "RAW_SINK_STATE_URL" => "mysql://canary@host/db",
        "RAW_SINK_ENDPOINT_URL" => "https://user:canary@s3.example.org",
        "RAW_SINK_REGION" => "eu central",
        "RAW_SINK_BUCKET" => "land/ing",
        "RAW_SINK_PREFIX" => "raw/../zone",
        "RAW_SINK_ACCESS_KEY_ID" | "RAW_SINK_SESSION_TOKEN" => "canary\n",
        "RAW_SINK_STATE_PASSWORD" => "canary\t",
        "RAW_SINK_SECRET_ACCESS_KEY" => " canary",
        "RAW_SINK_ADDRESSING" => "dns",
        "RAW_SINK_CA_FILE" => "/nowhere/ca.pem",
        "RAW_SINK_ROOT_MOUNTED" | "RAW_SINK_FOLLOW_LINKS" | "RAW_SINK_ALLOW_HTTP" => "yes",
        "RAW_SINK_PART_BYTES" => "8 MB",
        "RAW_SINK_UPLOADS_IN_FLIGHT" | "RAW_SINK_STALL_TIMEOUT_S" => "0",
        "RAW_SINK_COMPLETE_CONDITIONS" => "on",
        "RAW_SINK_LEFTOVER_GRACE_S" => "1.5",
        "RAW_SINK_SEAL_DEADLINE_S" => "60s",
        "RAW_SINK_SEAL_TIMEOUT_S" => "-1",
        "RAW_SINK_COMPLETE_DEADLINE_S" | "RAW_SINK_RETRY_DEADLINE_S" => "1e3",
        _ => panic!("{name} has no garbage here"),
    }
}

/// Returns the variables of a sink that reads `variable`, with its value changed.
fn with(variable: &Variable, value: Result<&str, ()>) -> Vec<(String, Result<String, ()>)> {
    let bucket = if variable.used_by == UsedBy::Filesystem { &BUCKET[..0] } else { &BUCKET };
    let given = bucket.iter().filter(|(name, _)| *name != variable.name);
    let given = given.map(|(name, value)| ((*name).to_owned(), Ok((*value).to_owned())));
    given.chain([(variable.name.to_owned(), value.map(str::to_owned))]).collect()
}

#[test]
fn an_illegal_value_is_one_fault_that_names_the_variable_and_shows_no_secret() {
    // The program checks the value of RAW_SINK_LOG.
    let checked = |variable: &&Variable| variable.name != "RAW_SINK_LOG";
    for variable in VARIABLES.iter().filter(checked).filter(|known| is_supported(known.name)) {
        for value in [Ok(garbage(variable.name)), Err(())] {
            let error = Loaded::from_vars(with(variable, value)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            let message = error.message();
            let named = message.strip_prefix(variable.name);
            assert!(named.is_some_and(|rest| rest.starts_with([' ', ':'])), "{message}");
            assert_eq!(message.lines().count(), 1, "{message}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
    }
}

/// What a shell would expand or unquote, and what a file with Windows line ends leaves, is never part of
/// a name.
#[test]
fn spoilt_paths_and_urls_are_refused() {
    let names = ["RAW_SINK_ROOT", "RAW_SINK_PREFIX", "RAW_SINK_ENDPOINT_URL", "RAW_SINK_STATE_URL"];
    let legal = ["/srv/raw", "raw", "https://s3.example.org", "sqlite:/srv/state.db"];
    for (name, legal) in names.into_iter().zip(legal) {
        let variable = VARIABLES.iter().find(|variable| variable.name == name).unwrap();
        Loaded::from_vars(with(variable, Ok(legal))).unwrap();
        let spoilt = [
            format!("{legal}\r"),
            format!("\"{legal}\""),
            format!(" {legal}"),
            format!("{legal}\n"),
        ];
        for spoilt in spoilt {
            let error = Loaded::from_vars(with(variable, Ok(&spoilt))).unwrap_err();
            assert!(error.message().starts_with(&format!("{name} ")), "{spoilt:?}: {error}");
        }
    }
    let paths = ["~/raw", "$HOME/raw", "s3://landing/raw", "file:///srv/raw"];
    for (name, start) in
        [("RAW_SINK_ROOT", ""), ("RAW_SINK_PREFIX", ""), ("RAW_SINK_STATE_URL", "sqlite:")]
    {
        let variable = VARIABLES.iter().find(|variable| variable.name == name).unwrap();
        for path in paths {
            let error =
                Loaded::from_vars(with(variable, Ok(&format!("{start}{path}")))).unwrap_err();
            assert!(error.message().starts_with(&format!("{name} ")), "{path}: {error}");
        }
    }
    for server in [
        "sqlite:postgres://me:canary@host/db",
        "sqlite://me:canary@host/db",
        "sqlite:me:canary@host/db",
        "sqlite:host=h password=canary",
    ] {
        let error = load(&[("RAW_SINK_STATE_URL", server)]).unwrap_err();
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn faults_of_secret_files_name_the_variable() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let file = file.path().to_str().unwrap();
    for name in SECRETS.into_iter().filter(|name| is_supported(name)) {
        let by_file = format!("{name}_FILE");
        for bad in ["/nowhere/secret", file, "/"] {
            let given = BUCKET.into_iter().filter(|(known, _)| *known != name);
            let given: Vec<_> = given.chain([(by_file.as_str(), bad)]).collect();
            let error = load(&given).unwrap_err();
            assert!(error.message().starts_with(&format!("{by_file}: ")), "{error}");
            assert!(error.message().contains(bad) && error.message().lines().count() == 1);
        }
        let both = [&BUCKET[..], &[(name, "secret"), (by_file.as_str(), file)]].concat();
        let error = load(&both).unwrap_err();
        assert_eq!(error.message(), format!("{name} and {by_file} are both set"));
    }
}

#[test]
fn faults_of_certificates_name_the_variable() {
    let dir = tempfile::tempdir().unwrap();
    let pem = |inside: &str| {
        format!("-----BEGIN CERTIFICATE-----\n{inside}\n-----END CERTIFICATE-----\n")
    };
    for (content, said) in [
        (String::new(), "contains no certificate ("),
        ("no certificate\n".to_owned(), "contains no certificate ("),
        (pem("!!!"), "is not PEM"),
        (pem("AAAA"), "contains a certificate that is not a CA certificate"),
    ] {
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, &content).unwrap();
        let given = [&BUCKET[..], &[("RAW_SINK_CA_FILE", path.to_str().unwrap())]].concat();
        let error = load(&given).unwrap_err();
        let named = error.message().starts_with("RAW_SINK_CA_FILE names a file that ");
        assert!(named && error.message().contains(said), "{content:?}: {error}");
    }
}

#[test]
fn every_fault_of_a_bucket_is_reported_at_once() {
    let object = VARIABLES.iter().filter(|variable| variable.used_by == UsedBy::Object);
    let wrong: Vec<_> = object.map(|variable| (variable.name, garbage(variable.name))).collect();
    let error = load(&[&BUCKET[..1], &wrong].concat()).unwrap_err();
    assert!(error.message().starts_with(&format!("{} settings are wrong:\n", wrong.len())));
    for (name, _) in wrong {
        let named = |line: &str| {
            line.trim_start().strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', ':']))
        };
        assert!(error.message().lines().any(named), "{name}: {error}");
    }
}

#[test]
fn missing_bucket_settings_are_all_named_with_misspelt_variables() {
    let error = load(&[("RAW_SINK", "object"), ("RAW_SINK_BUKET", "landing")]).unwrap_err();
    let expected = "5 settings are wrong:
  RAW_SINK_ENDPOINT_URL is missing
  RAW_SINK_BUCKET is missing
  RAW_SINK_PREFIX is missing
  RAW_SINK_ACCESS_KEY_ID (or RAW_SINK_ACCESS_KEY_ID_FILE) is missing
  RAW_SINK_SECRET_ACCESS_KEY (or RAW_SINK_SECRET_ACCESS_KEY_FILE) is missing
  RAW_SINK_BUKET is not a setting; did you mean RAW_SINK_BUCKET?";
    assert_eq!(error.message(), expected);
}

#[test]
fn g17_a_refused_state_url_is_not_shown_because_it_may_carry_a_password() {
    let error = load(&[("RAW_SINK_STATE_URL", "mysql://user:canary@host/db")]).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
}

#[test]
fn a_number_of_bytes_is_digits_and_a_unit() {
    for bad in ["-1", "+5", "1.5 MiB", "1MB", "0", "1", "2GiB", "99999999999999999999", " 5"] {
        assert!(load(&[("RAW_SINK_MAX_ROW_BYTES", bad)]).is_err(), "{bad:?}");
    }
    assert_eq!(
        load(&[("RAW_SINK_MAX_ROW_BYTES", "1 MiB")]).unwrap().config.options.max_row_bytes,
        1 << 20
    );
}

#[test]
fn unknown_variables_are_warned_about_with_the_nearest_name() {
    let loaded =
        load(&[("RAW_SINK_ROOTS", "x"), ("RAW_SINK_COLOUR", "red"), ("RAW_SINKER", "x")]).unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "RAW_SINK_COLOUR is not a setting",
            "RAW_SINK_ROOTS is not a setting; did you mean RAW_SINK_ROOT?"
        ]
    );
    let loaded = load(&[("RAW_SINK_SECRET_ACESS_KEY_FILE", "/run/secret")]).unwrap();
    assert!(loaded.warnings[0].ends_with("did you mean RAW_SINK_SECRET_ACCESS_KEY_FILE?"));
}

#[test]
fn a_name_without_its_first_underscore_is_warned_about_but_not_an_unrelated_one() {
    let loaded = load(&[("RAWSINK_ROOT", "x"), ("RAWSINK_TEST_POSTGRES_URL", "x")]).unwrap();
    let expected = "RAWSINK_ROOT is not a setting; did you mean RAW_SINK_ROOT?";
    assert_eq!(loaded.warnings, [expected]);
}

#[test]
fn bucket_settings_without_raw_sink_object_are_warned_about() {
    let bucket = [("RAW_SINK_BUCKET", "landing"), ("RAW_SINK_ACCESS_KEY_ID_FILE", "/none")];
    let expected = "RAW_SINK is not set to object, so these settings are ignored: RAW_SINK_BUCKET, RAW_SINK_ACCESS_KEY_ID_FILE";
    assert_eq!(load(&bucket).unwrap().warnings, [expected]);
    let chosen = [&bucket[..], &[("RAW_SINK", "filesystem")]].concat();
    assert!(load(&chosen).unwrap().warnings.is_empty());
    assert!(load(&[("RAW_SINK_BUCKET", "")]).unwrap().warnings.is_empty());
}

#[test]
fn a_value_that_is_not_utf8_is_a_fault() {
    let error = Loaded::from_vars([("RAW_SINK_ROOT".to_owned(), Err(()))]).unwrap_err();
    assert_eq!(error.message(), "RAW_SINK_ROOT is not UTF-8");
}

#[cfg(feature = "postgres")]
#[test]
fn the_state_password_has_one_source() {
    let url = ("RAW_SINK_STATE_URL", "postgres://me@localhost/d");
    let password = |vars: &[_]| match load(vars).unwrap().config.state {
        Some(StateConfig::Postgres(postgres)) => postgres.password,
        _ => None,
    };
    let variable = ("RAW_SINK_STATE_PASSWORD", "secret");
    assert_eq!(password(&[url]), None);
    assert_eq!(password(&[url, variable]), Some(Secret::value("secret")));
    let written = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&written, "secret\n").unwrap();
    let file = ("RAW_SINK_STATE_PASSWORD_FILE", written.path().to_str().unwrap());
    assert_eq!(password(&[url, file]), Some(Secret::file(written.path())));
    let twice = ("RAW_SINK_STATE_URL", "postgres://me:other@localhost/d");
    let error = load(&[twice, variable]).unwrap_err();
    assert!(error.message().contains("RAW_SINK_STATE_PASSWORD is also set"), "{error}");
    assert!(load(&[url, variable, file]).is_err());
    // A file needs none.
    assert!(load(&[variable]).unwrap().warnings.is_empty());
}

#[test]
fn an_sqlite_url_names_a_file() {
    for url in ["sqlite:", "sqlite://"] {
        let error = load(&[("RAW_SINK_STATE_URL", url)]).unwrap_err();
        assert!(error.message().contains("has no file name after"), "{error}");
    }
    for url in ["sqlite:s.db", "sqlite://s.db"] {
        let loaded = load(&[("RAW_SINK_STATE_URL", url)]).unwrap();
        assert_eq!(loaded.config.state, StateConfig::sqlite("s.db"));
    }
}
