//! Multipart uploads, their aborts and their parts.

use super::*;
use crate::{AbortOfMissing, AbortedUpload, PageLimits, PartLimits};

const GONE: Result<(), ErrorCode> = Err(ErrorCode::NoSuchUpload);

#[test]
fn an_aborted_upload_is_gone_unless_a_late_part_lists_it_again() {
    for aborted_upload in [AbortedUpload::Gone, AbortedUpload::ListedAfterLatePart] {
        let mut bucket = with_upload(|behaviour| behaviour.aborted_upload = aborted_upload);
        bucket.abort(1).unwrap();
        assert_eq!(upload_ids(&mut bucket), [0_u64; 0]);
        let again = aborted_upload == AbortedUpload::ListedAfterLatePart;
        assert_eq!(bucket.aborted_uploads().count(), usize::from(again));
        assert_eq!(bucket.upload_part(1, 1, "a".into(), stamp(3)).is_ok(), again);
        assert_eq!(upload_ids(&mut bucket).len(), usize::from(again));
        assert_eq!(bucket.open_uploads().count(), 0);
        assert_eq!(complete(&mut bucket, 8), Err(ErrorCode::NoSuchUpload));
        assert_eq!(bucket.abort(1), if again { Ok(()) } else { GONE });
        assert_eq!(upload_ids(&mut bucket), [0_u64; 0]);
    }
}

#[test]
fn an_aborted_upload_may_be_listed_again_on_demand_alone() {
    let mut bucket = with_upload(|behaviour| {
        behaviour.aborted_upload = AbortedUpload::ListedOnDemand;
    });
    bucket.abort(1).unwrap();
    assert_eq!(bucket.upload_part(1, 1, "a".into(), stamp(3)), Err(ErrorCode::NoSuchUpload));
    assert_eq!(upload_ids(&mut bucket), [0_u64; 0]);
    bucket.list_again(1);
    assert_eq!(upload_ids(&mut bucket), [1]);
    assert_eq!(complete(&mut bucket, 8), Err(ErrorCode::NoSuchUpload));
}

#[test]
fn an_aborted_upload_may_be_listed_a_number_of_times() {
    let mut bucket = with_upload(|behaviour| {
        behaviour.aborted_upload = AbortedUpload::ListedTimes(3);
    });
    bucket.abort(1).unwrap();
    assert!(bucket.uploads.is_empty());
    assert_eq!(bucket.abort(1), GONE);
    assert_eq!(bucket.list_uploads(&"other/".to_owned(), None).uploads, []);
    assert_eq!(bucket.list_uploads(&"run/".to_owned(), None).uploads.len(), 1);
    assert_eq!(upload_ids(&mut bucket), [1]);
    assert_eq!((upload_ids(&mut bucket), upload_ids(&mut bucket)), (vec![1], vec![]));
    assert_eq!(bucket.upload_part(1, 1, "a".into(), stamp(3)), Err(ErrorCode::NoSuchUpload));
}

#[test]
fn an_aborted_upload_completes_on_a_server_that_allows_it() {
    let mut bucket = with_upload(|behaviour| {
        behaviour.aborted_upload = AbortedUpload::Completable;
    });
    bucket.abort(1).unwrap();
    assert_eq!(upload_ids(&mut bucket), [0_u64; 0]);
    assert_eq!(complete(&mut bucket, 8), Ok(Some(8)));
    assert_eq!(content(&bucket), Some(&b"ab"[..]));
}

#[test]
fn an_abort_of_a_missing_upload_fails_or_succeeds() {
    for (abort_of_missing, answer) in
        [(AbortOfMissing::NoSuchUpload, GONE), (AbortOfMissing::Success, Ok(()))]
    {
        let mut bucket = bucket(|behaviour| behaviour.abort_of_missing = abort_of_missing);
        assert_eq!(bucket.abort(1), answer);
    }
}

#[test]
fn an_abort_dooms_the_object_of_a_completed_upload_that_is_still_listed() {
    let mut bucket = with_upload(|_| ());
    complete(&mut bucket, 8).unwrap();
    bucket.list_completed(1, &key());
    assert_eq!(upload_ids(&mut bucket), [1]);
    assert_eq!(bucket.open_uploads().count(), 0);
    assert_eq!(bucket.list_parts(1, 0).unwrap().parts[0].bytes, 2);
    assert_eq!(complete(&mut bucket, 9), Err(ErrorCode::NoSuchUpload));
    bucket.abort(1).unwrap();
    assert!(content(&bucket).is_some(), "the object looks intact");
    bucket.collect_garbage();
    assert!(tag(&bucket).is_some(), "HEAD still shows it");
    assert_eq!(content(&bucket), None);
}

#[test]
fn parts_are_listed_page_by_page_with_length_and_time() {
    let bucket = with_upload(|behaviour| {
        behaviour.page_limits = PageLimits { parts: 1, ..PageLimits::default() };
    });
    let page = bucket.list_parts(1, 0).unwrap();
    assert_eq!((page.parts[0].number, page.parts[0].bytes, page.parts[0].sent), (1, 1, 7));
    assert!(page.has_more);
    let page = bucket.list_parts(1, 1).unwrap();
    assert_eq!((page.parts[0].number, page.has_more), (2, false));
    assert_eq!(bucket.list_parts(2, 0), Err(ErrorCode::NoSuchUpload));
}

#[test]
fn parts_have_a_largest_number_and_a_smallest_size() {
    let limits = PartLimits { min_bytes: 2, max_number: 2, may_be_empty: false };
    let mut bucket = with_upload(|behaviour| behaviour.part_limits = limits);
    let refused = bucket.upload_part(1, 3, "c".into(), stamp(3));
    assert_eq!(refused, Err(ErrorCode::InvalidArgument));
    let empty = bucket.upload_part(1, 2, Bytes::new(), stamp(3));
    assert_eq!(empty, Err(ErrorCode::MissingContentLength));
    assert_eq!(complete(&mut bucket, 8), Err(ErrorCode::EntityTooSmall));
    bucket.upload_part(1, 1, "aa".into(), stamp(1)).unwrap();
    assert_eq!(complete(&mut bucket, 8), Ok(Some(8)), "the last part may be smaller");
}
