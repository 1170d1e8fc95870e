//! Signals: SIGINT and SIGTERM stop a writer cleanly; SIGXFSZ becomes an error.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{StreamExt, stream::BoxStream};
use rawsink_ops::validate::Stop;
use rustix::process::Signal as Number;
use signal_hook::flag;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that stop the program.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// The number of the last signal, set by the handler: the runtime delivers it later.
    received: Arc<AtomicUsize>,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        let received = Arc::new(AtomicUsize::new(0));
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let number = kind.as_raw_value();
            flag::register_usize(
                number,
                received.clone(),
                usize::try_from(number).unwrap_or_default(),
            )?;
        }
        let (interrupt, terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, received })
    }

    /// Waits for the next signal and returns its number.
    pub(crate) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }

    /// Returns the signal that has been received, even before [`next`](Self::next) returns it.
    pub(crate) fn received(&self) -> Option<i32> {
        i32::try_from(self.received.load(Ordering::SeqCst)).ok().filter(|number| *number != 0)
    }
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
