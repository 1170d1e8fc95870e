//! Lands the streams of a tap, one after the other.

use std::io;

use jiff::Timestamp;
use rawsink::{
    Error, ErrorKind, Metadata, PartitionWriter, RunId, error::system_text, layout::Place,
    sink::PayloadSummary,
};
use rawsink_ops::singer::{Stream, is_sealed_as};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Options, unlanded};
use crate::{
    commands::write::attempt::{begin, interrupted, seal, unless_interrupted},
    context::Context,
    exit::{Exit, Failure},
    hint::Stage,
    output, progress,
    signals::Signals,
};

/// The end of a command that cannot abort an attempt in time.
const NOT_CLEANED_UP: &str = "interrupted by a signal; some streams may be sealed; run the same command again with \
                              the same --run-id; rawsink clean --apply removes what the attempt left";

/// Number of streams that a message names.
const NAMED_STREAMS: usize = 5;

/// The member of metadata with the summary of a stream.
const MEMBER: &str = "singer";

/// The streams of a tap on their way to the sink.
pub(super) struct Landing<'l> {
    pub(super) context: &'l Context<'l>,
    pub(super) options: &'l Options,
    pub(super) run: &'l RunId,
    pub(super) now: Timestamp,
    pub(super) state: Option<&'l RawValue>,
}

/// A sealed stream, as JSON.
#[derive(Serialize)]
struct Landed<'s> {
    stream: &'s str,
    outcome: Outcome,
    path: String,
    run_id: &'s RunId,
    #[serde(flatten)]
    payload: &'s PayloadSummary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Sealed,
    /// An earlier command has sealed it with the same rows.
    AlreadySealed,
}

/// The last state, as JSON.
#[derive(Serialize)]
struct State<'s> {
    state: &'s RawValue,
}

/// Why a stream was not landed.
struct Stopped {
    failure: Failure,
    /// Whether its run may be sealed.
    is_in_doubt: bool,
}

impl Stopped {
    fn while_sealing(failure: Failure) -> Self {
        let is_in_doubt = match &failure {
            // With all other kinds the library guarantees that this writer sealed nothing (G06).
            Failure::Library(error) => {
                matches!(error.kind(), ErrorKind::Unknown | ErrorKind::Corrupt)
            }
            _ => true,
        };
        Self { failure, is_in_doubt }
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self { failure, is_in_doubt: false }
    }
}

impl Landing<'_> {
    /// Checks every stream before the first is sealed.
    pub(super) async fn check(
        &self,
        streams: &[Stream],
        signals: &mut Signals,
    ) -> Result<(), Failure> {
        for stream in streams {
            let (rows, least) = (stream.payload.record_count, self.options.min_records);
            if rows < least {
                let message = format!(
                    "stream {:?}: expected at least {least} records, got {rows}",
                    stream.name
                );
                return Err(unlanded(Failure::check_failed(message)));
            }
            self.metadata(stream).map_err(|error| unlanded(error.at(self.place(stream)).into()))?;
        }
        for stream in streams {
            let checked = unless_interrupted(self.is_sealed(stream), signals).await;
            checked
                .map_err(|failure| self.conclude(failure, stream, "this command sealed nothing"))?;
        }
        Ok(())
    }

    /// Seals the streams, prints each, and then the state.
    pub(super) async fn land(
        &self,
        streams: Vec<Stream>,
        signals: &mut Signals,
    ) -> Result<Exit, Failure> {
        let names: Vec<String> = streams.iter().map(|stream| stream.name.clone()).collect();
        for (number, mut stream) in streams.into_iter().enumerate() {
            let outcome = match self.land_one(&mut stream, signals).await {
                Ok(outcome) => outcome,
                Err(Stopped { failure, is_in_doubt }) => {
                    let before = if is_in_doubt { "this run may be sealed; " } else { "" };
                    let outcome = format!("{before}{}", partly(&names, number));
                    return Err(self.conclude(failure, &stream, outcome));
                }
            };
            if let Err(cause) = self.report(&stream, outcome) {
                let place = Some(self.place(&stream).to_string());
                let outcome = partly(&names, number + 1);
                return Err(Failure::from(cause).of_writing(place, outcome, Stage::LandingStreams));
            }
        }
        Signals::release("interrupted by a signal; all streams are sealed");
        self.print_state().map(|()| Exit::Success)
    }

    async fn land_one(
        &self,
        stream: &mut Stream,
        signals: &mut Signals,
    ) -> Result<Outcome, Stopped> {
        Signals::release(NOT_CLEANED_UP);
        if let Some(signal) = signals.received() {
            return Err(interrupted(signal).into());
        }
        if unless_interrupted(self.is_sealed(stream), signals).await? {
            return Ok(Outcome::AlreadySealed);
        }
        let beginning = self.context.sink.write_partition(&stream.partition, self.run);
        let mut writer = begin(beginning, signals).await?;
        let metadata = match self.fill(&mut writer, stream, signals).await {
            Ok(metadata) => metadata,
            Err(failure) => {
                writer.abort().await;
                return Err(failure.into());
            }
        };
        let sealed = seal(writer.finalize(metadata), signals).await;
        sealed.map(|_| Outcome::Sealed).map_err(Stopped::while_sealing)
    }

    /// Writes all rows of a stream and completes its payload. Only the seal is missing afterwards.
    async fn fill(
        &self,
        writer: &mut PartitionWriter,
        stream: &mut Stream,
        signals: &mut Signals,
    ) -> Result<Metadata, Failure> {
        let rows = writer.write_payload_from(stream.take_rows(), |_, _| {});
        unless_interrupted(rows, signals).await?;
        let (rows, bytes) = (stream.payload.record_count, stream.payload.payload_bytes);
        if (writer.record_count(), writer.payload_bytes()) != (rows, bytes) {
            let message = "the temporary file does not hold the records of the tap any more";
            return Err(Error::new(ErrorKind::Unavailable, message).into());
        }
        for hazard in writer.hazards().iter() {
            output::warning(format_args!("stream {:?}: {hazard}", stream.name));
        }
        let metadata = self.metadata(stream)?;
        unless_interrupted(writer.complete_payload(&metadata), signals).await?;
        Ok(metadata)
    }

    async fn is_sealed(&self, stream: &Stream) -> rawsink::Result<bool> {
        is_sealed_as(&self.context.sink, &stream.partition, self.run, &stream.payload).await
    }

    fn metadata(&self, stream: &Stream) -> rawsink::Result<Metadata> {
        let state = self.state.filter(|_| self.options.keeps_state);
        let summary = stream.summary(self.options.tap(), state);
        let prepared = self.options.metadata.prepare(&stream.partition, self.run, self.now)?;
        prepared.with(MEMBER, &summary)?.finish(stream.payload.record_count)
    }

    fn place(&self, stream: &Stream) -> Place {
        Place::of_run(&stream.partition, self.run)
    }

    fn conclude(&self, failure: Failure, stream: &Stream, outcome: impl Into<String>) -> Failure {
        let place = Some(self.place(stream).to_string());
        failure.of_writing(place, outcome.into(), Stage::LandingStreams)
    }

    fn report(&self, stream: &Stream, outcome: Outcome) -> io::Result<()> {
        let path = self.place(stream).to_string();
        let payload = &stream.payload;
        let amount = progress::amount(payload.record_count, payload.payload_bytes);
        match outcome {
            Outcome::Sealed => output::note(format!("{path}: sealed {amount}")),
            Outcome::AlreadySealed => output::note(format!("{path}: already sealed, {amount}")),
        }
        if !self.context.output.is_json() {
            return Ok(());
        }
        let stream = &stream.name;
        let landed = Landed { stream, outcome, path, run_id: self.run, payload };
        match output::record(&landed) {
            // The next streams do not depend on a reader.
            Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            printed => printed,
        }
    }

    /// Prints the last state, which nobody gets if standard output is closed.
    fn print_state(&self) -> Result<(), Failure> {
        let Some(state) = self.state else { return Ok(()) };
        let printed = if self.context.output.is_json() {
            output::record(&State { state })
        } else {
            output::line(state.get())
        };
        printed.map_err(|cause| {
            let place = if self.options.keeps_state { "; their metadata holds it" } else { "" };
            let message = format!(
                "cannot write the state to standard output: {}; every stream is sealed{place}",
                system_text(&cause),
            );
            Failure::Output { place: None, message }
        })
    }
}

/// Says how many of the streams are sealed, and which not.
fn partly(names: &[String], sealed: usize) -> String {
    if sealed == 0 {
        return "nothing was sealed".to_owned();
    }
    let missing = &names[sealed..];
    if missing.is_empty() {
        return "every stream is sealed".to_owned();
    }
    let shown: Vec<String> =
        missing.iter().take(NAMED_STREAMS).map(|name| format!("{name:?}")).collect();
    let more = match missing.len().saturating_sub(NAMED_STREAMS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{sealed} of {} streams are sealed, not {}{more}", names.len(), shown.join(", "))
}
