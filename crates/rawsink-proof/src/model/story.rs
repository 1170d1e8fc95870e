//! A path through the model as a readable table.

use std::fmt::Write;

use fake_s3::{ContentState, UploadState};

use super::{
    Protocol,
    actions::ModelAction,
    network::SentRequest,
    time::ClockReading,
    words::{ModelBody, ObjectName, Token},
    world::ModelState,
    writer::{
        AbortTarget, LookMoment, LookReason, ModelWriter, OpenTry, OtherUploads, PayloadSeen,
        PayloadWay, ProtocolStep, WriterResult,
    },
};

/// Returns a path as a Markdown table: actor, event, and the bucket after it.
pub(super) fn tell(protocol: &Protocol, steps: &[(ModelState, Option<ModelAction>)]) -> String {
    let mut table =
        String::from("| | actor | event | payload | seal | uploads |\n|--:|---|---|---|---|---|\n");
    let mut last = String::new();
    for (number, pair) in (1..).zip(steps.windows(2)) {
        let [(before, Some(action)), (after, _)] = pair else {
            continue;
        };
        let (_, told) = protocol.happens(before, *action);
        let (who, what) = line(before, *action, after, told);
        let bucket = bucket(after);
        let shown = if bucket == last { "| | | |".to_owned() } else { bucket.clone() };
        last = bucket;
        writeln!(table, "| {number} | {who} | {what} {shown}").expect("a string takes it");
    }
    table
}

/// Returns the letter of an attempt.
fn letter(number: u8) -> char {
    char::from(b'A' + number)
}

fn whose(token: Token) -> char {
    letter(token.writer())
}

/// Returns the owner of an upload; a second upload of the same attempt has a prime.
fn upload(state: &ModelState, id: u8) -> String {
    let of = Token::of_upload(id);
    let first = state.bucket.uploads.keys().all(|other| {
        *other >= u64::from(id)
            || Token::of_upload(u8::try_from(*other).unwrap_or(id)).writer() != of.writer()
    });
    format!("{}{}", whose(of), if first { "" } else { "'" })
}

fn bucket(state: &ModelState) -> String {
    let object = |name| {
        state.bucket.objects.get(&name).map_or_else(String::new, |stored| {
            let owner = match stored.body {
                ModelBody::Rows(writer) => letter(writer),
                ModelBody::Seal(token) => whose(token),
            };
            let doomed = if stored.content == ContentState::Intact { "" } else { ", will be lost" };
            format!("{owner}'s{doomed}")
        })
    };
    let mut uploads: Vec<_> = state.bucket.uploads.iter().collect();
    uploads.sort_by_key(|(id, open)| (open.initiated, **id));
    let uploads: Vec<String> = uploads
        .into_iter()
        .map(|(id, open)| {
            let runs = matches!(open.state, UploadState::Completing(..));
            let name = upload(state, u8::try_from(*id).unwrap_or_default());
            format!("{name}{}", if runs { " completing" } else { "" })
        })
        .collect();
    format!(
        "| {} | {} | {} |",
        object(ObjectName::Payload),
        object(ObjectName::Seal),
        uploads.join(", ")
    )
}

fn line(
    before: &ModelState,
    action: ModelAction,
    after: &ModelState,
    told: Option<WriterResult>,
) -> (String, String) {
    let by = |w: u8| letter(w).to_string();
    let ends = told.map_or_else(String::new, |told| format!("; **{}**", name_of(told)));
    let step = |w: u8| describe(before, &before.writers[usize::from(w)]);
    match action {
        ModelAction::Begins(w, way) => {
            let size = if way == PayloadWay::Single { "small" } else { "large" };
            (by(w), format!("starts with a {size} payload"))
        }
        ModelAction::Goes(w) => (by(w), step(w)),
        ModelAction::Answered(w, clock, _) => {
            let late =
                if clock == ClockReading::Late { "; by its clock that took too long" } else { "" };
            let result = result(before, after, w, told);
            (by(w), format!("{}{result}{late}{ends}", step(w)))
        }
        ModelAction::Unanswered(w) => {
            (by(w), format!("{}: no answer; the request is on its way", step(w)))
        }
        ModelAction::Refused(w) => (by(w), format!("{}: 403{ends}", step(w))),
        ModelAction::TooLate(w) => {
            (by(w), "seal: was paused past the deadline, and looks again".to_owned())
        }
        ModelAction::Fails(w) => (by(w), format!("fails by itself{ends}")),
        ModelAction::Dies(w) => (by(w), format!("dies; last: {}", step(w))),
        ModelAction::Applied(flight, _) => {
            ("server".to_owned(), format!("applies {}", sent(before, flight.sent)))
        }
        ModelAction::CompleteEnds(flight) => {
            ("server".to_owned(), format!("ends {}", sent(before, flight.sent)))
        }
        ModelAction::CleanBegins => ("clean".to_owned(), "lists the uploads".to_owned()),
        ModelAction::Cleans(id) => {
            ("clean".to_owned(), format!("ends the upload of {}", upload(before, id)))
        }
        ModelAction::ListedAgain(id) => (
            "server".to_owned(),
            format!("lists the upload of {} again", whose(Token::of_upload(id))),
        ),
    }
}

/// Returns the action of an attempt, with the name of the function in the code.
fn describe(state: &ModelState, writer: &ModelWriter) -> String {
    let look = |when| match when {
        LookMoment::BeforeComplete | LookMoment::BeforeCompleteAgain => "complete",
        LookMoment::InDoubt | LookMoment::UploadGone => "judge",
    };
    let reason = |reason| match reason {
        LookReason::BeforeSeal => "look_once_more",
        LookReason::SealInDoubt => "look_before_seal",
        LookReason::LateEvidence => "evidence",
    };
    match writer.step {
        ProtocolStep::Idle | ProtocolStep::Sealed | ProtocolStep::Failed | ProtocolStep::Gone => {
            String::new()
        }
        ProtocolStep::Begin => "begin: LIST".to_owned(),
        ProtocolStep::Rows if writer.way == PayloadWay::Single => "put: begins".to_owned(),
        ProtocolStep::Rows => "append: the first part is full".to_owned(),
        ProtocolStep::CreateUpload(OpenTry::First) => "open_upload: create".to_owned(),
        ProtocolStep::CreateUpload(OpenTry::Second(_)) => "open_upload: create again".to_owned(),
        ProtocolStep::ListUploads(_) => "open_upload: list uploads".to_owned(),
        ProtocolStep::EndUploads(ending, todo, _) => {
            let of = todo.first().map_or_else(String::new, |id| upload(state, id));
            let function = if ending == AbortTarget::Own { "end_uploads" } else { "end_others" };
            format!("{function}: abort the upload of {of}")
        }
        ProtocolStep::LookBeforeEnding(_) => "end_others: HEAD seal".to_owned(),
        ProtocolStep::ListEnded(..) => "end_uploads: list uploads".to_owned(),
        ProtocolStep::ListBefore => "open_upload: list before the second try".to_owned(),
        ProtocolStep::Part => "part: upload part".to_owned(),
        ProtocolStep::WaitForGrace(_) => "wait_for_grace: is over".to_owned(),
        ProtocolStep::LookAtPayload(when) => format!("{}: HEAD payload", look(when)),
        ProtocolStep::LookAtSeal(when, _) => format!("{}: HEAD seal", look(when)),
        ProtocolStep::ListOwn => "send_again_or_yield: list uploads".to_owned(),
        ProtocolStep::SendComplete => "complete: sends Complete".to_owned(),
        ProtocolStep::Put => "put: PUT payload".to_owned(),
        ProtocolStep::Complete | ProtocolStep::CompleteRuns => "complete: Complete".to_owned(),
        ProtocolStep::SendList(why) => format!("{}: sends the upload list", reason(why)),
        ProtocolStep::List(why) => format!("{}: list uploads", reason(why)),
        ProtocolStep::Listed(why, _) => format!("{}: the upload list is answered", reason(why)),
        ProtocolStep::Head(why, _) => format!("{}: HEAD payload", reason(why)),
        ProtocolStep::Seal => "seal: PUT seal".to_owned(),
        ProtocolStep::ReadSeal => "look_at_seal: GET seal".to_owned(),
        ProtocolStep::End(_) => "end: abort the own upload".to_owned(),
    }
}

/// Returns the answer, where the bucket does not show it.
fn result(before: &ModelState, after: &ModelState, w: u8, told: Option<WriterResult>) -> String {
    let (was, is) = (&before.writers[usize::from(w)], &after.writers[usize::from(w)]);
    let what = match (was.step, is.step) {
        (ProtocolStep::Begin, ProtocolStep::CreateUpload(_)) => "a leftover",
        (ProtocolStep::ListUploads(_), ProtocolStep::LookBeforeEnding(_)) => "earlier ones",
        (ProtocolStep::ListUploads(_), ProtocolStep::EndUploads(AbortTarget::Own, ..)) => {
            "a later one"
        }
        (ProtocolStep::ListUploads(_), ProtocolStep::Part) => "only mine",
        (_, ProtocolStep::LookAtSeal(_, seen)) => match seen {
            PayloadSeen::Absent => "nothing",
            PayloadSeen::Mine => "mine",
            PayloadSeen::Leftover => "the leftover",
            PayloadSeen::Another(_) => "another",
        },
        (_, ProtocolStep::Head(_, OtherUploads::Alone)) => "no other",
        (_, ProtocolStep::Head(_, OtherUploads::Others)) => "company",
        (ProtocolStep::LookAtSeal(..), _) if told != Some(WriterResult::AlreadySealed) => "nothing",
        (ProtocolStep::Put | ProtocolStep::Complete, ProtocolStep::LookAtPayload(_))
            if before.bucket.objects != after.bucket.objects =>
        {
            "200 without a tag"
        }
        (ProtocolStep::Put | ProtocolStep::Complete, ProtocolStep::LookAtPayload(_)) => "refused",
        (ProtocolStep::Complete, ProtocolStep::CompleteRuns) => "begins",
        (ProtocolStep::Head(..), ProtocolStep::CreateUpload(_)) => "mine: goes the multipart way",
        (
            ProtocolStep::Head(..),
            ProtocolStep::Seal | ProtocolStep::SendList(_) | ProtocolStep::Sealed,
        )
        | (
            ProtocolStep::ReadSeal,
            ProtocolStep::SendList(LookReason::LateEvidence) | ProtocolStep::Sealed,
        ) => "mine",
        (
            ProtocolStep::Head(..),
            ProtocolStep::Failed | ProtocolStep::Gone | ProtocolStep::End(_),
        ) => "not mine, or company",
        (ProtocolStep::Begin, ProtocolStep::Rows)
        | (ProtocolStep::LookBeforeEnding(_), ProtocolStep::EndUploads(..))
        | (
            ProtocolStep::ReadSeal,
            ProtocolStep::Seal | ProtocolStep::SendList(LookReason::SealInDoubt),
        ) => "nothing",
        (ProtocolStep::ReadSeal, _) => "another's",
        _ => return String::new(),
    };
    format!(": {what}")
}

fn sent(state: &ModelState, sent: SentRequest) -> String {
    match sent {
        SentRequest::Put(token) => format!("{}'s PUT of the payload", whose(token)),
        SentRequest::Seal(token) => format!("{}'s PUT of the seal", whose(token)),
        SentRequest::CreateUpload(token) => format!("{}'s Create", whose(token)),
        SentRequest::Part(token, _) => format!("{}'s part", whose(token)),
        SentRequest::Complete(token, ..) => format!("{}'s Complete", whose(token)),
        SentRequest::Abort(id) => format!("the abort of the upload of {}", upload(state, id)),
    }
}

/// Returns the name of a result as in the library.
pub(super) fn name_of(told: WriterResult) -> &'static str {
    match told {
        WriterResult::Sealed => "sealed",
        WriterResult::AlreadySealed => "AlreadySealed",
        WriterResult::Conflict => "Conflict",
        WriterResult::Denied => "Denied",
        WriterResult::Unavailable => "Unavailable",
        WriterResult::Unknown => "Unknown",
        WriterResult::Corrupt => "Corrupt",
    }
}
