//! Listings of objects and uploads.

use super::*;
use crate::{ObjectListing, PageLimits, UploadListing};

fn with_objects(change: impl FnOnce(&mut Behaviour)) -> TestBucket {
    let mut bucket = bucket(change);
    for (name, key) in (0..).zip(["a/1", "b/1", "b/2", "b/3"]) {
        let stamp = stamp(name);
        let condition = WriteCondition::CreateOnly;
        bucket.put(key.to_owned(), Bytes::new(), Some(1), condition, stamp).unwrap();
    }
    bucket
}

#[test]
fn objects_are_listed_page_by_page_without_metadata() {
    let bucket = with_objects(|behaviour| {
        behaviour.page_limits = PageLimits { objects: 2, ..PageLimits::default() };
    });
    let list = |after: Option<&str>, max| {
        let page = bucket.list(&"b/".to_owned(), after.map(str::to_owned).as_ref(), max);
        assert!(page.objects.iter().all(|(_, head)| head.metadata.is_none()));
        let keys: Vec<_> = page.objects.into_iter().map(|(key, _)| key).collect();
        (keys.join(" "), page.next)
    };
    assert_eq!(list(None, 1000), ("b/1 b/2".to_owned(), Some("b/2".to_owned())));
    assert_eq!(list(Some("b/2"), 1000), ("b/3".to_owned(), None));
    assert_eq!(list(None, 1), ("b/1".to_owned(), Some("b/1".to_owned())));
}

#[test]
fn a_listing_may_hide_the_object_that_was_written_last() {
    let bucket = with_objects(|behaviour| behaviour.object_listing = ObjectListing::HidesNewest);
    assert_eq!(bucket.list(&"b/".to_owned(), None, 1000).objects.len(), 2);
    assert!(bucket.head(&"b/3".to_owned()).is_some());
}

#[test]
fn uploads_are_listed_below_a_prefix_page_by_page_as_the_server_does() {
    for (upload_listing, prefix, expected) in [
        (UploadListing::ByPrefix, "", &[9, 1, 8][..]),
        (UploadListing::ByPrefix, "run/", &[1, 8]),
        (UploadListing::ByKey, "", &[9, 1, 8]),
        (UploadListing::ByKey, "run/", &[]),
        (UploadListing::ByKey, "run/payload", &[1, 8]),
    ] {
        let mut bucket = with_upload(|behaviour| {
            behaviour.upload_listing = upload_listing;
            behaviour.page_limits = PageLimits { uploads: 1, ..PageLimits::default() };
        });
        bucket.create_upload("a".to_owned(), None, stamp(9));
        bucket.create_upload(key(), None, stamp(8));
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let page = bucket.list_uploads(&prefix.to_owned(), after.as_ref());
            ids.extend(page.uploads.iter().map(|(_, upload)| upload.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(ids, expected, "{upload_listing:?} {prefix}");
    }
}
