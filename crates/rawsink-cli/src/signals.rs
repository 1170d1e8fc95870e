//! Signals: SIGINT and SIGTERM end a writer in order; a file size limit is an error, not a death.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustix::process::Signal as Number;
use signal_hook::flag;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the program to end.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// The last one that came, set by the handler itself: the runtime tells later.
    came: Arc<AtomicUsize>,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        let came = Arc::new(AtomicUsize::new(0));
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let number = kind.as_raw_value();
            flag::register_usize(
                number,
                came.clone(),
                usize::try_from(number).unwrap_or_default(),
            )?;
        }
        let (interrupt, terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, came })
    }

    /// Waits for the next signal and returns its number.
    pub(crate) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }

    /// Returns the signal that came already, even if nobody was told of it yet.
    pub(crate) fn came(&self) -> Option<i32> {
        i32::try_from(self.came.load(Ordering::SeqCst)).ok().filter(|number| *number != 0)
    }
}

/// Makes writing beyond a file size limit fail with an error: SIGXFSZ would end the program
/// without a word. Commands that are started get the signal's default back.
pub(crate) fn survive_file_size_limit() {
    // Where the handler cannot be set, the program ends by the signal as it would have anyway.
    let _ = signal(SignalKind::from_raw(Number::XFSZ.as_raw()));
}
