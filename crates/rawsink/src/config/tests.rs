use super::*;

fn load(vars: &[(&str, &str)]) -> Result<Loaded> {
    Loaded::from_vars(
        vars.iter().map(|(name, value)| ((*name).to_owned(), Ok((*value).to_owned()))),
    )
}

#[test]
fn nothing_set_means_the_defaults_and_every_variable_is_shown() {
    let loaded = load(&[]).unwrap();
    assert_eq!(loaded.settings, Settings::default());
    let shown: Vec<_> = loaded.effective.iter().map(|setting| setting.name).collect();
    let used = VARIABLES.iter().filter(|variable| variable.used_by != UsedBy::Object);
    let mut used: Vec<_> = used.map(|variable| variable.name).collect();
    used.sort_unstable();
    let mut sorted = shown.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, used);
    assert!(loaded.effective.iter().all(|setting| setting.origin == Origin::Default));
}

#[test]
fn the_defaults_of_the_table_are_the_defaults_of_the_settings() {
    let stated: Vec<_> =
        VARIABLES.iter().map(|variable| (variable.name, variable.default)).collect();
    assert_eq!(load(&stated).unwrap().settings, Settings::default());
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    assert_eq!(load(&[("RAW_SINK_ROOT", "")]).unwrap().settings, Settings::default());
}

#[test]
fn values_are_taken_and_their_origin_is_known() {
    let loaded = load(&[
        ("RAW_SINK_ROOT", "/srv/raw"),
        ("RAW_SINK_MAX_ROW_BYTES", "64KiB"),
        ("RAW_SINK_STATE_URL", "sqlite:///srv/s.db"),
    ])
    .unwrap();
    assert_eq!(loaded.settings.root, PathBuf::from("/srv/raw"));
    assert_eq!(loaded.settings.max_row_bytes, 65536);
    assert_eq!(loaded.settings.state_url, StateUrl::Sqlite(PathBuf::from("/srv/s.db")));
    assert_eq!(loaded.effective[1].origin, Origin::Environment);
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

#[test]
fn g17_a_state_url_that_is_refused_is_not_shown_since_it_may_carry_a_password() {
    let error = load(&[("RAW_SINK_STATE_URL", "mysql://user:canary@host/db")]).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
}

#[test]
fn a_number_of_bytes_is_digits_and_a_unit() {
    for bad in ["-1", "+5", "1.5 MiB", "1MB", "0", "1", "2GiB", "99999999999999999999", " 5"] {
        assert!(load(&[("RAW_SINK_MAX_ROW_BYTES", bad)]).is_err(), "{bad:?}");
    }
    assert_eq!(
        load(&[("RAW_SINK_MAX_ROW_BYTES", "1 MiB")]).unwrap().settings.max_row_bytes,
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
}

#[test]
fn a_value_that_is_not_text_is_a_fault() {
    let error = Loaded::from_vars([("RAW_SINK_ROOT".to_owned(), Err(()))]).unwrap_err();
    assert_eq!(error.message(), "RAW_SINK_ROOT is not UTF-8");
}
