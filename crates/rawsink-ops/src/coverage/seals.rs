//! Compares the seals of the runs that have authority with those that were validated.
//!
//! Evidence holds no digest, because it would double the memory: the log is read again, a thousand
//! partitions at a time.

use std::num::NonZeroUsize;

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::{Coverage, Standing, backfill::key};
use crate::bulk::{self, Order, Task};
use rawsink::{
    consume::{self, Authority},
    error::{Error, ErrorKind, Result},
    layout::Place,
    partition::PartitionKey,
    sink::RawSink,
    state::{FIND_AT_ONCE, PartitionState},
};

/// The position of a cell with data: row, and number among the row's evidence.
type At = [usize; 2];

/// A cell that is validated by its lengths.
struct Candidate {
    at: At,
    key: PartitionKey,
    authority: Authority,
}

/// A cell whose seal was read.
struct Checked {
    at: At,
    /// `Corrupt` if the run is lost.
    outcome: Result<()>,
}

impl Coverage {
    /// Reads `metadata.json` of the run of each validated cell, up to `jobs` in parallel, and compares its
    /// SHA-256 with the one that was validated. The cell of a run that differs, or that consumers cannot
    /// read for another reason, becomes [lost](Standing::Lost). A cell without a digest in the verdict log
    /// is kept.
    ///
    /// Returns the errors of seals that could not be read and of malformed records and logs; their cells
    /// are kept. After 20 consecutive failures no other seal is read, and the last error says so.
    ///
    /// Must be called in a tokio runtime, whose tasks read the seals.
    ///
    /// # Errors
    /// The errors of the state.
    pub async fn check_seals(
        &mut self,
        sink: &RawSink,
        state: &dyn PartitionState,
        jobs: NonZeroUsize,
    ) -> Result<Vec<Error>> {
        let (mut from, mut faults) = ([0, 0], Vec::new());
        loop {
            let batch = self.validated_from(&mut from);
            if batch.is_empty() {
                return Ok(faults);
            }
            let candidates = self.candidates(&batch, state, &mut faults).await?;
            let step = {
                let sink = sink.clone();
                move |candidate: Candidate| {
                    let task = Task::spawn(check(sink.clone(), candidate));
                    async move { vec![task.finish().await] }
                }
            };
            let outcome =
                |checked: &Checked| Some(checked.outcome.as_ref().map(drop).map_err(Error::kind));
            let mut checked =
                bulk::work(stream::iter(candidates).boxed(), (jobs, Order::Any), step, outcome);
            while let Some(next) = checked.next().await {
                match next {
                    Ok(Checked { at, outcome: Err(error) })
                        if error.kind() == ErrorKind::Corrupt =>
                    {
                        self.set_lost(at);
                    }
                    Ok(Checked { outcome, .. }) => faults.extend(outcome.err()),
                    Err(outage) => {
                        faults.push(outage);
                        return Ok(faults);
                    }
                }
            }
        }
    }

    /// Returns the next validated cells, as many as the state finds at once.
    fn validated_from(&self, from: &mut At) -> Vec<At> {
        let mut found = Vec::new();
        while let Some((_, seen)) = self.rows.get(from[0]) {
            let Some(evidence) = seen.get(from[1]) else {
                *from = [from[0] + 1, 0];
                continue;
            };
            if found.len() == FIND_AT_ONCE {
                break;
            }
            if evidence.standing() == Standing::Validated {
                found.push(*from);
            }
            from[1] += 1;
        }
        found
    }

    /// Returns the cells whose digest the log knows.
    async fn candidates(
        &mut self,
        batch: &[At],
        state: &dyn PartitionState,
        faults: &mut Vec<Error>,
    ) -> Result<Vec<Candidate>> {
        let keys: Vec<PartitionKey> = batch.iter().map(|at| self.key_at(*at)).collect();
        let histories = state.histories(&keys).await?;
        let mut candidates = Vec::new();
        for ((at, key), history) in batch.iter().zip(keys).zip(histories) {
            let history = match history {
                Ok(history) => history,
                Err(error) => {
                    faults.push(error.at(Place::of_partition(&key)));
                    continue;
                }
            };
            match Authority::of(&key, &history) {
                Ok(authority) if self.has_digest(*at, &authority) => {
                    candidates.push(Candidate { at: *at, key, authority });
                }
                // No digest, or the state has changed since the listing.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // Withdrawn: other software gave it authority again.
                Err(_) => self.set_lost(*at),
            }
        }
        Ok(candidates)
    }

    /// Returns whether the authority is the one of the cell, with a digest.
    fn has_digest(&self, at: At, authority: &Authority) -> bool {
        let current = self.rows[at[0]].1[at[1]].current;
        let passed = authority.passed.as_ref();
        self.runs.get(current) == Some(&authority.run)
            && passed.is_some_and(|entry| entry.evidence.seal_sha256.is_some())
    }

    fn key_at(&self, [row, number]: At) -> PartitionKey {
        let (series, seen) = &self.rows[row];
        key(series, seen[number].day)
    }

    fn set_lost(&mut self, [row, number]: At) {
        self.rows[row].1[number].is_intact = false;
    }
}

/// Compares one seal with the validated one.
async fn check(sink: RawSink, candidate: Candidate) -> Checked {
    let Candidate { at, key, authority } = candidate;
    let compare = |read: Result<Bytes>| {
        let read = read.map_err(|error| consume::missing(error, &key, &authority.run));
        read.and_then(|document| authority.check(&key, &document))
    };
    let mut outcome = compare(sink.document(&key, &authority.run).await);
    if outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Corrupt) {
        // Bytes that are not the stored ones prove nothing.
        outcome = compare(sink.confirmed_document(&key, &authority.run).await);
    }
    Checked { at, outcome }
}
