//! Each behaviour, and each way not to behave so.

use super::*;

type Bucket = Server<String, Text, u8>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Text(String);

impl Body for Text {
    fn bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn join<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        Self(parts.map(|part| part.0.as_str()).collect())
    }
}

fn at(name: u64) -> Moment {
    Moment { time: 7, name }
}

fn key() -> String {
    "run/payload".to_owned()
}

fn put(token: u8) -> Request<String, Text, u8> {
    Request::Create { key: key(), body: Text(format!("by {token}")), token }
}

/// A server with an upload 1 of two parts, by writer 1.
fn with_upload(change: impl FnOnce(&mut Behaviour)) -> Bucket {
    let mut behaviour = Behaviour::default();
    change(&mut behaviour);
    let mut bucket = Server::new(behaviour);
    bucket.apply(Request::CreateUpload { key: key(), token: 1 }, at(1));
    for (number, text) in [(2, "b"), (1, "a")] {
        let body = Text(text.to_owned());
        bucket.apply(
            Request::UploadPart { upload: 1, number, body },
            at(number.unsigned_abs().into()),
        );
    }
    bucket
}

fn complete(condition: Condition) -> Request<String, Text, u8> {
    Request::Complete { upload: 1, parts: vec![(1, 1), (2, 2)], condition }
}

fn head(bucket: &mut Bucket) -> Option<(u64, u64, u64, Option<u8>)> {
    let Reply::Head(head) = bucket.apply(Request::Head { key: key() }, at(0)) else {
        panic!("no head");
    };
    head.map(|head| (head.tag, head.modified, head.bytes, head.token))
}

fn uploads(bucket: &mut Bucket) -> Vec<u64> {
    let Reply::Uploads(found) = bucket.apply(Request::ListUploads { key: key() }, at(0)) else {
        panic!("no uploads");
    };
    found.into_iter().map(|upload| upload.id).collect()
}

#[test]
fn an_object_is_created_once() {
    let mut bucket = Bucket::new(Behaviour::default());
    assert_eq!(bucket.apply(put(1), at(5)), Reply::Created(5));
    assert_eq!(bucket.apply(put(2), at(6)), Reply::Refused(Refusal::PreconditionFailed));
    assert_eq!(head(&mut bucket), Some((5, 7, 4, Some(1))));
}

#[test]
fn an_upload_becomes_the_object_of_its_parts_and_is_gone() {
    let mut bucket = with_upload(|_| ());
    assert_eq!(uploads(&mut bucket), [1]);
    let wrong =
        Request::Complete { upload: 1, parts: vec![(1, 9)], condition: Condition::CreateOnly };
    assert_eq!(bucket.apply(wrong, at(8)), Reply::Refused(Refusal::InvalidPart));
    assert_eq!(bucket.apply(complete(Condition::CreateOnly), at(8)), Reply::Completed(Some(8)));
    assert_eq!((head(&mut bucket), uploads(&mut bucket)), (Some((8, 7, 2, Some(1))), vec![]));
    let Reply::Content(Some((_, body))) = bucket.apply(Request::Get { key: key() }, at(0)) else {
        panic!("no content");
    };
    assert_eq!(body.0, "ab");
}

#[test]
fn a_condition_on_complete_is_enforced_or_ignored_and_a_refused_upload_stays() {
    for (conditions, condition, applied) in [
        (Conditions::Enforced, Condition::CreateOnly, false),
        (Conditions::Enforced, Condition::Replace, true),
        (Conditions::Ignored, Condition::CreateOnly, true),
    ] {
        let mut bucket = with_upload(|behaviour| behaviour.conditions = conditions);
        bucket.apply(put(2), at(5));
        let reply = bucket.apply(complete(condition), at(8));
        assert_eq!(reply == Reply::Completed(Some(8)), applied, "{conditions:?} {condition:?}");
        assert_eq!(uploads(&mut bucket).is_empty(), applied);
        assert_eq!(head(&mut bucket).map(|head| head.0), Some(if applied { 8 } else { 5 }));
    }
}

#[test]
fn a_second_complete_is_answered_as_the_server_does() {
    for (second_complete, answer) in [
        (SecondComplete::NoSuchUpload, Reply::Refused(Refusal::NoSuchUpload)),
        (SecondComplete::SameTag, Reply::Completed(Some(8))),
        (SecondComplete::EmptyTag, Reply::Completed(None)),
    ] {
        let mut bucket = with_upload(|behaviour| behaviour.second_complete = second_complete);
        bucket.apply(complete(Condition::CreateOnly), at(8));
        assert_eq!(bucket.apply(complete(Condition::CreateOnly), at(9)), answer);
        assert_eq!(head(&mut bucket).map(|head| head.0), Some(8));
    }
}

#[test]
fn a_complete_of_what_is_gone_may_be_answered_by_what_is_there() {
    let gone = |behaviour: &mut Behaviour| {
        behaviour.second_complete = SecondComplete::TagOfWhatIsThere;
    };
    let mut bucket = with_upload(gone);
    assert_eq!(bucket.apply(complete(Condition::CreateOnly), at(8)), Reply::Completed(None));
    assert_eq!(bucket.apply(complete(Condition::CreateOnly), at(9)), Reply::Completed(Some(8)));
    let mut bucket = with_upload(gone);
    bucket.apply(Request::Abort { upload: 1 }, at(0));
    let reply = bucket.apply(complete(Condition::CreateOnly), at(8));
    assert_eq!(reply, Reply::Refused(Refusal::InProgress));
    bucket.apply(put(2), at(5));
    assert_eq!(bucket.apply(complete(Condition::CreateOnly), at(8)), Reply::Completed(Some(5)));
    assert_eq!(head(&mut bucket), Some((5, 7, 4, Some(2))), "nothing was applied");
    bucket.forget_gone(|_| false);
    let reply = bucket.apply(complete(Condition::CreateOnly), at(8));
    assert_eq!(reply, Reply::Refused(Refusal::NoSuchUpload));
}

#[test]
fn an_upload_that_was_ended_is_gone_unless_a_late_part_lists_it_again() {
    for late_part in [LatePart::Refused, LatePart::ListsUploadAgain] {
        let mut bucket = with_upload(|behaviour| behaviour.late_part = late_part);
        assert_eq!(bucket.apply(Request::Abort { upload: 1 }, at(0)), Reply::Aborted);
        assert_eq!(uploads(&mut bucket), [0_u64; 0]);
        let part = Request::UploadPart { upload: 1, number: 1, body: Text("a".to_owned()) };
        bucket.apply(part, at(3));
        let again = late_part == LatePart::ListsUploadAgain;
        assert_eq!(uploads(&mut bucket).len(), usize::from(again));
        let refused = Reply::Refused(Refusal::NoSuchUpload);
        assert_eq!(bucket.apply(complete(Condition::Replace), at(8)), refused);
        let end = bucket.apply(Request::Abort { upload: 1 }, at(0));
        assert_eq!(end, if again { Reply::Aborted } else { refused });
        assert_eq!(uploads(&mut bucket), [0_u64; 0]);
    }
}

#[test]
fn an_abort_that_meets_a_complete_ends_it_or_ruins_the_object() {
    for ruins in [false, true] {
        let mut bucket = with_upload(|behaviour| {
            behaviour.abort_meeting_complete =
                if ruins { AbortMeetingComplete::Ruins } else { AbortMeetingComplete::EndsIt };
        });
        let (parts, condition) = (vec![(1, 1), (2, 2)], Condition::CreateOnly);
        bucket.begin_complete(1, parts.clone(), condition).unwrap();
        assert_eq!((head(&mut bucket), uploads(&mut bucket)), (None, vec![1]));
        let twice = bucket.begin_complete(1, parts, condition);
        assert_eq!(twice, Err(Reply::Refused(Refusal::InProgress)));
        assert_eq!(bucket.apply(Request::Abort { upload: 1 }, at(0)), Reply::Aborted);
        assert_eq!((uploads(&mut bucket), bucket.is_completing(1)), (vec![], ruins));
        let end = bucket.end_complete(1, at(8));
        if !ruins {
            assert_eq!(end, Reply::Refused(Refusal::NoSuchUpload));
            continue;
        }
        assert_eq!(end, Reply::Completed(Some(8)));
        let get = Request::Get { key: key() };
        assert!(matches!(bucket.apply(get.clone(), at(0)), Reply::Content(Some(_))));
        bucket.collect_garbage();
        assert_eq!(bucket.apply(get, at(0)), Reply::Content(None));
        assert!(head(&mut bucket).is_some());
    }
}

#[test]
fn a_listing_comes_in_pages_and_shows_no_tokens() {
    let mut bucket = Bucket::new(Behaviour { page_keys: 2, ..Behaviour::default() });
    for (name, key) in ["a/1", "b/1", "b/2", "b/3"].into_iter().enumerate() {
        let body = Text(String::new());
        bucket.apply(Request::Create { key: key.to_owned(), body, token: 1 }, at(name as u64));
    }
    let mut list = |after: Option<&str>| {
        let (prefix, after) = ("b/".to_owned(), after.map(str::to_owned));
        let Reply::Listed(page, next) = bucket.apply(Request::List { prefix, after }, at(0)) else {
            panic!("no listing");
        };
        assert!(page.iter().all(|(_, head)| head.token.is_none()));
        (page.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), next)
    };
    assert_eq!(list(None), (vec!["b/1".to_owned(), "b/2".to_owned()], Some("b/2".to_owned())));
    assert_eq!(list(Some("b/2")), (vec!["b/3".to_owned()], None));
}

#[test]
fn uploads_are_listed_below_a_prefix_page_by_page_as_the_server_does() {
    for (listing, prefix, found) in [
        (UploadListing::ByPrefix, "", 3),
        (UploadListing::ByPrefix, "run/", 2),
        (UploadListing::ByKey, "", 3),
        (UploadListing::ByKey, "run/", 0),
        (UploadListing::ByKey, "run/payload", 2),
    ] {
        let mut bucket = with_upload(|behaviour| {
            (behaviour.upload_listing, behaviour.page_keys) = (listing, 1);
        });
        bucket.apply(Request::CreateUpload { key: "a".to_owned(), token: 1 }, at(9));
        bucket.apply(Request::CreateUpload { key: key(), token: 1 }, at(8));
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let request = Request::ListUploadsBelow { prefix: prefix.to_owned(), after };
            let Reply::UploadPage(page, next) = bucket.apply(request, at(0)) else {
                panic!("no page");
            };
            ids.extend(page.iter().map(|(_, open)| open.id));
            after = next;
            if after.is_none() {
                break;
            }
        }
        let expected: &[u64] = match found {
            0 => &[],
            2 => &[1, 8],
            _ => &[9, 1, 8],
        };
        assert_eq!(ids, expected, "{listing:?} {prefix}");
    }
}

#[test]
fn parts_are_added_up_and_those_of_no_upload_are_not() {
    let mut bucket = with_upload(|_| ());
    let parts = |upload| Request::ListParts { upload };
    assert_eq!(bucket.apply(parts(1), at(0)), Reply::Parts(2, None));
    assert_eq!(bucket.apply(parts(2), at(0)), Reply::Refused(Refusal::NoSuchUpload));
}

#[test]
fn a_delete_takes_what_is_there_unless_it_is_another_and_the_server_minds() {
    for (conditions, tag, stays) in [
        (Conditions::Enforced, Some(4), true),
        (Conditions::Enforced, Some(5), false),
        (Conditions::Enforced, None, false),
        (Conditions::Ignored, Some(4), false),
    ] {
        let mut bucket = with_upload(|behaviour| behaviour.conditions = conditions);
        bucket.apply(put(2), at(5));
        let reply = bucket.apply(Request::Delete { key: key(), tag }, at(0));
        let refused = Reply::Refused(Refusal::PreconditionFailed);
        assert_eq!(reply, if stays { refused } else { Reply::Deleted });
        assert_eq!(head(&mut bucket).is_some(), stays, "{conditions:?} {tag:?}");
        let again = bucket.apply(Request::Delete { key: key(), tag: None }, at(0));
        assert_eq!(again, Reply::Deleted, "what is not there is fine");
    }
}

#[test]
fn the_end_of_an_upload_that_was_completed_and_is_listed_takes_its_object() {
    let mut bucket = with_upload(|_| ());
    bucket.apply(complete(Condition::CreateOnly), at(8));
    bucket.leave_completed(1, &key());
    assert_eq!(uploads(&mut bucket), [1]);
    assert_eq!(bucket.apply(Request::ListParts { upload: 1 }, at(0)), Reply::Parts(2, None));
    let again = bucket.apply(complete(Condition::CreateOnly), at(9));
    assert_eq!(again, Reply::Refused(Refusal::NoSuchUpload));
    assert_eq!(bucket.apply(Request::Abort { upload: 1 }, at(0)), Reply::Aborted);
    bucket.collect_garbage();
    assert!(head(&mut bucket).is_some(), "it looks whole");
    assert_eq!(bucket.apply(Request::Get { key: key() }, at(0)), Reply::Content(None));
}
