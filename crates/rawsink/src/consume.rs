//! Reading as a consumer: look up the run that has authority in the state, then read only that run.
//!
//! Authority is bound to bytes (G19): before the first byte, `metadata.json` is compared with the one
//! that was validated, and while the payload streams it is compared with its seal, or with the
//! validated payload if it has none. So a run that was sealed again with other rows is never read.

use bytes::Bytes;
use futures_util::future::join;

use crate::{
    error::{Error, ErrorKind, Result},
    layout::Place,
    partition::{Metadata, PartitionKey, RunId, Seal, metadata},
    sink::{self, Expected, PartitionReader, RawSink},
    state::{Event, History, LogEntry, PartitionState, Record, Status},
};

/// The run that has authority, and what is known of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// The run.
    pub run: RunId,
    /// Number of its rows in the state; `None` if other software did not record it.
    pub record_count: Option<u64>,
    /// The newest log entry that says that this run passed; `None` if other software gave it authority,
    /// or the database has no log.
    pub passed: Option<LogEntry>,
}

impl Authority {
    /// Returns the run that has authority.
    ///
    /// # Errors
    /// `NotFound` if the status is not success; `Corrupt` if the state names a run that an operator
    /// withdrew.
    pub fn of(key: &PartitionKey, history: &History) -> Result<Self> {
        let record = history.record();
        let Some(run) = record.and_then(Record::authoritative_run) else {
            let status = record.map_or(Status::Pending, |record| record.status);
            let mut message = format!("no run has authority: the status is {status}");
            if let Some((run, entry)) = history.newest_withdrawal() {
                let reason = entry.reason.as_deref().unwrap_or_default();
                message = format!("{message}, and run {run} was withdrawn: {reason}");
            }
            return Err(Error::new(ErrorKind::NotFound, message).at(Place::of_partition(key)));
        };
        if history.withdrawal(run).is_some() {
            let message = "the run that has authority in the state was withdrawn by an operator";
            return Err(Error::corrupt(message).at(Place::of_run(key, run)));
        }
        Ok(Self {
            run: run.clone(),
            record_count: record.and_then(|record| record.record_count),
            passed: history.passed(run).cloned(),
        })
    }

    /// Returns the authority of a run that has it, or had it before another run took it.
    ///
    /// So a program that listed its runs before can still read them.
    ///
    /// # Errors
    /// `NotFound` if the run never had authority, or lost it because it failed or was withdrawn; as
    /// [`of`](Self::of).
    pub fn of_run(key: &PartitionKey, run: &RunId, history: &History) -> Result<Self> {
        if history.record().and_then(Record::authoritative_run) == Some(run) {
            return Self::of(key, history);
        }
        let missing =
            |message: &str| Error::new(ErrorKind::NotFound, message).at(Place::of_run(key, run));
        if history.withdrawal(run).is_some() {
            return Err(missing("an operator withdrew this run"));
        }
        match history.verdict(run) {
            Some(passed) if passed.event == Event::Passed => Ok(Self {
                run: run.clone(),
                record_count: passed.record_count,
                passed: Some(passed.clone()),
            }),
            Some(_) => Err(missing("the newest verdict on this run is failed")),
            None => Err(missing("this run never had authority")),
        }
    }

    /// Checks that `metadata.json` is the one that was validated.
    ///
    /// # Errors
    /// `Corrupt` if it is not.
    pub fn check(&self, key: &PartitionKey, document: &[u8]) -> Result<()> {
        let validated = self.passed.as_ref().and_then(|entry| entry.evidence.seal_sha256.as_ref());
        let Some(validated) = validated else { return Ok(()) };
        let found = sink::sha256(document);
        if found == *validated {
            return Ok(());
        }
        let message = format!(
            "metadata.json is not the one that was validated: its SHA-256 is {found}, not {validated}"
        );
        Err(Error::corrupt(message).at(Place::of_run(key, &self.run)))
    }

    /// Checks that a run is the one that was validated, by its `metadata.json` and the length of its
    /// payload.
    fn inspect(
        &self,
        key: &PartitionKey,
        document: Result<Bytes>,
        payload_bytes: Result<Option<u64>>,
    ) -> Result<CurrentPayload> {
        let document = document.map_err(|error| missing(error, key, &self.run))?;
        self.check(key, &document)?;
        let payload_bytes = payload_bytes?;
        let checked = metadata::parse_sealed(&document)
            .and_then(|(metadata, seal)| self.check_payload(&metadata, seal, payload_bytes));
        checked.map_err(|error| error.at(Place::of_run(key, &self.run)))
    }

    /// Checks a run by its `metadata.json` and the length of its payload, which is not read.
    ///
    /// # Errors
    /// `Corrupt` if it is not the run that was validated.
    fn check_payload(
        &self,
        metadata: &Metadata,
        seal: Option<Seal>,
        payload_bytes: Option<u64>,
    ) -> Result<CurrentPayload> {
        let gone = || Error::corrupt("the run is sealed, but its payload is missing");
        let bytes = payload_bytes.ok_or_else(gone)?;
        let evidence = self.passed.as_ref().map(|entry| &entry.evidence);
        let validated = evidence.and_then(|evidence| evidence.payload_bytes);
        let sealed = seal.as_ref().map(|seal| seal.payload_bytes);
        for (expected, which) in [(validated, "validated"), (sealed, "sealed")] {
            if let Some(expected) = expected.filter(|expected| *expected != bytes) {
                let message =
                    format!("the payload has {bytes} bytes, the {which} one had {expected}");
                return Err(Error::corrupt(message));
            }
        }
        let counted = seal.as_ref().map(|seal| seal.record_count);
        let counted = counted.or_else(|| metadata.integer("record_count"));
        if let (Some(counted), Some(rows)) = (counted, self.record_count)
            && counted != rows
        {
            let message = format!("the seal has record_count {counted}, the state {rows}");
            return Err(Error::corrupt(message));
        }
        let sha256 = seal.map(|seal| seal.payload_sha256);
        let sha256 =
            sha256.or_else(|| evidence.and_then(|evidence| evidence.payload_sha256.clone()));
        Ok(CurrentPayload { bytes, record_count: self.record_count.or(counted), sha256 })
    }

    /// Returns what the payload must be.
    fn expected(&self) -> Expected {
        let entry = self.passed.as_ref();
        Expected {
            payload_sha256: entry.and_then(|entry| entry.evidence.payload_sha256.clone()),
            record_count: self.record_count,
        }
    }
}

/// The payload of the run that has authority, as it is known without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentPayload {
    /// Its length in bytes.
    pub bytes: u64,
    /// Number of its rows; `None` if nobody recorded it.
    pub record_count: Option<u64>,
    /// The SHA-256 of the validated payload, 64 lower-case hex digits; `None` if nobody recorded it.
    pub sha256: Option<String>,
}

/// Returns the run that has authority.
///
/// # Errors
/// As [`Authority::of`], and those of the state.
pub async fn current_run(state: &dyn PartitionState, key: &PartitionKey) -> Result<RunId> {
    Ok(authority(state, key).await?.run)
}

/// Opens the run that has authority (G15), if it is still the one that was validated (G19). Writes
/// nothing and lists nothing.
///
/// # Errors
/// `NotFound` if the status is not success; `Corrupt` if the run that has authority does not exist, is
/// not sealed, was withdrawn, or is not the one that was validated; as [`RawSink::open_partition`].
pub async fn open_current(
    sink: &RawSink,
    state: &dyn PartitionState,
    key: &PartitionKey,
) -> Result<PartitionReader> {
    open(sink, key, &authority(state, key).await?).await
}

/// Opens a run that has authority, if it is still the one that was validated (G19).
///
/// # Errors
/// As [`open_current`], except `NotFound`.
pub async fn open(
    sink: &RawSink,
    key: &PartitionKey,
    authority: &Authority,
) -> Result<PartitionReader> {
    let opened = sink.open_partition(key, &authority.run).await;
    let mut reader = opened.map_err(|error| missing(error, key, &authority.run))?;
    if let Err(other) = authority.check(key, reader.document()) {
        return Err(reader.confirmed(other).await);
    }
    Ok(reader.expect(authority.expected()))
}

/// Checks, without reading the payload, that the run that has authority is the one that was validated
/// (G19): `metadata.json` is the validated one, and the payload has the validated length. Lists nothing.
///
/// # Errors
/// `Corrupt` if the run is not the one that was validated, does not exist or is not sealed; as
/// [`RawSink::confirmed_document`].
pub async fn inspect_current(
    sink: &RawSink,
    key: &PartitionKey,
    authority: &Authority,
) -> Result<CurrentPayload> {
    let run = &authority.run;
    let payload_bytes = async || {
        let found = sink.inspect(key, run).await;
        found.map(|objects| objects.payload.map(|payload| payload.bytes))
    };
    let (document, bytes) = join(sink.document(key, run), payload_bytes()).await;
    match authority.inspect(key, document, bytes) {
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            // Bytes that are not the stored ones prove nothing.
            let document = sink.confirmed_document(key, run).await;
            authority.inspect(key, document, payload_bytes().await)
        }
        found => found,
    }
}

async fn authority(state: &dyn PartitionState, key: &PartitionKey) -> Result<Authority> {
    let history = state.history(key).await;
    Authority::of(key, &history.map_err(|error| error.at(Place::of_partition(key)))?)
}

/// Turns `NotFound` and `NotSealed` into `Corrupt`, for a run that has authority in the state.
pub fn missing(error: Error, key: &PartitionKey, run: &RunId) -> Error {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotSealed => Error::corrupt(format!(
            "the run that has authority in the state cannot be read: {}",
            error.message()
        ))
        .at(Place::of_run(key, run)),
        _ => error,
    }
}
