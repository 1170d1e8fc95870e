//! Passes the events of the library to the package `logging` of Python.
//!
//! Any thread may have an event; only threads that came from Python log it, so it waits in a queue.

use std::{
    collections::VecDeque,
    fmt::{self, Write},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use pyo3::{prelude::*, sync::PyOnceLock};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    reload,
};

/// Number of events that wait at most; the oldest is dropped.
const MOST: usize = 1_000;

type Queue = VecDeque<(u8, String)>;

static QUEUE: Mutex<Queue> = Mutex::new(VecDeque::new());
static WAITING: AtomicBool = AtomicBool::new(false);
static LEVEL: std::sync::OnceLock<reload::Handle<LevelFilter, Registry>> =
    std::sync::OnceLock::new();

type Registry = tracing_subscriber::Registry;

/// Returns the queue; `None` if another thread has it. A forked child may wait for that thread for ever.
fn queue() -> Option<MutexGuard<'static, Queue>> {
    match QUEUE.try_lock() {
        Ok(queue) => Some(queue),
        Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(PoisonError::into_inner(poisoned)),
        Err(std::sync::TryLockError::WouldBlock) => None,
    }
}

/// Starts to collect events, unless the process has a subscriber.
pub(crate) fn install() {
    let (filter, handle) = reload::Layer::new(LevelFilter::INFO);
    let subscriber = tracing_subscriber::registry().with(filter).with(Collector);
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        let _ = LEVEL.set(handle);
    }
}

struct Collector;

impl<S: Subscriber> Layer<S> for Collector {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Dependencies have their own events.
        if !event.metadata().target().trim_start_matches('_').starts_with("rawsink") {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let level = match *event.metadata().level() {
            Level::ERROR => 40,
            Level::WARN => 30,
            Level::INFO => 20,
            _ => 10,
        };
        if let Some(mut queue) = queue() {
            queue.push_back((level, text.message + &text.fields));
            if queue.len() > MOST {
                queue.pop_front();
            }
            WAITING.store(true, Ordering::Release);
        }
    }
}

/// The text of an event: its message, then its fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {field}={value:?}")
        };
    }
}

/// Returns whether events wait.
pub(crate) fn are_waiting() -> bool {
    WAITING.load(Ordering::Acquire)
}

/// Logs the events that wait. What a handler raises is printed: it must not replace the result of a call.
pub(crate) fn log(py: Python<'_>) {
    static LOG: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if !are_waiting() {
        return;
    }
    for event in drain_events() {
        let log = LOG.import(py, "rawsink._logging", "log");
        if let Err(raised) = log.and_then(|log| log.call1(event)) {
            raised.write_unraisable(py, None);
        }
    }
}

/// Returns the events that wait, as level and text.
#[pyfunction]
pub(crate) fn drain_events() -> Vec<(u8, String)> {
    let Some(mut queue) = queue() else { return Vec::new() };
    WAITING.store(false, Ordering::Release);
    queue.drain(..).collect()
}

/// Sets the least level of events to collect, as in `logging`.
#[pyfunction]
pub(crate) fn set_log_level(level: u8) {
    let filter = match level {
        41.. => LevelFilter::OFF,
        31..=40 => LevelFilter::ERROR,
        21..=30 => LevelFilter::WARN,
        11..=20 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    if let Some(handle) = LEVEL.get() {
        let _ = handle.reload(filter);
    }
}
