//! The native part of `RawSink`: a sink and its state.

use std::{collections::HashMap, num::NonZeroUsize, path::PathBuf};

use pyo3::prelude::*;
use rawsink::{
    Backend, Config, blocking, consume,
    env::Loaded,
    partition::{Metadata, Selection},
    sink::LandedPartition,
    store::fs::{MissingRoot, Parents},
    validate,
};
use rawsink_ops::{
    coverage::{self, Scope},
    scrub::Shard,
};
use serde::Serialize;

use crate::{
    errors,
    examination::{Outcome, to_rules},
    json,
    key::{self, Choice, Key},
    landed::Landed,
    state::{State, state_file},
    stream::Events,
    waiting,
};

/// A sink and its state, opened again by each process. Private: use `rawsink.RawSink`.
#[pyclass(frozen, module = "rawsink._rawsink")]
pub(crate) struct Sink {
    native: blocking::RawSink,
    state: Option<blocking::State>,
    config: Config,
    settings: String,
}

impl Sink {
    fn open(py: Python<'_>, loaded: rawsink::Result<Loaded>) -> PyResult<Self> {
        let Loaded { config, effective, warnings, .. } =
            loaded.map_err(|error| errors::raise(py, &error))?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        crate::events::log(py);
        Self::of(py, &config, json::text(&effective)?)
    }

    fn of(py: Python<'_>, config: &Config, settings: String) -> PyResult<Self> {
        let sink = blocking::RawSink::open(config).map_err(|error| errors::raise(py, &error))?;
        let state = config.state.as_ref().map(|state| {
            blocking::State::open(state, &config.origin()).with_check(waiting::check())
        });
        let (native, config) = (sink.with_check(waiting::check()), config.clone());
        Ok(Self { native, state, config, settings })
    }

    pub(crate) fn native(&self) -> &blocking::RawSink {
        &self.native
    }

    pub(crate) fn state(&self, py: Python<'_>) -> PyResult<&blocking::State> {
        self.state.as_ref().ok_or_else(|| {
            let message = "this sink has no state";
            let error = rawsink::Error::new(rawsink::ErrorKind::Unsupported, message);
            errors::raise(py, &error)
        })
    }
}

/// A run, as JSON.
#[derive(Serialize)]
struct Row<'a> {
    run_id: &'a str,
    sealed: bool,
    payload_bytes: Option<u64>,
}

#[pymethods]
impl Sink {
    /// Opens the sink that the environment selects.
    #[staticmethod]
    fn from_env(py: Python<'_>) -> PyResult<Self> {
        Self::open(py, Loaded::from_env())
    }

    /// Opens the sink of a file of settings.
    #[staticmethod]
    fn from_file(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        Self::open(py, Loaded::from_file(&path))
    }

    /// Opens the sink of a file of settings for `copy_landed`.
    #[staticmethod]
    fn destination_from_file(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let mut loaded = Loaded::from_file(&path);
        if let Ok(loaded) = &mut loaded {
            loaded.config.backend = loaded.config.backend.clone().as_destination();
        }
        Self::open(py, loaded)
    }

    /// Opens the sink of settings, by the names of their variables. `state` is the path of an SQLite file.
    ///
    /// A lenient sink treats a directory as existing classes do: readers find nothing in one that does not
    /// exist, and the first writer creates it with its parents.
    #[staticmethod]
    #[pyo3(signature = (settings, state=None, lenient=false))]
    fn from_settings(
        py: Python<'_>,
        settings: HashMap<String, String>,
        state: Option<PathBuf>,
        lenient: bool,
    ) -> PyResult<Self> {
        let settings = settings.into_iter().map(|(name, value)| (name, Ok(value)));
        let mut loaded = Loaded::from_settings(settings);
        if let Ok(loaded) = &mut loaded {
            if let Some(path) = state {
                loaded.config.state = Some(state_file(py, path)?);
            }
            if let (true, Backend::Directory(directory)) = (lenient, &mut loaded.config.backend) {
                directory.parents = Parents::Created;
                directory.missing = MissingRoot::IsEmpty;
            }
        }
        Self::open(py, loaded)
    }

    /// The settings in use, without secrets, as JSON.
    #[getter]
    fn settings(&self) -> &str {
        &self.settings
    }

    /// The URI of the root.
    #[getter]
    fn uri(&self, py: Python<'_>) -> PyResult<String> {
        self.config.backend.uri().map_err(|error| errors::raise(py, &error))
    }

    /// The root that canonical paths may start with.
    #[getter]
    fn root(&self) -> String {
        self.config.backend.root()
    }

    /// Where partitions are stored, for a person.
    #[getter]
    fn place(&self) -> String {
        self.config.backend.to_string()
    }

    /// Returns the state.
    #[pyo3(name = "state")]
    fn open_state(&self, py: Python<'_>) -> PyResult<State> {
        Ok(State::new(self.state(py)?.clone(), Some(self.native.clone())))
    }

    /// Returns the ids of all runs, sealed or not.
    fn list_partitions(&self, py: Python<'_>, key: Key) -> PyResult<Vec<String>> {
        let key = key::partition(py, &key)?;
        let runs = waiting::call(py, || self.native.list_partitions(&key))?;
        Ok(runs.iter().map(ToString::to_string).collect())
    }

    /// Returns all runs, as JSON.
    fn list_runs(&self, py: Python<'_>, key: Key) -> PyResult<String> {
        let key = key::partition(py, &key)?;
        let runs = waiting::call(py, || self.native.list_runs(&key))?;
        let runs = runs.iter().map(|run| Row {
            run_id: run.run_id.as_str(),
            sealed: run.sealed,
            payload_bytes: run.payload_bytes,
        });
        json::text(&runs.collect::<Vec<_>>())
    }

    /// Returns the run that has authority; `None` if none has.
    fn current(&self, py: Python<'_>, key: Key) -> PyResult<Option<String>> {
        let (key, state) = (key::partition(py, &key)?, self.state(py)?);
        let current = waiting::call(py, || {
            match state.block_on(consume::current_run(&**state.state(), &key)) {
                Err(error) if error.kind() == rawsink::ErrorKind::NotFound => Ok(None),
                current => current.map(Some),
            }
        })?;
        Ok(current.map(|run| run.to_string()))
    }

    /// Returns the metadata of a sealed run, as JSON. Does not read the payload.
    fn metadata(&self, py: Python<'_>, key: Key, run_id: &str) -> PyResult<String> {
        let (key, run) = key::run(py, &key, run_id)?;
        let (metadata, _): (Metadata, _) = waiting::call(py, || self.native.metadata(&key, &run))?;
        json::text(&metadata)
    }

    /// Validates a run, records the verdict in a state, by default that of the sink, and returns it as JSON.
    fn validate(
        &self,
        py: Python<'_>,
        key: Key,
        run_id: &str,
        rules: (bool, bool, bool),
        state: Option<PyRef<'_, State>>,
    ) -> PyResult<String> {
        let (key, run) = key::run(py, &key, run_id)?;
        let rules = to_rules(rules);
        let state = match &state {
            Some(state) => state.native(),
            None => self.state(py)?,
        };
        let validated =
            waiting::call(py, || self.native.validate(&**state.state(), &key, &run, rules))?;
        json::text(&crate::stream::Validated::new(&key, &run, &validated))
    }

    /// Validates a run and returns the verdict, for a state of other software.
    fn judge(&self, py: Python<'_>, key: Key, run_id: &str) -> PyResult<Outcome> {
        let (key, run) = key::run(py, &key, run_id)?;
        let rules = to_rules((false, false, true));
        let judged = waiting::call(py, || {
            let work = async { validate::judge(self.native.sink()?, &key, &run, rules).await };
            self.native.block_on(work)
        })?;
        Ok(judged.into())
    }

    /// Starts the validation of all due runs.
    fn validate_all(
        &self,
        py: Python<'_>,
        choice: Choice,
        rules: (bool, bool, bool),
        jobs: NonZeroUsize,
        shard: Option<&str>,
    ) -> PyResult<Events> {
        let (partitions, state) = (key::selection(py, choice)?, self.state(py)?);
        let shard = parsed(py, shard)?.unwrap_or_default();
        Events::validate_all(py, &self.native, state, (partitions, shard, to_rules(rules), jobs))
    }

    /// Starts the listing of all landed partitions.
    fn landed(&self, py: Python<'_>, choice: Choice) -> PyResult<Events> {
        Events::landed(py, &self.native, &key::selection(py, choice)?)
    }

    /// Starts the validation of the due runs of partitions that `landed` listed.
    fn validate_landed(
        &self,
        py: Python<'_>,
        landed: Vec<String>,
        rules: (bool, bool, bool),
        jobs: NonZeroUsize,
    ) -> PyResult<Events> {
        let work = (parse_landed(py, landed)?, to_rules(rules), jobs);
        Events::validate_landed(py, &self.native, self.state(py)?, work)
    }

    /// Starts a copy of the sealed runs of partitions that `landed` listed.
    fn copy_landed(
        &self,
        py: Python<'_>,
        to: PyRef<'_, Self>,
        landed: Vec<String>,
        jobs: NonZeroUsize,
    ) -> PyResult<Events> {
        Events::copy_landed(py, &self.native, &to.native, (parse_landed(py, landed)?, jobs))
    }

    /// Starts a scrub of partitions that `landed` listed.
    fn scrub_landed(
        &self,
        py: Python<'_>,
        landed: Vec<String>,
        record: bool,
        jobs: NonZeroUsize,
    ) -> PyResult<Events> {
        let (state, of) = (self.state(py)?, (Shard::default(), jobs));
        let work = crate::stream::scrub_work(Selection::default(), of, false, None, record, None);
        Events::scrub(py, &self.native, state, Some(parse_landed(py, landed)?), work)
    }

    /// Starts a scrub.
    #[expect(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn scrub(
        &self,
        py: Python<'_>,
        choice: Choice,
        current: bool,
        sample: Option<(&str, u64)>,
        record: bool,
        after: Option<(Key, String)>,
        jobs: NonZeroUsize,
        shard: Option<&str>,
    ) -> PyResult<Events> {
        let (partitions, state) = (key::selection(py, choice)?, self.state(py)?);
        let shard = parsed(py, shard)?.unwrap_or_default();
        let after = after.map(|(key, run_id)| key::run(py, &key, &run_id)).transpose()?;
        let sample = match sample {
            None => None,
            Some((size, seed)) => parsed(py, Some(size))?.map(|size| (size, seed)),
        };
        let work =
            crate::stream::scrub_work(partitions, (shard, jobs), current, sample, record, after);
        Events::scrub(py, &self.native, state, None, work)
    }

    /// Starts a manifest.
    fn manifest(
        &self,
        py: Python<'_>,
        choice: Choice,
        reader: Option<&str>,
        jobs: NonZeroUsize,
    ) -> PyResult<Events> {
        let (partitions, state) = (key::selection(py, choice)?, self.state(py)?);
        Events::manifest(py, &self.native, state, partitions, (self.uri(py)?, reader, jobs))
    }

    /// Compares storage and state, and returns the cells as JSON.
    fn coverage(
        &self,
        py: Python<'_>,
        choice: Choice,
        customers: Vec<String>,
        queries: Vec<String>,
    ) -> PyResult<String> {
        let (selection, state) = (key::selection(py, choice)?, self.state(py)?);
        let (customers, queries) = (customers.into_iter().collect(), queries.into_iter().collect());
        let scope = Scope { selection, customers, queries };
        let found = waiting::call(py, || {
            let work =
                async { coverage::coverage(self.native.sink()?, &**state.state(), &scope).await };
            self.native.block_on(work)
        })?;
        let faults: Vec<String> = found.faults().iter().map(ToString::to_string).collect();
        let cells: Vec<_> = found
            .cells()
            .flat_map(|(series, cells)| cells.map(move |cell| cell.into_row(series)))
            .collect();
        json::text(&(cells, found.tally(), faults))
    }
}

/// Parses partitions that `Sink::landed` listed.
fn parse_landed(py: Python<'_>, landed: Vec<String>) -> PyResult<Vec<LandedPartition>> {
    let parse = |text: String| {
        let landed: Landed = serde_json::from_str(&text).map_err(errors::bug)?;
        landed.partition().map_err(|error| errors::raise(py, &error))
    };
    landed.into_iter().map(parse).collect()
}

/// Parses a text of an argument.
fn parsed<T: std::str::FromStr<Err = rawsink::Error>>(
    py: Python<'_>,
    text: Option<&str>,
) -> PyResult<Option<T>> {
    text.map(str::parse).transpose().map_err(|error| errors::raise(py, &error))
}
