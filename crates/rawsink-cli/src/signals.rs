//! Signals: one policy for all commands, also as process 1 of a container.
//!
//! SIGHUP, SIGINT, SIGQUIT and SIGTERM end the program, SIGHUP unless it was ignored at the start, as by
//! `nohup`. A command with nothing to clean up ends at once. Another holds [`Signals`], and gets
//! [`CLEANUP`]; only a seal in doubt may take longer. SIGXFSZ becomes an error.

use std::{
    future::poll_fn,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures_util::{StreamExt, stream::BoxStream};
use rawsink_ops::validate::Stop;
use rustix::process::Signal as Number;
use signal_hook::{flag, low_level::emulate_default_handler};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

use crate::{
    exit::{self, Failure},
    output::Output,
};

/// How long a command may clean up after the first signal.
const CLEANUP: Duration = Duration::from_secs(4);

/// How often the end of a seal in doubt is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The end of a command that another call resumes.
pub(crate) const RESUMABLE: &str = "interrupted by a signal; run the same command to resume";

/// What ends the command at the first signal.
static ENDING: Mutex<Ending> = Mutex::new(Ending::AtOnce);

#[derive(Debug, Clone, Copy)]
enum Ending {
    /// The program ends at once.
    AtOnce,
    /// The command ends itself. After [`CLEANUP`] the program ends with this message.
    Cleanly(&'static str),
    /// The command ends itself, when it knows whether the run is sealed.
    Never,
}

/// The signals that stop the program.
#[derive(Debug)]
pub(crate) struct Signals {
    listening: Vec<(i32, Signal)>,
    /// The number of the last signal, set by the handler: the runtime delivers it later.
    received: Arc<AtomicUsize>,
}

impl Signals {
    /// Takes the signals over: the command ends itself. If it takes too long, the program ends with
    /// `unfinished`.
    pub(crate) fn new(unfinished: &'static str) -> Result<Self, Failure> {
        let signals = Self::listen().map_err(|cause| Failure::internal(&cause))?;
        *ending() = Ending::Cleanly(unfinished);
        Ok(signals)
    }

    fn listen() -> io::Result<Self> {
        let received = Arc::new(AtomicUsize::new(0));
        let mut listening = Vec::new();
        for number in [Number::HUP, Number::INT, Number::QUIT, Number::TERM] {
            if number == Number::HUP && is_ignored(number) {
                continue;
            }
            let number = number.as_raw();
            let flag = usize::try_from(number).unwrap_or_default();
            flag::register_usize(number, received.clone(), flag)?;
            listening.push((number, signal(SignalKind::from_raw(number))?));
        }
        Ok(Self { listening, received })
    }

    /// Waits for the next signal and returns its number.
    pub(crate) async fn next(&mut self) -> i32 {
        poll_fn(|context| {
            let mut received = self.listening.iter_mut().filter_map(|(number, signal)| {
                signal.poll_recv(context).is_ready().then_some(*number)
            });
            received.next().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Returns the signal that has been received, even before [`next`](Self::next) returns it.
    pub(crate) fn received(&self) -> Option<i32> {
        i32::try_from(self.received.load(Ordering::SeqCst)).ok().filter(|number| *number != 0)
    }

    /// Lets the command take its time: it ends when it knows its outcome.
    pub(crate) fn hold() {
        *ending() = Ending::Never;
    }

    /// Ends [`hold`](Self::hold). If the command takes too long now, the program ends with `unfinished`.
    pub(crate) fn release(unfinished: &'static str) {
        *ending() = Ending::Cleanly(unfinished);
    }
}

fn ending() -> MutexGuard<'static, Ending> {
    ENDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns whether this process was started with the signal ignored.
fn is_ignored(number: Number) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (number.as_raw() - 1) & 1 == 1)
}

/// Ends the program after the first signal: at once, or when the command has had its time.
pub(crate) fn watch(output: Output) -> io::Result<()> {
    let mut signals = Signals::listen()?;
    tokio::spawn(async move {
        let number = signals.next().await;
        loop {
            let now = *ending();
            match now {
                Ending::AtOnce => {}
                Ending::Cleanly(_) => sleep(CLEANUP).await,
                Ending::Never => {
                    sleep(POLL_INTERVAL).await;
                    continue;
                }
            }
            // While this is locked, the command cannot begin what must not be interrupted.
            let ending = ending();
            match *ending {
                Ending::AtOnce => die(number, &output),
                Ending::Cleanly(unfinished) => {
                    exit::now(Failure::signal(number, unfinished), &output)
                }
                Ending::Never => {}
            }
        }
    });
    Ok(())
}

/// Ends the program as the signal does by default: a shell then ends its loop too.
fn die(number: i32, output: &Output) -> ! {
    // Process 1 of a container does not die of a default action. SIGQUIT would write a core, with secrets.
    let is_first = std::process::id() == 1;
    if !is_first && number != Number::QUIT.as_raw() {
        exit::print_signal(number, output);
        let _ = emulate_default_handler(number);
    }
    exit::now(Failure::signal(number, "interrupted by a signal"), output)
}

/// The events of a work that a signal ends early.
pub(crate) struct StoppableEvents<E> {
    events: BoxStream<'static, E>,
    signals: Signals,
    stop: Stop,
    received: Option<i32>,
}

impl<E> StoppableEvents<E> {
    pub(crate) fn new(events: BoxStream<'static, E>, signals: Signals, stop: Stop) -> Self {
        Self { events, signals, stop, received: None }
    }

    /// Returns the next event. After a signal these are the results that were reached; a second signal
    /// ends them too.
    pub(crate) async fn next(&mut self) -> Option<E> {
        loop {
            tokio::select! {
                biased;
                number = self.signals.next() => {
                    self.stop.stop();
                    if self.received.replace(number).is_some() {
                        return None;
                    }
                }
                event = self.events.next() => return event,
            }
        }
    }

    /// Returns the signal that ended the work.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.received
    }
}

/// Handles SIGXFSZ, so that writing beyond a file size limit fails with an error instead of killing
/// the program. Child processes get the default action back.
pub(crate) fn survive_file_size_limit() {
    // Without the handler the signal kills the program, as it does by default.
    let _ = signal(SignalKind::from_raw(Number::XFSZ.as_raw()));
}
