//! The native part of the state: records, verdicts and the commands of an operator.

use std::path::PathBuf;

use pyo3::prelude::*;
use rawsink::{
    Clock, PartitionKey, SystemClock, blocking, env,
    layout::Place,
    partition::Selection,
    state::{
        Change, Filter, History, Marked, Origin, Record, StateConfig, Status, Verdict, plan_retry,
        run_withdrawn,
    },
};
use rawsink_ops::withdraw;
use serde::Serialize;

use crate::{
    errors, examination, json,
    key::{self, Choice, Key, names},
    waiting,
};

/// The state. Private: use `rawsink.State`.
#[pyclass(frozen, module = "rawsink._rawsink")]
pub(crate) struct State {
    state: blocking::State,
    sink: Option<blocking::RawSink>,
}

impl State {
    pub(crate) fn new(state: blocking::State, sink: Option<blocking::RawSink>) -> Self {
        Self { state, sink }
    }

    pub(crate) fn native(&self) -> &blocking::State {
        &self.state
    }

    fn change(
        &self,
        py: Python<'_>,
        key: &PartitionKey,
        change: &Change,
    ) -> PyResult<Option<Record>> {
        let now = SystemClock.now();
        waiting::call(py, || self.state.block_on(self.state.state().change(key, change, now)))
    }

    fn history_of(&self, py: Python<'_>, key: &PartitionKey) -> PyResult<History> {
        waiting::call(py, || self.state.block_on(self.state.state().history(key)))
    }
}

/// A record and its key, as JSON.
#[derive(Serialize)]
struct Row<'a> {
    partition: [String; 4],
    #[serde(flatten)]
    record: &'a Record,
}

impl<'a> Row<'a> {
    fn new(key: &PartitionKey, record: &'a Record) -> Self {
        Self { partition: names(key), record }
    }
}

#[pymethods]
impl State {
    /// Opens the state of a URL, or of the path of an SQLite file.
    #[staticmethod]
    fn open(py: Python<'_>, url: &str) -> PyResult<Self> {
        let config = env::state_config(url).map_err(|error| errors::raise(py, &error))?;
        let state = blocking::State::open(&config, &Origin::of_host(None));
        Ok(Self { state: state.with_check(waiting::check()), sink: None })
    }

    /// Opens the state of an SQLite file.
    #[staticmethod]
    fn open_file(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let config = state_file(py, path)?;
        let state = blocking::State::open(&config, &Origin::of_host(None));
        Ok(Self { state: state.with_check(waiting::check()), sink: None })
    }

    /// Creates the tables if they do not exist.
    fn init(&self, py: Python<'_>) -> PyResult<()> {
        waiting::call(py, || self.state.block_on(self.state.state().init())).map(drop)
    }

    /// Returns a record as JSON; `None` means pending.
    fn get(&self, py: Python<'_>, key: Key) -> PyResult<Option<String>> {
        let key = key::partition(py, &key)?;
        let record = waiting::call(py, || self.state.block_on(self.state.state().get(&key)))?;
        record.map(|record| json::text(&Row::new(&key, &record))).transpose()
    }

    /// Returns records, sorted by key, as JSON: those that can be read, and errors of the others.
    fn list(
        &self,
        py: Python<'_>,
        choice: Choice,
        status: Option<&str>,
    ) -> PyResult<(Vec<String>, Vec<String>)> {
        let partitions = key::selection(py, choice)?;
        let status = status.map(str::parse::<Status>).transpose();
        let status = status.map_err(|error| errors::raise(py, &error))?;
        let filter = Filter { partitions, status };
        let found = waiting::call(py, || self.state.block_on(self.state.state().list(&filter)))?;
        let (mut records, mut faults) = (Vec::new(), Vec::new());
        for entry in found {
            match entry {
                Ok(entry) => records.push(json::text(&Row::new(&entry.key, &entry.record))?),
                Err(error) => faults.push(error.to_string()),
            }
        }
        Ok((records, faults))
    }

    /// Returns the entries of the verdict log, oldest first, as JSON.
    fn history(&self, py: Python<'_>, key: Key) -> PyResult<String> {
        let key = key::partition(py, &key)?;
        json::text(&self.history_of(py, &key)?.entries())
    }

    /// Sets failed records back to pending and returns how many.
    fn retry(&self, py: Python<'_>, choice: Choice, marked: bool) -> PyResult<usize> {
        let partitions: Selection = key::selection(py, choice)?;
        let marked = if marked { Marked::Retry } else { Marked::Keep };
        waiting::call(py, || {
            let work = async {
                let state = &**self.state.state();
                let plan = plan_retry(state, &partitions, marked).await?;
                let steps: Vec<_> =
                    plan.keys.iter().map(|key| (key.clone(), plan.change.clone())).collect();
                let mut changed = 0;
                for steps in steps.chunks(rawsink::state::FIND_AT_ONCE) {
                    for record in state.change_many(steps, SystemClock.now()).await? {
                        changed += usize::from(record?.is_some());
                    }
                }
                plan.faults.into_iter().next().map_or(Ok(changed), Err)
            };
            self.state.block_on(work)
        })
    }

    /// Withdraws a run, and returns the record after it as JSON; `None` if it was withdrawn before.
    fn withdraw(
        &self,
        py: Python<'_>,
        key: Key,
        run_id: &str,
        reason: &str,
    ) -> PyResult<Option<String>> {
        let (key, run) = key::run(py, &key, run_id)?;
        if reason.trim().is_empty() {
            return Err(errors::invalid(py, "a withdrawal needs a reason"));
        }
        if let Some(sink) = &self.sink {
            // Only to refuse a run that nobody knows.
            waiting::call(py, || {
                let work = async {
                    withdraw::plan_run(sink.sink()?, &**self.state.state(), &key, &run, reason)
                        .await
                };
                self.state.block_on(work)
            })?;
        }
        let change = Change::Withdraw { run_id: run, reason: reason.to_owned() };
        let record = self.change(py, &key, &change)?;
        record.map(|record| json::text(&Row::new(&key, &record))).transpose()
    }

    /// Ends the withdrawal of a run.
    fn restore(&self, py: Python<'_>, key: Key, run_id: &str) -> PyResult<Option<String>> {
        let (key, run_id) = key::run(py, &key, run_id)?;
        if self.history_of(py, &key)?.withdrawal(&run_id).is_none() {
            return Err(errors::invalid(py, format!("run {run_id} is not withdrawn")));
        }
        let record = self.change(py, &key, &Change::Restore { run_id })?;
        record.map(|record| json::text(&Row::new(&key, &record))).transpose()
    }

    /// Stores a record as it is given, except that the attempts never decrease.
    fn store(&self, py: Python<'_>, key: Key, record: &str) -> PyResult<()> {
        let key = key::partition(py, &key)?;
        let record = examination::record(py, record)?;
        if self.change(py, &key, &Change::Store(record))?.is_some() {
            return Ok(());
        }
        Err(errors::raise(py, &run_withdrawn(None).at(Place::of_partition(&key))))
    }

    /// Records the verdict of an examination and returns the record after it, as JSON.
    fn judge(&self, py: Python<'_>, key: Key, verdict: examination::Outcome) -> PyResult<String> {
        let key = key::partition(py, &key)?;
        let verdict: Verdict = verdict.parse(py)?;
        let now = SystemClock.now();
        let work = || self.state.block_on(self.state.state().judge(&key, &verdict, now));
        let record = waiting::call(py, work)?;
        json::text(&Row::new(&key, &record))
    }
}

/// Returns the configuration of a state in an SQLite file.
pub(crate) fn state_file(py: Python<'_>, path: PathBuf) -> PyResult<StateConfig> {
    if path.as_os_str() == ":memory:" {
        return Err(errors::invalid(py, "a state is an SQLite file: it cannot be in memory"));
    }
    StateConfig::sqlite(path).ok_or_else(|| errors::invalid(py, "this build has no SQLite"))
}
