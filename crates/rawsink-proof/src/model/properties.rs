//! What must hold in every state and at every transition, by the numbers of `docs/semantics.md`.

use stateright::Property;

use super::{
    Protocol,
    actions::Action,
    lone,
    words::{Bucket, Content, Name},
    world::State,
    writer::{Stage, Step, Told, Writer},
};
use crate::server::Fate;

/// Nothing in this software overwrites or deletes an object of a sealed run.
pub const G03: &str = "G03: no object of a sealed run changes";
/// A seal stands beside the payload that it covers.
pub const G02: &str = "G02: a seal stands beside the payload that it covers";
/// At most one attempt is told sealed.
pub const G04: &str = "G04: at most one writer is told sealed, and the seal is its own";
/// Whoever was told sealed is read.
pub const G05: &str = "G05: who was told sealed is who is read";
/// An error that is final is final.
pub const G06: &str = "G06: who was told a final error has no seal";
/// What is told is so.
pub const G07: &str = "G07: AlreadySealed and Corrupt are told only where they are so";
/// A failed attempt ends its upload.
pub const G08: &str = "G08: a failed writer ended its upload, unless it ended another's";
/// A lone writer can seal.
pub const G09: &str = "G09: an unsealed run can be sealed by a lone writer";

/// Every one.
pub(crate) const ALL: [&str; 8] = [G02, G03, G04, G05, G06, G07, G08, G09];

/// What a transition broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Broken {
    /// An object of a sealed run changed.
    pub g03: bool,
    /// `AlreadySealed` or `Corrupt` was told where it is not so.
    pub g07: bool,
    /// A failed attempt's upload stayed, or a payload went away.
    pub g08: bool,
}

impl Protocol {
    /// Compares the states before and after.
    pub(super) fn broken(
        before: &State,
        action: Action,
        after: &State,
        told: Option<Told>,
    ) -> Broken {
        let tags = |bucket: &Bucket| {
            [Name::Seal, Name::Payload]
                .map(|name| bucket.objects.get(&name).map(|o| (o.tag, o.token)))
        };
        let [seal, payload] = tags(&before.bucket);
        let [_, payload_after] = tags(&after.bucket);
        let changed = seal.is_some() && tags(&before.bucket) != tags(&after.bucket);
        let lost = payload.is_some() && payload_after.is_none();
        let mut pairs = before.writers.iter().zip(&after.writers);
        let left = pairs.any(|(was, is)| leaves_upload(was, is, action, &after.bucket));
        let seal = after.bucket.objects.get(&Name::Seal).map(|seal| seal.token.writer());
        let is_so = match told {
            Some(Told::AlreadySealed) => seal.is_some(),
            Some(Told::Corrupt) => seal.is_some_and(|writer| !covers(&after.bucket, writer)),
            _ => true,
        };
        Broken {
            g03: before.broken.g03 || changed,
            g07: before.broken.g07 || !is_so,
            g08: before.broken.g08 || lost || left,
        }
    }

    pub(super) fn all_properties() -> Vec<Property<Self>> {
        vec![
            Property::always(G02, |_, state: &State| {
                let seal = state.bucket.objects.get(&Name::Seal);
                seal.is_none_or(|seal| covers(&state.bucket, seal.token.writer()))
            }),
            Property::always(G03, |_, state: &State| !state.broken.g03),
            Property::always(G04, |_, state: &State| {
                let mut sealed = told_sealed(state);
                let first = sealed.next();
                sealed.next().is_none() && first.is_none_or(|first| has_seal(state, first))
            }),
            Property::always(G05, |_, state: &State| {
                told_sealed(state).all(|writer| {
                    has_seal(state, writer) && covers(&state.bucket, writer.token.writer())
                })
            }),
            Property::always(G06, |_, state: &State| {
                let seal = state.bucket.objects.get(&Name::Seal);
                seal.is_none_or(|seal| {
                    let owner = &state.writers[usize::from(seal.token.writer())];
                    owner.step != Step::Failed
                })
            }),
            Property::always(G07, |_, state: &State| !state.broken.g07),
            Property::always(G08, |_, state: &State| !state.broken.g08),
            Property::always(G09, lone::can_seal),
        ]
    }
}

/// Tells whether the payload that is there has an attempt's rows, and keeps them.
fn covers(bucket: &Bucket, writer: u8) -> bool {
    bucket
        .objects
        .get(&Name::Payload)
        .is_some_and(|payload| payload.body == Content::Rows(writer) && payload.fate == Fate::Whole)
}

/// Tells whether the seal that is there is this very attempt's, by its last token.
fn has_seal(state: &State, writer: &Writer) -> bool {
    let seal = state.bucket.objects.get(&Name::Seal);
    seal.is_some_and(|seal| seal.body == Content::Seal(writer.token))
}

fn told_sealed(state: &State) -> impl Iterator<Item = &Writer> {
    state.writers.iter().filter(|writer| writer.step == Step::Sealed)
}

/// Tells whether an attempt that just ended with an error left an upload that it should have ended.
fn leaves_upload(was: &Writer, is: &Writer, action: Action, bucket: &Bucket) -> bool {
    let failed = was.is_alive() && is.step == Step::Failed;
    let should_end = was.stage == Stage::Rows && !was.ended_another;
    let could_not =
        matches!(was.step, Step::End(_)) && matches!(action, Action::Refused(_) | Action::Fails(_));
    let stays = was.upload.is_some_and(|id| bucket.uploads.contains_key(&id.into()));
    failed && should_end && !could_not && stays
}
