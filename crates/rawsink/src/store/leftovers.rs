//! What attempts left without a seal: how it is named, found and removed.

use futures_util::stream::{BoxStream, StreamExt};
use jiff::Timestamp;

use super::{Object, ObjectInfo, StorePath, Stored};
use crate::error::Result;

/// What an attempt left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeftoverKind {
    /// A payload without a seal.
    Payload,
    /// An open multipart upload.
    Upload,
    /// A file in which an attempt gathered its rows or its seal, in a run sealed or not.
    Staging,
}

impl LeftoverKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Payload, Self::Upload, Self::Staging];

    /// Returns the kind's name as it stands in messages and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Upload => "upload",
            Self::Staging => "staging",
        }
    }
}

/// Something that an attempt left, as a listing showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The run's directory below the store's root.
    pub run: StorePath,
    /// What it is.
    pub kind: LeftoverKind,
    /// The file's name, or the upload's id.
    pub name: String,
    /// Length in bytes; of an upload, its parts together.
    pub bytes: u64,
    /// The last sign of life, as the store says: the last change of an object or file; of an upload,
    /// the newest of its creation and its last part. The epoch where the store does not say.
    pub modified: Timestamp,
}

impl Leftover {
    /// Tells whether a later look shows the same.
    pub(super) fn is(&self, info: ObjectInfo) -> bool {
        (info.bytes, info.modified) == (self.bytes, self.modified)
    }
}

/// How a store knows that a writer of a run is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// The writer holds a lock as long as it lives.
    Lock,
    /// Nothing tells; only what was not touched for long may be taken for dead.
    Age,
}

/// What became of a leftover that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discarded {
    /// It is gone, by this call.
    Removed,
    /// Somebody else removed it, or made an object of it.
    Gone,
    /// It is not what the listing showed any more, so it stays.
    Changed,
    /// A writer of its run is at work, so it stays.
    InUse,
    /// Its run is sealed by now, so it stays.
    Sealed,
    /// A payload of its length is there, which may be this upload completed: on some servers one whose
    /// Complete was broken off stays listed, and to end it would take the payload's bytes. So it stays.
    Completed,
}

impl Discarded {
    /// Returns the outcome's name as it stands in messages and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Gone => "gone",
            Self::Changed => "changed",
            Self::InUse => "in use",
            Self::Sealed => "sealed",
            Self::Completed => "completed",
        }
    }
}

/// Picks the payloads without a seal out of a walk, which shows a run's seal before its payload.
pub(super) fn unsealed_payloads(
    walk: BoxStream<'static, Result<Stored>>,
) -> BoxStream<'static, Result<Leftover>> {
    // The seals of the directories that the walk is in: what lies below a run stands between its
    // two objects.
    let mut sealed: Vec<StorePath> = Vec::new();
    let found = walk.filter_map(move |stored| {
        let found = stored.map(|stored| pick(stored, &mut sealed)).transpose();
        std::future::ready(found)
    });
    found.boxed()
}

fn pick(Stored { dir, object, info }: Stored, sealed: &mut Vec<StorePath>) -> Option<Leftover> {
    while sealed.last().is_some_and(|last| dir.below(last).is_none()) {
        sealed.pop();
    }
    match object {
        Object::Seal => sealed.push(dir),
        Object::Payload if sealed.last() != Some(&dir) => {
            let name = Object::Payload.file_name().to_owned();
            let kind = LeftoverKind::Payload;
            let (bytes, modified) = (info.bytes, info.modified);
            return Some(Leftover { run: dir, kind, name, bytes, modified });
        }
        Object::Payload => {}
    }
    None
}

#[cfg(test)]
mod tests {
    use futures_util::{TryStreamExt, stream};

    use super::*;
    use crate::store::ObjectInfo;

    fn stored(path: &str) -> Stored {
        let (dir, name) = path.rsplit_once('/').unwrap();
        let dir = dir.split('/').fold(StorePath::root(), |dir, segment| dir.join(segment));
        let info = ObjectInfo { bytes: 1, modified: Timestamp::UNIX_EPOCH };
        Stored { dir, object: Object::from_file_name(name).unwrap(), info }
    }

    #[tokio::test]
    async fn a_payload_is_unsealed_where_no_seal_of_its_own_directory_came_before() {
        let walk = [
            "a/metadata.json",
            "a/n/metadata.json",
            "a/n/payload.jsonl",
            "a/o/payload.jsonl",
            "a/payload.jsonl",
            "b/payload.jsonl",
            "c/metadata.json",
            "c0/payload.jsonl",
        ];
        let walk = stream::iter(walk.map(stored).map(Ok)).boxed();
        let found: Vec<Leftover> = unsealed_payloads(walk).try_collect().await.unwrap();
        let found: Vec<_> = found.iter().map(|left| left.run.as_str()).collect();
        assert_eq!(found, ["a/o", "b", "c0"]);
    }
}
