//! What was met, counted: a simulation that meets nothing shows nothing.

use std::{collections::BTreeMap, fmt};

use super::requests::Op;

/// How often what was met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<(Kind, &'static str), u64>);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What a writer was told.
    Writer,
    /// What a reader got.
    Reader,
    /// What a validation ended with.
    Validator,
    /// What a consumer got.
    Consumer,
    /// What became of what was left, for who cleans.
    Cleaner,
    /// What went wrong.
    Fault,
    /// Which way an attempt went.
    Path,
    /// What was asked of the server.
    Request,
}

impl Coverage {
    /// Returns how often something was met.
    pub fn count(&self, kind: Kind, name: &str) -> u64 {
        self.of(kind).find(|(known, _)| *known == name).map_or(0, |(_, times)| times)
    }

    /// Returns everything of a kind that was met, and how often.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = (&'static str, u64)> {
        let of_kind = self.0.iter().filter(move |((known, _), _)| *known == kind);
        of_kind.map(|((_, name), times)| (*name, *times))
    }

    /// Adds what was met elsewhere.
    pub fn add(&mut self, other: &Self) {
        for (key, times) in &other.0 {
            *self.0.entry(*key).or_default() += times;
        }
    }

    pub(super) fn met(&mut self, kind: Kind, name: &'static str) {
        *self.0.entry((kind, name)).or_default() += 1;
    }

    pub(super) fn fault(&mut self, name: &'static str) {
        self.met(Kind::Fault, name);
    }

    pub(super) fn path(&mut self, name: &'static str) {
        self.met(Kind::Path, name);
    }

    pub(super) fn request(&mut self, op: Op) {
        self.met(Kind::Request, op.name());
    }
}

impl fmt::Display for Coverage {
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
