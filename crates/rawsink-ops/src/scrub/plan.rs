//! Finds the runs to read, in the order of their paths, and what each of them must be.
//!
//! They come from one listing, or from the state. A scan of the state would keep its transaction open
//! for as long as the runs are read, so it ends first and leaves ranges of days in memory.

use std::{collections::BTreeSet, iter, sync::Arc};

use futures_util::{
    StreamExt, future,
    stream::{self, BoxStream},
};

use super::{Event, Sample, Scope, Work};
use crate::{bulk::Task, shard::Shard};
use rawsink::{
    consume::Authority,
    error::{Error, ErrorKind, Result},
    layout::Place,
    partition::{LogicalDate, PartitionKey, RunId, Selection},
    sink::{LandedPartition, RawSink, Unlisted},
    state::{Entry, FIND_AT_ONCE, Filter, History, PartitionState, Status},
};

/// The amount of work, before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// Number of runs to read.
    pub runs: u64,
    /// Length of their payloads in bytes; `None` if only the state was read.
    pub bytes: Option<u64>,
}

/// A run to read.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) key: PartitionKey,
    pub(super) run: RunId,
    /// Its position among the runs to read.
    pub(super) number: u64,
    pub(super) expectation: Expectation,
}

/// What a run must be, beyond its seal.
#[derive(Debug)]
pub(super) enum Expectation {
    /// Nothing more.
    Sealed,
    /// The run that was validated, because it has authority.
    Validated(Box<Authority>),
    /// Nothing more, and its objects may be deleted: an operator withdrew it.
    Withdrawn,
}

impl Expectation {
    pub(super) fn of(key: &PartitionKey, run: &RunId, history: &History) -> Self {
        if history.withdrawal(run).is_some() {
            return Self::Withdrawn;
        }
        match Authority::of(key, history) {
            Ok(authority) if authority.run == *run => Self::Validated(Box::new(authority)),
            // Another run or none has authority.
            _ => Self::Sealed,
        }
    }
}

/// One step of the work.
#[derive(Debug)]
pub(super) enum Step {
    Emit(Result<Event>),
    Read(Box<Target>),
}

/// Counts the runs to read, by one more listing, or one scan of the state. Memory does not grow with them.
///
/// # Errors
/// Those of the listing or the state.
pub async fn total(sink: &RawSink, state: &dyn PartitionState, work: &Work) -> Result<Total> {
    let wanted = Wanted::of(work);
    let mut total = Total::default();
    match work.scope {
        Scope::Sealed => {
            let mut bytes = 0;
            let mut landed = sink.landed(&work.partitions);
            while let Some(found) = landed.next().await {
                let partition = match found {
                    Ok(partition) => partition,
                    // Hidden runs are not read.
                    Err(Unlisted { place: Some(_), .. }) => continue,
                    Err(ended) => return Err(ended.into()),
                };
                let sealed = partition.runs.iter().filter(|run| run.sealed);
                for run in sealed.filter(|run| wanted.contains(&partition.key, &run.run_id)) {
                    total.runs += 1;
                    bytes += run.payload_bytes.unwrap_or_default();
                }
            }
            total.bytes = Some(bytes);
        }
        Scope::Current => {
            let filter = of_success(&work.partitions);
            let mut take = |found: Result<Entry>| {
                let Ok(Entry { key, record }) = found else { return };
                let run = record.authoritative_run();
                total.runs += u64::from(run.is_some_and(|run| wanted.contains(&key, run)));
            };
            state.scan(&filter, &mut take).await?;
        }
    }
    Ok(total)
}

/// Streams the partitions of the selection and scope.
pub(super) fn candidates(
    sink: &RawSink,
    state: &Arc<dyn PartitionState>,
    work: &Work,
) -> BoxStream<'static, Candidate> {
    match work.scope {
        Scope::Sealed => landed(sink.landed(&work.partitions)),
        Scope::Current => current(state.clone(), work.partitions.clone()),
    }
}

/// Streams the runs to read and the events in between. An error is the last item.
pub(super) fn steps(
    found: BoxStream<'static, Candidate>,
    state: &Arc<dyn PartitionState>,
    work: &Work,
) -> BoxStream<'static, Step> {
    let (wanted, state) = (Arc::new(Wanted::of(work)), state.clone());
    let selected = wanted.clone();
    let found = found.filter(move |candidate| {
        future::ready(candidate.key().is_none_or(|key| selected.has_part_of(key)))
    });
    let steps = found
        .chunks(FIND_AT_ONCE)
        .then(move |batch| {
            // As a task: if nobody polled it, its read transaction would lock the recorder out.
            let task = Task::spawn(compare(state.clone(), wanted.clone(), batch));
            async move { task.finish().await.unwrap_or_else(|error| vec![Step::Emit(Err(error))]) }
        })
        .flat_map(stream::iter);
    let (mut number, mut is_over) = (0, false);
    let steps = steps.take_while(move |step| {
        let is_wanted = !is_over;
        is_over |= matches!(step, Step::Emit(Err(_)));
        future::ready(is_wanted)
    });
    let numbered = steps.map(move |mut step| {
        if let Step::Read(target) = &mut step {
            target.number = number;
            number += 1;
        }
        step
    });
    numbered.boxed()
}

/// A logical partition with runs to read, before it is compared with the state.
pub(super) enum Candidate {
    /// The listing shows it, with these sealed runs, oldest first.
    Landed(PartitionKey, Vec<RunId>),
    /// A run of it has authority.
    Current(PartitionKey),
    /// A malformed record.
    Unusable(Error),
    /// The listing cannot show a part of the storage.
    Hidden(Error),
    /// The listing or the scan failed.
    Failed(Error),
}

impl Candidate {
    fn key(&self) -> Option<&PartitionKey> {
        match self {
            Self::Landed(key, _) | Self::Current(key) => Some(key),
            Self::Unusable(_) | Self::Hidden(_) | Self::Failed(_) => None,
        }
    }
}

/// Streams the listed partitions, in the order of their paths.
pub(super) fn landed(
    landed: BoxStream<'static, Result<LandedPartition, Unlisted>>,
) -> BoxStream<'static, Candidate> {
    let candidate = |found: Result<LandedPartition, Unlisted>| match found {
        Ok(partition) => {
            let sealed = partition.sealed().cloned().collect();
            Candidate::Landed(partition.key, sealed)
        }
        Err(Unlisted { place: Some(_), error }) => Candidate::Hidden(error),
        Err(ended) => Candidate::Failed(ended.into()),
    };
    landed.map(candidate).boxed()
}

/// Streams the partitions of which a run has authority, in the order of their paths.
fn current(state: Arc<dyn PartitionState>, partitions: Selection) -> BoxStream<'static, Candidate> {
    let found = async move {
        let (mut ranges, mut unusable) = (Vec::<Range>::new(), Vec::new());
        let mut take = |found: Result<Entry>| match found {
            Ok(entry) => Range::add(&mut ranges, entry.key),
            Err(error) => unusable.push(Candidate::Unusable(error)),
        };
        let scanned = state.scan(&of_success(&partitions), &mut take).await;
        if scanned.is_err() {
            // Partitions that sort earlier may be missing: nothing is read.
            ranges.clear();
        }
        // Paths sort differently if one name starts with another.
        ranges.sort_by_cached_key(|range| path(&range.first));
        let keys = ranges.into_iter().flat_map(Range::keys).map(Candidate::Current);
        let failed = scanned.err().map(Candidate::Failed);
        stream::iter(unusable.into_iter().chain(keys).chain(failed))
    };
    stream::once(found).flatten().boxed()
}

fn of_success(partitions: &Selection) -> Filter {
    Filter { partitions: partitions.clone(), status: Some(Status::Success) }
}

/// Consecutive days of one query of a customer.
struct Range {
    first: PartitionKey,
    until: LogicalDate,
}

impl Range {
    /// Adds a partition to the last range if it is the next day of the same query, else as a new one.
    fn add(ranges: &mut Vec<Self>, key: PartitionKey) {
        let day = key.logical_date();
        if let Some(last) = ranges.last_mut()
            && series(&last.first) == series(&key)
            // A table without a key may hold a day twice.
            && (last.until == day || last.until.next_day() == Some(day))
        {
            last.until = day;
            return;
        }
        ranges.push(Self { until: day, first: key });
    }

    fn keys(self) -> impl Iterator<Item = PartitionKey> {
        let Self { first, until } = self;
        let days = iter::successors(Some(first.logical_date()), |day| day.next_day());
        days.take_while(move |day| *day <= until).filter_map(move |day| {
            let [source, customer, query] = series(&first);
            // The names are those of a key.
            PartitionKey::new(source, customer, query, &day.to_string()).ok()
        })
    }
}

fn series(key: &PartitionKey) -> [&str; 3] {
    [key.source(), key.customer_id(), key.query_name()]
}

/// Returns the path by which partitions are sorted in a listing.
fn path(key: &PartitionKey) -> String {
    format!("{}/", Place::of_partition(key))
}

/// The choice of runs within the selected partitions.
struct Wanted {
    shard: Shard,
    sample: Option<Sample>,
    /// Path of the partition, and the run, after which to start.
    after: Option<(String, RunId)>,
}

impl Wanted {
    fn of(work: &Work) -> Self {
        let after = work.after.as_ref().map(|(key, run)| (path(key), run.clone()));
        Self { shard: work.shard, sample: work.sample, after }
    }

    /// Returns whether a partition is in the shard, and not completely before the start.
    fn has_part_of(&self, key: &PartitionKey) -> bool {
        let is_after = |(partition, _): &(String, RunId)| *partition <= path(key);
        self.shard.contains(key) && self.after.as_ref().is_none_or(is_after)
    }

    /// Returns whether a run is after the start. Its partition is not completely before it.
    fn is_after(&self, key: &PartitionKey, run: &RunId) -> bool {
        let is_after = |(partition, last): &(String, RunId)| *partition != path(key) || last < run;
        self.after.as_ref().is_none_or(is_after)
    }

    fn is_sampled(&self, key: &PartitionKey, run: &RunId) -> bool {
        self.sample.is_none_or(|sample| sample.contains(key, run))
    }

    fn contains(&self, key: &PartitionKey, run: &RunId) -> bool {
        self.has_part_of(key) && self.is_after(key, run) && self.is_sampled(key, run)
    }
}

/// Compares a batch of partitions with the state.
async fn compare(
    state: Arc<dyn PartitionState>,
    wanted: Arc<Wanted>,
    batch: Vec<Candidate>,
) -> Vec<Step> {
    let keys: Vec<PartitionKey> = batch.iter().filter_map(Candidate::key).cloned().collect();
    let mut histories = match state.histories(&keys).await {
        Ok(histories) => histories.into_iter(),
        Err(error) => return vec![Step::Emit(Err(error))],
    };
    let mut comparison = Comparison { wanted: &wanted, runs: 0, sampled: 0, steps: Vec::new() };
    let mut failed = None;
    for candidate in batch {
        // The first history belongs to the first key, and so on.
        let mut history = || histories.next().unwrap_or_else(|| Ok(History::default()));
        match candidate {
            Candidate::Landed(key, sealed) => comparison.landed(&key, sealed, history()),
            Candidate::Current(key) => comparison.current(&key, history()),
            Candidate::Unusable(error) => {
                comparison.steps.push(Step::Emit(Ok(Event::UnusableRecord(error))));
            }
            Candidate::Hidden(error) => {
                comparison.steps.push(Step::Emit(Ok(Event::Unlisted(error))));
            }
            Candidate::Failed(error) => failed = Some(error),
        }
    }
    let Comparison { runs, sampled, mut steps, .. } = comparison;
    steps.insert(0, Step::Emit(Ok(Event::Selected { runs, sampled })));
    steps.extend(failed.map(|error| Step::Emit(Err(error))));
    steps
}

/// The steps of a batch.
struct Comparison<'wanted> {
    wanted: &'wanted Wanted,
    runs: usize,
    sampled: usize,
    steps: Vec<Step>,
}

impl Comparison<'_> {
    /// Adds the sealed runs of a listed partition, and the one that has authority.
    fn landed(&mut self, key: &PartitionKey, sealed: Vec<RunId>, history: Result<History>) {
        let history = history.unwrap_or_else(|error| {
            self.unusable(key, error);
            History::default()
        });
        let mut runs: BTreeSet<RunId> = sealed.into_iter().collect();
        match holder(key, &history) {
            Ok(holder) => runs.extend(holder),
            Err(error) => self.unusable(key, error),
        }
        for run in runs {
            self.add(key, run, &history);
        }
    }

    /// Adds the run that has authority, unless it lost it since the scan.
    fn current(&mut self, key: &PartitionKey, history: Result<History>) {
        match history.and_then(|history| Ok((holder(key, &history)?, history))) {
            Ok((Some(run), history)) => self.add(key, run, &history),
            Ok((None, _)) => {}
            Err(error) => self.unusable(key, error),
        }
    }

    fn add(&mut self, key: &PartitionKey, run: RunId, history: &History) {
        if !self.wanted.is_after(key, &run) {
            return;
        }
        self.runs += 1;
        if !self.wanted.is_sampled(key, &run) {
            return;
        }
        self.sampled += 1;
        let expectation = Expectation::of(key, &run, history);
        let target = Target { key: key.clone(), run, number: 0, expectation };
        self.steps.push(Step::Read(Box::new(target)));
    }

    fn unusable(&mut self, key: &PartitionKey, error: Error) {
        let error = error.at(Place::of_partition(key));
        self.steps.push(Step::Emit(Ok(Event::UnusableRecord(error))));
    }
}

/// Returns the run that has authority.
///
/// `Corrupt` if the record gives it to no run, or to one that is withdrawn.
fn holder(key: &PartitionKey, history: &History) -> Result<Option<RunId>> {
    let is_success = history.record().is_some_and(|record| record.status == Status::Success);
    match Authority::of(key, history) {
        Ok(authority) => Ok(Some(authority.run)),
        Err(error) if is_success => Err(error.with_kind(ErrorKind::Corrupt)),
        Err(_) => Ok(None),
    }
}
