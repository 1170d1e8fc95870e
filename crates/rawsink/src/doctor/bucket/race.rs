//! Several creators of one key: what each was told, and whose object is there afterwards.

use std::collections::{BTreeMap, BTreeSet};

use super::Bench;
use crate::store::{
    WriterToken,
    scratch::{Fault, Reply},
};

/// One key, some creators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Race {
    /// What each creator was told.
    pub(super) told: Vec<Reply<()>>,
    /// Whose object is there at the end.
    pub(super) there: Reply<There>,
}

/// Whose object is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum There {
    Nothing,
    /// Bytes and user metadata of this creator.
    Of(usize),
    /// Bytes of this creator, without the user metadata of any.
    BytesOf(usize),
    /// Nobody's, or a mixture.
    Other,
}

impl Race {
    /// Returns who was told that it won.
    pub(super) fn winners(&self) -> Vec<usize> {
        (0..self.told.len()).filter(|creator| self.told[*creator].is_ok()).collect()
    }

    /// Tells whether what is there contradicts what was told. Nothing to say where several won.
    pub(super) fn is_contradicted(&self) -> bool {
        let Ok(there) = self.there else { return false };
        match (self.winners().as_slice(), there) {
            ([winner], There::Of(creator) | There::BytesOf(creator)) => *winner != creator,
            ([], There::Of(creator) | There::BytesOf(creator)) => {
                !self.told[creator].as_ref().is_err_and(Fault::may_have_been_applied)
            }
            ([_], There::Nothing) | ([] | [_], There::Other) => true,
            ([], There::Nothing) | (_, _) => false,
        }
    }
}

/// Returns the bytes of a creator.
pub(super) fn body(creator: usize) -> bytes::Bytes {
    format!("creator {creator}").into()
}

/// Looks whose object is there.
pub(super) async fn whose(bench: &Bench<'_>, name: &str, tokens: &[WriterToken]) -> Reply<There> {
    let Some(read) = bench.scratch.patiently(|| bench.scratch.get(name, 0)).await? else {
        return Ok(There::Nothing);
    };
    let Some(creator) = (0..tokens.len()).find(|creator| body(*creator) == read.bytes) else {
        return Ok(There::Other);
    };
    Ok(match &read.writer {
        None => There::BytesOf(creator),
        Some(token) if token == tokens[creator].as_str() => There::Of(creator),
        Some(_) => There::Other,
    })
}

/// Returns how the creators of many races fared, for a sentence: `5 rounds of 20: one winner each`.
pub(super) fn summary(races: &[Race]) -> String {
    let creators = races.first().map_or(0, |race| race.told.len());
    let mut rounds: BTreeMap<usize, usize> = BTreeMap::new();
    for race in races {
        *rounds.entry(race.winners().len()).or_default() += 1;
    }
    let counted = match rounds.iter().collect::<Vec<_>>().as_slice() {
        [(1, _)] => "one winner each".to_owned(),
        rounds => {
            let counted = rounds.iter().map(|(won, rounds)| format!("{won} winners in {rounds}"));
            counted.collect::<Vec<_>>().join(", ")
        }
    };
    format!("{} rounds of {creators}: {counted}", races.len())
}

/// Returns the refusals that were met, each once, for a sentence.
pub(super) fn refusals(races: &[Race]) -> String {
    let told = races.iter().flat_map(|race| &race.told).filter(|told| told.is_err());
    let kinds: BTreeSet<String> = told.map(super::told).collect();
    kinds.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> Reply<()> {
        Err(Fault { status: Some(status), ..Fault::default() })
    }

    #[test]
    fn what_is_there_has_to_be_what_was_told() {
        let silent = Err(Fault::default());
        for (told, there, contradicted) in [
            (vec![Ok(()), refused(412)], There::Of(0), false),
            (vec![Ok(()), refused(412)], There::BytesOf(0), false),
            (vec![Ok(()), refused(412)], There::Of(1), true),
            (vec![Ok(()), refused(412)], There::BytesOf(1), true),
            (vec![Ok(()), refused(412)], There::Nothing, true),
            (vec![Ok(()), refused(412)], There::Other, true),
            (vec![refused(412), refused(412)], There::Nothing, false),
            (vec![refused(412), refused(412)], There::Of(1), true),
            (vec![refused(412), refused(503)], There::Of(1), false),
            (vec![refused(412), silent.clone()], There::Of(1), false),
            (vec![refused(412), silent], There::Other, true),
            // Another finding says that two won.
            (vec![Ok(()), Ok(())], There::Of(1), false),
        ] {
            let race = Race { told, there: Ok(there) };
            assert_eq!(race.is_contradicted(), contradicted, "{race:?}");
        }
        let unread = Race { told: vec![Ok(())], there: Err(Fault::default()) };
        assert!(!unread.is_contradicted());
    }
}
