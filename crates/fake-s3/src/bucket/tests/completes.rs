//! Complete: its conditions, its repetition, and an abort during it.

use super::*;
use crate::{AbortDuringComplete, CompleteCondition, CompleteEffect, CompletedUpload};

#[test]
fn an_upload_becomes_the_object_of_its_parts_and_is_gone() {
    let mut bucket = with_upload(|_| ());
    assert_eq!(upload_ids(&mut bucket), [1]);
    for (parts, error) in [
        (vec![], ErrorCode::InvalidPart),
        (vec![(1, 9)], ErrorCode::InvalidPart),
        (vec![(2, 2), (1, 1)], ErrorCode::InvalidPartOrder),
    ] {
        let answer = bucket.complete(1, parts, WriteCondition::CreateOnly, stamp(8));
        assert_eq!(answer, Err(error));
    }
    assert_eq!(complete(&mut bucket, 8), Ok(Some(8)));
    let head = bucket.head(&key()).unwrap();
    assert_eq!((head.tag, head.modified, head.bytes, head.metadata), (8, 7, 2, Some(1)));
    assert_eq!(content(&bucket), Some(&b"ab"[..]));
    assert_eq!(upload_ids(&mut bucket), [0_u64; 0]);
}

#[test]
fn a_condition_is_enforced_or_ignored_and_a_refused_upload_stays() {
    for (enforced, condition, applied) in [
        (CompleteCondition::Enforced, WriteCondition::CreateOnly, false),
        (CompleteCondition::Enforced, WriteCondition::Overwrite, true),
        (CompleteCondition::Ignored, WriteCondition::CreateOnly, true),
    ] {
        let mut bucket = with_upload(|behaviour| behaviour.complete_condition = enforced);
        put(&mut bucket, 2, 5).unwrap();
        let answer = bucket.complete(1, vec![(1, 1), (2, 2)], condition, stamp(8));
        let expected = if applied { Ok(Some(8)) } else { Err(ErrorCode::PreconditionFailed) };
        assert_eq!(answer, expected, "{enforced:?} {condition:?}");
        assert_eq!(upload_ids(&mut bucket).is_empty(), applied);
        assert_eq!(tag(&bucket), Some(if applied { 8 } else { 5 }));
    }
}

#[test]
fn a_second_complete_is_answered_as_the_server_does() {
    for (completed_upload, answer) in [
        (CompletedUpload::NoSuchUpload, Err(ErrorCode::NoSuchUpload)),
        (CompletedUpload::SameTag, Ok(Some(8))),
        (CompletedUpload::EmptyTag, Ok(None)),
    ] {
        let mut bucket = with_upload(|behaviour| behaviour.completed_upload = completed_upload);
        complete(&mut bucket, 8).unwrap();
        assert_eq!(complete(&mut bucket, 9), answer);
        assert_eq!(tag(&bucket), Some(8));
    }
}

#[test]
fn a_complete_of_a_former_upload_may_be_answered_by_the_current_object() {
    let by_current = |behaviour: &mut Behaviour| {
        behaviour.completed_upload = CompletedUpload::TagOfCurrentObject;
    };
    let mut bucket = with_upload(by_current);
    assert_eq!((complete(&mut bucket, 8), complete(&mut bucket, 9)), (Ok(None), Ok(Some(8))));
    let mut bucket = with_upload(by_current);
    bucket.abort(1).unwrap();
    assert_eq!(complete(&mut bucket, 8), Err(ErrorCode::InProgress));
    assert!(bucket.knows_upload(1));
    put(&mut bucket, 2, 5).unwrap();
    assert_eq!(complete(&mut bucket, 8), Ok(Some(5)));
    assert_eq!(content(&bucket), Some(&b"by 2"[..]), "the Complete changed nothing");
    bucket.forget_uploads(|_| false);
    assert_eq!(complete(&mut bucket, 8), Err(ErrorCode::NoSuchUpload));
    assert!(!bucket.knows_upload(1));
}

#[test]
fn an_abort_during_a_complete_cancels_it_or_loses_the_content() {
    for loses in [false, true] {
        let mut bucket = with_upload(|behaviour| {
            if loses {
                behaviour.abort_during_complete = AbortDuringComplete::LosesContent;
            }
        });
        let (parts, condition) = (vec![(1, 1), (2, 2)], WriteCondition::CreateOnly);
        let start = bucket.begin_complete(1, parts.clone(), condition);
        assert_eq!(start, CompleteStart::Running);
        assert_eq!((tag(&bucket), upload_ids(&mut bucket)), (None, vec![1]));
        let second = bucket.begin_complete(1, parts, condition);
        assert_eq!(second, CompleteStart::Answered(Err(ErrorCode::InProgress)));
        bucket.abort(1).unwrap();
        assert_eq!((upload_ids(&mut bucket), bucket.is_completing(1)), (vec![], loses));
        let end = bucket.end_complete(1, stamp(8));
        if !loses {
            assert_eq!(end, Err(ErrorCode::NoSuchUpload));
            continue;
        }
        assert_eq!(end, Ok(Some(8)));
        assert!(content(&bucket).is_some());
        bucket.collect_garbage();
        assert_eq!(content(&bucket), None);
        assert!(tag(&bucket).is_some());
    }
}

#[test]
fn a_complete_may_be_answered_without_an_object() {
    let mut bucket = with_upload(|behaviour| {
        behaviour.complete_effect = CompleteEffect::AnsweredOnly;
    });
    assert_eq!(complete(&mut bucket, 8), Ok(Some(8)));
    assert_eq!((tag(&bucket), upload_ids(&mut bucket)), (None, vec![]));
}
