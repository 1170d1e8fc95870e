//! What the library logs for a user, on the thread of a simulation.

use std::{cell::RefCell, fmt, sync::Once};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::set_global_default,
};

thread_local! {
    static NOTICES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Collects the notices of each thread from now on, and forgets those of this thread.
pub(super) fn listen() {
    // Once for all threads: `tracing` can miss an event that another thread reaches for the first
    // time while a subscriber is added.
    static ONCE: Once = Once::new();
    ONCE.call_once(|| set_global_default(Listener).expect("no other subscriber is set"));
    take();
}

/// Returns the notices since the last call.
pub(super) fn take() -> Vec<String> {
    NOTICES.with_borrow_mut(std::mem::take)
}

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::INFO
    }

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        NOTICES.with_borrow_mut(|notices| notices.push(message.0));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
