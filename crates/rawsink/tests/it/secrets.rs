//! No error, log, `Debug` output or panic contains a secret (G17).

use std::panic::{self, AssertUnwindSafe};

use futures_util::StreamExt;
use rawsink::{
    Config, Error, ErrorKind,
    secret::Secret,
    store::{
        S3Store, Store, StorePath,
        s3::{AccessKey, MIN_PART_BYTES, Proxy, ProxyUrl},
    },
};

use rawsink_testkit::{
    log::Log,
    s3_server::{ACCESS_KEY, Answer, Effect, Habit, Op, S3Server, SECRET_KEY},
    sample::{key, rows, run, seal},
};

const SESSION_TOKEN: &str = "this-is-the-session-token";
/// An invalid proxy address, so no name is resolved.
const PROXY: &str = "http://proxyuser:proxypassword@proxy..invalid:1";
const SECRETS: [&str; 4] = [ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, "proxypassword"];

/// Returns the first error of a listing.
async fn first_error(store: &S3Store) -> Error {
    store.children(&StorePath::root()).next().await.unwrap().unwrap_err()
}

#[track_caller]
fn assert_hidden(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} is shown: {text}");
    }
}

/// Returns a server whose clients also send a session token.
fn server() -> S3Server {
    S3Server::default().with_config(|config| {
        config.access_key(
            AccessKey::new(Secret::value(ACCESS_KEY), Secret::value(SECRET_KEY))
                .session_token(Some(Secret::value(SESSION_TOKEN))),
        )
    })
}

#[tokio::test]
async fn g17_debug_output_and_panics_show_no_secret() {
    let server = server();
    let (sink, store) = (server.sink(), server.store());
    let config = Config::bucket(server.config());
    let writer = sink.write_partition(&key(), &run(1)).await.unwrap();
    let refusal = Effect::Refused(Answer::Error(403, "AccessDenied"));
    server.habit(Habit::always(Op::List, refusal));
    let error = sink.write_partition(&key(), &run(1)).await.unwrap_err();
    for shown in [
        format!("{config:?}{config:#?}"),
        format!("{sink:?}{sink:#?}"),
        format!("{store:?}{store:#?}"),
        format!("{writer:?}{writer:#?}"),
        format!("{error}{error:?}{error:#?}"),
    ] {
        assert_hidden(&shown);
        assert!(shown.len() < 8000, "nobody reads that: {shown}");
    }
    let panicking = AssertUnwindSafe(|| panic!("{:?}", (&config, &store)));
    let panicked = panic::catch_unwind(panicking).unwrap_err();
    let said = panicked.downcast_ref::<String>().unwrap();
    assert!(said.contains("id: (hidden)"), "{said}");
    assert_hidden(said);
}

#[tokio::test]
async fn g17_sdk_logs_contain_no_secret() {
    let (server, log) = (server(), Log::default());
    let guard = log.listen();
    seal(&server.sink(), &key(), &run(1), &rows("mine", 2000)).await.unwrap();
    drop(guard);
    let text = log.text();
    assert!(text.contains("signing request"), "the SDK says nothing: {text}");
    // A key's id is no secret for the SDK: every request contains it.
    assert_hidden(&text.replace(ACCESS_KEY, "id"));
}

#[tokio::test]
async fn g17_a_secret_echoed_by_the_server_is_hidden() {
    let server = server();
    for answer in [
        Answer::Said("InvalidToken: this-is-the-session-token of AKIDTEST"),
        Answer::Said("the signature of this-is-the-secret does not match"),
    ] {
        server.behave();
        server.habit(Habit::always(Op::List, Effect::Refused(answer)));
        let error = first_error(&server.store()).await;
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(error.message().contains("(hidden)"), "{error}");
        assert_hidden(&format!("{error:?}"));
    }
}

#[tokio::test]
async fn g17_a_secret_is_hidden_in_each_part_of_an_error_and_of_the_log() {
    const BASE64: &str = "dGhpcy1pcy10aGUtc2Vzc2lvbi10b2tlbg==";
    const ENCODED: &str = "this%2Dis%2dthe-SESSION-token";
    let server = server();
    let told = |code, message, request_id| Answer::Told { code, message, request_id };
    for (answer, shown) in [
        (
            told("AKIDTEST", "this&#45;is-the-session-token", "id-AKIDTEST-this-is-the-secret"),
            "403 (malformed): (hidden) [request id-(hidden)-(hidden)]",
        ),
        (told("Denied", BASE64, BASE64), "403 Denied: (hidden)== [request (hidden)==]"),
        (told("Denied", ENCODED, "a b"), "403 Denied: (hidden) [request (malformed)]"),
        (told("De nied", "&lt;a&gt;", "\tx"), "403 (malformed): <a> [request (malformed)]"),
    ] {
        server.behave();
        server.habit(Habit::always(Op::List, Effect::Refused(answer)));
        let log = Log::default();
        let guard = log.listen();
        let error = first_error(&server.store()).await;
        drop(guard);
        assert!(error.message().starts_with(&format!("the server answered {shown}")), "{error}");
        assert_eq!(error.kind(), ErrorKind::Denied);
        let own = log.text();
        let own = own.lines().filter(|line| line.contains("rawsink::")).collect::<Vec<_>>();
        assert!(own.iter().any(|line| line.contains("GET http")), "{own:?}");
        for text in [format!("{error:?}"), own.join("\n")] {
            assert_hidden(&text);
            assert!(!text.contains(BASE64) && !text.contains(ENCODED), "{text}");
        }
    }
}

#[tokio::test]
async fn g17_a_secret_in_an_upload_id_is_not_logged() {
    let (server, log) = (server(), Log::default());
    let created = "<InitiateMultipartUploadResult><UploadId>this-is-the-session-token</UploadId>\
        </InitiateMultipartUploadResult>";
    let listed = "<ListMultipartUploadsResult><Upload><Key>raw/zone/google_ads/customer_id=1234567890/\
        query_name=campaign/logical_date=2024-06-01/run_id=2024-06-02T04:05:06.001Z/payload.jsonl</Key>\
        <UploadId>this-is-the-session-token</UploadId></Upload></ListMultipartUploadsResult>";
    for (op, document) in [(Op::Create, created), (Op::Uploads, listed)] {
        server.habit(Habit::always(op, Effect::Refused(Answer::Document(document))));
    }
    let guard = log.listen();
    seal(&server.sink(), &key(), &run(1), &rows("mine", 20_000)).await.unwrap_err();
    drop(guard);
    let text = log.text();
    let own = text.lines().filter(|line| line.contains(" rawsink::")).collect::<Vec<_>>();
    assert!(own.iter().any(|line| line.contains("uploadId=(hidden)")), "{own:#?}");
    assert_hidden(&own.join("\n"));
}

#[tokio::test]
async fn g17_an_unreachable_endpoint_or_proxy_reveals_no_secret() {
    let server = server();
    let through = || Proxy::Through(ProxyUrl::parse(PROXY).unwrap());
    for (endpoint, proxy, seen) in [
        ("http://127.0.0.1:1", Proxy::Direct, "http://127.0.0.1:1: "),
        ("https://127.0.0.1:1", Proxy::Direct, "https://127.0.0.1:1: "),
        (
            "https://127.0.0.1:1",
            through(),
            "via the proxy http://proxy..invalid:1: io error: tunnel",
        ),
    ] {
        let builder = server.config().to_builder().part_bytes(MIN_PART_BYTES);
        let config = builder.endpoint_url(endpoint).proxy(proxy).build().unwrap();
        let log = Log::default();
        let guard = log.listen();
        let store = S3Store::new(&config, server.runtime()).unwrap();
        let error = first_error(&store).await;
        drop(guard);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains(seen), "{error}");
        let shown = format!("{error} {error:?} {store:?} {config:?} {}", log.text());
        assert_hidden(&shown.replace(ACCESS_KEY, "id"));
    }
}
