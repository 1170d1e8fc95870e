//! The native part of `PartitionWriter`: collects rows as text and passes them on in batches.

mod attempt;

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use pyo3::{
    PyTraverseError, PyVisit,
    prelude::*,
    types::{PyBytes, PyDict, PyList, PyMemoryView, PySlice, PyString},
};
use rawsink::{
    Clock, Metadata, PartitionKey, RunId, SystemClock, blocking::Canceller, layout::Place,
};

use self::attempt::{Attempt, BATCH_BYTES, Rejected, Rows};
use crate::{
    errors, events,
    gate::{Gate, Shut},
    json,
    key::{self, Key},
    names::Names,
    rows::{self, Fault},
    sink::Sink,
    waiting,
};

/// Length of the pieces of a large buffer, in bytes.
const PIECE_BYTES: usize = 1024 * 1024;

/// Writes one partition. Private: use `rawsink.PartitionWriter`.
#[pyclass(frozen, subclass, module = "rawsink._rawsink")]
pub(crate) struct PartitionWriter {
    gate: Gate<Attempt>,
    canceller: Canceller,
    key: PartitionKey,
    run: RunId,
    max_row_bytes: usize,
    /// Number of accepted rows.
    rows: AtomicU64,
    /// Number of refused rows.
    rejected: AtomicU64,
    /// Number of calls that append rows now.
    appending: AtomicUsize,
    /// Whether the writer is being finalized.
    is_ending: AtomicBool,
    default: Option<Py<PyAny>>,
    on_reject: Option<Py<PyAny>>,
}

thread_local! {
    /// Memory for the text of rows, reused by the calls of a thread.
    static SPARE: Cell<Option<Rows>> = const { Cell::new(None) };
}

impl PartitionWriter {
    fn shut(&self, py: Python<'_>, shut: Shut) -> PyErr {
        let message = match shut {
            Shut::Raised(raised) => return raised,
            Shut::Inherited => "this writer belongs to the parent process: open another one",
            Shut::InUse => "this writer is in a call of the same thread",
            Shut::Ended => "this writer has ended",
        };
        let error = rawsink::Error::new(rawsink::ErrorKind::Closed, message);
        errors::raise(py, &error.at(Place::of_run(&self.key, &self.run)))
    }

    /// Runs a call of the attempt without the interpreter, and passes refused rows to the caller.
    fn call<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Attempt) -> rawsink::Result<T> + Send,
    ) -> PyResult<T> {
        let done = self.gate.with(py, |attempt| {
            let outcome = waiting::without_python(py, || work(attempt));
            let mut rejected = attempt.rejected.lock().unwrap_or_else(PoisonError::into_inner);
            self.note(attempt);
            (outcome, std::mem::take(&mut *rejected))
        });
        let (outcome, rejected) = done.map_err(|shut| self.shut(py, shut))?;
        events::log(py);
        let reported = self.report(py, rejected);
        let place = || Place::of_run(&self.key, &self.run);
        let outcome = outcome.map_err(|error| errors::raise(py, &error.at(place())));
        outcome.and_then(|done| reported.map(|()| done))
    }

    /// Notes the numbers of rows, so that nobody has to wait for the attempt to see them.
    fn note(&self, attempt: &Attempt) {
        self.rows.store(attempt.accepted(), Ordering::Relaxed);
        let rejected = attempt.writer.refused_count().unwrap_or_default();
        self.rejected.store(rejected, Ordering::Relaxed);
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
        let is_plain = rows.longest <= self.max_row_bytes && !self.canceller.is_cancelled();
        let collected = self.gate.with(py, |attempt| {
            let has_room = is_plain && attempt.has_room(rows);
            if has_room {
                attempt.collect(rows);
                self.note(attempt);
            }
            has_room
        });
        if collected.map_err(|shut| self.shut(py, shut))? {
            return Ok(());
        }
        self.call(py, |attempt| attempt.pass_on(rows))?;
        py.check_signals()
    }

    /// Refuses a row that has no JSON text. Without `on_reject` this ends the writer.
    fn refuse(&self, py: Python<'_>, (fault, text): (Fault, Vec<u8>)) -> PyResult<()> {
        let refusal = match fault {
            Fault::Refused(refusal) => refusal,
            Fault::Raised(raised) => return Err(raised),
        };
        let reason = refusal.reason();
        let outcome = self.call(py, |attempt| {
            attempt.check_open()?;
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

    /// Runs a call that appends rows. After an error rows may be missing, so it ends the writer, unless the
    /// payload was complete before.
    fn append<T>(&self, py: Python<'_>, work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
        self.appending.fetch_add(1, Ordering::AcqRel);
        let outcome = work();
        self.appending.fetch_sub(1, Ordering::AcqRel);
        outcome.inspect_err(|_| {
            if !self.is_ending.load(Ordering::Acquire) {
                self.end(py);
            }
        })
    }

    /// Ends the writer after an error, which is the one to raise.
    fn end(&self, py: Python<'_>) {
        if let Err(raised) = self.abort(py) {
            raised.write_unraisable(py, None);
        }
    }

    /// Adds the rows of an iterable. Python code runs between them, so the attempt is not in use.
    fn add_all(
        &self,
        rows: &Bound<'_, PyAny>,
        default: Option<&Bound<'_, PyAny>>,
        collected: &mut Rows,
    ) -> PyResult<u64> {
        let py = rows.py();
        let (mut number, mut names) = (0, Names::new());
        let mut take = |row: &Bound<'_, PyAny>| {
            if let Err(fault) = collected.add(row, default, Some(&mut names)) {
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

    /// Adds bytes in pieces, so that signals are handled.
    fn add_bytes(&self, py: Python<'_>, bytes: &[u8]) -> PyResult<()> {
        for piece in bytes.chunks(PIECE_BYTES) {
            self.call(py, |attempt| attempt.write(piece))?;
            py.check_signals()?;
        }
        Ok(())
    }

    /// Adds lines: text, bytes, a buffer, or an iterable of such.
    fn add_lines(&self, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = lines.py();
        if let Ok(bytes) = lines.cast::<PyBytes>() {
            return self.add_bytes(py, bytes.as_bytes());
        }
        if let Ok(text) = lines.cast::<PyString>() {
            return self.add_bytes(py, text.to_str()?.as_bytes());
        }
        if let Ok(view) = PyMemoryView::from(lines) {
            let view = view.call_method1("cast", ("B",))?;
            for start in (0..view.len()?).step_by(PIECE_BYTES) {
                let piece = view.get_item(PySlice::new(
                    py,
                    start.try_into()?,
                    (start + PIECE_BYTES).try_into()?,
                    1,
                ))?;
                let piece = piece.call_method0("tobytes")?;
                self.add_bytes(py, piece.cast::<PyBytes>()?.as_bytes())?;
            }
            return Ok(());
        }
        for part in lines.try_iter()? {
            self.add_lines(&part?)?;
        }
        Ok(())
    }

    /// Returns the metadata to seal: what was given, or fields that complete the names of the run.
    fn metadata(
        &self,
        py: Python<'_>,
        given: Option<&Bound<'_, PyAny>>,
        fields: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Metadata> {
        let default = self.default(py, None);
        let parse = |value: &Bound<'_, PyAny>| -> PyResult<Metadata> {
            let mut text = Vec::new();
            rows::text_of(&mut text, value, default.as_ref())?;
            Metadata::parse(&text).map_err(|error| errors::raise(py, &error))
        };
        if let Some(given) = given {
            return parse(given);
        }
        let built = Metadata::for_run(&self.key, &self.run)
            .extracted_at(SystemClock.now())
            .schema_version("v1")
            .record_count(self.record_count());
        let built = match fields {
            Some(fields) => built.merge(parse(fields.as_any())?),
            None => built,
        };
        built.build().map_err(|error| errors::raise(py, &error))
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
        let (text, rows, is_ending) = (Vec::new(), 0, false);
        let gate = Gate::new(Attempt { writer, text, rows, is_ending, rejected });
        let (rows, rejected, appending, is_ending) = Default::default();
        Ok(Self {
            gate,
            canceller,
            key,
            run,
            max_row_bytes,
            rows,
            rejected,
            appending,
            is_ending,
            default,
            on_reject,
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.default)?;
        visit.call(&self.on_reject)
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
        let outcome = self.append(py, || match rows.add(row, default.as_ref(), None) {
            Ok(()) => self.add(py, &mut rows),
            Err(fault) => self.refuse(py, fault),
        });
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
        let outcome = self.append(py, || self.add_all(rows, default.as_ref(), &mut collected));
        SPARE.set(Some(collected));
        outcome
    }

    /// Appends lines of JSON: one object each, as they are.
    ///
    /// Takes text, bytes or a buffer of any number of lines, or an iterable of such. Lines may be cut
    /// anywhere: one without a line feed continues in the next call. Errors are those of
    /// `write_payload_row`.
    fn write_lines(&self, py: Python<'_>, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        self.append(py, || self.add_lines(lines))
    }

    /// Seals the partition and returns the result as JSON.
    fn _finalize(
        &self,
        py: Python<'_>,
        metadata: Option<&Bound<'_, PyAny>>,
        fields: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<String> {
        if self.appending.load(Ordering::Acquire) > 0 {
            self.end(py);
            let message = "cannot seal the partition while a call appends rows; nothing was sealed";
            return Err(errors::invalid(py, message));
        }
        self.is_ending.store(true, Ordering::Release);
        let complete = || {
            self.call(py, Attempt::end)?;
            let metadata = self.metadata(py, metadata, fields)?;
            self.call(py, |attempt| attempt.writer.complete_payload(&metadata))?;
            Ok(metadata)
        };
        let metadata: Metadata = complete().inspect_err(|_: &PyErr| self.end(py))?;
        let attempt = self.gate.take(py).map_err(|shut| self.shut(py, shut))?;
        let sealed = waiting::call(py, || attempt.writer.finalize(metadata))?;
        json::text(&sealed)
    }

    /// Aborts the attempt, unless it is sealed. Nothing of it stays visible.
    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        if !self.gate.is_ours() {
            return Ok(());
        }
        self.canceller.cancel();
        match self.gate.take(py) {
            Ok(attempt) => waiting::call(py, || attempt.writer.abort()),
            Err(Shut::Raised(raised)) => Err(raised),
            // The call that is running aborts.
            Err(Shut::InUse | Shut::Ended | Shut::Inherited) => Ok(()),
        }
    }

    /// Cancels the writer from another thread: the call that waits now raises `Closed` and aborts.
    ///
    /// A seal that is being written is not interrupted. Returns at once.
    fn cancel(&self) {
        if self.gate.is_ours() {
            self.canceller.cancel();
        }
    }

    /// The number of rows accepted so far.
    #[getter]
    fn record_count(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// The number of refused rows so far; 0 unless `on_reject` is given.
    #[getter]
    fn rejected_count(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
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
