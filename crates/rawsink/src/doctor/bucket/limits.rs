//! Limits of multipart uploads: small parts, and part numbers.

use bytes::Bytes;

use super::{Assumed, Bench, Observed, Ready, told};
use crate::{
    doctor::finding::Finding,
    store::scratch::{Condition, Fault, Reply},
};

/// The least limit that is known of any provider.
const FEW: u32 = 1_000;

/// What was seen of limits.
#[derive(Debug)]
pub(super) struct Limits {
    /// A Complete whose first part is small.
    small_part: Reply<()>,
    /// A part with the highest number that is assumed to be legal.
    last: Reply<()>,
    /// A part with the next number.
    next: Reply<()>,
    /// A part with the number behind the least limit, where `last` was refused.
    behind_few: Option<Reply<()>>,
}

impl Limits {
    pub(super) async fn observe(bench: &Bench<'_>) -> Self {
        let max = bench.settings.provider.max_parts;
        let last = part(bench, max).await;
        let behind_few = match &last {
            Err(_) if max > FEW => Some(part(bench, FEW + 1).await),
            _ => None,
        };
        let next = part(bench, max + 1).await;
        Self { small_part: small_part(bench).await, last, next, behind_few }
    }

    fn size_finding(&self) -> Finding {
        let id = Self::IDS[0];
        match &self.small_part {
            Ok(()) => Finding::note(id, "a small part that is not the last was accepted"),
            Err(fault) if fault.refuses_payload() => {
                Finding::ok(id, format!("a Complete with one was told {}", told(&self.small_part)))
            }
            Err(fault) => super::failed(id, "a Complete", fault),
        }
    }

    fn number_finding(&self, assumed: &Assumed) -> Finding {
        let (id, max) = (Self::IDS[1], assumed.max_parts);
        let refused = |reply: &Reply<()>| reply.as_ref().is_err_and(Fault::refuses_payload);
        let known = format!("{max} are assumed of {}", provider(assumed));
        match (&self.last, &self.next) {
            (Ok(()), Ok(())) => {
                Finding::note(id, format!("{known}; part {} was accepted", max + 1))
            }
            (Ok(()), next) if refused(next) => {
                Finding::ok(id, format!("{known}; part {} was told {}", max + 1, told(next)))
            }
            (last, _) if refused(last) => {
                let few = self.behind_few.as_ref().is_some_and(refused);
                let at_most = if few { FEW } else { max - 1 };
                let seen =
                    format!("{known}; part {max} was told {}, so at most {at_most}", told(last));
                Finding::warning(id, seen)
                    .set("RAW_SINK_PART_BYTES", "64MiB")
                    .advise("a payload with more parts fails; larger parts make fewer")
            }
            (Err(fault), _) | (_, Err(fault)) => super::failed(id, "a part", fault),
        }
    }
}

impl Observed for Limits {
    const IDS: &'static [&'static str] = &["part-size", "part-number"];

    fn findings(&self, assumed: &Assumed) -> Vec<Finding> {
        vec![self.size_finding(), self.number_finding(assumed)]
    }
}

fn provider(assumed: &Assumed) -> String {
    match assumed.provider {
        "unknown" => "an unknown provider".to_owned(),
        name => name.to_owned(),
    }
}

async fn small_part(bench: &Bench<'_>) -> Reply<()> {
    let (name, small) = ("small-part", Bytes::from_static(b"small"));
    let parts = [(1, small.clone()), (2, small)];
    let Ready { upload, parts } = bench.upload(name, &bench.token(), &parts).await?;
    let completed = bench.scratch.complete_upload(name, &upload, &parts, Condition::CreateOnly);
    completed.await.map(|_| ())
}

async fn part(bench: &Bench<'_>, number: u32) -> Reply<()> {
    let name = format!("part-number-{number}");
    let number = i32::try_from(number).unwrap_or(i32::MAX);
    let part = [(number, Bytes::from_static(b"part"))];
    bench.upload(&name, &bench.token(), &part).await.map(|_| ())
}
