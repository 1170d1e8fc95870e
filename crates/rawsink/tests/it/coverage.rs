//! What is covered, beside an expectation that is worked out otherwise.

mod landing; // a landing and a state drawn at random, and what follows from them
mod listing; // what a listing costs
mod page; // the page says the same as the cells, and nothing in it is markup
mod scope; // what is expected, and what is to be done

use std::collections::BTreeMap;

use rawsink::{
    RawSink,
    coverage::{Coverage, Scope, coverage},
    key::Selection,
    layout::Place,
};

use crate::{backend::Backend, databases::Database};

async fn cover(backend: &dyn Backend, database: &dyn Database, scope: &Scope) -> Coverage {
    let (sink, state) = (RawSink::new(backend.store()), database.patient_state());
    coverage(&sink, &*state, scope).await.unwrap()
}

/// Each cell by its path, as text that names everything there is to know.
fn told(coverage: &Coverage) -> BTreeMap<String, String> {
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
                format!("lost={} unknown={}", cell.drift.lost, cell.drift.unknown),
                cell.reason.unwrap_or("-").to_owned(),
                format!("{:?}", cell.record_count),
            ];
            told.insert(Place::around(&selection).to_string(), text.join(" "));
        }
    }
    told
}
