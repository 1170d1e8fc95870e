//! Sources of rows: standard input, a file, or a command.

use std::{
    ffi::OsString,
    fmt,
    fs::{self, File},
    io::{self, IsTerminal, Read},
    os::{
        fd::OwnedFd,
        unix::{fs::FileTypeExt, process::ExitStatusExt},
    },
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rawsink::{Error, ErrorKind, Result, error::system_text};
use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process_group, test_kill_process_group},
};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

/// How long the command and its children may take to exit after SIGTERM.
const EXIT_TIMEOUT: Duration = Duration::from_secs(3);

/// The interval between checks whether the process group still exists.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// An open source of rows, and the command that writes them.
pub(in crate::commands) struct Source {
    rows: Option<File>,
    child: Option<Child>,
    /// The process group of the command and its children.
    group: Option<Pid>,
    terminal: bool,
    /// Whether the rows come from a pipe that another program writes to.
    is_pipe: bool,
    rows_ended: Arc<AtomicBool>,
}

/// The rows of a source. It remembers that they have ended.
struct Rows {
    input: File,
    ended: Arc<AtomicBool>,
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.input.read(buffer)?;
        if bytes == 0 && !buffer.is_empty() {
            self.ended.store(true, Ordering::Relaxed);
        }
        Ok(bytes)
    }
}

/// How a source ended.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands) enum Ended {
    /// Standard input or a file ended; the rows may be incomplete.
    Input,
    /// The command exited with 0.
    CommandSucceeded,
    /// The command failed; how.
    CommandFailed(String),
}

impl Source {
    /// Opens a file, or standard input for `None` and `-`.
    pub(in crate::commands) fn input(file: Option<&Path>) -> Result<Self> {
        match file.filter(|file| *file != Path::new("-")) {
            None => {
                let stdin = io::stdin();
                let terminal = stdin.is_terminal();
                let unreadable = |cause| {
                    Error::new(
                        ErrorKind::Unavailable,
                        format!("cannot read standard input: {cause}"),
                    )
                };
                // Unbuffered, because chunks are large.
                let input = rustix::stdio::stdin().try_clone_to_owned().map_err(unreadable)?;
                let input = File::from(input);
                let is_pipe = input.metadata().map_err(unreadable)?.file_type().is_fifo();
                Ok(Self { terminal, is_pipe, ..Self::of(input) })
            }
            Some(path) => {
                let refused = |cause| {
                    Error::invalid(format!("cannot read the rows: {}", system_text(&cause)))
                        .on_path(path.display())
                };
                let file = File::open(path).map_err(refused)?;
                let metadata = file.metadata().map_err(refused)?;
                if metadata.is_dir() {
                    return Err(Error::invalid("cannot read the rows: is a directory")
                        .on_path(path.display()));
                }
                let is_pipe = metadata.file_type().is_fifo();
                Ok(Self { is_pipe, ..Self::of(file) })
            }
        }
    }

    /// Returns whether standard input has data that nobody has read.
    pub(in crate::commands) fn is_input_unread() -> bool {
        let stdin = rustix::stdio::stdin();
        // A device such as /dev/null does not know the call.
        !io::stdin().is_terminal() && rustix::io::ioctl_fionread(stdin).is_ok_and(|bytes| bytes > 0)
    }

    /// Starts the command.
    pub(in crate::commands) fn command(command: &[OsString]) -> Result<Self> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(Error::invalid("no command follows --"));
        };
        let refused = |cause: io::Error| {
            let (text, name) = (system_text(&cause), program.display());
            let advice = match cause.kind() {
                io::ErrorKind::PermissionDenied => format!("; make it executable: chmod +x {name}"),
                _ => String::new(),
            };
            let message = format!("cannot start the command {name}: {text}{advice}");
            Error::new(kind_of_start(&cause), message)
        };
        let (rows, feed) = io::pipe().map_err(refused)?;
        let mut command = Command::new(program);
        // In its own process group the command gets no signals from the terminal, and one signal
        // reaches all its children. It gets no input either: rows would be lost in a command that
        // does not read them.
        command.args(arguments).stdin(Stdio::null()).stdout(feed);
        command.process_group(0).kill_on_drop(true);
        let child = command.spawn().map_err(refused)?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child: Some(child), group, ..Self::of(File::from(OwnedFd::from(rows))) })
    }

    fn of(rows: File) -> Self {
        Self {
            rows: Some(rows),
            child: None,
            group: None,
            terminal: false,
            is_pipe: false,
            rows_ended: Arc::default(),
        }
    }

    /// Reports whether the rows were read to their end.
    pub(in crate::commands) fn has_rows_ended(&self) -> bool {
        self.rows_ended.load(Ordering::Relaxed)
    }

    /// Reports whether the rows come from a terminal.
    pub(in crate::commands) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Reports whether the rows come from a pipe, whose end does not show that its writer succeeded.
    pub(in crate::commands) fn is_pipe(&self) -> bool {
        self.is_pipe
    }

    /// Returns the file of the rows, before they are taken.
    pub(in crate::commands) fn metadata(&self) -> Option<fs::Metadata> {
        self.rows.as_ref()?.metadata().ok()
    }

    /// Takes the stream of rows; a second call is an error.
    pub(in crate::commands) fn take_rows(&mut self) -> Result<impl Read + Send + use<>> {
        let taken = || Error::new(ErrorKind::Internal, "the rows were taken twice");
        let input = self.rows.take().ok_or_else(taken)?;
        Ok(Rows { input, ended: self.rows_ended.clone() })
    }

    /// Waits until the source has ended and returns how.
    pub(in crate::commands) async fn wait(&mut self) -> Result<Ended> {
        let Some(child) = &mut self.child else { return Ok(Ended::Input) };
        let lost = |cause| {
            Error::new(ErrorKind::Unavailable, format!("cannot wait for the command: {cause}"))
        };
        let status = child.wait().await.map_err(lost)?;
        // The system may reuse the id of an empty group.
        self.group = self.group.filter(|group| test_kill_process_group(*group).is_ok());
        Ok(if status.success() {
            Ended::CommandSucceeded
        } else {
            Ended::CommandFailed(describe(status))
        })
    }

    /// Sends SIGTERM to the command and its children, and SIGKILL to those that do not exit.
    pub(in crate::commands) async fn terminate(&mut self) {
        let (Some(child), Some(group)) = (&mut self.child, self.group) else { return };
        // The group may not exist any more.
        let _ = kill_process_group(group, Signal::TERM);
        let all_ended = async {
            let _ = child.wait().await;
            // Children may outlive the command.
            while test_kill_process_group(group).is_ok() {
                sleep(POLL_INTERVAL).await;
            }
        };
        if timeout(EXIT_TIMEOUT, all_ended).await.is_err() {
            let _ = kill_process_group(group, Signal::KILL);
            let _ = child.wait().await;
        }
    }

    /// Reports whether a command writes the rows, so that its exit must be awaited.
    pub(in crate::commands) fn is_command(&self) -> bool {
        self.child.is_some()
    }
}

/// Fills a buffer from a source. Returns 0 at its end.
pub(in crate::commands) fn read(source: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match source.read(buffer) {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            read => {
                let unreadable = |cause| {
                    let message = format!("cannot read the rows: {}", system_text(&cause));
                    Error::new(ErrorKind::Unavailable, message).because(cause)
                };
                return read.map_err(unreadable);
            }
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("child", &self.child).finish_non_exhaustive()
    }
}

/// Returns the kind of an error of starting a process. A limit of the system is temporary.
fn kind_of_start(cause: &io::Error) -> ErrorKind {
    let limits = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE];
    let is_limit = Errno::from_io_error(cause).is_some_and(|errno| limits.contains(&errno));
    if is_limit { ErrorKind::Unavailable } else { ErrorKind::Invalid }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}
