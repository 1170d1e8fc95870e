//! Finds the place that a misspelt path may mean.

use futures_util::StreamExt;
use rawsink::{RawSink, layout::Place};

/// Least similarity of a name, from 0 to 1.
const LEAST_SIMILAR: f64 = 0.8;

/// Most names of a level to compare.
const MOST_NAMES: usize = 10_000;

/// Returns the place above the first name that does not exist, with the name that is most like it. `None`
/// if every name exists, or none is like it. Numbers, dates and run ids are not compared: all of them are
/// alike.
pub(crate) async fn nearest(sink: &RawSink, place: &Place) -> Option<Place> {
    let mut above = Place::top();
    for value in place.values().take(3) {
        let children = sink.children(&above).take(MOST_NAMES);
        let children: Vec<Place> = children.filter_map(async |child| child.ok()).collect().await;
        let name = |child: &Place| child.innermost().map(|(_, value)| value.to_owned());
        if let Some(child) = children.iter().find(|child| name(child).as_deref() == Some(value)) {
            above = child.clone();
            continue;
        }
        if value.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let similar = children.into_iter().filter_map(|child| {
            let similarity = strsim::jaro_winkler(&name(&child)?, value);
            (similarity >= LEAST_SIMILAR).then_some((child, similarity))
        });
        let most = similar.max_by(|(_, one), (_, other)| one.total_cmp(other));
        return most.map(|(child, _)| child);
    }
    None
}
