//! A directory, existing or missing.

use std::{fs, path::Path};

use rawsink::{
    Config, ErrorKind, RawSink,
    layout::Place,
    runtime::Runtime,
    store::{FsStore, fs::FsConfig},
};
use rawsink_ops::doctor::{Diagnosis, Doctor, Severity, Soundness, checks};
use tempfile::TempDir;

use super::numbers;
use rawsink_testkit::backend::entries;

async fn examine(root: &Path) -> rawsink::Result<Diagnosis> {
    Doctor::new(&Config::directory(root), Runtime::default())?.examine(&|_| ()).await
}

#[tokio::test]
async fn a_local_directory_is_sound_and_unchanged() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("kept"), "").unwrap();
    let diagnosis = examine(dir.path()).await.unwrap();
    assert_eq!(diagnosis.soundness, Soundness::Sound, "{diagnosis:#?}");
    let asked: Vec<_> = checks::DIRECTORY.iter().chain([&checks::SCRATCH]).collect();
    let answered: Vec<_> = diagnosis.findings.iter().map(|finding| finding.check).collect();
    assert_eq!(answered, asked);
    assert_eq!(numbers(&diagnosis.kept), ["G02", "G03", "G04", "G05", "G09", "G18"]);
    for id in ["create-link", "create-exclusive", "lock", "sync", "case", "unicode", "long-names"] {
        assert_eq!(diagnosis.finding(id).unwrap().outcome, Severity::Ok, "{id}: {diagnosis:#?}");
    }
    assert_eq!(entries(dir.path()).unwrap(), ["kept"]);
}

#[tokio::test]
async fn a_missing_root_is_an_error_and_stays_missing() {
    let dir = TempDir::new().unwrap();
    let error = examine(&dir.path().join("data/raw")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("the root"), "{error}");
    assert_eq!(entries(dir.path()).unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_root_that_is_a_file_is_an_error_of_its_kind() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = examine(&dir.path().join("file")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[tokio::test]
async fn no_listing_shows_scratch_objects() {
    let dir = TempDir::new().unwrap();
    let scratch = dir.path().join("_doctor/0123456789abcdef0123456789abcdef");
    fs::create_dir_all(&scratch).unwrap();
    fs::write(scratch.join("metadata.json"), "{}").unwrap();
    let sink = RawSink::new(FsStore::new(&FsConfig::new(dir.path())).unwrap());
    assert_eq!(sink.list(&Place::top()).await.unwrap(), []);
}
