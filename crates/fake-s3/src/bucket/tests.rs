//! Every behaviour of a server, and every deviation from it.

mod completes;
mod listings;
mod objects;
mod uploads;

use bytes::Bytes;

use super::*;
use crate::ErrorCode;

type TestBucket = FakeBucket<String, Bytes, u8>;

const KEY: &str = "run/payload";

fn key() -> String {
    KEY.to_owned()
}

fn stamp(name: u64) -> crate::Stamp {
    crate::Stamp { time: 7, name }
}

fn bucket(change: impl FnOnce(&mut Behaviour)) -> TestBucket {
    let mut behaviour = Behaviour::default();
    change(&mut behaviour);
    FakeBucket::new(behaviour)
}

/// Creates a bucket with upload 1, which writer 1 sent in two parts.
fn with_upload(change: impl FnOnce(&mut Behaviour)) -> TestBucket {
    let mut bucket = bucket(change);
    bucket.create_upload(key(), Some(1), stamp(1));
    bucket.upload_part(1, 2, "b".into(), stamp(2)).unwrap();
    bucket.upload_part(1, 1, "a".into(), stamp(1)).unwrap();
    bucket
}

fn put(bucket: &mut TestBucket, writer: u8, name: u64) -> Result<u64, ErrorCode> {
    let body = format!("by {writer}").into();
    bucket.put(key(), body, Some(writer), WriteCondition::CreateOnly, stamp(name))
}

fn complete(bucket: &mut TestBucket, name: u64) -> CompleteAnswer {
    bucket.complete(1, vec![(1, 1), (2, 2)], WriteCondition::CreateOnly, stamp(name))
}

fn tag(bucket: &TestBucket) -> Option<u64> {
    bucket.head(&key()).map(|head| head.tag)
}

fn content(bucket: &TestBucket) -> Option<&[u8]> {
    bucket.get(&key()).map(|object| &object.body[..])
}

fn upload_ids(bucket: &mut TestBucket) -> Vec<u64> {
    bucket.list_uploads_of(&key()).into_iter().map(|upload| upload.id).collect()
}
