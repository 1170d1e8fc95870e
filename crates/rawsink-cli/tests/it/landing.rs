//! A working directory, and results of the program in it.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_rawsink");
/// The logical partition of most tests.
pub(crate) const PARTITION: &str =
    "google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01";
/// The run of most tests.
pub(crate) const RUN: &str = "2024-06-02T00:00:00.000Z";
/// Time limit of a command; a slower one hangs.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The canonical path of a run of [`PARTITION`].
pub(crate) fn run_path(run: &str) -> String {
    format!("{PARTITION}/run_id={run}")
}

/// Returns text of `count` lines, one for each number.
pub(crate) fn lines(count: u64, line: impl Fn(u64) -> String) -> String {
    (0..count).map(|number| line(number) + "\n").collect::<Vec<_>>().concat()
}

/// Replaces a file, as other software does: sealed files are read-only.
#[track_caller]
pub(crate) fn replace(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    if path.as_ref().exists() {
        fs::remove_file(&path).unwrap();
    }
    fs::write(path, content).unwrap();
}

/// A working directory with the default settings: `data/raw` and `data/state_store.db`.
#[derive(Debug)]
pub(crate) struct Landing {
    _temp: Option<TempDir>,
    dir: PathBuf,
    vars: Vec<(&'static str, String)>,
}

impl Landing {
    /// Returns a landing with an empty root.
    pub(crate) fn new() -> Self {
        let landing = Self::without_root();
        fs::create_dir_all(landing.dir.join("data/raw")).unwrap();
        landing
    }

    /// Returns a landing in an empty directory.
    pub(crate) fn without_root() -> Self {
        let temp = TempDir::new().unwrap();
        Self { dir: temp.path().to_owned(), _temp: Some(temp), vars: Vec::new() }
    }

    /// Returns a landing in a directory that the caller owns.
    pub(crate) fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), _temp: None, vars: Vec::new() }
    }

    /// Sets an environment variable for every command.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.vars.push((name, value.into()));
        self
    }

    /// Selects a bucket at a server; the key has to be set separately.
    pub(crate) fn in_bucket(self, endpoint: &str) -> Self {
        self.with("RAW_SINK", "object")
            .with("RAW_SINK_ENDPOINT_URL", endpoint)
            .with("RAW_SINK_BUCKET", "landing")
            .with("RAW_SINK_PREFIX", "raw")
    }

    /// Returns a variable that [`with`](Self::with) has set.
    pub(crate) fn var(&self, name: &str) -> &str {
        let set = self.vars.iter().rev().find(|(known, _)| *known == name);
        set.map_or("", |(_, value)| value)
    }

    /// Returns all variables that [`with`](Self::with) has set.
    pub(crate) fn vars(&self) -> &[(&'static str, String)] {
        &self.vars
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the directory of a run of [`PARTITION`].
    pub(crate) fn run_dir(&self, run: &str) -> PathBuf {
        self.dir.join("data/raw").join(run_path(run))
    }

    pub(crate) fn payload(&self, run: &str) -> PathBuf {
        self.run_dir(run).join("payload.jsonl")
    }

    pub(crate) fn metadata(&self, run: &str) -> PathBuf {
        self.run_dir(run).join("metadata.json")
    }

    /// Returns a command in this directory, without the settings of the test's environment.
    pub(crate) fn command_of(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let is_proxy = |name: &str| name.to_ascii_lowercase().ends_with("_proxy");
            if name.to_str().is_some_and(|name| name.starts_with("RAW_SINK") || is_proxy(name)) {
                command.env_remove(&name);
            }
        }
        command.current_dir(&self.dir).envs(self.vars.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Returns the program with arguments, ready to start.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command_of(PROGRAM);
        command.args(args);
        command
    }

    /// Runs the program with empty standard input.
    pub(crate) fn rawsink<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Answer {
        answer(self.command(args), b"")
    }

    /// Runs the program with `input` on standard input.
    pub(crate) fn feed<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        input: impl AsRef<[u8]>,
    ) -> Answer {
        answer(self.command(args), input.as_ref())
    }

    /// Runs a line of shell with the program in its `PATH`.
    pub(crate) fn shell(&self, script: &str) -> Answer {
        let mut path = Path::new(PROGRAM).parent().unwrap().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = self.command_of("sh");
        command.args(["-c", script]).env("PATH", path);
        answer(command, b"")
    }

    /// Lands rows in a run of [`PARTITION`].
    #[track_caller]
    pub(crate) fn land(&self, run: &str, rows: impl AsRef<[u8]>) -> Answer {
        self.feed(["write", PARTITION, "--run-id", run], rows).exits(0)
    }

    /// Writes a file in the landing's directory.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        replace(&path, content);
        path
    }

    /// Returns every regular file below the directory, hidden ones too.
    pub(crate) fn files(&self) -> Vec<String> {
        let all = self.snapshot().into_iter();
        all.filter(|(_, facts)| facts.content.is_some()).map(|(path, _)| path).collect()
    }

    /// Returns everything below the directory: bytes, identity and time stamps.
    pub(crate) fn snapshot(&self) -> BTreeMap<String, Facts> {
        let mut found = BTreeMap::new();
        gather(&self.dir, &self.dir, &mut found);
        found
    }

    /// Asserts that nothing of a run of [`PARTITION`] exists, not even its directory.
    #[track_caller]
    pub(crate) fn assert_nothing_of(&self, run: &str) {
        assert!(!self.run_dir(run).exists(), "left: {:?}", self.files());
        assert_eq!(self.rawsink(["list", "--runs"]).exits(0).stdout, "", "a run is listed");
    }
}

/// The observable facts of a file or directory, to detect any change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    content: Option<Vec<u8>>,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

fn gather(top: &Path, dir: &Path, found: &mut BTreeMap<String, Facts>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        let facts = Facts {
            content: meta.is_file().then(|| fs::read(&path).unwrap()),
            inode: meta.ino(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        };
        found.insert(path.strip_prefix(top).unwrap().to_str().unwrap().to_owned(), facts);
        if meta.is_dir() {
            gather(top, &path, found);
        }
    }
}

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Asserts that standard error contains all of these texts.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "does not say {text:?}: {self:#?}");
        }
        self
    }

    /// Asserts exactly one error line of this kind, and returns it.
    #[track_caller]
    pub(crate) fn one_error(&self, kind: &str) -> &str {
        let errors: Vec<&str> =
            self.stderr.lines().filter(|line| line.starts_with("error")).collect();
        assert_eq!(errors.len(), 1, "{self:#?}");
        assert!(errors[0].starts_with(&format!("error[{kind}]: ")), "not {kind}: {self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        errors[0]
    }

    /// Returns the lines of standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs a command to its end, with a time limit.
#[track_caller]
pub(crate) fn answer(command: Command, input: &[u8]) -> Answer {
    let mut command = assert_cmd::Command::from_std(command);
    let output = command.timeout(PATIENCE).write_stdin(input).output().unwrap();
    Answer::of(output)
}
