//! One attempt at a run: its rows, its begin and its seal, each ended by a signal.

use std::time::Duration;

use rawsink::{PartitionWriter, Sealed};
use tokio::time::{sleep, timeout};

use super::source::{Ended, Source};
use crate::{exit::Failure, output, signals::Signals};

/// How long an attempt may take to begin after a signal, so that it can be cleaned up.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the output of a command may stay open after its exit before a note says why nothing ends.
const OPEN_OUTPUT_NOTE: Duration = Duration::from_secs(5);

const OPEN_OUTPUT: &str = "the command has exited, but its output has not ended; a process that it started may \
                           hold it open";

/// Waits until rows and command have ended, or until the command fails or a signal arrives.
pub(in crate::commands) async fn wait_for_rows<T>(
    landing: impl Future<Output = rawsink::Result<T>>,
    source: &mut Source,
    signals: &mut Signals,
) -> Result<Ended, Failure> {
    let mut told = !source.is_command();
    let (mut landed, mut ended) = (false, (!source.is_command()).then_some(Ended::Input));
    tokio::pin!(landing);
    loop {
        match ended {
            // A child of the command may keep the pipe open for a long time.
            Some(Ended::CommandFailed(_)) => break,
            Some(_) if landed => break,
            _ => {}
        }
        tokio::select! {
            biased;
            signal = signals.next() => return Err(interrupted(signal)),
            outcome = &mut landing, if !landed => { outcome?; landed = true; }
            outcome = source.wait(), if ended.is_none() => ended = Some(outcome?),
            () = sleep(OPEN_OUTPUT_NOTE), if ended.is_some() && !told => {
                told = true;
                if !source.has_rows_ended() {
                    output::note(OPEN_OUTPUT);
                }
            }
        }
    }
    Ok(ended.unwrap_or(Ended::Input))
}

/// Begins the attempt. After a signal it waits briefly for the attempt to begin, to clean it up.
pub(in crate::commands) async fn begin(
    beginning: impl Future<Output = rawsink::Result<PartitionWriter>>,
    signals: &mut Signals,
) -> Result<PartitionWriter, Failure> {
    tokio::pin!(beginning);
    let signal = tokio::select! {
        biased;
        signal = signals.next() => signal,
        begun = &mut beginning => return Ok(begun?),
    };
    tokio::select! {
        begun = timeout(BEGIN_TIMEOUT, beginning) => if let Ok(Ok(writer)) = begun {
            writer.abort().await;
        },
        _ = signals.next() => {}
    }
    Err(interrupted(signal))
}

/// Waits for work before the seal, or for a signal.
pub(in crate::commands) async fn unless_interrupted<T>(
    work: impl Future<Output = rawsink::Result<T>>,
    signals: &mut Signals,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        signal = signals.next() => Err(interrupted(signal)),
        outcome = work => Ok(outcome?),
    }
}

pub(in crate::commands) fn interrupted(signal: i32) -> Failure {
    Failure::signal(signal, "interrupted by a signal")
}

/// Waits for the outcome of sealing. Only a second signal interrupts it.
pub(in crate::commands) async fn seal(
    sealing: impl Future<Output = rawsink::Result<Sealed>>,
    signals: &mut Signals,
) -> Result<Sealed, Failure> {
    Signals::hold();
    tokio::pin!(sealing);
    tokio::select! {
        outcome = &mut sealing => return Ok(outcome?),
        _ = signals.next() => output::note("sealing has begun; waiting for the outcome (a second signal stops immediately)"),
    }
    tokio::select! {
        outcome = &mut sealing => Ok(outcome?),
        signal = signals.next() => Err(Failure::signal(signal, "interrupted by a second signal")),
    }
}
