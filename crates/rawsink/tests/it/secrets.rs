//! Secrets stand in no error, log, `Debug` output or panic (G17).

mod log; // everything that is logged, as text

use std::{
    env,
    panic::{self, AssertUnwindSafe},
    process::Command,
};

use rawsink::{
    ErrorKind, Settings,
    config::{ObjectSettings, Secret, SinkKind},
    store::{S3Store, Store, StorePath},
};

use self::log::Log;
use crate::{
    s3_server::{ACCESS_KEY, Answer, Effect, Habit, Op, S3Server, SECRET_KEY},
    sample::{key, rows, run, seal},
};

const SESSION_TOKEN: &str = "this-is-the-session-token";
/// A proxy whose name nobody has to be asked for: it is none.
const PROXY: &str = "http://proxyuser:proxypassword@proxy..invalid:1";
const SECRETS: [&str; 4] = [ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, "proxypassword"];

#[track_caller]
fn assert_hidden(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} is shown: {text}");
    }
}

/// A server whose clients send a session token, too.
fn server() -> S3Server {
    S3Server::default()
        .with_settings(|settings| settings.session_token = Some(Secret::value(SESSION_TOKEN)))
}

#[tokio::test]
async fn g17_debug_output_and_panics_show_no_secret() {
    let server = server();
    let (sink, store, object) = (server.sink(), server.store(), server.settings().clone());
    let settings = Settings { sink: SinkKind::Object, object: Some(object), ..Settings::default() };
    let writer = sink.write_partition(&key(), &run(1)).await.unwrap();
    let refusal = Effect::Refused(Answer::Error(403, "AccessDenied"));
    server.habit(Habit::always(Op::List, refusal));
    let error = sink.write_partition(&key(), &run(1)).await.unwrap_err();
    for shown in [
        format!("{settings:?}{settings:#?}"),
        format!("{sink:?}{sink:#?}"),
        format!("{store:?}{store:#?}"),
        format!("{writer:?}{writer:#?}"),
        format!("{error}{error:?}{error:#?}"),
    ] {
        assert_hidden(&shown);
        assert!(shown.len() < 8000, "nobody reads that: {shown}");
    }
    let panicking = AssertUnwindSafe(|| panic!("{:?}", (&settings, &store)));
    let panicked = panic::catch_unwind(panicking).unwrap_err();
    let said = panicked.downcast_ref::<String>().unwrap();
    assert!(said.contains("access_key_id: (hidden)"), "{said}");
    assert_hidden(said);
}

#[tokio::test]
async fn g17_nothing_that_the_sdk_logs_holds_a_secret() {
    let (server, log) = (server(), Log::default());
    let guard = log.listen();
    seal(&server.sink(), &key(), &run(1), &rows("mine", 2000)).await.unwrap();
    drop(guard);
    let text = log.text();
    assert!(text.contains("signing request"), "the SDK says nothing: {text}");
    // The id of a key is no secret for the SDK: it stands in every request.
    assert_hidden(&text.replace(ACCESS_KEY, "id"));
}

#[tokio::test]
async fn g17_a_secret_that_the_server_repeats_is_hidden() {
    let server = server();
    for answer in [
        Answer::Said("InvalidToken: this-is-the-session-token of AKIDTEST"),
        Answer::Said("the signature of this-is-the-secret does not match"),
    ] {
        server.behave();
        server.habit(Habit::always(Op::List, Effect::Refused(answer)));
        let error = server.store().children(&StorePath::root()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(error.message().contains("(hidden)"), "{error}");
        assert_hidden(&format!("{error:?}"));
    }
}

/// Tells what becomes of endpoints where nobody listens, with everything that is logged.
#[tokio::test]
async fn g17_an_endpoint_that_does_not_answer_brings_no_secret_to_light() {
    let server = server();
    for endpoint in ["http://127.0.0.1:1", "https://127.0.0.1:1"] {
        let settings =
            ObjectSettings { endpoint_url: endpoint.to_owned(), ..server.settings().clone() };
        let log = Log::default();
        let guard = log.listen();
        let store = S3Store::new(&settings, server.surroundings()).unwrap();
        let error = store.children(&StorePath::root()).await.unwrap_err();
        drop(guard);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let shown = format!("{error} {error:?} {store:?} {}", log.text());
        assert_hidden(&shown.replace(ACCESS_KEY, "id"));
        println!("{shown}");
    }
}

/// The environment of this process cannot be changed, so another one runs the test above.
#[test]
fn g17_nor_does_a_proxy_with_a_password() {
    let test = "secrets::g17_an_endpoint_that_does_not_answer_brings_no_secret_to_light";
    let answer = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .envs(["HTTP_PROXY", "HTTPS_PROXY"].map(|name| (name, PROXY)))
        .env_remove("NO_PROXY")
        .output()
        .unwrap();
    let shown = String::from_utf8([answer.stdout, answer.stderr].concat()).unwrap();
    assert!(answer.status.success() && shown.contains("1 passed"), "{shown}");
    for used in [": io error: dns error", ": io error: tunnel error"] {
        assert!(shown.contains(used), "the proxy was not used: {shown}");
    }
    assert_hidden(&shown.replace(ACCESS_KEY, "id"));
}
