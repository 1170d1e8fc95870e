//! PUT, GET, HEAD, DELETE and versions.

use super::*;
use crate::{CreateCondition, DeleteCondition, ObjectVersioning, PageLimits, UserMetadata};

#[test]
fn an_object_is_created_once() {
    let mut bucket = bucket(|_| ());
    assert_eq!(put(&mut bucket, 1, 5), Ok(5));
    assert_eq!(put(&mut bucket, 2, 6), Err(ErrorCode::PreconditionFailed));
    let head = bucket.head(&key()).unwrap();
    assert_eq!((head.tag, head.modified, head.bytes, head.metadata), (5, 7, 4, Some(1)));
}

#[test]
fn a_put_without_condition_overwrites() {
    let mut bucket = bucket(|_| ());
    put(&mut bucket, 1, 5).unwrap();
    let overwritten = bucket.put(key(), "new".into(), None, WriteCondition::Overwrite, stamp(6));
    assert_eq!((overwritten, content(&bucket)), (Ok(6), Some(&b"new"[..])));
}

#[test]
fn a_create_condition_is_enforced_ignored_pretended_or_unknown() {
    for (condition, answer, current) in [
        (CreateCondition::Enforced, Err(ErrorCode::PreconditionFailed), 5),
        (CreateCondition::Ignored, Ok(6), 6),
        (CreateCondition::CheckedEarly, Ok(6), 6),
        (CreateCondition::RefusedButApplied, Err(ErrorCode::PreconditionFailed), 6),
        (CreateCondition::NotImplemented, Err(ErrorCode::NotImplemented), 5),
    ] {
        let mut bucket = bucket(|_| ());
        put(&mut bucket, 1, 5).unwrap();
        bucket.behaviour.create_condition = condition;
        assert_eq!(put(&mut bucket, 2, 6), answer, "{condition:?}");
        assert_eq!(tag(&bucket), Some(current), "{condition:?}");
    }
}

#[test]
fn a_create_condition_that_is_checked_early_lets_two_writers_pass() {
    let mut bucket = bucket(|behaviour| {
        behaviour.create_condition = CreateCondition::CheckedEarly;
    });
    for _ in 0..2 {
        assert_eq!(bucket.begin_put(&key(), WriteCondition::CreateOnly), Ok(true));
    }
    assert_eq!((put(&mut bucket, 1, 5), put(&mut bucket, 2, 6)), (Ok(5), Ok(6)));
    let refused = bucket.begin_put(&key(), WriteCondition::CreateOnly);
    assert_eq!(refused, Err(ErrorCode::PreconditionFailed));
    assert_eq!(bucket.begin_put(&key(), WriteCondition::Overwrite), Ok(false));
}

#[test]
fn a_delete_condition_is_enforced_ignored_or_unknown() {
    let failed = Err(ErrorCode::PreconditionFailed);
    for (condition, if_match, answer, of_missing) in [
        (DeleteCondition::Enforced, Some(4), failed, Ok(())),
        (DeleteCondition::Enforced, Some(5), Ok(()), Ok(())),
        (DeleteCondition::Enforced, None, Ok(()), Ok(())),
        (DeleteCondition::EnforcedOnMissing, Some(4), failed, failed),
        (DeleteCondition::EnforcedOnMissing, None, Ok(()), Ok(())),
        (DeleteCondition::Ignored, Some(4), Ok(()), Ok(())),
        (DeleteCondition::NotImplemented, None, Ok(()), Ok(())),
    ] {
        let context = format!("{condition:?} {if_match:?}");
        let mut bucket = bucket(|behaviour| behaviour.delete_condition = condition);
        assert_eq!(bucket.delete(&key(), if_match, stamp(9)), of_missing, "{context}");
        put(&mut bucket, 2, 5).unwrap();
        assert_eq!(bucket.delete(&key(), if_match, stamp(9)), answer, "{context}");
        assert_eq!(tag(&bucket).is_none(), answer.is_ok(), "{context}");
    }
    let mut bucket = bucket(|behaviour| {
        behaviour.delete_condition = DeleteCondition::NotImplemented;
    });
    assert_eq!(bucket.delete(&key(), Some(5), stamp(9)), Err(ErrorCode::NotImplemented));
}

#[test]
fn user_metadata_is_kept_or_dropped() {
    for (user_metadata, of_put, of_upload) in [
        (UserMetadata::Kept, Some(1), Some(1)),
        (UserMetadata::Dropped, None, None),
        (UserMetadata::DroppedByMultipart, Some(1), None),
    ] {
        let mut bucket = with_upload(|behaviour| behaviour.user_metadata = user_metadata);
        put(&mut bucket, 1, 5).unwrap();
        assert_eq!(bucket.head(&key()).unwrap().metadata, of_put, "{user_metadata:?}");
        bucket.delete(&key(), None, stamp(6)).unwrap();
        complete(&mut bucket, 8).unwrap();
        assert_eq!(bucket.head(&key()).unwrap().metadata, of_upload, "{user_metadata:?}");
    }
}

#[test]
fn a_versioned_bucket_keeps_a_version_of_each_write_and_a_marker_of_each_delete() {
    let mut bucket = bucket(|behaviour| {
        behaviour.versioning = ObjectVersioning::On;
        behaviour.page_limits = PageLimits { versions: 2, ..PageLimits::default() };
    });
    put(&mut bucket, 1, 5).unwrap();
    bucket.delete(&key(), None, stamp(6)).unwrap();
    put(&mut bucket, 1, 7).unwrap();
    let page = bucket.list_versions(&"run/".to_owned(), None);
    let kinds: Vec<_> = page.versions.iter().map(|version| (version.id, version.kind)).collect();
    assert_eq!(kinds, [(5, VersionKind::Content), (6, VersionKind::DeleteMarker)]);
    assert!(page.has_more);
    let rest = bucket.list_versions(&"run/".to_owned(), Some(6));
    assert_eq!((rest.versions.len(), rest.has_more), (1, false));
    assert!(bucket.list_versions(&"other/".to_owned(), None).versions.is_empty());
    for id in [5, 6, 7] {
        bucket.delete_version(&key(), id);
    }
    assert!(bucket.versions.is_empty());
}
