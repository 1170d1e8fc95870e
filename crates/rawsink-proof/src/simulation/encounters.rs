//! Counts of everything that the simulation met. A simulation that meets nothing proves nothing.

use std::{collections::BTreeMap, fmt};

use super::request_kind::RequestKind;

/// Counts of everything that was met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encounters(BTreeMap<(EncounterKind, &'static str), u64>);

/// A kind of counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EncounterKind {
    /// Results of writers.
    Writer,
    /// Results of readers.
    Reader,
    /// Results of validations.
    Validator,
    /// Results of consumers.
    Consumer,
    /// Results of cleaners, per leftover.
    Cleaner,
    /// Results of repairs.
    Repairer,
    /// Mishaps.
    Mishap,
    /// Paths of attempts.
    Path,
    /// Requests to the server.
    Request,
}

impl Encounters {
    /// Returns a count.
    pub fn count(&self, kind: EncounterKind, name: &str) -> u64 {
        self.of(kind).find(|(known, _)| *known == name).map_or(0, |(_, times)| times)
    }

    /// Returns all counts of a kind.
    pub fn of(&self, kind: EncounterKind) -> impl Iterator<Item = (&'static str, u64)> {
        let of_kind = self.0.iter().filter(move |((known, _), _)| *known == kind);
        of_kind.map(|((_, name), times)| (*name, *times))
    }

    /// Adds the counts of another simulation.
    pub fn add(&mut self, other: &Self) {
        for (key, times) in &other.0 {
            *self.0.entry(*key).or_default() += times;
        }
    }

    pub(super) fn met(&mut self, kind: EncounterKind, name: &'static str) {
        *self.0.entry((kind, name)).or_default() += 1;
    }

    pub(super) fn mishap(&mut self, name: &'static str) {
        self.met(EncounterKind::Mishap, name);
    }

    pub(super) fn path(&mut self, name: &'static str) {
        self.met(EncounterKind::Path, name);
    }

    pub(super) fn request(&mut self, kind: RequestKind) {
        self.met(EncounterKind::Request, kind.name());
    }
}

impl fmt::Display for Encounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for ((kind, name), times) in &self.0 {
            if last != Some(kind) {
                writeln!(f, "{kind:?}")?;
                last = Some(kind);
            }
            writeln!(f, "  {times:>10}  {name}")?;
        }
        Ok(())
    }
}
