//! Lists the objects below a prefix, in the byte order of keys.

use std::sync::Arc;

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::{
    requests::{Head, Page, Requests},
    retry::Retrier,
};
use crate::{
    error::{Error, Result},
    store::{self, Object, StorePath, Stored},
};

/// Streams the payloads and seals below `prefix`. `root` is the prefix of every key of the store.
pub(super) fn walk(
    requests: Arc<dyn Requests>,
    retrier: Retrier,
    root: String,
    prefix: String,
) -> BoxStream<'static, Result<Stored>> {
    let state = Some((requests, retrier, root, prefix, None::<String>));
    let pages = stream::unfold(state, |state| async move {
        let (requests, retrier, root, prefix, after) = state?;
        let page = match page(&requests, &retrier, &prefix, after.as_deref()).await {
            Ok(page) => page,
            Err(error) => return Some((vec![Err(error)], None)),
        };
        let found = page
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with(&prefix))
            .filter_map(|(key, head)| stored(key.strip_prefix(&root)?, head))
            .map(Ok)
            .collect();
        let next = page.next.map(|after| (requests, retrier, root, prefix, Some(after)));
        Some((found, next))
    });
    pages.flat_map(stream::iter).boxed()
}

/// Streams the names directly below `prefix` that hold a payload or a seal at any level.
pub(super) fn children(
    requests: Arc<dyn Requests>,
    retrier: Retrier,
    prefix: String,
) -> BoxStream<'static, Result<String>> {
    let names = async move {
        let (names, error) = child_names(&requests, &retrier, &prefix).await;
        stream::iter(names.into_iter().map(Ok).chain(error.map(Err)))
    };
    stream::once(names).flatten().boxed()
}

/// Returns the names, sorted, and the error that ended the listing.
///
/// After each page the rest of the last child is skipped. So a child costs at most one request, and
/// many small ones share one.
async fn child_names(
    requests: &Arc<dyn Requests>,
    retrier: &Retrier,
    prefix: &str,
) -> (Vec<String>, Option<Error>) {
    let mut names: Vec<String> = Vec::new();
    let mut after: Option<String> = None;
    let error = loop {
        let page = match page(requests, retrier, prefix, after.as_deref()).await {
            Ok(page) => page,
            Err(error) => break Some(error),
        };
        for (key, head) in &page.objects {
            let Some((name, rest)) =
                key.strip_prefix(prefix).and_then(|below| below.split_once('/'))
            else {
                continue;
            };
            let known = names.last().is_some_and(|last| last == name);
            // A key may have an empty segment.
            let is_name = !name.is_empty() && !store::is_skipped(name);
            if !known && is_name && stored(rest, head).is_some() {
                names.push(name.to_owned());
            }
        }
        let Some(next) = page.next else { break None };
        // Skip the rest of a known child: its keys end before '0', which follows '/'.
        after = Some(match names.last().map(|name| format!("{prefix}{name}/")) {
            Some(child) if next.starts_with(&child) => format!("{}0", child.trim_end_matches('/')),
            _ => next,
        });
    };
    names.sort_unstable();
    names.dedup();
    (names, error)
}

async fn page(
    requests: &Arc<dyn Requests>,
    retrier: &Retrier,
    prefix: &str,
    after: Option<&str>,
) -> Result<Page> {
    Ok(retrier.answered(|| requests.list(prefix, after)).await?.value)
}

/// Returns the payload or seal of a key below the root; `None` for any other key.
fn stored(path: &str, head: &Head) -> Option<Stored> {
    let (dir, object) = object_path(path)?;
    Some(Stored { dir, object, info: head.info() })
}

/// Returns the directory and the object of a key below the root; `None` for any other key.
pub(super) fn object_path(path: &str) -> Option<(StorePath, Object)> {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let object = Object::from_file_name(name)?;
    let mut segments = dir.split('/').filter(|segment| !segment.is_empty() || !dir.is_empty());
    let legal = segments.all(|segment| !store::is_skipped(segment) && !segment.is_empty());
    let segments = dir.split('/').filter(|segment| legal && !segment.is_empty());
    let dir = segments.fold(StorePath::root(), |dir, segment| dir.join(segment));
    legal.then_some((dir, object))
}
