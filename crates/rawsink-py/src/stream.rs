//! Work on many runs, one event after the other.

use std::{
    num::NonZeroUsize,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use pyo3::prelude::*;
use rawsink::{
    Error, PartitionKey, Result, RunId, blocking,
    layout::Place,
    partition::Selection,
    sink::{LandedPartition, Unlisted},
    validate::{Rules, Validation},
};
use rawsink_ops::{
    copy, manifest, scrub,
    validate::{self, Shard, Stop},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    errors,
    gate::{Gate, Shut},
    json,
    key::names,
    landed::Landed,
    waiting,
};

/// The events of some work, as JSON. The work continues only while they are taken.
#[pyclass(frozen, module = "rawsink._rawsink")]
pub(crate) struct Events {
    gate: Gate<BoxStream<'static, Result<Value>>>,
    sink: blocking::RawSink,
    stop: Stop,
    /// Number of payload bytes read so far.
    bytes: Arc<AtomicU64>,
}

/// A validated run, as JSON.
#[derive(Serialize)]
pub(crate) struct Validated<'a> {
    partition: [String; 4],
    run_id: &'a str,
    passed: bool,
    #[serde(flatten)]
    validation: &'a Validation,
}

impl<'a> Validated<'a> {
    pub(crate) fn new(key: &PartitionKey, run: &'a RunId, validation: &'a Validation) -> Self {
        let passed = validation.passed();
        Self { partition: names(key), run_id: run.as_str(), passed, validation }
    }
}

/// Returns an error as JSON.
pub(crate) fn fault(error: &Error) -> Value {
    let place = error.place().and_then(|place| Place::parse(place, "").ok());
    let partition = place.as_ref().and_then(Place::partition);
    json!({
        "kind": error.kind().name(),
        "message": error.message(),
        "retryable": error.kind().is_retryable(),
        "path": error.path(),
        "partition": partition.map(|key| names(&key)),
        "run_id": place.as_ref().and_then(Place::run),
    })
}

fn shown<T: Serialize>(event: &str, value: T) -> Value {
    let mut shown = serde_json::to_value(value).unwrap_or_default();
    shown["event"] = event.into();
    shown
}

impl Events {
    fn new(
        sink: &blocking::RawSink,
        events: BoxStream<'static, Result<Value>>,
        stop: Stop,
    ) -> Self {
        let (gate, sink) = (Gate::new(events), sink.clone());
        Self { gate, sink, stop, bytes: Arc::default() }
    }

    pub(crate) fn validate_all(
        py: Python<'_>,
        sink: &blocking::RawSink,
        state: &blocking::State,
        (partitions, shard, rules, jobs): (Selection, Shard, Rules, NonZeroUsize),
    ) -> PyResult<Self> {
        let stop = Stop::default();
        let work = validate::Work { partitions, shard, rules, jobs, stop: stop.clone() };
        let events = start(py, sink, |sink| validate::all(sink, state.state(), &work))?;
        let events = events.map(|event| event.map(|event| shown_validation(&event)));
        Ok(Self::new(sink, events.boxed(), stop))
    }

    /// Starts the listing of all landed partitions.
    pub(crate) fn landed(
        py: Python<'_>,
        sink: &blocking::RawSink,
        partitions: &Selection,
    ) -> PyResult<Self> {
        let events = start(py, sink, |sink| sink.landed(partitions))?;
        let events = events.map(|landed| {
            Ok(match landed {
                Ok(landed) => shown("landed", Landed::from(&landed)),
                Err(hidden) => json!({ "event": "error", "error": fault(&hidden.error) }),
            })
        });
        Ok(Self::new(sink, events.boxed(), Stop::default()))
    }

    /// Starts the validation of the due runs of partitions that were listed before.
    pub(crate) fn validate_landed(
        py: Python<'_>,
        sink: &blocking::RawSink,
        state: &blocking::State,
        (landed, rules, jobs): (Vec<LandedPartition>, Rules, NonZeroUsize),
    ) -> PyResult<Self> {
        let (stop, partitions, shard) = Default::default();
        let work = validate::Work { partitions, shard, rules, jobs, stop };
        let state = state.state();
        let events =
            start(py, sink, |sink| validate::of_landed(sink, state, listed(landed), &work))?;
        let events = events.map(|event| event.map(|event| shown_validation(&event)));
        Ok(Self::new(sink, events.boxed(), work.stop))
    }

    /// Starts a scrub, of partitions that were listed before or of those that the work selects.
    pub(crate) fn scrub(
        py: Python<'_>,
        sink: &blocking::RawSink,
        state: &blocking::State,
        landed: Option<Vec<LandedPartition>>,
        work: scrub::Work,
    ) -> PyResult<Self> {
        let bytes = Arc::<AtomicU64>::default();
        let counted = bytes.clone();
        let progress: scrub::Progress = Arc::new(move |more| {
            counted.fetch_add(more, Ordering::Relaxed);
        });
        let state = state.state();
        let events = start(py, sink, |sink| match landed {
            Some(landed) => scrub::of_landed(sink, state, listed(landed), &work, progress),
            None => scrub::all(sink, state, &work, progress),
        })?;
        let events = events.map(|event| event.map(|event| shown_scrub(&event)));
        Ok(Self { bytes, ..Self::new(sink, events.boxed(), work.stop) })
    }

    /// Starts a copy of the sealed runs of partitions that were listed before.
    pub(crate) fn copy_landed(
        py: Python<'_>,
        from: &blocking::RawSink,
        to: &blocking::RawSink,
        (landed, jobs): (Vec<LandedPartition>, NonZeroUsize),
    ) -> PyResult<Self> {
        let (bytes, stop) = (Arc::<AtomicU64>::default(), Stop::default());
        let (counted, stopping) = (bytes.clone(), stop.clone());
        let progress: copy::Progress = Arc::new(move |more| {
            counted.fetch_add(more, Ordering::Relaxed);
            if stopping.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let runs = landed.into_iter().flat_map(|partition| partition.runs);
        let runs: Vec<_> = runs.filter(|run| run.sealed).map(Ok).collect();
        let to = to.sink().map_err(|error| errors::raise(py, &error))?;
        let events = start(py, from, |from| {
            copy::runs(from, to, stream::iter(runs).boxed(), jobs, progress)
        })?;
        let events = events.map(|done| done.map(|done| shown_copy(&done)));
        Ok(Self { bytes, ..Self::new(from, events.boxed(), stop) })
    }

    pub(crate) fn manifest(
        py: Python<'_>,
        sink: &blocking::RawSink,
        state: &blocking::State,
        partitions: Selection,
        (root_uri, reader, jobs): (String, Option<&str>, NonZeroUsize),
    ) -> PyResult<Self> {
        let reader = match reader {
            None => None,
            Some(name) => {
                let known = manifest::Reader::ALL.into_iter().find(|reader| reader.name() == name);
                let names = manifest::Reader::ALL.map(manifest::Reader::name).join(", ");
                let unknown = || {
                    errors::invalid(py, format!("unknown reader {name:?}: expected one of {names}"))
                };
                Some(known.ok_or_else(unknown)?)
            }
        };
        let work = manifest::Work { partitions, root_uri, reader, jobs };
        let events = start(py, sink, |sink| manifest::payloads(sink, state.state(), &work))?;
        let events = events.map(|event| event.map(|event| shown_payload(&event)));
        Ok(Self::new(sink, events.boxed(), Stop::default()))
    }
}

/// Returns listed partitions as a listing.
fn listed(landed: Vec<LandedPartition>) -> BoxStream<'static, Result<LandedPartition, Unlisted>> {
    stream::iter(landed.into_iter().map(Ok)).boxed()
}

/// Starts work, in the runtime.
fn start<T>(
    py: Python<'_>,
    sink: &blocking::RawSink,
    work: impl FnOnce(&rawsink::RawSink) -> T + Send,
) -> PyResult<T>
where
    T: Send,
{
    waiting::call(py, || sink.block_on(async { Ok(work(sink.sink()?)) }))
}

/// Returns what a scrub reads.
pub(crate) fn scrub_work(
    partitions: Selection,
    (shard, jobs): (Shard, NonZeroUsize),
    current: bool,
    sample: Option<(scrub::Share, u64)>,
    record: bool,
    after: Option<(PartitionKey, RunId)>,
) -> scrub::Work {
    scrub::Work {
        partitions,
        shard,
        scope: if current { scrub::Scope::Current } else { scrub::Scope::Sealed },
        sample: sample.map(|(share, seed)| scrub::Sample { share, seed }),
        after,
        recording: if record { scrub::Recording::Failures } else { scrub::Recording::Nothing },
        jobs,
        stop: Stop::default(),
    }
}

fn shown_validation(event: &validate::Event) -> Value {
    match event {
        validate::Event::Compared(partitions) => {
            json!({ "event": "compared", "partitions": partitions })
        }
        validate::Event::Validated(run) => match &run.outcome {
            Ok(validation) => shown("validated", Validated::new(&run.key, &run.run, validation)),
            Err(error) => {
                let error = fault(error);
                let (partition, run_id) = (names(&run.key), run.run.as_str());
                json!({ "event": "error", "partition": partition, "run_id": run_id, "error": error })
            }
        },
        validate::Event::Blocked(blocked) => json!({
            "event": "blocked",
            "partition": names(&blocked.key),
            "run_id": blocked.newest.as_str(),
            "holder": blocked.holder.as_str(),
        }),
        validate::Event::Unlisted(hidden) => {
            json!({ "event": "error", "error": fault(&hidden.error) })
        }
    }
}

fn shown_scrub(event: &scrub::Event) -> Value {
    match event {
        scrub::Event::Selected { runs, sampled } => {
            json!({ "event": "selected", "runs": runs, "sampled": sampled })
        }
        scrub::Event::Read(read) => {
            let mut shown = json!({ "partition": names(&read.key), "run_id": read.run.as_str() });
            match &read.outcome {
                Ok(scrub::Condition::Intact) => shown["event"] = "intact".into(),
                Ok(scrub::Condition::Erased) => shown["event"] = "erased".into(),
                Ok(scrub::Condition::Damaged(damage)) => {
                    shown["event"] = "damaged".into();
                    shown["damage"] = damage.kind.as_str().into();
                    shown["detail"] = damage.detail.clone().into();
                    shown["has_authority"] = damage.has_authority.into();
                    shown["recorded"] = matches!(damage.recorded, scrub::Recorded::Yes).into();
                }
                Err(error) => {
                    shown["event"] = "error".into();
                    shown["error"] = fault(error);
                }
            }
            shown
        }
        scrub::Event::UnusableRecord(error) | scrub::Event::Unlisted(error) => {
            json!({ "event": "error", "error": fault(error) })
        }
    }
}

fn shown_copy(done: &copy::Processed<copy::CopyOutcome>) -> Value {
    let (partition, run_id) = (names(&done.run.key), done.run.run_id.as_str());
    match &done.outcome {
        Ok(outcome) => shown("run", json!({ "outcome": outcome })),
        Err(error) => {
            let error = fault(error);
            json!({ "event": "error", "partition": partition, "run_id": run_id, "error": error })
        }
    }
}

fn shown_payload(event: &manifest::Event) -> Value {
    match event {
        manifest::Event::Listed(payload) => shown("payload", payload),
        manifest::Event::Refused(error) => json!({ "event": "error", "error": fault(error) }),
    }
}

#[pymethods]
impl Events {
    /// Waits for the next event; `None` after the last. An interrupted wait may be repeated.
    fn next(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let next = self.gate.with(py, |events| {
            waiting::call(py, || self.sink.block_on(async { events.next().await.transpose() }))
        });
        let next = next.map_err(|shut| match shut {
            Shut::Raised(raised) => raised,
            Shut::Inherited => errors::closed(py, "this work belongs to the parent process"),
            Shut::InUse | Shut::Ended => errors::closed(py, "this work is in use or has ended"),
        })?;
        next?.map(|event| json::text(&event)).transpose()
    }

    /// Starts no more runs, from any thread. What was reached is still recorded and returned.
    fn stop(&self) {
        self.stop.stop();
    }

    /// The number of payload bytes read so far.
    #[getter]
    fn bytes_read(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Aborts the work. Verdicts may be recorded that were not returned.
    fn close(&self, py: Python<'_>) {
        if let Ok(events) = self.gate.take(py) {
            // Its tasks end in the runtime.
            let _ = waiting::call(py, || {
                self.sink.block_on(async {
                    drop(events);
                    Ok(())
                })
            });
        }
    }
}
