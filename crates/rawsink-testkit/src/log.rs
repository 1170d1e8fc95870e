//! Captures the log as text, at the highest verbosity.
//!
//! One subscriber of the process passes each event to the log that listens on the event's thread.
//! (A subscriber for each test would race with other threads: `tracing` can remember a place in the
//! code as not enabled if it is reached for the first time while a subscriber is added.)

use std::{
    cell::RefCell,
    fmt::Write,
    sync::{Arc, Mutex, Once},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::{Interest, set_global_default},
};

thread_local! {
    static LISTENING: RefCell<Option<Log>> = const { RefCell::new(None) };
}

/// The captured log of a thread.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<String>>);

/// Captures until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        LISTENING.set(None);
    }
}

/// Prepares capturing. Must be called before the code under test logs for the first time.
pub fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| set_global_default(Router).unwrap());
}

impl Log {
    /// Captures the events of this thread until the guard is dropped.
    pub fn listen(&self) -> Guard {
        prepare();
        LISTENING.set(Some(self.clone()));
        Guard(())
    }

    /// Returns the infos and warnings of the library so far, and clears the log.
    pub fn take_notes(&self) -> Vec<String> {
        let text = std::mem::take(&mut *self.0.lock().unwrap());
        let shown =
            |line: &'_ str| line.starts_with("INFO rawsink") || line.starts_with("WARN rawsink");
        let notes = text.lines().filter(|line| shown(line));
        let message = |line: &str| Some(line.split_once(" message=")?.1.to_owned());
        notes.filter_map(message).collect()
    }

    pub fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

/// Appends fields to a text.
struct Fields<'t>(&'t mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

/// Passes events to the log that listens on this thread.
struct Router;

/// Appends to the log that listens on this thread.
fn append(text: impl FnOnce(&mut String)) {
    LISTENING.with_borrow(|log| {
        if let Some(Log(log)) = log {
            text(&mut log.lock().unwrap());
        }
    });
}

impl Subscriber for Router {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    /// Excludes the log of the server, which runs in the same process.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        LISTENING.with_borrow(Option::is_some) && !metadata.target().starts_with("s3s")
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        append(|text| {
            text.push_str(attributes.metadata().name());
            attributes.record(&mut Fields(text));
            text.push('\n');
        });
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        append(|text| values.record(&mut Fields(text)));
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        append(|text| {
            write!(text, "{} {}", event.metadata().level(), event.metadata().target()).unwrap();
            event.record(&mut Fields(text));
            text.push('\n');
        });
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
