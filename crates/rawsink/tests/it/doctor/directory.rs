//! A directory, there or not.

use std::{fs, path::Path};

use rawsink::{
    ErrorKind, RawSink, Settings,
    clock::Surroundings,
    doctor::{Diagnosis, Doctor, Outcome, Soundness, checks},
    layout::Place,
    store::FsStore,
};
use tempfile::TempDir;

use super::numbers;
use crate::backend::entries;

async fn examine(root: &Path) -> rawsink::Result<Diagnosis> {
    let settings = Settings { root: root.to_owned(), ..Settings::default() };
    Doctor::new(&settings, Surroundings::default())?.examine(&|_| ()).await
}

#[tokio::test]
async fn a_local_directory_is_sound_and_left_as_it_was() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("kept"), "").unwrap();
    let diagnosis = examine(dir.path()).await.unwrap();
    assert_eq!(diagnosis.soundness, Soundness::Sound, "{diagnosis:#?}");
    let asked: Vec<_> = checks::DIRECTORY.iter().chain([&checks::SCRATCH]).collect();
    let answered: Vec<_> = diagnosis.findings.iter().map(|finding| finding.check).collect();
    assert_eq!(answered, asked);
    assert_eq!(numbers(&diagnosis.kept), ["G02", "G03", "G04", "G05", "G09", "G18"]);
    for id in ["create-link", "create-exclusive", "lock", "sync", "case", "unicode", "long-names"] {
        assert_eq!(diagnosis.finding(id).unwrap().outcome, Outcome::Ok, "{id}: {diagnosis:#?}");
    }
    assert_eq!(entries(dir.path()).unwrap(), ["kept"]);
}

#[tokio::test]
async fn a_root_that_is_not_there_yet_is_examined_and_still_not_there() {
    let dir = TempDir::new().unwrap();
    let diagnosis = examine(&dir.path().join("data/raw")).await.unwrap();
    assert_eq!(diagnosis.soundness, Soundness::Sound);
    let root = diagnosis.finding("root").unwrap();
    assert!(root.outcome == Outcome::Note && root.seen.contains("is not there"), "{root:?}");
    assert_eq!(entries(dir.path()).unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_root_that_is_no_directory_is_an_error_of_its_kind() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = examine(&dir.path().join("file")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[tokio::test]
async fn no_listing_shows_what_lies_in_a_scratch() {
    let dir = TempDir::new().unwrap();
    let scratch = dir.path().join("_doctor/0123456789abcdef0123456789abcdef");
    fs::create_dir_all(&scratch).unwrap();
    fs::write(scratch.join("metadata.json"), "{}").unwrap();
    let sink = RawSink::new(FsStore::new(dir.path()).unwrap());
    assert_eq!(sink.list(&Place::top()).await.unwrap(), []);
}
