//! Whether what was changed is seen at once: by HEAD and GET, by LIST, by the listing of uploads.

use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::{Assumed, Bench, Observed, race};
use crate::{
    doctor::finding::Finding,
    store::scratch::{Fault, Reply},
};

const ROUNDS: usize = 8;
const AT_A_TIME: usize = 5;
/// Signs that keys of partitions have, or may have; some listings encode them in their own way.
const AWKWARD: &str = "a=b:c d+e%2F\u{e9}";
/// How often an ended upload is looked for again.
const LOOKS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

/// What was seen of changes.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    reads: Looks,
    lists: Looks,
    created: Looks,
    ended: Looks,
    /// Ended uploads that were listed to the end.
    stuck: usize,
}

/// How often was looked, and how often what was seen was not what is.
#[derive(Debug, Default)]
struct Looks {
    total: usize,
    stale: usize,
    fault: Option<Fault>,
}

impl Freshness {
    pub(super) async fn observe(bench: &Bench<'_>) -> Self {
        let mut seen = Self::default();
        let rounds = stream::iter(0..ROUNDS).map(async |round| {
            let mut seen = Self::default();
            if !bench.is_over() {
                seen.change_object(bench, &format!("fresh-{round}-{AWKWARD}")).await;
                seen.change_upload(bench, &format!("uploads-{round}-{AWKWARD}")).await;
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
        self.ended.add(other.ended);
        self.stuck += other.stuck;
    }

    /// Creates an object, deletes it, creates it anew; looks after each.
    async fn change_object(&mut self, bench: &Bench<'_>, dir: &str) {
        let (below, first, second) = (format!("{dir}/"), bench.token(), bench.token());
        let name = format!("{below}object");
        for token in [Some(first), None, Some(second)] {
            let changed = match &token {
                Some(token) => bench.place(&name, &race::body(0), token).await,
                None => bench.scratch.patiently(|| bench.scratch.delete(&name)).await,
            };
            if let Err(fault) = changed {
                if token.is_none() && fault.is_denied() {
                    // Writers need no DELETE: what they do is looked at.
                    return;
                }
                self.reads.fault = Some(fault.clone());
                self.lists.fault = Some(fault);
                return;
            }
            let scratch = bench.scratch;
            let wanted = token.as_ref().map(|token| token.as_str().to_owned());
            // Where user metadata is lost another check says so; that something is there is known.
            let fits = |writer: Option<Option<String>>| match (&wanted, writer) {
                (None, None) | (Some(_), Some(None)) => true,
                (Some(wanted), Some(Some(writer))) => *wanted == writer,
                _ => false,
            };
            let head = scratch.patiently(|| scratch.head(&name)).await;
            self.reads.look(head.map(|head| fits(head.map(|head| head.writer))));
            let read = scratch.patiently(|| scratch.get(&name, 0)).await;
            self.reads.look(read.map(|read| fits(read.map(|read| read.writer))));
            let listed = scratch.patiently(|| scratch.list(&below)).await;
            self.lists.look(listed.map(|names| names.contains(&name) == wanted.is_some()));
        }
    }

    /// Opens two uploads of one key and ends them; looks after each.
    async fn change_upload(&mut self, bench: &Bench<'_>, name: &str) {
        let scratch = bench.scratch;
        let mut open = Vec::new();
        for _ in 0..2 {
            let token = bench.token();
            match scratch.patiently(|| scratch.create_upload(name, &token)).await {
                Ok(id) => open.push(id),
                Err(fault) => {
                    self.created.fault = Some(fault.clone());
                    self.ended.fault = Some(fault);
                    return;
                }
            }
            self.created.look(is_listed(bench, name, &open).await.map(|listed| listed.all));
        }
        while let Some(id) = open.pop() {
            if let Err(fault) = scratch.patiently(|| scratch.abort_upload(name, &id)).await {
                self.ended.fault = Some(fault);
                return;
            }
            let gone = [id];
            let listed = is_listed(bench, name, &gone).await;
            self.ended.look(listed.as_ref().map(|listed| !listed.any).map_err(Fault::clone));
            if listed.is_ok_and(|listed| listed.any) {
                self.stuck += usize::from(!is_gone_later(bench, name, &gone).await);
            }
        }
    }
}

impl Looks {
    fn look(&mut self, is_right: Reply<bool>) {
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
            Some(fault) => super::failed(id, what, fault),
            None if self.total == 0 => Finding::unknown(id, seen).advise("run doctor again"),
            None => Finding::ok(id, seen),
        }
    }
}

impl Observed for Freshness {
    const IDS: &'static [&'static str] =
        &["read-after-write", "list-after-write", "uploads-after-create", "uploads-after-abort"];

    fn findings(&self, _: &Assumed) -> Vec<Finding> {
        let [reads, lists, created, ended] = [0, 1, 2, 3].map(|at| Self::IDS[at]);
        let stale = |id: &'static str| {
            move |seen| {
                Finding::fault(id, seen)
                    .advise("a writer decides by what it looks at: use a store that is consistent")
            }
        };
        let late = |seen: String| {
            match self.stuck {
            0 => Finding::warning(ended, format!("{seen}, and right within {} s", (PAUSE * LOOKS).as_secs()))
                .advise("restarts of a run wait for that"),
            stuck => Finding::fault(ended, format!("{seen}, {stuck} of them to the end"))
                .advise("a run whose writer died cannot be written again before the server forgets its upload"),
        }
        };
        vec![
            self.reads.finding(reads, "an object", stale(reads)),
            self.lists.finding(lists, "a listing", stale(lists)),
            self.created.finding(created, "a listing of uploads", stale(created)),
            self.ended.finding(ended, "an end of an upload", late),
        ]
    }
}

/// Which of some uploads are listed.
struct Listed {
    all: bool,
    any: bool,
}

async fn is_listed(bench: &Bench<'_>, name: &str, uploads: &[String]) -> Reply<Listed> {
    let listed = bench.scratch.patiently(|| bench.scratch.list_uploads(name)).await?;
    let is_listed = |id: &String| listed.iter().any(|upload| upload.id == *id);
    Ok(Listed { all: uploads.iter().all(is_listed), any: uploads.iter().any(is_listed) })
}

async fn is_gone_later(bench: &Bench<'_>, name: &str, uploads: &[String]) -> bool {
    for _ in 0..LOOKS {
        bench.surroundings.clock.sleep(PAUSE).await;
        if is_listed(bench, name, uploads).await.is_ok_and(|listed| !listed.any) {
            return true;
        }
    }
    false
}
