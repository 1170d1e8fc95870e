//! URLs of the state and of the endpoint: a password is never shown, and an accepted URL is a plain one.
//!
//! The input has four lines: user, the start and the end of the password, the rest of the URL.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rawsink::{
    Secret,
    env::Loaded,
    state::{PostgresConfig, StateConfig},
    store::s3::{AccessKey, S3Config},
};
use rawsink_fuzz::{CANARY, names_a_device};
use url::Url;

const STATES: [&str; 4] = ["postgres://", "postgresql://", "sqlite:postgres://", "sqlite:"];

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(4, '\n');
    let [user, start, end, rest] = [(); 4].map(|()| lines.next().unwrap_or_default());
    if names_a_device(text) || text.contains(CANARY) {
        return;
    }
    let secret = format!("{user}:{start}{CANARY}{end}@{rest}");
    // After "sqlite:" there is a path, which has no password.
    for scheme in &STATES[..3] {
        state_shows_no_password(&format!("{scheme}{secret}"));
    }
    for scheme in ["https://", "http://"] {
        endpoint_shows_no_password(&format!("{scheme}{secret}"));
        endpoint_is_plain(&format!("{scheme}{rest}"));
    }
    for scheme in STATES {
        state_is_the_same(&format!("{scheme}{rest}"));
    }
});

fn load(url: &str) -> rawsink::Result<Loaded> {
    Loaded::from_vars([("RAW_SINK_STATE_URL".to_owned(), Ok(url.to_owned()))])
}

fn state_shows_no_password(url: &str) {
    let shown = match load(url) {
        Ok(loaded) => {
            let state = loaded.config.state.as_ref().map(ToString::to_string);
            format!("{loaded:?} {state:?}")
        }
        Err(error) => format!("{error} {error:?}"),
    };
    assert!(!shown.contains(CANARY), "{shown}");
}

fn endpoint(url: &str) -> rawsink::Result<S3Config> {
    let key = AccessKey::new(Secret::value("AKIDTEST"), Secret::value("this-is-the-secret"));
    S3Config::builder(url, "landing", "raw", key).allow_http(true).build()
}

fn endpoint_shows_no_password(url: &str) {
    match endpoint(url) {
        Ok(config) => panic!("{url} is accepted as {}", config.endpoint_url()),
        Err(error) => assert!(!format!("{error} {error:?}").contains(CANARY), "{error}"),
    }
}

fn endpoint_is_plain(url: &str) {
    let Ok(config) = endpoint(url) else { return };
    let plain = Url::parse(config.endpoint_url()).unwrap();
    assert!(matches!(plain.scheme(), "http" | "https") && plain.has_host(), "{plain}");
    assert!(plain.username().is_empty() && plain.password().is_none(), "{plain}");
    assert!(plain.path() == "/" && plain.query().is_none() && plain.fragment().is_none());
    let again = endpoint(config.endpoint_url()).unwrap();
    assert_eq!(again.endpoint_url(), config.endpoint_url());
    assert_eq!(again.region(), config.region());
}

/// Asserts that the text of a state is the URL of the same state, if no part needs an escape.
fn state_is_the_same(url: &str) {
    let Ok(loaded) = load(url) else { return };
    let state = loaded.config.state.expect("it is set");
    let Ok(again) = load(&state.to_string()) else {
        return assert!(!is_plain(&state), "{state} of {url}");
    };
    match (&state, again.config.state.expect("it is set")) {
        (StateConfig::Sqlite(one), StateConfig::Sqlite(other)) => assert_eq!(*one, other),
        (StateConfig::Postgres(one), StateConfig::Postgres(other)) if is_plain(&state) => {
            assert_eq!(identity(one), identity(&other));
        }
        (StateConfig::Postgres(_), StateConfig::Postgres(_)) => {}
        (one, other) => panic!("{one} and {other}"),
    }
}

fn identity(config: &PostgresConfig) -> (&str, u16, &str, &str) {
    (&config.host, config.port, &config.user, &config.database)
}

fn is_plain(state: &StateConfig) -> bool {
    let StateConfig::Postgres(config) = state else { return true };
    let is_word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    [&config.host, &config.user, &config.database].into_iter().all(|text| is_word(text))
}
