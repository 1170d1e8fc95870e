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
        AbortTarget, CheckMoment, CheckReason, ModelWriter, OpenTry, OtherUploads, PayloadSeen,
        PayloadWay, ProtocolStep, WriterResult,
    },
};

/// Returns a path as a Markdown table: actor, event, and the bucket after it.
pub(super) fn table(protocol: &Protocol, steps: &[(ModelState, Option<ModelAction>)]) -> String {
    let mut table =
        String::from("| | actor | event | payload | seal | uploads |\n|--:|---|---|---|---|---|\n");
    let mut last = String::new();
    for (number, pair) in (1..).zip(steps.windows(2)) {
        let [(before, Some(action)), (after, _)] = pair else {
            continue;
        };
        let (_, outcome) = protocol.happens(before, *action);
        let (who, what) = line(before, *action, after, outcome);
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
    outcome: Option<WriterResult>,
) -> (String, String) {
    let by = |w: u8| letter(w).to_string();
    let ends = outcome.map_or_else(String::new, |outcome| format!("; **{}**", name_of(outcome)));
    let step = |w: u8| describe(before, &before.writers[usize::from(w)]);
    match action {
        ModelAction::Begins(w, way) => {
            let size = if way == PayloadWay::Single { "small" } else { "large" };
            (by(w), format!("starts with a {size} payload"))
        }
        ModelAction::Goes(w) => (by(w), step(w)),
        ModelAction::Answered(w, clock, _) => {
            let late = if clock == ClockReading::Late { "; too late by its clock" } else { "" };
            let result = result(before, after, w, outcome);
            (by(w), format!("{}{result}{late}{ends}", step(w)))
        }
        ModelAction::Unanswered(w) => {
            (by(w), format!("{}: no answer; the request is on its way", step(w)))
        }
        ModelAction::Refused(w) => (by(w), format!("{}: 403{ends}", step(w))),
        ModelAction::TooLate(w) => {
            (by(w), "seal: was paused past the deadline, and checks again".to_owned())
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
            ("clean".to_owned(), format!("aborts the upload of {}", upload(before, id)))
        }
        ModelAction::ListedAgain(id) => (
            "server".to_owned(),
            format!("lists the upload of {} again", whose(Token::of_upload(id))),
        ),
    }
}

/// Returns the action of an attempt, with the name of the function in the code.
fn describe(state: &ModelState, writer: &ModelWriter) -> String {
    let check = |when| match when {
        CheckMoment::BeforeComplete | CheckMoment::BeforeCompleteAgain => "complete",
        CheckMoment::InDoubt | CheckMoment::UploadGone => "judge",
    };
    let reason = |reason| match reason {
        CheckReason::BeforeSeal => "last_check",
        CheckReason::SealInDoubt => "check_before_seal",
        CheckReason::LateEvidence => "evidence",
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
        ProtocolStep::AbortUploads(ending, todo, _) => {
            let of = todo.first().map_or_else(String::new, |id| upload(state, id));
            let function =
                if ending == AbortTarget::Own { "abort_uploads" } else { "abort_others" };
            format!("{function}: abort the upload of {of}")
        }
        ProtocolStep::CheckBeforeAbort(_) => "abort_others: HEAD seal".to_owned(),
        ProtocolStep::ListAborted(..) => "abort_uploads: list uploads".to_owned(),
        ProtocolStep::ListBefore => "open_upload: list before the second try".to_owned(),
        ProtocolStep::Part => "part: upload part".to_owned(),
        ProtocolStep::WaitForGrace(_) => "wait_for_grace: is over".to_owned(),
        ProtocolStep::CheckPayload(when) => format!("{}: HEAD payload", check(when)),
        ProtocolStep::CheckSeal(when, _) => format!("{}: HEAD seal", check(when)),
        ProtocolStep::ListOwn => "send_again_or_yield: list uploads".to_owned(),
        ProtocolStep::SendComplete => "complete: sends Complete".to_owned(),
        ProtocolStep::Put => "put: PUT payload".to_owned(),
        ProtocolStep::Complete | ProtocolStep::CompleteRuns => "complete: Complete".to_owned(),
        ProtocolStep::SendList(why) => format!("{}: sends the upload list", reason(why)),
        ProtocolStep::List(why) => format!("{}: list uploads", reason(why)),
        ProtocolStep::Listed(why, _) => format!("{}: the upload list is answered", reason(why)),
        ProtocolStep::Head(why, _) => format!("{}: HEAD payload", reason(why)),
        ProtocolStep::Seal => "seal: PUT seal".to_owned(),
        ProtocolStep::ReadSeal => "check_seal: GET seal".to_owned(),
        ProtocolStep::End(_) => "end: abort the own upload".to_owned(),
    }
}

/// Returns the answer, where the bucket does not show it.
fn result(before: &ModelState, after: &ModelState, w: u8, outcome: Option<WriterResult>) -> String {
    let (was, is) = (&before.writers[usize::from(w)], &after.writers[usize::from(w)]);
    let what = match (was.step, is.step) {
        (ProtocolStep::Begin, ProtocolStep::CreateUpload(_)) => "a leftover",
        (ProtocolStep::ListUploads(_), ProtocolStep::CheckBeforeAbort(_)) => "earlier ones",
        (ProtocolStep::ListUploads(_), ProtocolStep::AbortUploads(AbortTarget::Own, ..)) => {
            "a later one"
        }
        (ProtocolStep::ListUploads(_), ProtocolStep::Part) => "only mine",
        (_, ProtocolStep::CheckSeal(_, seen)) => match seen {
            PayloadSeen::Absent => "nothing",
            PayloadSeen::Mine => "mine",
            PayloadSeen::Leftover => "the leftover",
            PayloadSeen::Another(_) => "another",
        },
        (_, ProtocolStep::Head(_, OtherUploads::Alone)) => "no other",
        (_, ProtocolStep::Head(_, OtherUploads::Others)) => "others",
        (ProtocolStep::CheckSeal(..), _) if outcome != Some(WriterResult::AlreadySealed) => {
            "nothing"
        }
        (ProtocolStep::Put | ProtocolStep::Complete, ProtocolStep::CheckPayload(_))
            if before.bucket.objects != after.bucket.objects =>
        {
            "200 without a tag"
        }
        (ProtocolStep::Put | ProtocolStep::Complete, ProtocolStep::CheckPayload(_)) => "refused",
        (ProtocolStep::Complete, ProtocolStep::CompleteRuns) => "begins",
        (ProtocolStep::Head(..), ProtocolStep::CreateUpload(_)) => "mine: goes the multipart way",
        (
            ProtocolStep::Head(..),
            ProtocolStep::Seal | ProtocolStep::SendList(_) | ProtocolStep::Sealed,
        )
        | (
            ProtocolStep::ReadSeal,
            ProtocolStep::SendList(CheckReason::LateEvidence) | ProtocolStep::Sealed,
        ) => "mine",
        (
            ProtocolStep::Head(..),
            ProtocolStep::Failed | ProtocolStep::Gone | ProtocolStep::End(_),
        ) => "not mine, or others",
        (ProtocolStep::Begin, ProtocolStep::Rows)
        | (ProtocolStep::CheckBeforeAbort(_), ProtocolStep::AbortUploads(..))
        | (
            ProtocolStep::ReadSeal,
            ProtocolStep::Seal | ProtocolStep::SendList(CheckReason::SealInDoubt),
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
pub(super) fn name_of(outcome: WriterResult) -> &'static str {
    match outcome {
        WriterResult::Sealed => "sealed",
        WriterResult::AlreadySealed => "AlreadySealed",
        WriterResult::Conflict => "Conflict",
        WriterResult::Denied => "Denied",
        WriterResult::Unavailable => "Unavailable",
        WriterResult::Unknown => "Unknown",
        WriterResult::Corrupt => "Corrupt",
    }
}
