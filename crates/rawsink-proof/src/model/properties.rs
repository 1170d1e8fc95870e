//! The properties of every state and transition, with the numbers of `docs/semantics.md`.

use fake_s3::ContentState;
use stateright::Property;

use super::{
    Protocol,
    actions::ModelAction,
    lone,
    words::{ModelBody, ModelBucket, ObjectName, token_of},
    world::{ModelState, Violations},
    writer::{ModelWriter, PayloadProgress, ProtocolStep, WriterResult},
};

/// No request overwrites or deletes an object of a sealed run.
pub const G03: &str = "G03: no object of a sealed run changes";
/// A seal covers the current payload.
pub const G02: &str = "G02: a seal covers the payload next to it";
/// At most one writer gets "sealed".
pub const G04: &str = "G04: at most one writer gets \"sealed\", and the seal is its own";
/// Readers see the rows of the writer that got "sealed".
pub const G05: &str = "G05: readers see the rows of the writer that got \"sealed\"";
/// A final error stays true.
pub const G06: &str = "G06: a writer that got a final error has no seal";
/// `AlreadySealed` and `Corrupt` are true.
pub const G07: &str = "G07: a writer gets AlreadySealed and Corrupt only where they are true";
/// A failed attempt aborts its upload.
pub const G08: &str = "G08: a failed writer aborted its upload, unless it aborted another's";
/// A lone writer can seal.
pub const G09: &str = "G09: a lone writer can seal an unsealed run";

/// All properties.
pub(crate) const ALL: [&str; 8] = [G02, G03, G04, G05, G06, G07, G08, G09];

impl Protocol {
    /// Returns the violations up to a transition.
    pub(super) fn broken(
        before: &ModelState,
        action: ModelAction,
        after: &ModelState,
        outcome: Option<WriterResult>,
    ) -> Violations {
        let tags = |bucket: &ModelBucket| {
            [ObjectName::Seal, ObjectName::Payload]
                .map(|name| bucket.objects.get(&name).map(|o| (o.tag, token_of(o))))
        };
        let [seal, payload] = tags(&before.bucket);
        let [_, payload_after] = tags(&after.bucket);
        let changed = seal.is_some() && tags(&before.bucket) != tags(&after.bucket);
        let lost = payload.is_some() && payload_after.is_none();
        let mut pairs = before.writers.iter().zip(&after.writers);
        let left = pairs.any(|(was, is)| leaves_upload(was, is, action, &after.bucket));
        let seal = after.bucket.objects.get(&ObjectName::Seal).map(|seal| token_of(seal).writer());
        let is_so = match outcome {
            Some(WriterResult::AlreadySealed) => seal.is_some(),
            Some(WriterResult::Corrupt) => {
                seal.is_some_and(|writer| !covers(&after.bucket, writer))
            }
            _ => true,
        };
        Violations {
            g03: before.broken.g03 || changed,
            g07: before.broken.g07 || !is_so,
            g08: before.broken.g08 || lost || left,
        }
    }

    pub(super) fn all_properties() -> Vec<Property<Self>> {
        vec![
            Property::always(G02, |_, state: &ModelState| {
                let seal = state.bucket.objects.get(&ObjectName::Seal);
                seal.is_none_or(|seal| covers(&state.bucket, token_of(seal).writer()))
            }),
            Property::always(G03, |_, state: &ModelState| !state.broken.g03),
            Property::always(G04, |_, state: &ModelState| {
                let mut sealed = reported_sealed(state);
                let first = sealed.next();
                sealed.next().is_none() && first.is_none_or(|first| has_seal(state, first))
            }),
            Property::always(G05, |_, state: &ModelState| {
                reported_sealed(state).all(|writer| {
                    has_seal(state, writer) && covers(&state.bucket, writer.token.writer())
                })
            }),
            Property::always(G06, |_, state: &ModelState| {
                let seal = state.bucket.objects.get(&ObjectName::Seal);
                seal.is_none_or(|seal| {
                    let owner = &state.writers[usize::from(token_of(seal).writer())];
                    owner.step != ProtocolStep::Failed
                })
            }),
            Property::always(G07, |_, state: &ModelState| !state.broken.g07),
            Property::always(G08, |_, state: &ModelState| !state.broken.g08),
            Property::always(G09, lone::can_seal),
        ]
    }
}

/// Returns whether the current payload has an attempt's rows and keeps them.
fn covers(bucket: &ModelBucket, writer: u8) -> bool {
    bucket.objects.get(&ObjectName::Payload).is_some_and(|payload| {
        payload.body == ModelBody::Rows(writer) && payload.content == ContentState::Intact
    })
}

/// Returns whether the current seal has the last token of an attempt.
fn has_seal(state: &ModelState, writer: &ModelWriter) -> bool {
    let seal = state.bucket.objects.get(&ObjectName::Seal);
    seal.is_some_and(|seal| seal.body == ModelBody::Seal(writer.token))
}

fn reported_sealed(state: &ModelState) -> impl Iterator<Item = &ModelWriter> {
    state.writers.iter().filter(|writer| writer.step == ProtocolStep::Sealed)
}

/// Returns whether an attempt that just failed left an upload that it should have aborted.
fn leaves_upload(
    was: &ModelWriter,
    is: &ModelWriter,
    action: ModelAction,
    bucket: &ModelBucket,
) -> bool {
    let failed = was.is_alive() && is.step == ProtocolStep::Failed;
    let should_end = was.stage == PayloadProgress::Rows && !was.ended_another;
    let could_not = matches!(was.step, ProtocolStep::End(_))
        && matches!(action, ModelAction::Refused(_) | ModelAction::Fails(_));
    let stays = was.upload.is_some_and(|id| bucket.uploads.contains_key(&id.into()));
    failed && should_end && !could_not && stays
}
