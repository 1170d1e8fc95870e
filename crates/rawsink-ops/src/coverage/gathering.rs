//! Collects records and runs, in any order, into one piece of evidence per cell.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Coverage, OddDays, Scope,
    evidence::{Evidence, Interned, Standing},
    runs::UnusualRuns,
};
use rawsink::{
    error::{Error, Result},
    layout::{Level, Place},
    partition::{LogicalDate, PartitionKey, RunId, Selection},
    sink::{LandedPartition, RawSink, Run},
    state::{Days, Entry, Event, LogEntry, Newest, Series, Situation, Status},
};

/// The longest gap, in days, between days of one range if the range would otherwise be too long.
const LONGEST_GAP: usize = 366;

/// The evidence collected so far. All records come before the log, and the log before the first run.
pub(super) struct Gathering<'scope> {
    sink: &'scope RawSink,
    selection: &'scope Selection,
    customers: BTreeSet<String>,
    queries: BTreeSet<String>,
    seen: BTreeMap<Series, Vec<Evidence>>,
    runs: Interned<RunId>,
    reasons: Interned<String>,
    /// The runs of a partition of which the log says more than that they passed once.
    unusual: BTreeMap<PartitionKey, UnusualRuns>,
    has_log: bool,
    faults: Vec<Error>,
    hidden: Vec<Place>,
}

impl<'scope> Gathering<'scope> {
    pub(super) fn new(sink: &'scope RawSink, scope: &'scope Scope) -> Result<Self> {
        let Scope { selection, customers, queries } = scope;
        Ok(Self {
            sink,
            selection,
            customers: named(Level::Customer, customers, selection.customer_id.as_ref())?,
            queries: named(Level::Query, queries, selection.query_name.as_ref())?,
            seen: BTreeMap::new(),
            runs: Interned::default(),
            reasons: Interned::default(),
            unusual: BTreeMap::new(),
            has_log: false,
            faults: Vec::new(),
            hidden: Vec::new(),
        })
    }

    pub(super) fn record(&mut self, found: Result<Entry>) {
        let entry = match found {
            Ok(entry) => entry,
            Err(fault) => return self.faults.push(fault),
        };
        if !self.is_in_scope(&entry.key) {
            return;
        }
        let record = &entry.record;
        let current = record.current_run_id.as_ref().and_then(|run| self.runs.index(run));
        let reason = record.error_message.as_ref().and_then(|text| self.reasons.index(text));
        let is_future = record.current_run_id.as_ref().is_some_and(|run| self.sink.is_future(run));
        let evidence = evidence(&mut self.seen, &entry.key);
        evidence.is_future = is_future;
        evidence.status = Some(record.status);
        (evidence.current, evidence.reason) = (current, reason);
        evidence.set_record_count(record.record_count);
    }

    /// Adds an entry of the log. The entries of a partition come in their order.
    pub(super) fn logged(&mut self, found: Result<(PartitionKey, LogEntry)>) {
        let (key, entry) = match found {
            Ok(found) => found,
            Err(fault) => return self.faults.push(fault),
        };
        if !self.is_in_scope(&key) {
            return;
        }
        let evidence = evidence(&mut self.seen, &key);
        let current = self.runs.get(evidence.current);
        let is_current = entry.run_id.is_some() && entry.run_id.as_ref() == current;
        if is_current && entry.event == Event::Passed {
            evidence.set_lengths(entry.evidence.seal_bytes, entry.evidence.payload_bytes);
        }
        // A run that passed and was superseded since needs no memory, unless a run of the future did it.
        let has_success = evidence.status == Some(Status::Success);
        let is_superseded = has_success && !evidence.is_future && entry.run_id.as_ref() <= current;
        let is_usual = entry.event == Event::Passed && is_superseded;
        if !is_usual || self.unusual.contains_key(&key) {
            let unusual = self.unusual.entry(key).or_default();
            unusual.add(&entry, &mut self.runs);
            evidence.has_withdrawn = unusual.has_withdrawn();
        }
    }

    /// Says that the database keeps a log.
    pub(super) fn has_log(&mut self) {
        self.has_log = true;
    }

    pub(super) fn landed(&mut self, partition: &LandedPartition) {
        if !self.is_in_scope(&partition.key) {
            return;
        }
        let none = UnusualRuns::default();
        let unusual = self.unusual.get(&partition.key).unwrap_or(&none);
        let evidence = evidence(&mut self.seen, &partition.key);
        let current = self.runs.get(evidence.current).cloned();
        let summary = |run: &RunId| unusual.of(self.runs.known(run));
        let standing = partition.runs.iter().filter(|run| !summary(&run.run_id).is_withdrawn());
        // Runs are sorted, the oldest first. Only the runs that a cell names are kept.
        let (sealed, unsealed): (Vec<&Run>, Vec<&Run>) = standing.partition(|run| run.sealed);
        let unsealed = unsealed.last().map(|run| &run.run_id);
        evidence.is_unsealed_named =
            unsealed.is_some_and(|run| current.as_ref() == Some(run) || summary(run).is_named);
        let situation = Situation {
            status: evidence.status.unwrap_or(Status::Pending),
            current: current.as_ref(),
            reason: self.reasons.get(evidence.reason).map(String::as_str),
            newest: match unusual.newest() {
                Some(status) => Newest::Entry(status),
                None if self.has_log => Newest::Nothing,
                None => Newest::NoLog,
            },
        };
        let runs = sealed.iter().map(|run| &run.run_id);
        let due = situation.due(runs.clone(), summary);
        let held_back = evidence.is_future.then(|| situation.held_back(runs, summary)).flatten();
        // Authority must not be taken from a run for one that may fail, or is lost.
        let is_intact = |run: &RunId| {
            let found = sealed.iter().find(|sealed| sealed.run_id == *run);
            found.is_some_and(|found| unusual.is_intact(self.runs.known(run), found))
        };
        let (blocked, unknown) = match held_back {
            Some(run) if summary(run).has_verdict => (held_back.filter(|run| is_intact(run)), None),
            _ => (None, held_back),
        };
        let due = due.last().copied().or(unknown);
        let sealed = sealed.last().map(|run| &run.run_id);
        if let Some(current) = &current
            && let Some(run) = partition.runs.iter().find(|run| run.run_id == *current)
            && let Some(seal_bytes) = run.seal_bytes
            && !summary(current).is_withdrawn()
        {
            evidence.is_intact = evidence.has_lengths(seal_bytes, run.payload_bytes);
        }
        let mut index = |run: Option<&RunId>| run.and_then(|run| self.runs.index(run));
        evidence.sealed = index(sealed);
        evidence.due = index(due);
        evidence.blocked = index(blocked);
        evidence.unsealed = index(unsealed);
    }

    /// Adds a part of the storage that cannot be listed. Its cells prove nothing.
    pub(super) fn hidden(&mut self, place: Place, error: Error) {
        let is_expected =
            [&self.customers, &self.queries].into_iter().zip(1..).all(|(expected, level)| {
                let name = place.values().nth(level);
                expected.is_empty() || name.is_none_or(|name| expected.contains(name))
            });
        if is_expected {
            self.faults.push(error);
            self.hidden.push(place);
        }
    }

    /// Combines the evidence with the expected rows and days.
    pub(super) fn finish(mut self) -> Result<Coverage> {
        let odd_days = self.remove_odd_days();
        let days = self.days()?;
        let erased = self.erased_customers();
        let mut rows = Vec::new();
        for series in self.expected()? {
            let mut seen = self.seen.remove(&series).unwrap_or_default();
            if erased.contains(&(series.source.clone(), series.customer_id.clone())) {
                for day in &days {
                    of_day(&mut seen, *day).has_withdrawn = true;
                }
            }
            mark_hidden(&self.hidden, &series, &days, &mut seen);
            seen.shrink_to_fit();
            rows.push((series, seen));
        }
        let Self { runs, reasons, faults, hidden, .. } = self;
        Ok(Coverage { days, rows, runs, reasons, faults, hidden, odd_days })
    }

    /// Returns whether a partition of the selection belongs to the expected customers and queries.
    fn is_in_scope(&self, key: &PartitionKey) -> bool {
        (self.customers.is_empty() || self.customers.contains(key.customer_id()))
            && (self.queries.is_empty() || self.queries.contains(key.query_name()))
    }

    /// Removes the evidence of odd days, and returns these days.
    ///
    /// If the range of all days is too long, the days are divided where a gap is longer than
    /// [`LONGEST_GAP`]. The part with the most partitions stays, the latest of several.
    fn remove_odd_days(&mut self) -> Vec<OddDays> {
        let mut found: BTreeMap<LogicalDate, usize> = BTreeMap::new();
        for evidence in self.seen.values().flatten() {
            *found.entry(evidence.day).or_default() += 1;
        }
        let Selection { since, until, .. } = self.selection;
        let first = since.or_else(|| found.keys().next().copied());
        let last = until.or_else(|| found.keys().next_back().copied());
        let (Some(first), Some(last)) = (first, last) else { return Vec::new() };
        if (since.is_some() && until.is_some()) || distance(first, last).is_some() {
            return Vec::new();
        }
        let mut parts: Vec<OddDays> = Vec::new();
        for (day, partitions) in found {
            match parts.last_mut() {
                Some(part) if distance(part.until, day).is_some_and(|gap| gap <= LONGEST_GAP) => {
                    part.until = day;
                    part.partitions += partitions;
                }
                _ => parts.push(OddDays { since: day, until: day, partitions }),
            }
        }
        let Some(kept) = parts.iter().max_by_key(|part| (part.partitions, part.until)).cloned()
        else {
            return Vec::new();
        };
        self.seen.retain(|_, row| {
            row.retain(|evidence| (kept.since..=kept.until).contains(&evidence.day));
            !row.is_empty()
        });
        parts.retain(|part| *part != kept);
        parts
    }

    fn days(&self) -> Result<Vec<LogicalDate>> {
        let seen = || self.seen.values().flatten().map(|evidence| evidence.day);
        let Selection { since, until, .. } = self.selection;
        let first = since.or_else(|| seen().min());
        let last = until.or_else(|| seen().max());
        match (first.or(last), last.or(first)) {
            (Some(since), Some(until)) => Days { since, until }.all().map_err(|error| {
                let named = self.selection.since.is_some() && self.selection.until.is_some();
                let next = if named { "" } else { "; name the first and the last day" };
                Error::invalid(format!("{}{next}", error.message()))
            }),
            _ if self.customers.is_empty() || self.queries.is_empty() => Ok(Vec::new()),
            _ => Err(Error::invalid(
                "cannot derive the expected days: no partition exists; name the first and the last day",
            )),
        }
    }

    /// Returns the customers with nothing but withdrawn runs, unless the scope names them. Nobody expects
    /// data of an erased customer.
    fn erased_customers(&self) -> BTreeSet<(String, String)> {
        let mut erased = BTreeMap::new();
        for (Series { source, customer_id, .. }, seen) in &self.seen {
            let is_erased = erased.entry((source.clone(), customer_id.clone())).or_insert(true);
            *is_erased &= seen.iter().all(|evidence| evidence.standing() == Standing::Withdrawn);
        }
        let found = erased.into_iter().filter(|(_, is_erased)| *is_erased);
        found.map(|(found, _)| found).filter(|(_, id)| !self.customers.contains(id)).collect()
    }

    /// Returns every customer with every query of its source, sorted.
    fn expected(&self) -> Result<Vec<Series>> {
        let mut sources: BTreeMap<&str, [BTreeSet<&str>; 2]> = BTreeMap::new();
        if let Some(source) = &self.selection.source {
            sources.entry(source).or_default();
        }
        for Series { source, customer_id, query_name } in self.seen.keys() {
            let [customers, queries] = sources.entry(source).or_default();
            customers.insert(customer_id);
            queries.insert(query_name);
        }
        let named = self.customers.iter().chain(&self.queries).next();
        if let (true, Some(name)) = (sources.is_empty(), named) {
            let message = format!(
                "cannot derive the source of {name:?}: no partition exists; name the source"
            );
            return Err(Error::invalid(message));
        }
        let mut expected = Vec::new();
        for (source, [seen_customers, seen_queries]) in &sources {
            let customers = chosen(&self.customers, seen_customers);
            for customer_id in &customers {
                for query_name in chosen(&self.queries, seen_queries) {
                    let part = |text: &str| text.to_owned();
                    expected.push(Series {
                        source: part(source),
                        customer_id: part(customer_id),
                        query_name: part(query_name),
                    });
                }
            }
        }
        match named {
            // An empty grid would claim that nothing is missing.
            Some(name) if expected.is_empty() => {
                let message = format!(
                    "cannot derive the customers or queries of {name:?}: no partition exists; name both"
                );
                Err(Error::invalid(message))
            }
            _ => Ok(expected),
        }
    }
}

/// Returns the number of days between two days; `None` if a range of them is too long.
fn distance(since: LogicalDate, until: LogicalDate) -> Option<usize> {
    Days { since, until }.all().ok().map(|days| days.len() - 1)
}

/// Returns the names that a scope expects, from its set and its filter.
fn named(level: Level, set: &BTreeSet<String>, one: Option<&String>) -> Result<BTreeSet<String>> {
    let names: BTreeSet<String> = set.iter().chain(one).cloned().collect();
    names.iter().try_for_each(|name| level.check(name))?;
    Ok(names)
}

/// Returns the evidence about a partition. Both lists are sorted by day.
fn evidence<'a>(
    seen: &'a mut BTreeMap<Series, Vec<Evidence>>,
    key: &PartitionKey,
) -> &'a mut Evidence {
    let series = Series {
        source: key.source().to_owned(),
        customer_id: key.customer_id().to_owned(),
        query_name: key.query_name().to_owned(),
    };
    of_day(seen.entry(series).or_default(), key.logical_date())
}

/// Marks the cells of a row that cannot be listed.
fn mark_hidden(hidden: &[Place], series: &Series, days: &[LogicalDate], row: &mut Vec<Evidence>) {
    let Series { source, customer_id, query_name } = series;
    let [source, customer_id, query_name] =
        [source, customer_id, query_name].map(|name| Some(name.clone()));
    let mut cell = Selection { source, customer_id, query_name, since: None, until: None };
    let hidden: Vec<&Place> = hidden.iter().filter(|place| place.may_hold(&cell)).collect();
    for day in days.iter().filter(|_| !hidden.is_empty()) {
        (cell.since, cell.until) = (Some(*day), Some(*day));
        if hidden.iter().any(|place| place.may_hold(&cell)) {
            of_day(row, *day).is_hidden = true;
        }
    }
}

/// Returns the evidence about a day. The row is sorted by day.
fn of_day(row: &mut Vec<Evidence>, day: LogicalDate) -> &mut Evidence {
    let at = match row.binary_search_by_key(&day, |evidence| evidence.day) {
        Ok(at) => at,
        Err(at) => {
            row.insert(at, Evidence::new(day));
            at
        }
    };
    &mut row[at]
}

fn chosen<'a>(named: &'a BTreeSet<String>, seen: &BTreeSet<&'a str>) -> Vec<&'a str> {
    if named.is_empty() {
        seen.iter().copied().collect()
    } else {
        named.iter().map(String::as_str).collect()
    }
}
