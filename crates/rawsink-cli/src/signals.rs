//! Signals: SIGINT and SIGTERM end a writer in order; a file size limit is an error, not a death.

use std::io;

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the program to end.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal and returns its number.
    pub(crate) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }
}

/// Makes writing beyond a file size limit fail with an error: SIGXFSZ would end the program
/// without a word. Commands that are started get the signal's default back.
pub(crate) fn survive_file_size_limit() {
    // Where the handler cannot be set, the program ends by the signal as it would have anyway.
    let _ = signal(SignalKind::from_raw(Number::XFSZ.as_raw()));
}
