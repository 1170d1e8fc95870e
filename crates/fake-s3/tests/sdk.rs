//! The AWS SDK talks to the server without a socket.

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Credentials, Region, RequestChecksumCalculation,
        ResponseChecksumValidation, StalledStreamProtectionConfig, retry::RetryConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
    types::{CompletedMultipartUpload, CompletedPart},
};
use fake_s3::{
    Behaviour, ObjectVersioning, PageLimits,
    http::{Access, Answer, Effect, FakeServer, Habit, Op},
};

const ACCESS: Access = Access { bucket: "landing", key_id: "AKIDTEST", secret: "secret" };

fn client(server: &FakeServer) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url("http://s3.test")
        .force_path_style(true)
        .credentials_provider(Credentials::new(ACCESS.key_id, ACCESS.secret, None, None, "test"))
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .http_client(server.http_client());
    Client::from_conf(config.build())
}

fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

#[tokio::test]
async fn an_object_is_created_once_and_read_back() {
    let server = FakeServer::new(ACCESS, Behaviour::default());
    let client = client(&server);
    let put = || {
        let put = client.put_object().bucket("landing").key("a").if_none_match("*");
        put.metadata("writer", "one").body(b"content".to_vec().into()).send()
    };
    put().await.unwrap();
    assert_eq!(code(&put().await.unwrap_err()), Some("PreconditionFailed"));
    let got = client.get_object().bucket("landing").key("a").range("bytes=3-").send();
    let got = got.await.unwrap();
    assert_eq!(got.metadata().unwrap()["writer"], "one");
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"tent");
    let other = client.head_object().bucket("other").key("a").send().await;
    assert_eq!(other.unwrap_err().raw_response().unwrap().status().as_u16(), 404);
    assert_eq!((server.count(Op::Put), server.request_count()), (2, 4));
}

#[tokio::test]
async fn an_upload_completes_once() {
    let server = FakeServer::new(ACCESS, Behaviour::default());
    let client = client(&server);
    let created = client.create_multipart_upload().bucket("landing").key("a").send();
    let id = created.await.unwrap().upload_id.unwrap();
    let part = client.upload_part().bucket("landing").key("a").upload_id(&id).part_number(1);
    let tag = part.body(b"content".to_vec().into()).send().await.unwrap().e_tag.unwrap();
    let listed = client.list_multipart_uploads().bucket("landing").send().await.unwrap();
    assert_eq!(listed.uploads()[0].upload_id(), Some(id.as_str()));
    let parts = client.list_parts().bucket("landing").key("a").upload_id(&id).send();
    assert_eq!(parts.await.unwrap().parts()[0].size(), Some(7));
    let complete = || {
        let part = CompletedPart::builder().part_number(1).e_tag(&tag).build();
        let parts = CompletedMultipartUpload::builder().parts(part).build();
        let complete = client.complete_multipart_upload().bucket("landing").key("a");
        complete.upload_id(&id).multipart_upload(parts).if_none_match("*").send()
    };
    complete().await.unwrap();
    assert_eq!(code(&complete().await.unwrap_err()), Some("NoSuchUpload"));
    let abort = client.abort_multipart_upload().bucket("landing").key("a").upload_id("unknown");
    assert_eq!(code(&abort.send().await.unwrap_err()), Some("NoSuchUpload"));
}

#[tokio::test]
async fn keys_and_versions_are_listed_page_by_page() {
    let page_limits = PageLimits { objects: 2, versions: 2, ..PageLimits::default() };
    let behaviour =
        Behaviour { versioning: ObjectVersioning::On, page_limits, ..Behaviour::default() };
    let server = FakeServer::new(ACCESS, behaviour);
    let client = client(&server);
    for key in ["a", "b", "c"] {
        server.bucket().tamper(key, Some(b""));
    }
    let first = client.list_objects_v2().bucket("landing").send().await.unwrap();
    let rest = client.list_objects_v2().bucket("landing").start_after("b").send().await.unwrap();
    assert_eq!((first.contents().len(), rest.contents().len()), (2, 1));
    assert_eq!((first.is_truncated(), rest.is_truncated()), (Some(true), Some(false)));
    client.delete_object().bucket("landing").key("a").send().await.unwrap();
    let first = client.list_object_versions().bucket("landing").send().await.unwrap();
    let rest = client
        .list_object_versions()
        .bucket("landing")
        .set_key_marker(first.next_key_marker)
        .set_version_id_marker(first.next_version_id_marker);
    let rest = rest.send().await.unwrap();
    assert_eq!((rest.versions().len(), rest.delete_markers().len()), (1, 1));
}

#[tokio::test]
async fn a_habit_affects_the_requests_that_it_names() {
    let server = FakeServer::new(ACCESS, Behaviour::default());
    let client = client(&server);
    server.bucket().tamper("run/a", Some(b"content"));
    let refused = Effect::Refused(Answer::Closed);
    server.add_habit(Habit::once(Op::Get, refused).on("a").skipping(1));
    let get = || client.get_object().bucket("landing").key("run/a").send();
    assert!(get().await.is_ok());
    assert!(matches!(get().await.unwrap_err(), SdkError::DispatchFailure(_)));
    assert!(get().await.is_ok());
    assert_eq!(server.met_habits(), 1);
    server.clear_habits();
    server.add_habit(Habit::always(Op::Get, Effect::Cut(3)));
    assert!(get().await.unwrap().body.collect().await.is_err());
    server.clear_habits();
    assert!(get().await.unwrap().body.collect().await.is_ok());
    // The date of a wrong answer misleads the SDK's signer, so it comes last.
    server.add_habit(Habit::once(Op::Get, Effect::Lost(Answer::Error(503, "SlowDown"))));
    assert_eq!(code(&get().await.unwrap_err()), Some("SlowDown"));
}
