//! The table of checks, with the guarantees that depend on each.
//!
//! `docs/doctor.md` explains every check, and `docs/semantics.md` lists the checks of each guarantee;
//! tests compare all three.

use std::fmt;

use serde::{Serialize, Serializer};

/// The number of a guarantee, as `docs/semantics.md` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guarantee(u8);

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "G{:02}", self.0)
    }
}

impl Serialize for Guarantee {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One check of a store.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its stable id.
    #[serde(rename = "finding")]
    pub id: &'static str,
    /// The question that it answers.
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

/// The checks of a bucket, in the order of the examination.
pub static BUCKET: [Check; 23] = [
    check("reachable", "does the endpoint answer, and how fast", &[]),
    check("credentials", "can this key list, write and delete below the prefix", &[]),
    check("addressing", "which addressing styles work", &[]),
    check("versioning", "does the bucket keep old versions", &[G03, G04]),
    check("create-only-put", "does a second PUT with If-None-Match: * succeed", &[G03, G04, G05]),
    check(
        "create-only-race",
        "how many of 20 concurrent creators of one key succeed",
        &[G03, G04, G05],
    ),
    check("read-back", "does GET return the winner's object after refused overwrites", &[G03, G05]),
    check("lost-reply", "how does the server answer a repeated request", &[G06, G07]),
    check(
        "complete-conditions",
        "does CompleteMultipartUpload honour If-None-Match: *",
        &[G03, G04, G05],
    ),
    check(
        "abort-complete",
        "can an abort and a concurrent Complete of one upload both succeed",
        &[G03, G05],
    ),
    check(
        "upload-isolation",
        "does the end of an upload leave the object and the other uploads of its key alone",
        &[G03, G05],
    ),
    check(
        "read-after-write",
        "do HEAD and GET show a change immediately",
        &[G01, G04, G05, G06, G07],
    ),
    check("list-after-write", "does LIST show a change immediately", &[G01, G09]),
    check(
        "uploads-after-create",
        "does the upload listing show a new upload immediately",
        &[G03, G04, G05],
    ),
    check("uploads-after-abort", "does the upload listing drop an aborted upload", &[G08, G09]),
    check("user-metadata", "do PUT and multipart uploads keep user metadata", &[G05, G07]),
    check("range-read", "does GET with an offset return the remaining bytes", &[G10]),
    check("list-parts", "can the parts of an open upload be listed", &[]),
    check("part-size", "does the server refuse a small part that is not the last", &[]),
    check("empty-part", "can a part be empty", &[G09]),
    check("part-number", "how many parts can an upload have", &[]),
    check("clock", "how far apart are the clocks", &[]),
    check("request-rate", "how many requests does the server allow", &[]),
];

/// The checks of a directory, in the order of the examination.
pub static DIRECTORY: [Check; 11] = [
    check("root", "is the root writable", &[]),
    check("access", "who else may write to the root", &[G03]),
    check("file-system", "which file system is it, and is it local", &[G02, G04]),
    check("space", "how much space is free", &[]),
    check("create-link", "how many of 20 concurrent links to one name succeed", &[G03, G04, G05]),
    check("create-exclusive", "how many of 20 concurrent creators of one file succeed", &[G05]),
    check("lock", "does a lock exclude a second holder until it is released", &[G04, G09]),
    check("sync", "can a file and a directory be synced", &[G02]),
    check("case", "do names that differ in case name two files", &[G18]),
    check("unicode", "are names stored unchanged", &[G18]),
    check("long-names", "can a name have 255 bytes", &[]),
];

/// The last check of both kinds of store.
pub static SCRATCH: Check = check("scratch", "was all scratch data deleted", &[]);

/// Returns the check with this id.
pub(super) fn find(id: &str) -> &'static Check {
    let mut checks = BUCKET.iter().chain(&DIRECTORY).chain([&SCRATCH]);
    checks.find(|check| check.id == id).expect("every finding belongs to a check of the table")
}
