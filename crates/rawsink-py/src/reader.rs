//! The native part of `PartitionReader`.

use std::{io::Write as _, os::fd::IntoRawFd as _};

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
use rawsink_ops::shape::Shape;

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

/// A descriptor, whether its file is temporary, and the types of the rows.
type Verified = (i32, bool, Option<String>, usize);

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
    /// Opens a run, or without a run id the one that has authority. With `validated` the run must have
    /// authority, or have had it.
    #[new]
    #[pyo3(signature = (sink, key, run_id, validated = false))]
    fn new(
        py: Python<'_>,
        sink: PyRef<'_, Sink>,
        key: Key,
        run_id: Option<&str>,
        validated: bool,
    ) -> PyResult<Self> {
        let native = sink.native().clone();
        let run = run_id.map(|run_id| key::run(py, &key, run_id)).transpose()?;
        if let Some(named) = run.clone().filter(|_| !validated) {
            return Self::over(py, native, named, None);
        }
        let key = key::partition(py, &key)?;
        let state = sink.state(py)?;
        let authority = waiting::call(py, || {
            let history = state.block_on(state.state().history(&key))?;
            match &run {
                None => Authority::of(&key, &history),
                Some((_, run)) => Authority::of_run(&key, run, &history),
            }
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

    /// Reads everything, checks it, and returns a descriptor of a file with exactly these bytes, whether it
    /// is a temporary one, and with `infer` the types of all rows as JSON and the length of the longest row.
    ///
    /// The file is the open one of a directory, otherwise a temporary one without a name.
    fn _verified(&self, py: Python<'_>, infer: bool) -> PyResult<Verified> {
        let stored = self.call(py, |reader| Ok(reader.payload_file().cloned()))?;
        let mut spool = stored.is_none().then(tempfile::tempfile).transpose()?;
        let (mut shape, mut longest) = (Shape::default(), 0);
        while let Some(rows) = self.call(py, |reader| {
            let Some(rows) = reader.next_rows()? else { return Ok(None) };
            for row in rows.iter().filter(|_| infer) {
                longest = longest.max(row.len());
                shape.add(row)?;
            }
            Ok(Some(spool.as_mut().map_or(Ok(()), |spool| spool.write_all(rows.as_bytes()))))
        })? {
            rows?;
        }
        let shape = infer.then(|| json::text(&shape)).transpose()?;
        let is_temporary = spool.is_some();
        let file = match (stored, spool) {
            (Some(file), _) => file.try_clone()?,
            (None, spool) => spool.ok_or_else(|| errors::bug("a payload without a file"))?,
        };
        Ok((file.into_raw_fd(), is_temporary, shape, longest))
    }

    /// Returns the SHA-256 of the payload that was validated or sealed; `None` if nobody recorded it.
    fn _sha256(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let validated = self.authority.as_ref().and_then(|authority| authority.passed.as_ref());
        let validated = validated.and_then(|passed| passed.evidence.payload_sha256.clone());
        let sealed =
            self.call(py, |reader| Ok(reader.seal().map(|seal| seal.payload_sha256.clone())))?;
        Ok(validated.or(sealed))
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
