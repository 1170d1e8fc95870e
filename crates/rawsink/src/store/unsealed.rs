//! Finds payloads without a seal in a walk.

use futures_util::stream::{BoxStream, StreamExt};

use super::{Leftover, LeftoverKind, Object, StorePath, Stored};
use crate::error::Result;

/// Filters the payloads without a seal. The walk returns a run's seal before its payload.
pub(super) fn unsealed_payloads(
    walk: BoxStream<'static, Result<Stored>>,
) -> BoxStream<'static, Result<Leftover>> {
    // The sealed directories that contain the current path: paths below a run come between its two
    // objects.
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
    use jiff::Timestamp;

    use super::*;
    use crate::store::ObjectInfo;

    fn stored(path: &str) -> Stored {
        let (dir, name) = path.rsplit_once('/').unwrap();
        let dir = dir.split('/').fold(StorePath::root(), |dir, segment| dir.join(segment));
        let info = ObjectInfo { bytes: 1, modified: Timestamp::UNIX_EPOCH, tag: None };
        Stored { dir, object: Object::from_file_name(name).unwrap(), info }
    }

    #[tokio::test]
    async fn a_payload_is_unsealed_without_a_seal_in_the_same_directory() {
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
