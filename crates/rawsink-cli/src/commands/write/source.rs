//! Where rows come from: standard input, a file, or a command.

use std::{
    ffi::OsString,
    fmt,
    fs::File,
    io::{IsTerminal, Read},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rawsink::{Error, ErrorKind, Result, error::system_text};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

/// How long a command and all that it started may take to end after they were asked to.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before looking again whether something of the command still runs.
const PAUSE: Duration = Duration::from_millis(10);

/// An open source of rows, and the command that feeds it.
pub(super) struct Source {
    rows: Option<Box<dyn Read + Send>>,
    child: Option<Child>,
    /// The process group of the command and of all that it started.
    group: Option<Pid>,
    terminal: bool,
}

/// How a source ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Standard input or a file: nobody knows whether that was all.
    Input,
    /// The command exited 0.
    CommandSucceeded,
    /// The command did not; how.
    CommandFailed(String),
}

impl Source {
    /// Opens the file, or takes standard input.
    pub(super) fn input(file: Option<&Path>) -> Result<Self> {
        match file.filter(|file| *file != Path::new("-")) {
            None => {
                let stdin = std::io::stdin();
                let terminal = stdin.is_terminal();
                let unreadable = |cause| {
                    Error::new(ErrorKind::Unavailable, format!("no standard input: {cause}"))
                };
                // Without the buffer of the standard library: chunks are large already.
                let input = rustix::stdio::stdin().try_clone_to_owned().map_err(unreadable)?;
                Ok(Self {
                    rows: Some(Box::new(File::from(input))),
                    child: None,
                    group: None,
                    terminal,
                })
            }
            Some(path) => {
                let refused = |cause| {
                    Error::invalid(format!("cannot read the rows: {}", system_text(&cause)))
                        .on_path(path.display())
                };
                let file = File::open(path).map_err(refused)?;
                if file.metadata().map_err(refused)?.is_dir() {
                    return Err(
                        Error::invalid("the rows' file is a directory").on_path(path.display())
                    );
                }
                Ok(Self { rows: Some(Box::new(file)), child: None, group: None, terminal: false })
            }
        }
    }

    /// Starts the command.
    pub(super) fn command(command: &[OsString]) -> Result<Self> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(Error::invalid("there is no command behind --"));
        };
        let refused = |cause: std::io::Error| {
            Error::invalid(format!(
                "cannot start the command {}: {}",
                program.display(),
                system_text(&cause)
            ))
        };
        let (rows, feed) = std::io::pipe().map_err(refused)?;
        let mut command = Command::new(program);
        // A group of its own: a signal from the terminal reaches us alone, and we can end the command
        // with all that it started. Such a group may not read from the terminal.
        command.args(arguments).stdout(feed).process_group(0).kill_on_drop(true);
        if std::io::stdin().is_terminal() {
            command.stdin(Stdio::null());
        }
        let child = command.spawn().map_err(refused)?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { rows: Some(Box::new(rows)), child: Some(child), group, terminal: false })
    }

    /// Tells whether a person types the rows.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Takes the rows, which can be done once.
    pub(super) fn take_rows(&mut self) -> Result<Box<dyn Read + Send>> {
        self.rows.take().ok_or_else(|| Error::new(ErrorKind::Internal, "the rows were taken twice"))
    }

    /// Waits until the source has ended, and says how.
    pub(super) async fn wait(&mut self) -> Result<Ended> {
        let Some(child) = &mut self.child else { return Ok(Ended::Input) };
        let lost = |cause| {
            Error::new(ErrorKind::Unavailable, format!("cannot wait for the command: {cause}"))
        };
        let status = child.wait().await.map_err(lost)?;
        // The group's id may become a stranger's as soon as nobody is in it.
        self.group = self.group.filter(|group| test_kill_process_group(*group).is_ok());
        Ok(if status.success() {
            Ended::CommandSucceeded
        } else {
            Ended::CommandFailed(describe(status))
        })
    }

    /// Asks the command and all that it started to end, and ends it where it does not.
    pub(super) async fn terminate(&mut self) {
        let (Some(child), Some(group)) = (&mut self.child, self.group) else { return };
        // A group that is gone already needs no asking.
        let _ = kill_process_group(group, Signal::TERM);
        let all_ended = async {
            let _ = child.wait().await;
            // The command may have left something behind that did not hear the signal.
            while test_kill_process_group(group).is_ok() {
                sleep(PAUSE).await;
            }
        };
        if timeout(PATIENCE, all_ended).await.is_err() {
            let _ = kill_process_group(group, Signal::KILL);
            let _ = child.wait().await;
        }
    }

    /// Tells whether a command feeds the rows, so that there is an end to wait for.
    pub(super) fn is_command(&self) -> bool {
        self.child.is_some()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("child", &self.child).finish_non_exhaustive()
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "did not end well".to_owned(),
    }
}
