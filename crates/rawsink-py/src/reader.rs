//! The native part of `PartitionReader`.

use pyo3::{
    exceptions::PyMemoryError,
    prelude::*,
    types::{PyBytes, PyList},
};
use rawsink::{
    PartitionKey, RunId,
    blocking::{self, Canceller},
    consume::Authority,
    layout::Place,
};

use crate::{
    errors,
    gate::{Gate, Shut},
    json,
    key::{self, Key},
    sink::Sink,
    waiting,
};

/// Reads one sealed run. Private: use `rawsink.PartitionReader`.
#[pyclass(frozen, subclass, module = "rawsink._rawsink")]
pub(crate) struct PartitionReader {
    gate: Gate<blocking::PartitionReader>,
    canceller: Canceller,
    sink: blocking::RawSink,
    key: PartitionKey,
    run: RunId,
    /// What the run must be, if it is read because of its authority.
    authority: Option<Authority>,
    metadata: String,
    seal: String,
    payload_bytes: u64,
}

impl PartitionReader {
    fn over(
        py: Python<'_>,
        sink: blocking::RawSink,
        (key, run): (PartitionKey, RunId),
        authority: Option<Authority>,
    ) -> PyResult<Self> {
        let reader = waiting::call(py, || match &authority {
            None => sink.open_partition(&key, &run),
            Some(authority) => sink.open_authority(&key, authority),
        })?;
        let (metadata, seal) = (json::text(reader.metadata())?, json::text(&reader.seal())?);
        let (canceller, payload_bytes) = (reader.canceller(), reader.payload_bytes());
        let gate = Gate::new(reader);
        Ok(Self { gate, canceller, sink, key, run, authority, metadata, seal, payload_bytes })
    }

    fn call<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut blocking::PartitionReader) -> rawsink::Result<T> + Send,
    ) -> PyResult<T> {
        let outcome = self.gate.with(py, |reader| waiting::call(py, || work(reader)));
        outcome.map_err(|shut| {
            let message = match shut {
                Shut::Raised(raised) => return raised,
                Shut::Inherited => "this reader belongs to the parent process: open another one",
                Shut::InUse => "this reader is in a call of the same thread",
                Shut::Ended => "this reader is closed",
            };
            let error = rawsink::Error::new(rawsink::ErrorKind::Closed, message);
            errors::raise(py, &error.at(Place::of_run(&self.key, &self.run)))
        })?
    }
}

#[pymethods]
impl PartitionReader {
    /// Opens a run, or without a run id the one that has authority.
    #[new]
    fn new(
        py: Python<'_>,
        sink: PyRef<'_, Sink>,
        key: Key,
        run_id: Option<&str>,
    ) -> PyResult<Self> {
        let native = sink.native().clone();
        if let Some(run_id) = run_id {
            return Self::over(py, native, key::run(py, &key, run_id)?, None);
        }
        let key = key::partition(py, &key)?;
        let state = sink.state(py)?;
        let authority = waiting::call(py, || {
            let history = state.block_on(state.state().history(&key))?;
            Authority::of(&key, &history)
        })?;
        let run = authority.run.clone();
        Self::over(py, native, (key, run), Some(authority))
    }

    /// Opens the same run again, from its start.
    fn _reopened(&self, py: Python<'_>) -> PyResult<Self> {
        let named = (self.key.clone(), self.run.clone());
        Self::over(py, self.sink.clone(), named, self.authority.clone())
    }

    /// Returns the next rows as a list of bytes, without line feeds; `None` after the last.
    fn _next_lines<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let rows = self.call(py, blocking::PartitionReader::next_rows)?;
        rows.map(|rows| {
            PyList::new(py, rows.iter().map(|row| PyBytes::new(py, row)).collect::<Vec<_>>())
        })
        .transpose()
    }

    /// Returns the next bytes of the payload; `None` after the last.
    fn _next_chunk<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let chunk = self.call(py, blocking::PartitionReader::next_chunk)?;
        Ok(chunk.map(|chunk| PyBytes::new(py, &chunk)))
    }

    /// Reads the rest and checks it.
    fn _drain(&self, py: Python<'_>) -> PyResult<String> {
        json::text(&self.call(py, blocking::PartitionReader::drain)?)
    }

    /// Returns the whole payload, of a reader that nothing was read from.
    fn _read_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let length = usize::try_from(self.payload_bytes)
            .map_err(|_| PyMemoryError::new_err("the payload does not fit in memory"))?;
        PyBytes::new_with(py, length, |memory| {
            let check = waiting::check();
            self.call(py, |reader| {
                let mut free = memory;
                while let Some(chunk) = reader.next_chunk()? {
                    check()?;
                    // The reader returns no byte beyond the announced length.
                    let (part, rest) = free.split_at_mut(chunk.len());
                    part.copy_from_slice(&chunk);
                    free = rest;
                }
                Ok(())
            })
        })
    }

    /// Closes the files and connections.
    fn close(&self, py: Python<'_>) {
        if !self.gate.is_ours() {
            return;
        }
        self.canceller.cancel();
        if let Ok(reader) = self.gate.take(py) {
            waiting::without_python(py, || drop(reader));
        }
    }

    /// The metadata that was sealed, as JSON.
    #[getter]
    fn _metadata(&self) -> &str {
        &self.metadata
    }

    /// The seal block, as JSON; `null` if other software sealed the run.
    #[getter]
    fn _seal(&self) -> &str {
        &self.seal
    }

    /// The run id.
    #[getter]
    fn run_id(&self) -> &str {
        self.run.as_str()
    }

    /// The canonical path of the run.
    #[getter]
    fn path(&self) -> String {
        Place::of_run(&self.key, &self.run).to_string()
    }

    /// The length of the payload in bytes.
    #[getter]
    fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }
}
