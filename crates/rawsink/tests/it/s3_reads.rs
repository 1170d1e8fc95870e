//! Readers and listings over an S3 server that interrupts replies.

use futures_util::{StreamExt, TryStreamExt};
use rawsink::{
    ErrorKind, PartitionKey, Result,
    partition::Selection,
    store::{Object, Store, StorePath},
};

use rawsink_testkit::{
    s3_server::{Answer, Effect, Habit, Objects, Op, S3Server, key_of},
    sample::{key, path, read, rows, run, seal},
};

/// Returns a server with a sealed run of about 100 KB, and its rows.
async fn sealed() -> (S3Server, Vec<String>) {
    let (server, rows) = (S3Server::default(), rows("mine", 2000));
    seal(&server.sink(), &key(), &run(1), &rows).await.unwrap();
    (server, rows)
}

async fn read_run(server: &S3Server) -> Result<Vec<String>> {
    read(&server.sink(), &key(), &run(1)).await
}

#[tokio::test]
async fn g10_an_interrupted_get_resumes_at_its_offset() {
    let (server, rows) = sealed().await;
    let before = server.count(Op::Get);
    for bytes in [0, 1, 1000, 50_000] {
        server.habit(Habit::once(Op::Get, Effect::Cut(bytes)).on(Object::Payload.file_name()));
    }
    assert_eq!(read_run(&server).await.unwrap(), rows);
    assert_eq!(server.count(Op::Get) - before, 1 + 5, "the seal once, the payload with each cut");
}

#[tokio::test]
async fn g10_a_reader_never_mixes_a_payload_with_the_one_that_replaced_it() {
    fn replace(objects: &mut Objects) {
        let key = key_of(&path(&key(), &run(1)), Object::Payload);
        let same = objects.objects.get(&key).unwrap().body.clone();
        objects.tamper(&key, Some(&same));
    }
    let (server, rows) = sealed().await;
    server.habit(Habit::once(Op::Get, Effect::Cut(1000)).on(Object::Payload.file_name()));
    server.habit(Habit::once(Op::Get, Effect::After(replace)).on(Object::Payload.file_name()));
    let replaced = read_run(&server).await.unwrap_err();
    assert_eq!(replaced.kind(), ErrorKind::Unavailable, "{replaced}");
    assert_eq!(read_run(&server).await.unwrap(), rows);
}

#[tokio::test]
async fn a_get_that_repeatedly_returns_nothing_fails() {
    let (server, _) = sealed().await;
    server.habit(Habit::always(Op::Get, Effect::Cut(0)).on(Object::Payload.file_name()));
    assert_eq!(read_run(&server).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_get_that_repeatedly_returns_a_few_bytes_fails() {
    let (server, _) = sealed().await;
    let before = server.count(Op::Get);
    server.habit(Habit::always(Op::Get, Effect::Cut(1)).on(Object::Payload.file_name()));
    assert_eq!(read_run(&server).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(server.count(Op::Get) - before < 20);
}

#[tokio::test]
async fn a_reader_retries_transient_errors_and_reports_permanent_ones() {
    let (server, rows) = sealed().await;
    for answer in [Answer::Closed, Answer::Error(503, "SlowDown"), Answer::Html(429)] {
        server.habit(Habit::once(Op::Get, Effect::Refused(answer)));
    }
    assert_eq!(read_run(&server).await.unwrap(), rows);
    server.habit(Habit::always(Op::Get, Effect::Refused(Answer::Error(403, "AccessDenied"))));
    assert_eq!(read_run(&server).await.unwrap_err().kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn a_listing_spans_pages_and_skips_known_names() {
    let server = S3Server::default();
    for (dir, runs) in [("a", 2400), ("a-b", 10), ("b", 10), ("c", 10)] {
        for n in 0..runs {
            let run = StorePath::root().join(dir).join(&format!("{n:04}"));
            server.tamper(&run, Object::Payload, Some(b""));
            server.tamper(&run, Object::Seal, Some(b"{}"));
        }
    }
    let (store, root) = (server.store(), StorePath::root());
    let found: Vec<_> = store.walk(&root).try_collect().await.unwrap();
    let paths: Vec<String> = found
        .iter()
        .map(|stored| format!("{}/{}", stored.dir, stored.object.file_name()))
        .collect();
    assert_eq!(paths.len(), 4860);
    assert!(paths.is_sorted(), "in the order of keys");
    assert_eq!(server.count(Op::List), 5, "1000 keys a page");
    let names: Vec<String> = store.children(&root).try_collect().await.unwrap();
    assert_eq!(names, ["a", "a-b", "b", "c"]);
    assert_eq!(server.count(Op::List), 5 + 2, "the rest of the first child is leapt over");
}

#[tokio::test]
async fn any_number_of_landed_partitions_is_one_listing() {
    let server = S3Server::default();
    for customer in 0..50 {
        for day in 1..=28 {
            let (customer, date) = (customer.to_string(), format!("2024-06-{day:02}"));
            let key = PartitionKey::new("ads", &customer, "campaign", &date).unwrap();
            server.tamper(&path(&key, &run(1)), Object::Payload, Some(b""));
            server.tamper(&path(&key, &run(1)), Object::Seal, Some(b"{}"));
        }
    }
    let sink = server.sink();
    let landed: Vec<_> = sink.landed(&Selection::default()).try_collect().await.unwrap();
    assert_eq!(landed.len(), 1400);
    assert_eq!(server.count(Op::List), 3, "2,800 objects, 1,000 a page");
    server.habit(
        Habit::always(Op::List, Effect::Refused(Answer::Error(403, "AccessDenied"))).skipping(1),
    );
    let cut: Vec<_> = sink.landed(&Selection::default()).collect().await;
    let (last, whole) = cut.split_last().unwrap();
    let last = last.as_ref().unwrap_err();
    assert_eq!((last.error.kind(), last.place.as_ref()), (ErrorKind::Denied, None));
    let whole: Vec<_> = whole.iter().map(|landed| landed.as_ref().unwrap().clone()).collect();
    assert_eq!(whole, landed[..whole.len()], "what came before is complete");
    assert_eq!(whole.len(), 499, "of the last of the page nobody knows whether more follows");
}

#[tokio::test]
async fn g10_a_reply_that_ignores_the_range_is_not_the_rest() {
    let (server, rows) = sealed().await;
    server.habit(Habit::once(Op::Get, Effect::Cut(1000)).on(Object::Payload.file_name()));
    server.habit(Habit::once(Op::Get, Effect::Whole).on(Object::Payload.file_name()));
    assert_eq!(read_run(&server).await.unwrap(), rows, "the next answer was right");
    server.habit(Habit::once(Op::Get, Effect::Cut(1000)).on(Object::Payload.file_name()));
    server.habit(Habit::always(Op::Get, Effect::Whole).on(Object::Payload.file_name()));
    assert_eq!(read_run(&server).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn the_404_of_a_gateway_is_no_missing_object() {
    let (server, rows) = sealed().await;
    let gateway = |op| Habit::always(op, Effect::Refused(Answer::Html(404)));
    server.habit(gateway(Op::Get));
    let error = read_run(&server).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let shown = "the server answered 404: it is not from S3: \"Too many requests\"";
    assert!(error.message().contains(shown), "{error}");
    server.behave();
    for op in [Op::Get, Op::List] {
        server.habit(Habit::always(op, Effect::Refused(Answer::Empty(404))));
    }
    for error in [
        read_run(&server).await.unwrap_err(),
        server.sink().inspect(&key(), &run(2)).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.message().contains("the server answered 404"), "{error}");
    }
    server.behave();
    server.habit(gateway(Op::Head));
    let error = server.sink().inspect(&key(), &run(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("finds nothing, but the object is there"), "{error}");
    server.behave();
    assert_eq!(read_run(&server).await.unwrap(), rows);
    // A run that no listing shows is absent.
    let other = server.sink().inspect(&key(), &run(2)).await.unwrap();
    assert!(other.seal.is_none() && other.payload.is_none(), "{other:?}");
}

#[tokio::test]
async fn a_truncated_listing_without_a_marker_is_not_the_end() {
    let page = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
    let server = S3Server::default();
    server.habit(Habit::always(Op::List, Effect::Refused(Answer::Document(page))));
    let names: Result<Vec<String>> =
        server.store().children(&StorePath::root()).try_collect().await;
    let error = names.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

/// A page with one sealed run, of another source than the one that is listed. More follows.
const SAME_PAGE: &str = "<ListBucketResult><IsTruncated>true</IsTruncated><Contents>\
    <Key>raw/zone/crm/customer_id=1/query_name=q/logical_date=2024-06-01/run_id=r/metadata.json</Key>\
    <Size>2</Size></Contents></ListBucketResult>";

#[tokio::test]
async fn a_listing_that_repeats_a_page_ends() {
    let server = S3Server::default();
    server.habit(Habit::always(Op::List, Effect::Refused(Answer::Document(SAME_PAGE))));
    let (store, root) = (server.store(), StorePath::root());
    let walked: Vec<Result<_>> = store.walk(&root).take(10).collect().await;
    let [Ok(_), Err(error)] = walked.as_slice() else { panic!("{walked:?}") };
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let names: Result<Vec<String>> = store.children(&root).try_collect().await;
    assert_eq!(names.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_listing_of_uploads_that_goes_round_ends() {
    const PAGES: [&str; 2] = [
        "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker>\
         </ListMultipartUploadsResult>",
        "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>b</NextKeyMarker>\
         </ListMultipartUploadsResult>",
    ];
    let server = S3Server::default();
    for page in PAGES.iter().cycle().take(100) {
        server.habit(Habit::once(Op::Uploads, Effect::Refused(Answer::Document(page))));
    }
    let found: Vec<Result<_>> =
        server.store().leftovers(&StorePath::root()).take(10).collect().await;
    let [Err(error)] = found.as_slice() else { panic!("{found:?}") };
    assert!(error.message().contains("a truncated list of uploads that does not go on"), "{error}");
}

#[tokio::test]
async fn a_key_with_an_empty_segment_has_no_name() {
    let page = "<ListBucketResult><Contents><Key>raw/zone//run_id=r/metadata.json</Key><Size>2</Size>\
                </Contents></ListBucketResult>";
    let server = S3Server::default();
    server.habit(Habit::always(Op::List, Effect::Refused(Answer::Document(page))));
    let names: Vec<String> =
        server.store().children(&StorePath::root()).try_collect().await.unwrap();
    assert_eq!(names, Vec::<String>::new());
}

#[tokio::test]
async fn impossible_lengths_of_parts_are_no_panic() {
    const UPLOADS: &str = "<ListMultipartUploadsResult><Upload><UploadId>u</UploadId><Key>\
        raw/zone/ads/customer_id=1/query_name=q/logical_date=2024-06-01/run_id=r/payload.jsonl\
        </Key></Upload></ListMultipartUploadsResult>";
    const PARTS: &str = "<ListPartsResult><Part><Size>9223372036854775807</Size></Part>\
        <Part><Size>9223372036854775807</Size></Part><Part><Size>2</Size></Part></ListPartsResult>";
    let server = S3Server::default();
    server.habit(Habit::always(Op::Uploads, Effect::Refused(Answer::Document(UPLOADS))));
    server.habit(Habit::always(Op::Parts, Effect::Refused(Answer::Document(PARTS))));
    let found: Vec<_> = server.store().leftovers(&StorePath::root()).try_collect().await.unwrap();
    assert_eq!(found[0].bytes, u64::MAX);
}

#[tokio::test]
async fn a_listing_shows_nothing_outside_the_listed_place() {
    let server = S3Server::default();
    server.habit(Habit::always(Op::List, Effect::Refused(Answer::Document(SAME_PAGE))));
    let walked = server.store().walk(&StorePath::root().join("ads")).take(10);
    let walked: Vec<Result<_>> = walked.collect().await;
    assert!(matches!(walked.as_slice(), [Err(_)]), "{walked:?}");
}
