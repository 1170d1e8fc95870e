//! Prints the library's events as lines on standard error.

use std::fmt::{self, Write as _};

use rawsink::{Error, Result};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt as _, Targets, filter_fn},
    layer::Context as LayerContext,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{escape, output};

/// Prints events from now on: those that `filter` selects, or more with `-v` and `-vv`.
///
/// Only events of this software are printed: those of other libraries may contain secrets (G17).
///
/// # Errors
/// `Invalid` for a malformed filter.
pub(crate) fn init(filter: &str, verbose: u8) -> Result<()> {
    let filter: Targets = match verbose {
        0 => filter.parse().map_err(|cause| {
            Error::invalid(format!("RAW_SINK_LOG is {filter:?}, not a valid filter: {cause}"))
        })?,
        1 => Targets::new().with_target("rawsink", Level::DEBUG),
        _ => Targets::new().with_target("rawsink", Level::TRACE),
    };
    let own = filter_fn(|event| event.target().starts_with("rawsink"));
    // If the process has a logger already, that one stays.
    let _ = tracing_subscriber::registry().with(Lines.with_filter(filter.and(own))).try_init();
    Ok(())
}

/// Prints each event as one line.
struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let Text { message, fields } = text;
        match *event.metadata().level() {
            Level::ERROR => output::logged_error(format!("{message}{fields}")),
            Level::WARN => output::warning(format!("{message}{fields}")),
            Level::INFO => note(&format!("{message}{fields}")),
            _ => note(&format!("{}: {message}{fields}", event.metadata().target())),
        }
    }
}

/// Prints an event, which may quote a server: no further line of it looks like another note.
fn note(text: &str) {
    output::note(escape::paragraph(text));
}

/// The message of an event, and its other fields as ` name=value`.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
