//! A root that is missing, misspelt, not mounted, a file, or behind a link.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use crate::{
    disk::{ROWS, assert_clear, write},
    landing::{Landing, PARTITION, RUN, run_path},
};

#[test]
fn a_root_that_is_a_file_or_below_one_is_a_clear_error() {
    for root in ["file", "file/raw"] {
        let landing = Landing::new().with("RAW_SINK_ROOT", root);
        landing.file("file", "here first");
        let answer = landing.feed(["write", PARTITION, "--run-id", RUN], ROWS).exits(2);
        assert_clear(&answer, "Invalid", root);
        assert_eq!(landing.files(), ["file"]);
    }
}

#[test]
fn the_default_root_is_created_with_its_parent_and_another_only_in_one() {
    let landing = Landing::without_root();
    write(&landing, ROWS).exits(0);
    assert_eq!(landing.rawsink(["read", &run_path(RUN)]).exits(0).stdout, ROWS);
    let landing = Landing::without_root().with("RAW_SINK_ROOT", "not/there");
    let answer = write(&landing, ROWS).exits(75);
    assert_clear(&answer, "Unavailable", "neither the root nor the directory above it exists");
    answer.says(&["hint: check RAW_SINK_ROOT, and that its file system is mounted"]);
    assert_eq!(landing.snapshot().len(), 0);
    fs::create_dir(landing.dir().join("not")).unwrap();
    write(&landing, ROWS).exits(0);
}

/// A misspelt root, or a disk that is not mounted.
#[test]
fn a_missing_root_is_an_error_of_every_command_that_reads() {
    let landing = Landing::new();
    landing.feed(["write", PARTITION, "--run-id", RUN, "--then-validate"], ROWS).exits(0);
    fs::rename(landing.dir().join("data/raw"), landing.dir().join("disk")).unwrap();
    let run = run_path(RUN);
    for args in [
        &["list"][..],
        &["list", "--runs"],
        &["show", &run],
        &["read", &run],
        &["read", PARTITION, "--current"],
        &["verify", &run],
        &["validate", &run],
        &["validate", "--all"],
        &["clean", "--apply"],
        &["copy", "--to-root", "backup"],
        &["copy", "--to-root", "backup", "--repair"],
        &["manifest"],
        &["coverage"],
        &["coverage", "--plan"],
        &["scrub"],
        &["scrub", "--current"],
        &["doctor"],
    ] {
        let answer = landing.rawsink(args);
        assert_eq!(answer.code, Some(75), "{args:?}: {answer:#?}");
        assert!(answer.stderr.contains("the root does not exist"), "{args:?}: {answer:#?}");
        assert!(!landing.dir().join("backup").exists(), "{args:?}");
    }
    fs::rename(landing.dir().join("disk"), landing.dir().join("data/raw")).unwrap();
    assert_eq!(landing.rawsink(["read", PARTITION, "--current"]).exits(0).stdout, ROWS);
}

#[test]
fn a_root_that_has_to_be_mounted_is_refused_below_the_root_file_system() {
    let landing = Landing::new().with("RAW_SINK_ROOT_MOUNTED", "1");
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    if device(landing.dir()) != device(Path::new("/")) {
        // Temporary files are on a file system of their own.
        write(&landing, ROWS).exits(0);
        return;
    }
    let answer = write(&landing, ROWS).exits(75);
    assert_clear(&answer, "Unavailable", "no file system is mounted at the root or above it");
    answer.says(&["hint: mount the file system, or set RAW_SINK_ROOT_MOUNTED=0"]);
    landing.rawsink(["list"]).exits(75).one_error("Unavailable");
    assert_eq!(landing.files(), Vec::<String>::new());
}

#[test]
fn the_missing_destination_of_a_copy_is_one_error_or_is_created() {
    let landing = Landing::new();
    for run in ["a", "b"] {
        landing.feed(["write", PARTITION, "--run-id", run], ROWS).exits(0);
    }
    let answer = landing.rawsink(["copy", "--to-root", "not/mounted"]).exits(75);
    answer.one_error("Unavailable");
    assert!(!landing.dir().join("not").exists());
    landing.rawsink(["copy", "--to-root", "new"]).exits(0);
    assert!(landing.dir().join("new").join(run_path("b")).join("metadata.json").exists());
}

#[test]
fn a_dangling_link_is_named() {
    let landing = Landing::without_root();
    std::os::unix::fs::symlink("/nowhere/at/all", landing.dir().join("data")).unwrap();
    let answer = landing.feed(["write", PARTITION, "--run-id", RUN], "{}\n").exits(2);
    assert!(
        answer.one_error("Invalid").contains("the target of a symbolic link does not exist"),
        "{answer:?}"
    );
}
