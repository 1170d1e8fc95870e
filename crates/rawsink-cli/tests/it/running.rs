//! The running program: input, waiting, signals.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::landing::{Answer, PATIENCE};

/// A process that is killed at the end of the test.
#[derive(Debug)]
pub(crate) struct Running {
    child: Option<Child>,
}

impl Running {
    /// Starts a command with pipes for all three standard streams.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: Some(command.spawn().unwrap()) }
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        self.child.as_mut().unwrap()
    }

    pub(crate) fn pid(&mut self) -> Pid {
        Pid::from_raw(i32::try_from(self.child().id()).unwrap())
    }

    pub(crate) fn stdin(&mut self) -> &mut ChildStdin {
        self.child().stdin.as_mut().unwrap()
    }

    /// Writes to its standard input and keeps it open.
    pub(crate) fn feed(&mut self, input: &[u8]) {
        self.stdin().write_all(input).unwrap();
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        let pid = self.pid();
        kill(pid, signal).unwrap();
    }

    /// Waits for its end with open standard input, and returns its result.
    #[track_caller]
    pub(crate) fn end(mut self) -> Answer {
        let stdin = self.child().stdin.take();
        until("the process has ended", || self.child().try_wait().unwrap().is_some());
        drop(stdin);
        Answer::of(self.child.take().unwrap().wait_with_output().unwrap())
    }

    /// Closes its standard input and returns its result.
    pub(crate) fn finish(mut self) -> Answer {
        Answer::of(self.child.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "not after {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the staging files of a run's directory hold at least `bytes` bytes.
#[track_caller]
pub(crate) fn until_staged(run_dir: &Path, bytes: u64) {
    until("rows are staged", || staged(run_dir).is_some_and(|staged| staged >= bytes));
}

fn staged(run_dir: &Path) -> Option<u64> {
    let mut found = None;
    for entry in fs::read_dir(run_dir).ok()? {
        let entry = entry.ok()?;
        if entry.file_name().to_str()?.starts_with('.') {
            *found.get_or_insert(0) += entry.metadata().ok()?.len();
        }
    }
    found
}

/// Waits for a file with a command's process id.
#[track_caller]
pub(crate) fn pid_in(path: &Path) -> Pid {
    let mut pid = None;
    until("the command has said its process id", || {
        let text = fs::read_to_string(path).unwrap_or_default();
        pid = text.strip_suffix('\n').and_then(|pid| pid.parse().ok());
        pid.is_some()
    });
    Pid::from_raw(pid.unwrap())
}

/// Returns whether a process exists and has not ended (a zombie has ended).
pub(crate) fn is_alive(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with(['Z', 'X']))
}
