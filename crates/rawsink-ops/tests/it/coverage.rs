//! Coverage, compared with an expectation that is computed in another way.

mod landing; // a random landing and state, and the expected coverage
mod listing; // requests of a listing
mod page; // the page matches the cells and contains no foreign markup
mod scope; // expected partitions and next steps

use std::collections::BTreeMap;

use rawsink::{RawSink, layout::Place, partition::Selection};
use rawsink_ops::coverage::{Coverage, Scope, coverage};

use rawsink_testkit::{backend::Backend, databases::Database};

async fn cover(backend: &dyn Backend, database: &dyn Database, scope: &Scope) -> Coverage {
    let (sink, state) = (RawSink::new(backend.store()), database.patient_state());
    coverage(&sink, &*state, scope).await.unwrap()
}

/// Returns each cell as text with all its facts, by path.
fn cell_texts(coverage: &Coverage) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    for (series, cells) in coverage.cells() {
        for cell in cells {
            let selection = Selection {
                source: Some(series.source.clone()),
                customer_id: Some(series.customer_id.clone()),
                query_name: Some(series.query_name.clone()),
                since: Some(cell.day),
                until: Some(cell.day),
            };
            let run = |run: Option<&rawsink::RunId>| run.map_or("-", |run| run.as_str()).to_owned();
            let text = [
                cell.standing.to_string(),
                run(cell.run),
                cell.status.map_or("none", |status| status.as_str()).to_owned(),
                run(cell.current),
                run(cell.sealed),
                run(cell.unsealed),
                run(cell.due),
                format!("lost={} unknown={}", cell.drift.lost, cell.drift.unknown),
                cell.reason.unwrap_or("-").to_owned(),
                format!("{:?}", cell.record_count),
            ];
            told.insert(Place::enclosing(&selection).to_string(), text.join(" "));
        }
    }
    told
}
