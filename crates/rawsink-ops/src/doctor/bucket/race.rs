//! Several creators of one key: the reply to each, and whose object survives.

use std::collections::{BTreeMap, BTreeSet};

use super::Examination;
use rawsink::store::{
    WriterToken,
    raw::{Reply, S3Fault},
};

/// The result of several creators of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Race {
    /// The reply to each creator.
    pub(super) replies: Vec<Reply<()>>,
    /// The object that exists at the end.
    pub(super) survivor: Reply<Survivor>,
}

/// The object that exists after a race.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Survivor {
    Nothing,
    /// Has the bytes and user metadata of this creator.
    Of(usize),
    /// Has the bytes of this creator and no user metadata.
    BytesOf(usize),
    /// Has other bytes, or those of one creator and user metadata of another.
    Other,
}

impl Race {
    /// Returns the creators that got 2xx.
    pub(super) fn winners(&self) -> Vec<usize> {
        (0..self.replies.len()).filter(|creator| self.replies[*creator].is_ok()).collect()
    }

    /// Returns whether the survivor contradicts the replies; false if several won.
    pub(super) fn is_contradicted(&self) -> bool {
        let Ok(survivor) = self.survivor else { return false };
        match (self.winners().as_slice(), survivor) {
            ([winner], Survivor::Of(creator) | Survivor::BytesOf(creator)) => *winner != creator,
            ([], Survivor::Of(creator) | Survivor::BytesOf(creator)) => {
                !self.replies[creator].as_ref().is_err_and(S3Fault::may_have_been_applied)
            }
            ([_], Survivor::Nothing) | ([] | [_], Survivor::Other) => true,
            ([], Survivor::Nothing) | (_, _) => false,
        }
    }
}

/// Returns the bytes of a creator.
pub(super) fn body(creator: usize) -> bytes::Bytes {
    format!("creator {creator}").into()
}

/// Reads the object and finds its creator.
pub(super) async fn find_survivor(
    exam: &Examination<'_>,
    name: &str,
    tokens: &[WriterToken],
) -> Reply<Survivor> {
    let Some(read) = exam.scratch.with_retries(|| exam.scratch.get(name, 0)).await? else {
        return Ok(Survivor::Nothing);
    };
    let Some(creator) = (0..tokens.len()).find(|creator| body(*creator) == read.bytes) else {
        return Ok(Survivor::Other);
    };
    Ok(match &read.writer {
        None => Survivor::BytesOf(creator),
        Some(token) if token == tokens[creator].as_str() => Survivor::Of(creator),
        Some(_) => Survivor::Other,
    })
}

/// Returns a summary of many races: `5 rounds of 20: one winner each`.
pub(super) fn summary(races: &[Race]) -> String {
    let creators = races.first().map_or(0, |race| race.replies.len());
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

/// Returns the distinct refusals, separated by commas.
pub(super) fn refusals(races: &[Race]) -> String {
    let refusals = races.iter().flat_map(|race| &race.replies).filter(|reply| reply.is_err());
    let kinds: BTreeSet<String> = refusals.map(super::describe).collect();
    kinds.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> Reply<()> {
        Err(S3Fault { status: Some(status), ..S3Fault::default() })
    }

    #[test]
    fn the_survivor_must_be_the_winner() {
        let silent = Err(S3Fault::default());
        for (replies, survivor, contradicted) in [
            (vec![Ok(()), refused(412)], Survivor::Of(0), false),
            (vec![Ok(()), refused(412)], Survivor::BytesOf(0), false),
            (vec![Ok(()), refused(412)], Survivor::Of(1), true),
            (vec![Ok(()), refused(412)], Survivor::BytesOf(1), true),
            (vec![Ok(()), refused(412)], Survivor::Nothing, true),
            (vec![Ok(()), refused(412)], Survivor::Other, true),
            (vec![refused(412), refused(412)], Survivor::Nothing, false),
            (vec![refused(412), refused(412)], Survivor::Of(1), true),
            (vec![refused(412), refused(503)], Survivor::Of(1), false),
            (vec![refused(412), silent.clone()], Survivor::Of(1), false),
            (vec![refused(412), silent], Survivor::Other, true),
            // Another finding reports two winners.
            (vec![Ok(()), Ok(())], Survivor::Of(1), false),
        ] {
            let race = Race { replies, survivor: Ok(survivor) };
            assert_eq!(race.is_contradicted(), contradicted, "{race:?}");
        }
        let unread = Race { replies: vec![Ok(())], survivor: Err(S3Fault::default()) };
        assert!(!unread.is_contradicted());
    }
}
