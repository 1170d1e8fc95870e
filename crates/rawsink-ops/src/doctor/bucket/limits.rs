//! Limits of multipart uploads: small and empty parts, and part numbers.

use bytes::Bytes;

use super::{Assumed, Examination, Observation, Ready, describe};
use crate::doctor::finding::Finding;
use rawsink::store::raw::{Condition, Reply, S3Fault};

/// The lowest part limit of any known provider.
const FEW: u32 = 1_000;

/// Observations of limits.
#[derive(Debug)]
pub(super) struct Limits {
    /// A Complete whose first part is small.
    small_part: Reply<()>,
    /// A Complete of one empty part.
    empty_part: Reply<()>,
    /// A part with the highest number that the provider is assumed to allow.
    last: Reply<()>,
    /// A part with the next number.
    next: Reply<()>,
    /// A part with the number after the lowest limit, if `last` was refused.
    behind_few: Option<Reply<()>>,
}

impl Limits {
    pub(super) async fn observe(exam: &Examination<'_>) -> Self {
        let max = exam.config.provider().max_parts;
        let last = part(exam, max).await;
        let behind_few = match &last {
            Err(_) if max > FEW => Some(part(exam, FEW + 1).await),
            _ => None,
        };
        let next = part(exam, max + 1).await;
        let small = Bytes::from_static(b"small");
        let small_part = completed(exam, "small-part", &[(1, small.clone()), (2, small)]).await;
        let empty_part = completed(exam, "empty-part", &[(1, Bytes::new())]).await;
        Self { small_part, empty_part, last, next, behind_few }
    }

    fn size_finding(&self) -> Finding {
        let id = Self::IDS[0];
        match &self.small_part {
            Ok(()) => Finding::note(id, "the server accepted a small part that is not the last"),
            Err(fault) if fault.refuses_payload() => Finding::ok(
                id,
                format!("a Complete with a small part got {}", describe(&self.small_part)),
            ),
            Err(fault) => super::failed_request(id, "a Complete", fault),
        }
    }

    fn empty_finding(&self) -> Finding {
        let id = Self::IDS[1];
        match &self.empty_part {
            Ok(()) => Finding::ok(id, "an upload of one empty part was completed"),
            Err(fault) if fault.refuses_payload() => {
                let seen =
                    format!("an upload of one empty part got {}", describe(&self.empty_part));
                Finding::fault(id, seen).advise(
                    "a run without rows cannot replace an unsealed payload here: delete that payload first, or use \
                     another store",
                )
            }
            Err(fault) => super::failed_request(id, "an upload of one empty part", fault),
        }
    }

    fn number_finding(&self, assumed: &Assumed) -> Finding {
        let (id, max) = (Self::IDS[2], assumed.max_parts);
        let refused = |reply: &Reply<()>| reply.as_ref().is_err_and(S3Fault::refuses_payload);
        let known = format!("{max} parts assumed for {}", provider(assumed));
        match (&self.last, &self.next) {
            (Ok(()), Ok(())) => {
                Finding::note(id, format!("{known}; part {} was accepted", max + 1))
            }
            (Ok(()), next) if refused(next) => {
                Finding::ok(id, format!("{known}; part {} got {}", max + 1, describe(next)))
            }
            (last, _) if refused(last) => {
                let few = self.behind_few.as_ref().is_some_and(refused);
                let at_most = if few { FEW } else { max - 1 };
                let seen =
                    format!("{known}; part {max} got {}, so at most {at_most}", describe(last));
                Finding::warning(id, seen)
                    .set("RAW_SINK_PART_BYTES", "64MiB")
                    .advise("payloads with more parts fail; larger parts reduce their number")
            }
            (Err(fault), _) | (_, Err(fault)) => super::failed_request(id, "an UploadPart", fault),
        }
    }
}

impl Observation for Limits {
    const IDS: &'static [&'static str] = &["part-size", "empty-part", "part-number"];

    fn findings(&self, assumed: &Assumed) -> Vec<Finding> {
        vec![self.size_finding(), self.empty_finding(), self.number_finding(assumed)]
    }
}

fn provider(assumed: &Assumed) -> String {
    match assumed.provider {
        "unknown" => "an unknown provider".to_owned(),
        name => name.to_owned(),
    }
}

async fn completed(exam: &Examination<'_>, name: &str, parts: &[(i32, Bytes)]) -> Reply<()> {
    let Ready { upload, parts } = exam.upload(name, &exam.token(), parts).await?;
    let completed = exam.scratch.complete_upload(name, &upload, &parts, Condition::CreateOnly);
    completed.await.map(|_| ())
}

async fn part(exam: &Examination<'_>, number: u32) -> Reply<()> {
    let name = format!("part-number-{number}");
    let number = i32::try_from(number).unwrap_or(i32::MAX);
    let part = [(number, Bytes::from_static(b"part"))];
    exam.upload(&name, &exam.token(), &part).await.map(|_| ())
}
