//! Collects records and runs, in any order, into one piece of evidence per cell.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Coverage, OddDays, Scope,
    evidence::{Evidence, Interned},
    runs::UnusualRuns,
};
use rawsink::{
    error::{Error, Result},
    layout::Level,
    partition::{LogicalDate, PartitionKey, RunId, Selection},
    sink::{LandedPartition, Run},
    state::{Days, Entry, Event, LogEntry, Series, Status, is_reason_of},
};

/// The longest gap, in days, between days of one range if the range would otherwise be too long.
const LONGEST_GAP: usize = 366;

/// The evidence collected so far. All records come before the log, and the log before the first run.
pub(super) struct Gathering<'scope> {
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
}

impl<'scope> Gathering<'scope> {
    pub(super) fn new(scope: &'scope Scope) -> Result<Self> {
        let Scope { selection, customers, queries } = scope;
        Ok(Self {
            selection,
            customers: named(Level::Customer, customers, selection.customer_id.as_ref())?,
            queries: named(Level::Query, queries, selection.query_name.as_ref())?,
            seen: BTreeMap::new(),
            runs: Interned::default(),
            reasons: Interned::default(),
            unusual: BTreeMap::new(),
            has_log: false,
            faults: Vec::new(),
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
        let evidence = evidence(&mut self.seen, &entry.key);
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
        // A run that passed and was superseded since needs no memory.
        let has_success = evidence.status == Some(Status::Success);
        let is_superseded = has_success && entry.run_id.as_ref() <= current;
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
        let reason = self.reasons.get(evidence.reason).cloned();
        let is_pending = matches!(evidence.status, None | Some(Status::Pending));
        // Runs are sorted, the oldest first. Only the runs that a cell names are kept.
        let (mut sealed, mut due, mut unsealed) = (None, None, None);
        for run in &partition.runs {
            let known = unusual.of(self.runs.known(&run.run_id));
            if known.is_withdrawn() {
                continue;
            }
            if !run.sealed {
                unsealed = Some(run);
                let is_current = current.as_ref() == Some(&run.run_id);
                evidence.is_unsealed_named = is_current || known.is_named;
                continue;
            }
            sealed = Some(run);
            let is_named = !is_pending
                && reason.as_ref().is_some_and(|reason| is_reason_of(reason, &run.run_id));
            let has_verdict = if self.has_log {
                known.has_verdict && !(is_pending && unusual.ends_with_verdict())
            } else {
                is_named
            };
            let is_newer = current.as_ref().is_none_or(|current| run.run_id > *current);
            if !has_verdict && (is_pending || known.is_restored() || is_newer) {
                due = Some(run);
            } else if !self.has_log && is_named {
                // Without a log, runs up to the one that the record names count as validated.
                due = None;
            }
        }
        if let Some(current) = &current
            && let Some(run) = partition.runs.iter().find(|run| run.run_id == *current)
            && let Some(seal_bytes) = run.seal_bytes
        {
            evidence.is_intact = evidence.has_lengths(seal_bytes, run.payload_bytes);
        }
        let mut index = |run: Option<&Run>| run.and_then(|run| self.runs.index(&run.run_id));
        evidence.sealed = index(sealed);
        evidence.due = index(due);
        evidence.unsealed = index(unsealed);
    }

    /// Combines the evidence with the expected rows and days.
    pub(super) fn finish(mut self) -> Result<Coverage> {
        let odd_days = self.remove_odd_days();
        let days = self.days()?;
        let mut rows = Vec::new();
        for series in self.expected()? {
            let mut seen = self.seen.remove(&series).unwrap_or_default();
            seen.shrink_to_fit();
            rows.push((series, seen));
        }
        let Self { runs, reasons, faults, .. } = self;
        Ok(Coverage { days, rows, runs, reasons, faults, odd_days })
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
    let (row, day) = (seen.entry(series).or_default(), key.logical_date());
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
