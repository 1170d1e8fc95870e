//! A path through the model as a table that a person can follow.

use std::fmt::Write;

use super::{
    Protocol,
    actions::Action,
    network::Sent,
    time::Clock,
    words::{Content, Name, Token},
    world::State,
    writer::{Company, Ending, Opening, Reason, Seen, Step, Told, Way, When, Writer},
};
use crate::server::{Fate, UploadState};

/// Tells a path as a Markdown table: who, what, and what is in the bucket then.
pub(super) fn tell(protocol: &Protocol, steps: &[(State, Option<Action>)]) -> String {
    let mut table =
        String::from("| | who | what | payload | seal | uploads |\n|--:|---|---|---|---|---|\n");
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

/// Returns whose upload it is; a second one of the same attempt has a prime.
fn upload(state: &State, id: u8) -> String {
    let of = Token::of_upload(id);
    let first = state.bucket.uploads.keys().all(|other| {
        *other >= u64::from(id)
            || Token::of_upload(u8::try_from(*other).unwrap_or(id)).writer() != of.writer()
    });
    format!("{}{}", whose(of), if first { "" } else { "'" })
}

fn bucket(state: &State) -> String {
    let object = |name| {
        state.bucket.objects.get(&name).map_or_else(String::new, |stored| {
            let owner = match stored.body {
                Content::Rows(writer) => letter(writer),
                Content::Seal(token) => whose(token),
            };
            let doomed = if stored.fate == Fate::Whole { "" } else { ", will be lost" };
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
    format!("| {} | {} | {} |", object(Name::Payload), object(Name::Seal), uploads.join(", "))
}

fn line(before: &State, action: Action, after: &State, told: Option<Told>) -> (String, String) {
    let by = |w: u8| letter(w).to_string();
    let ends = told.map_or_else(String::new, |told| format!("; **{}**", name_of(told)));
    let step = |w: u8| describe(before, &before.writers[usize::from(w)]);
    match action {
        Action::Begins(w, way) => {
            let size = if way == Way::Single { "small" } else { "large" };
            (by(w), format!("starts with a {size} payload"))
        }
        Action::Goes(w) => (by(w), step(w)),
        Action::Answered(w, clock, _) => {
            let late = if clock == Clock::Late { "; by its clock that took too long" } else { "" };
            let result = result(before, after, w, told);
            (by(w), format!("{}{result}{late}{ends}", step(w)))
        }
        Action::Unanswered(w) => {
            (by(w), format!("{}: no answer; the request is on its way", step(w)))
        }
        Action::Refused(w) => (by(w), format!("{}: 403{ends}", step(w))),
        Action::TooLate(w) => {
            (by(w), "seal: was paused past the deadline, and looks again".to_owned())
        }
        Action::Fails(w) => (by(w), format!("fails by itself{ends}")),
        Action::Dies(w) => (by(w), format!("dies; last: {}", step(w))),
        Action::Applied(flight, _) => {
            ("server".to_owned(), format!("applies {}", sent(before, flight.sent)))
        }
        Action::CompleteEnds(flight) => {
            ("server".to_owned(), format!("ends {}", sent(before, flight.sent)))
        }
        Action::CleanBegins => ("clean".to_owned(), "lists the uploads".to_owned()),
        Action::Cleans(id) => {
            ("clean".to_owned(), format!("ends the upload of {}", upload(before, id)))
        }
        Action::ListedAgain(id) => (
            "server".to_owned(),
            format!("lists the upload of {} again", whose(Token::of_upload(id))),
        ),
    }
}

/// What an attempt does, with the name of the code's function.
fn describe(state: &State, writer: &Writer) -> String {
    let look = |when| match when {
        When::BeforeComplete | When::BeforeCompleteAgain => "complete",
        When::InDoubt | When::UploadGone => "judge",
    };
    let reason = |reason| match reason {
        Reason::BeforeSeal => "look_once_more",
        Reason::SealInDoubt => "look_before_seal",
        Reason::LateEvidence => "evidence",
    };
    match writer.step {
        Step::Idle | Step::Sealed | Step::Failed | Step::Gone => String::new(),
        Step::Begin => "begin: LIST".to_owned(),
        Step::Rows if writer.way == Way::Single => "put: begins".to_owned(),
        Step::Rows => "append: the first part is full".to_owned(),
        Step::CreateUpload(Opening::First) => "open_upload: create".to_owned(),
        Step::CreateUpload(Opening::Second(_)) => "open_upload: create again".to_owned(),
        Step::ListUploads(_) => "open_upload: list uploads".to_owned(),
        Step::EndUploads(ending, todo, _) => {
            let of = todo.first().map_or_else(String::new, |id| upload(state, id));
            let function = if ending == Ending::Own { "end_uploads" } else { "end_others" };
            format!("{function}: abort the upload of {of}")
        }
        Step::LookBeforeEnding(_) => "end_others: HEAD seal".to_owned(),
        Step::ListEnded(..) => "end_uploads: list uploads".to_owned(),
        Step::ListBefore => "open_upload: list before the second try".to_owned(),
        Step::Part => "part: upload part".to_owned(),
        Step::WaitForGrace(_) => "wait_for_grace: is over".to_owned(),
        Step::LookAtPayload(when) => format!("{}: HEAD payload", look(when)),
        Step::LookAtSeal(when, _) => format!("{}: HEAD seal", look(when)),
        Step::ListOwn => "send_again_or_yield: list uploads".to_owned(),
        Step::SendComplete => "complete: sends Complete".to_owned(),
        Step::Put => "put: PUT payload".to_owned(),
        Step::Complete | Step::CompleteRuns => "complete: Complete".to_owned(),
        Step::SendList(why) => format!("{}: sends the upload list", reason(why)),
        Step::List(why) => format!("{}: list uploads", reason(why)),
        Step::Listed(why, _) => format!("{}: the upload list is answered", reason(why)),
        Step::Head(why, _) => format!("{}: HEAD payload", reason(why)),
        Step::Seal => "seal: PUT seal".to_owned(),
        Step::ReadSeal => "look_at_seal: GET seal".to_owned(),
        Step::End(_) => "end: abort the own upload".to_owned(),
    }
}

/// What the answer was, where it is not told by the bucket.
fn result(before: &State, after: &State, w: u8, told: Option<Told>) -> String {
    let (was, is) = (&before.writers[usize::from(w)], &after.writers[usize::from(w)]);
    let what = match (was.step, is.step) {
        (Step::Begin, Step::CreateUpload(_)) => "a leftover",
        (Step::ListUploads(_), Step::LookBeforeEnding(_)) => "earlier ones",
        (Step::ListUploads(_), Step::EndUploads(Ending::Own, ..)) => "a later one",
        (Step::ListUploads(_), Step::Part) => "only mine",
        (_, Step::LookAtSeal(_, seen)) => match seen {
            Seen::Absent => "nothing",
            Seen::Mine => "mine",
            Seen::Leftover => "the leftover",
            Seen::Another(_) => "another",
        },
        (_, Step::Head(_, Company::Alone)) => "no other",
        (_, Step::Head(_, Company::Others)) => "company",
        (Step::LookAtSeal(..), _) if told != Some(Told::AlreadySealed) => "nothing",
        (Step::Put | Step::Complete, Step::LookAtPayload(_))
            if before.bucket.objects != after.bucket.objects =>
        {
            "200 without a tag"
        }
        (Step::Put | Step::Complete, Step::LookAtPayload(_)) => "refused",
        (Step::Complete, Step::CompleteRuns) => "begins",
        (Step::Head(..), Step::CreateUpload(_)) => "mine: goes the multipart way",
        (Step::Head(..), Step::Seal | Step::SendList(_) | Step::Sealed)
        | (Step::ReadSeal, Step::SendList(Reason::LateEvidence) | Step::Sealed) => "mine",
        (Step::Head(..), Step::Failed | Step::Gone | Step::End(_)) => "not mine, or company",
        (Step::Begin, Step::Rows)
        | (Step::LookBeforeEnding(_), Step::EndUploads(..))
        | (Step::ReadSeal, Step::Seal | Step::SendList(Reason::SealInDoubt)) => "nothing",
        (Step::ReadSeal, _) => "another's",
        _ => return String::new(),
    };
    format!(": {what}")
}

fn sent(state: &State, sent: Sent) -> String {
    match sent {
        Sent::Put(token) => format!("{}'s PUT of the payload", whose(token)),
        Sent::Seal(token) => format!("{}'s PUT of the seal", whose(token)),
        Sent::CreateUpload(token) => format!("{}'s Create", whose(token)),
        Sent::Part(token, _) => format!("{}'s part", whose(token)),
        Sent::Complete(token, ..) => format!("{}'s Complete", whose(token)),
        Sent::Abort(id) => format!("the abort of the upload of {}", upload(state, id)),
    }
}

/// Returns the name of an outcome, as the library has it.
pub(super) fn name_of(told: Told) -> &'static str {
    match told {
        Told::Sealed => "sealed",
        Told::AlreadySealed => "AlreadySealed",
        Told::Conflict => "Conflict",
        Told::Denied => "Denied",
        Told::Unavailable => "Unavailable",
        Told::Unknown => "Unknown",
        Told::Corrupt => "Corrupt",
    }
}
