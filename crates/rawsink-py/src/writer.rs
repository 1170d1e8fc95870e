//! The native part of `PartitionWriter`: collects rows as text and passes them on in batches.

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyList, PyString},
};
use rawsink::{
    Clock, Metadata, PartitionKey, RunId, SystemClock,
    blocking::{self, Canceller},
    layout::Place,
};

use crate::{
    errors,
    gate::{Gate, Shut},
    json,
    key::{self, Key},
    rows::{self, Fault},
    sink::Sink,
    waiting,
};

/// Length of the text that is collected before it is checked, hashed and sent, in bytes.
const BATCH_BYTES: usize = 256 * 1024;

/// A refused row: its line, the reason, and its text as far as there is one.
type Rejected = (u64, String, Vec<u8>);

/// Writes one partition. Private: use `rawsink.PartitionWriter`.
#[pyclass(frozen, subclass, module = "rawsink._rawsink")]
pub(crate) struct PartitionWriter {
    gate: Gate<Attempt>,
    canceller: Canceller,
    key: PartitionKey,
    run: RunId,
    max_row_bytes: usize,
    /// Number of sealed rows.
    sealed_rows: AtomicU64,
    default: Option<Py<PyAny>>,
    on_reject: Option<Py<PyAny>>,
}

/// An attempt with the rows that it has not passed on.
struct Attempt {
    writer: blocking::PartitionWriter,
    text: Vec<u8>,
    rows: u64,
    rejected: Arc<Mutex<Vec<Rejected>>>,
}

impl Attempt {
    /// Passes the collected rows on.
    fn flush(&mut self) -> rawsink::Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        self.rows = 0;
        let outcome = self.writer.write_chunk(&self.text);
        self.text.clear();
        outcome
    }

    /// Passes the collected rows on, and takes a last line without its line feed.
    fn end(&mut self) -> rawsink::Result<()> {
        self.flush()?;
        self.writer.end_line()
    }

    /// Passes the collected rows on, and then a chunk.
    fn write(&mut self, chunk: &[u8]) -> rawsink::Result<()> {
        self.flush()?;
        self.writer.write_chunk(chunk)
    }

    /// Adds rows, each with its line feed, and passes them on if there are enough or one is too long.
    fn add(&mut self, rows: &mut Rows, max_row_bytes: usize) -> rawsink::Result<()> {
        let is_long = rows.longest > max_row_bytes;
        self.rows += rows.count;
        if self.text.is_empty() {
            std::mem::swap(&mut self.text, &mut rows.text);
        } else {
            self.text.extend_from_slice(&rows.text);
        }
        rows.clear();
        if is_long || self.text.len() >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }
}

/// Rows as text, each with its line feed.
#[derive(Default)]
struct Rows {
    text: Vec<u8>,
    count: u64,
    /// Length of the longest row in bytes.
    longest: usize,
}

impl Rows {
    fn clear(&mut self) {
        self.text.clear();
        (self.count, self.longest) = (0, 0);
    }

    /// Adds a row. After a fault its incomplete text is removed and returned with it.
    fn add(
        &mut self,
        row: &Bound<'_, PyAny>,
        default: Option<&Bound<'_, PyAny>>,
    ) -> Result<(), (Fault, Vec<u8>)> {
        let start = self.text.len();
        match rows::write(&mut self.text, row, default) {
            Ok(()) => {
                // What is no row is refused by this call, not with a later batch.
                let is_object = self.text[start] == b'{';
                let bytes = if is_object { self.text.len() - start } else { usize::MAX };
                self.longest = self.longest.max(bytes);
                self.text.push(b'\n');
                self.count += 1;
                Ok(())
            }
            Err(fault) => Err((fault, self.text.split_off(start))),
        }
    }
}

thread_local! {
    /// Memory for the text of rows, reused by the calls of a thread.
    static SPARE: Cell<Option<Rows>> = const { Cell::new(None) };
}

impl PartitionWriter {
    fn shut(&self, py: Python<'_>, shut: Shut) -> PyErr {
        let message = match shut {
            Shut::Inherited => "this writer belongs to the parent process: open another one",
            Shut::InUse => "this writer is in a call of the same thread",
            Shut::Ended => "this writer has ended",
        };
        let error = rawsink::Error::new(rawsink::ErrorKind::Closed, message);
        errors::raise(py, &error.at(Place::of_run(&self.key, &self.run)))
    }

    /// Runs a call of the attempt without the interpreter.
    fn call<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Attempt) -> rawsink::Result<T> + Send,
    ) -> PyResult<T> {
        let done = self.gate.with(py, |attempt| {
            let outcome = waiting::call(py, || work(attempt));
            let rejected = std::mem::take(
                &mut *attempt.rejected.lock().unwrap_or_else(PoisonError::into_inner),
            );
            (outcome, rejected)
        });
        let (outcome, rejected) = done.map_err(|shut| self.shut(py, shut))?;
        self.report(py, rejected)?;
        outcome
    }

    /// Passes refused rows to the caller.
    fn report(&self, py: Python<'_>, rejected: Vec<Rejected>) -> PyResult<()> {
        let Some(on_reject) = &self.on_reject else { return Ok(()) };
        for (line, reason, text) in rejected {
            on_reject.call1(py, (line, reason, PyBytes::new(py, &text)))?;
        }
        Ok(())
    }

    /// Adds rows that were collected.
    fn add(&self, py: Python<'_>, rows: &mut Rows) -> PyResult<()> {
        if rows.count == 0 {
            return Ok(());
        }
        let max = self.max_row_bytes;
        let added = self.gate.with(py, |attempt| {
            let is_small = rows.longest <= max;
            let fits = attempt.text.len() + rows.text.len() < BATCH_BYTES;
            (is_small && fits).then(|| attempt.add(rows, max))
        });
        match added.map_err(|shut| self.shut(py, shut))? {
            Some(_) => Ok(()),
            None => self.call(py, |attempt| attempt.add(rows, max)),
        }
    }

    /// Refuses a row that has no JSON text. Without `on_reject` this ends the writer.
    fn refuse(&self, py: Python<'_>, (fault, text): (Fault, Vec<u8>)) -> PyResult<()> {
        let refusal = match fault {
            Fault::Refused(refusal) => refusal,
            Fault::Raised(raised) => {
                self.abort(py);
                return Err(raised);
            }
        };
        let reason = refusal.reason();
        let outcome = self.call(py, |attempt| {
            attempt.flush()?;
            attempt.writer.refuse_row(&reason, &text)
        });
        outcome.inspect_err(|raised| {
            if refusal.cause.is_some() {
                raised.set_cause(py, refusal.cause);
            }
        })
    }

    fn default<'py>(
        &self,
        py: Python<'py>,
        given: Option<Bound<'py, PyAny>>,
    ) -> Option<Bound<'py, PyAny>> {
        given.or_else(|| self.default.as_ref().map(|default| default.bind(py).clone()))
    }

    /// Adds the rows of an iterable. Python code runs between them, so the attempt is not in use.
    fn add_all(
        &self,
        rows: &Bound<'_, PyAny>,
        default: Option<&Bound<'_, PyAny>>,
        collected: &mut Rows,
    ) -> PyResult<u64> {
        let py = rows.py();
        let mut number = 0;
        let mut take = |row: &Bound<'_, PyAny>| {
            if let Err(fault) = collected.add(row, default) {
                self.add(py, collected)?;
                self.refuse(py, fault)?;
                return Ok(());
            }
            number += 1;
            if collected.text.len() >= BATCH_BYTES { self.add(py, collected) } else { Ok(()) }
        };
        if let Ok(list) = rows.cast_exact::<PyList>() {
            for row in list.iter() {
                take(&row)?;
            }
        } else {
            for row in rows.try_iter()? {
                take(&row?)?;
            }
        }
        self.add(py, collected)?;
        Ok(number)
    }
}

#[pymethods]
impl PartitionWriter {
    #[new]
    #[pyo3(signature = (
        sink, key, run_id, *, default=None, on_reject=None, max_rejects=None, skip_blank=false,
        require_members=Vec::new()
    ))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn new(
        py: Python<'_>,
        sink: PyRef<'_, Sink>,
        key: Key,
        run_id: &str,
        default: Option<Py<PyAny>>,
        on_reject: Option<Py<PyAny>>,
        max_rejects: Option<u64>,
        skip_blank: bool,
        require_members: Vec<String>,
    ) -> PyResult<Self> {
        let (key, run) = key::run(py, &key, run_id)?;
        let sink = sink.native();
        let max_row_bytes = sink.sink().map_or(usize::MAX, rawsink::RawSink::max_row_bytes);
        let mut writer = waiting::call(py, || sink.write_partition(&key, &run))?;
        let rejected = Arc::<Mutex<Vec<Rejected>>>::default();
        if on_reject.is_some() {
            let rejected = rejected.clone();
            writer.keep_refused(max_rejects.unwrap_or(u64::MAX), move |row, text| {
                let row = (row.line, row.to_string(), text.to_vec());
                rejected.lock().unwrap_or_else(PoisonError::into_inner).push(row);
                Ok(())
            });
        }
        if skip_blank {
            writer.skip_blank();
        }
        for name in require_members {
            writer.require_member(&name);
        }
        let canceller = writer.canceller();
        let gate = Gate::new(Attempt { writer, text: Vec::new(), rows: 0, rejected });
        let sealed_rows = AtomicU64::new(0);
        Ok(Self { gate, canceller, key, run, max_row_bytes, sealed_rows, default, on_reject })
    }

    /// Appends one row: a dict, or a value that `default` converts to one.
    ///
    /// Raises `NotSerialisable` (a `TypeError` and `ValueError`) for a value that has no JSON text, and
    /// `Invalid` for one that is not an object or is too long. Any error ends the writer, and nothing is
    /// sealed.
    #[pyo3(signature = (row, *, default=None))]
    fn write_payload_row<'py>(
        &self,
        py: Python<'py>,
        row: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let default = self.default(py, default);
        let mut rows = SPARE.take().unwrap_or_default();
        rows.clear();
        let outcome = match rows.add(row, default.as_ref()) {
            Ok(()) => self.add(py, &mut rows),
            Err(fault) => self.refuse(py, fault),
        };
        SPARE.set(Some(rows));
        outcome
    }

    /// Appends the rows of an iterable and returns their number, without those that were refused.
    ///
    /// Errors are those of `write_payload_row`. If the iterable raises, the writer ends and nothing is
    /// sealed: rows may be missing.
    #[pyo3(signature = (rows, *, default=None))]
    fn write_rows<'py>(
        &self,
        py: Python<'py>,
        rows: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<u64> {
        let default = self.default(py, default);
        let mut collected = SPARE.take().unwrap_or_default();
        collected.clear();
        let outcome = self.add_all(rows, default.as_ref(), &mut collected);
        SPARE.set(Some(collected));
        if outcome.is_err() {
            self.abort(py);
        }
        outcome
    }

    /// Appends lines of JSON: one object each, as they are.
    ///
    /// Takes text, bytes or a buffer of any number of lines, or an iterable of such. Lines may be cut
    /// anywhere: one without a line feed continues in the next call. Errors are those of
    /// `write_payload_row`.
    fn write_lines(&self, py: Python<'_>, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(bytes) = lines.cast::<PyBytes>() {
            let bytes = bytes.as_bytes();
            return self.call(py, |attempt| attempt.write(bytes));
        }
        if let Ok(text) = lines.cast::<PyString>() {
            let text = text.to_str()?;
            return self.call(py, |attempt| attempt.write(text.as_bytes()));
        }
        if lines.hasattr("__next__")? || lines.cast::<PyList>().is_ok() || lines.hasattr("send")? {
            for part in lines.try_iter().inspect_err(|_| self.abort(py))? {
                self.write_lines(py, &part.inspect_err(|_| self.abort(py))?)?;
            }
            return Ok(());
        }
        let bytes = py
            .get_type::<PyBytes>()
            .call1((py.import("builtins")?.getattr("memoryview")?.call1((lines,))?,))?;
        let bytes = bytes.cast::<PyBytes>()?.as_bytes();
        self.call(py, |attempt| attempt.write(bytes))
    }

    /// Seals the partition and returns the result as JSON.
    #[pyo3(signature = (metadata, fields, default=None))]
    fn _finalize(
        &self,
        py: Python<'_>,
        metadata: Option<&Bound<'_, PyAny>>,
        fields: Option<&Bound<'_, PyDict>>,
        default: Option<Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        let default =
            default.or_else(|| self.default.as_ref().map(|default| default.bind(py).clone()));
        let document = |value: &Bound<'_, PyAny>| -> PyResult<Metadata> {
            let mut text = Vec::new();
            rows::text_of(&mut text, value, default.as_ref())?;
            Metadata::parse(&text).map_err(|error| errors::raise(py, &error))
        };
        let prepared = match metadata {
            Some(metadata) => document(metadata),
            None => self.call(py, Attempt::end).and_then(|()| {
                let rows = self.record_count(py);
                let built = Metadata::for_run(&self.key, &self.run)
                    .extracted_at(SystemClock.now())
                    .schema_version("v1")
                    .record_count(rows);
                let built = match fields {
                    Some(fields) => built.merge(document(fields.as_any())?),
                    None => built,
                };
                built.build().map_err(|error| errors::raise(py, &error))
            }),
        };
        let metadata = prepared.inspect_err(|_| self.abort(py))?;
        self.call(py, |attempt| {
            attempt.flush()?;
            attempt.writer.complete_payload(&metadata)
        })?;
        let attempt = self.gate.take(py).map_err(|shut| self.shut(py, shut))?;
        let sealed = waiting::call(py, || attempt.writer.finalize(metadata))?;
        self.sealed_rows.store(sealed.payload.record_count, Ordering::Relaxed);
        json::text(&sealed)
    }

    /// Aborts the attempt, unless it is sealed. Nothing of it stays visible.
    fn abort(&self, py: Python<'_>) {
        self.canceller.cancel();
        match self.gate.take(py) {
            Ok(attempt) => py.detach(|| attempt.writer.abort()),
            // The call that is running aborts.
            Err(Shut::InUse | Shut::Ended | Shut::Inherited) => {}
        }
    }

    /// Cancels the writer from another thread: the call that waits now raises `Closed` and aborts.
    ///
    /// A seal that is being written is not interrupted. Returns at once.
    fn cancel(&self) {
        self.canceller.cancel();
    }

    /// The number of rows accepted so far.
    #[getter]
    fn record_count(&self, py: Python<'_>) -> u64 {
        let count = |attempt: &mut Attempt| attempt.writer.record_count() + attempt.rows;
        self.gate.with(py, count).unwrap_or_else(|_| self.sealed_rows.load(Ordering::Relaxed))
    }

    /// The number of refused rows so far; 0 unless `on_reject` is given.
    #[getter]
    fn rejected_count(&self, py: Python<'_>) -> u64 {
        let count = |attempt: &mut Attempt| attempt.writer.refused_count().unwrap_or_default();
        self.gate.with(py, count).unwrap_or_default()
    }

    /// The canonical path of the run.
    #[getter]
    fn path(&self) -> String {
        Place::of_run(&self.key, &self.run).to_string()
    }

    /// The run id.
    #[getter]
    fn run_id(&self) -> &str {
        self.run.as_str()
    }
}
