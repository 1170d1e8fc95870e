//! Collects records and runs, in any order, into one piece of evidence per cell.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Coverage, OddDays, Scope,
    evidence::{Evidence, Interned, SealStatus},
};
use rawsink::{
    error::{Error, Result},
    layout::Level,
    partition::{LogicalDate, PartitionKey, RunId, Selection},
    sink::{LandedPartition, Run},
    state::{Days, Entry, Series},
};

/// The longest gap, in days, between days of one range if the range would otherwise be too long.
const LONGEST_GAP: usize = 366;

/// The evidence collected so far. All records come before the first run.
pub(super) struct Gathering<'scope> {
    selection: &'scope Selection,
    customers: BTreeSet<String>,
    queries: BTreeSet<String>,
    seen: BTreeMap<Series, Vec<Evidence>>,
    runs: Interned<RunId>,
    reasons: Interned<String>,
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

    pub(super) fn landed(&mut self, partition: &LandedPartition) {
        if !self.is_in_scope(&partition.key) {
            return;
        }
        let evidence = evidence(&mut self.seen, &partition.key);
        // Runs are sorted, the oldest first. Only the runs that a cell names are kept.
        let newest = |sealed| partition.runs.iter().rfind(|run| run.sealed == sealed);
        let mut index = |run: &Run| self.runs.index(&run.run_id);
        evidence.sealed = newest(true).and_then(&mut index);
        evidence.unsealed = newest(false).and_then(&mut index);
        if let Some(current) = self.runs.get(evidence.current)
            && let Some(run) = partition.runs.iter().find(|run| run.run_id == *current)
        {
            evidence.current_status =
                if run.sealed { SealStatus::Sealed } else { SealStatus::Unsealed };
        }
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
