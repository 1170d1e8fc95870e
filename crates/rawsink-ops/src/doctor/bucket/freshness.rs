//! Whether HEAD, GET, LIST and the upload listing show a change immediately.

use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::{Assumed, Examination, Observation, race};
use crate::doctor::finding::Finding;
use rawsink::store::raw::{Reply, S3Fault};

const ROUNDS: usize = 8;
const AT_A_TIME: usize = 5;
/// Characters that keys of partitions may contain, and that some listings encode differently.
const AWKWARD: &str = "a=b:c d+e%2F\u{e9}";
/// How often to check again whether an aborted upload is still listed.
const CHECKS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

/// Observations of changes.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    reads: Staleness,
    lists: Staleness,
    created: Staleness,
    aborted: Staleness,
    /// Aborted uploads that were listed until the last check.
    stuck: usize,
}

/// Number of checks, and of stale answers.
#[derive(Debug, Default)]
struct Staleness {
    total: usize,
    stale: usize,
    fault: Option<S3Fault>,
}

impl Freshness {
    pub(super) async fn observe(exam: &Examination<'_>) -> Self {
        let mut seen = Self::default();
        let rounds = stream::iter(0..ROUNDS).map(async |round| {
            let mut seen = Self::default();
            if !exam.is_over() {
                seen.change_object(exam, &format!("fresh-{round}-{AWKWARD}")).await;
                seen.change_upload(exam, &format!("uploads-{round}-{AWKWARD}")).await;
            }
            seen
        });
        let mut rounds = rounds.buffer_unordered(AT_A_TIME);
        while let Some(round) = rounds.next().await {
            seen.add(round);
        }
        seen
    }

    fn add(&mut self, other: Self) {
        self.reads.add(other.reads);
        self.lists.add(other.lists);
        self.created.add(other.created);
        self.aborted.add(other.aborted);
        self.stuck += other.stuck;
    }

    /// Creates an object, deletes it and creates it again, with a check after each step.
    async fn change_object(&mut self, exam: &Examination<'_>, dir: &str) {
        let (below, first, second) = (format!("{dir}/"), exam.token(), exam.token());
        let name = format!("{below}object");
        for token in [Some(first), None, Some(second)] {
            let changed = match &token {
                Some(token) => exam.create(&name, &race::body(0), token).await,
                None => exam.scratch.with_retries(|| exam.scratch.delete(&name)).await,
            };
            if let Err(fault) = changed {
                if token.is_none() && fault.is_denied() {
                    // Writers need no DELETE: test only the other changes.
                    return;
                }
                self.reads.fault = Some(fault.clone());
                self.lists.fault = Some(fault);
                return;
            }
            let scratch = exam.scratch;
            let wanted = token.as_ref().map(|token| token.as_str().to_owned());
            // An object without user metadata fits: another check reports the lost metadata.
            let fits = |writer: Option<Option<String>>| match (&wanted, writer) {
                (None, None) | (Some(_), Some(None)) => true,
                (Some(wanted), Some(Some(writer))) => *wanted == writer,
                _ => false,
            };
            let head = scratch.with_retries(|| scratch.head(&name)).await;
            self.reads.record(head.map(|head| fits(head.map(|head| head.writer))));
            let read = scratch.with_retries(|| scratch.get(&name, 0)).await;
            self.reads.record(read.map(|read| fits(read.map(|read| read.writer))));
            let listed = scratch.with_retries(|| scratch.list(&below)).await;
            self.lists.record(listed.map(|names| names.contains(&name) == wanted.is_some()));
        }
    }

    /// Opens two uploads of one key and aborts them, with a check after each step.
    async fn change_upload(&mut self, exam: &Examination<'_>, name: &str) {
        let scratch = exam.scratch;
        let mut open = Vec::new();
        for _ in 0..2 {
            let token = exam.token();
            match scratch.with_retries(|| scratch.create_upload(name, &token)).await {
                Ok(id) => open.push(id),
                Err(fault) => {
                    self.created.fault = Some(fault.clone());
                    self.aborted.fault = Some(fault);
                    return;
                }
            }
            self.created.record(is_listed(exam, name, &open).await.map(|listed| listed.all));
        }
        while let Some(id) = open.pop() {
            if let Err(fault) = scratch.with_retries(|| scratch.abort_upload(name, &id)).await {
                self.aborted.fault = Some(fault);
                return;
            }
            let gone = [id];
            let listed = is_listed(exam, name, &gone).await;
            self.aborted.record(listed.as_ref().map(|listed| !listed.any).map_err(S3Fault::clone));
            if listed.is_ok_and(|listed| listed.any) {
                self.stuck += usize::from(!is_gone_later(exam, name, &gone).await);
            }
        }
    }
}

impl Staleness {
    fn record(&mut self, is_right: Reply<bool>) {
        match is_right {
            Ok(is_right) => {
                self.total += 1;
                self.stale += usize::from(!is_right);
            }
            Err(fault) => self.fault = Some(fault),
        }
    }

    fn add(&mut self, other: Self) {
        self.total += other.total;
        self.stale += other.stale;
        self.fault = self.fault.take().or(other.fault);
    }

    fn finding(&self, id: &str, what: &str, stale: impl FnOnce(String) -> Finding) -> Finding {
        let seen = format!("{} of {} answers were stale", self.stale, self.total);
        match &self.fault {
            _ if self.stale > 0 => stale(seen),
            Some(fault) => super::failed_request(id, what, fault),
            None if self.total == 0 => Finding::inconclusive(id, seen),
            None => Finding::ok(id, seen),
        }
    }
}

impl Observation for Freshness {
    const IDS: &'static [&'static str] =
        &["read-after-write", "list-after-write", "uploads-after-create", "uploads-after-abort"];

    fn findings(&self, _: &Assumed) -> Vec<Finding> {
        let [reads, lists, created, aborted] = [0, 1, 2, 3].map(|at| Self::IDS[at]);
        let stale = |id: &'static str| {
            move |seen| {
                Finding::fault(id, seen)
                    .advise("writers decide by these answers: use a consistent store")
            }
        };
        let late = |seen: String| match self.stuck {
            0 => Finding::warning(
                aborted,
                format!("{seen}, but correct within {} s", (PAUSE * CHECKS).as_secs()),
            )
            .advise("a restarted run waits for a correct listing"),
            stuck => {
                Finding::fault(aborted, format!("{seen}, {stuck} of them until the last check"))
                    .advise(
                        "a run whose writer crashed cannot be rewritten while its upload is listed",
                    )
            }
        };
        vec![
            self.reads.finding(reads, "a HEAD or GET", stale(reads)),
            self.lists.finding(lists, "a LIST", stale(lists)),
            self.created.finding(created, "an upload listing", stale(created)),
            self.aborted.finding(aborted, "an abort", late),
        ]
    }
}

/// Which of some uploads are listed.
struct Listed {
    all: bool,
    any: bool,
}

async fn is_listed(exam: &Examination<'_>, name: &str, uploads: &[String]) -> Reply<Listed> {
    let listed = exam.scratch.with_retries(|| exam.scratch.list_uploads(name)).await?;
    let is_listed = |id: &String| listed.iter().any(|upload| upload.id == *id);
    Ok(Listed { all: uploads.iter().all(is_listed), any: uploads.iter().any(is_listed) })
}

async fn is_gone_later(exam: &Examination<'_>, name: &str, uploads: &[String]) -> bool {
    for _ in 0..CHECKS {
        exam.runtime.clock.sleep(PAUSE).await;
        if is_listed(exam, name, uploads).await.is_ok_and(|listed| !listed.any) {
            return true;
        }
    }
    false
}
