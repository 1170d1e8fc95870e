//! A JSON object as an ordered list of members. Each value keeps its exact text.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::value::{RawValue, to_raw_value};

/// The members of one JSON object. Repeated names are kept; the last one has effect.
#[derive(Debug, Clone, Default)]
pub(super) struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    pub(super) fn parse(document: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(document)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, raw)| raw.get())
    }

    /// Returns a name that occurs more than once.
    pub(super) fn repeated(&self) -> Option<&str> {
        let mut seen = std::collections::HashSet::new();
        self.names().find(|name| !seen.insert(*name))
    }

    /// Sets a member. A new name is added at the end.
    pub(super) fn set<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> serde_json::Result<()> {
        let raw = to_raw_value(value)?;
        match self.0.iter_mut().rev().find(|(known, _)| known == name) {
            Some((_, old)) => *old = raw,
            None => self.0.push((name.to_owned(), raw)),
        }
        Ok(())
    }

    /// Sets every member of `other`. Each keeps its exact text.
    pub(super) fn merge(&mut self, other: Self) {
        for (name, raw) in other.0 {
            match self.0.iter_mut().rev().find(|(known, _)| *known == name) {
                Some((_, old)) => *old = raw,
                None => self.0.push((name, raw)),
            }
        }
    }

    /// Removes all members of this name and returns their texts.
    pub(super) fn remove(&mut self, name: &str) -> Vec<String> {
        let (taken, kept) =
            std::mem::take(&mut self.0).into_iter().partition(|(known, _)| known == name);
        self.0 = kept;
        let taken: Vec<(String, Box<RawValue>)> = taken;
        taken.into_iter().map(|(_, raw)| raw.get().to_owned()).collect()
    }
}

impl PartialEq for Members {
    fn eq(&self, other: &Self) -> bool {
        self.0
            .iter()
            .map(|(name, raw)| (name, raw.get()))
            .eq(other.0.iter().map(|(name, raw)| (name, raw.get())))
    }
}

impl Eq for Members {}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, raw) in &self.0 {
            map.serialize_entry(name, raw)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
