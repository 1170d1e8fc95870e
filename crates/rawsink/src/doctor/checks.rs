//! What is asked of a store, and which guarantees depend on the answer: one table.
//!
//! `docs/doctor.md` explains every line of it, `docs/semantics.md` names it beside each guarantee;
//! tests compare all three.

use serde::Serialize;

use super::finding::Guarantee;

/// One question to a store.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its stable name.
    #[serde(rename = "finding")]
    pub id: &'static str,
    /// The question.
    pub asked: &'static str,
    /// The guarantees that depend on the answer.
    pub guarantees: &'static [Guarantee],
}

const G01: Guarantee = Guarantee(1);
const G02: Guarantee = Guarantee(2);
const G03: Guarantee = Guarantee(3);
const G04: Guarantee = Guarantee(4);
const G05: Guarantee = Guarantee(5);
const G06: Guarantee = Guarantee(6);
const G07: Guarantee = Guarantee(7);
const G08: Guarantee = Guarantee(8);
const G09: Guarantee = Guarantee(9);
const G10: Guarantee = Guarantee(10);
const G18: Guarantee = Guarantee(18);

const fn check(id: &'static str, asked: &'static str, guarantees: &'static [Guarantee]) -> Check {
    Check { id, asked, guarantees }
}

/// The questions to a bucket, in the order of the examination.
pub static BUCKET: [Check; 20] = [
    check("reachable", "does the endpoint answer, and how fast", &[]),
    check("credentials", "may this key list, write and delete below the prefix", &[]),
    check("addressing", "which ways of naming the bucket work", &[]),
    check("versioning", "does the bucket keep old versions", &[G03, G04]),
    check(
        "create-only-put",
        "does a second PUT with If-None-Match: * change anything",
        &[G03, G04],
    ),
    check(
        "create-only-race",
        "of 20 creators of one key at once, how many are told that they won",
        &[G03, G04],
    ),
    check("read-back", "is what is read after refused overwrites the winner's", &[G03, G05]),
    check("lost-reply", "what does a request answer that is sent again", &[G06, G07]),
    check(
        "complete-conditions",
        "does CompleteMultipartUpload honour If-None-Match: *",
        &[G03, G04, G05],
    ),
    check(
        "abort-complete",
        "can an abort and a running Complete of one upload both succeed",
        &[G03, G05],
    ),
    check("read-after-write", "do HEAD and GET show a change at once", &[G01, G04, G05, G06, G07]),
    check("list-after-write", "does LIST show a change at once", &[G01, G09]),
    check(
        "uploads-after-create",
        "does the listing of uploads show a new one at once",
        &[G03, G04, G05],
    ),
    check("uploads-after-abort", "does the listing of uploads forget an ended one", &[G08, G09]),
    check("user-metadata", "is user metadata kept, by PUT and by multipart", &[G05, G07]),
    check("range-read", "does GET from an offset bring the rest", &[G10]),
    check("part-size", "is a small part refused that is not the last", &[]),
    check("part-number", "how many parts may an upload have", &[]),
    check("clock", "how far are the clocks apart", &[]),
    check("request-rate", "how many requests were allowed", &[]),
];

/// The questions to a directory, in the order of the examination.
pub static DIRECTORY: [Check; 10] = [
    check("root", "can the root be written", &[]),
    check("file-system", "which file system is it, and is it on this machine", &[G02, G04]),
    check("space", "how much is free", &[]),
    check(
        "create-link",
        "of 20 links to one name at once, how many are told that they won",
        &[G03, G04, G05],
    ),
    check(
        "create-exclusive",
        "of 20 creators of one file at once, how many are told that they won",
        &[G05],
    ),
    check("lock", "does a lock keep a second holder out, and end with its holder", &[G04, G09]),
    check("sync", "can a file and a directory be synced", &[G02]),
    check("case", "are names that differ in case two names", &[G18]),
    check("unicode", "are names kept as they are given", &[G18]),
    check("long-names", "may a name have 255 bytes", &[]),
];

/// What was taken away at the end, for either kind of store.
pub static SCRATCH: Check =
    check("scratch", "was everything taken away that the examination made", &[]);

/// Returns the check of this name.
pub(super) fn find(id: &str) -> &'static Check {
    let mut checks = BUCKET.iter().chain(&DIRECTORY).chain([&SCRATCH]);
    checks.find(|check| check.id == id).expect("a finding answers a question of the table")
}
