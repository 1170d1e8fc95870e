//! The descriptors of the locks that this process holds.
//!
//! A forked child inherits copies of them, and a lock stays held until the last copy is closed. So the
//! child has to close its copies. It must not unlock them: that would unlock the parent's run.

use std::{
    os::fd::{AsRawFd, RawFd},
    process,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

const SLOTS: usize = 62;
const FREE: u64 = 0;

/// Slots for descriptors. Nothing here waits for another thread, which may not exist in a child.
struct Chunk {
    /// Process id in the upper half, descriptor in the lower half.
    slots: [AtomicU64; SLOTS],
    next: OnceLock<Box<Self>>,
}

static HELD: Chunk = Chunk::new();

impl Chunk {
    const fn new() -> Self {
        Self { slots: [const { AtomicU64::new(FREE) }; SLOTS], next: OnceLock::new() }
    }
}

fn chunks() -> impl Iterator<Item = &'static Chunk> {
    std::iter::successors(Some(&HELD), |chunk| chunk.next.get().map(|next| &**next))
}

/// A descriptor that holds a lock, or soon does.
#[derive(Debug)]
pub(super) struct Held {
    slot: &'static AtomicU64,
    value: u64,
}

impl Held {
    /// Notes a descriptor. Call it before locking.
    pub(super) fn note(descriptor: &impl AsRawFd) -> Self {
        let descriptor = u64::try_from(descriptor.as_raw_fd()).unwrap_or_default();
        let value = u64::from(process::id()) << 32 | descriptor;
        let mut chunk = &HELD;
        loop {
            for slot in &chunk.slots {
                if slot.compare_exchange(FREE, value, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    return Self { slot, value };
                }
            }
            chunk = chunk.next.get_or_init(|| Box::new(Chunk::new()));
        }
    }

    /// Returns whether this process noted it.
    pub(super) fn is_ours(&self) -> bool {
        self.value >> 32 == u64::from(process::id())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let (value, free) = (self.value, FREE);
        let _ = self.slot.compare_exchange(value, free, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// Returns the descriptors that a forked child inherited from its parent and that hold, or held, the lock
/// of a run. The child should close them right after the fork; otherwise the run stays locked
/// after the parent's death, as long as the child lives. A second call returns none.
///
/// Writers that the child inherited must not be dropped by async code afterwards. The handles of
/// [`blocking`](crate::blocking) forget them.
pub fn inherited_locks() -> Vec<RawFd> {
    let process = u64::from(process::id());
    let mut found = Vec::new();
    for slot in chunks().flat_map(|chunk| &chunk.slots) {
        let value = slot.load(Ordering::Acquire);
        let is_inherited = value != FREE && value >> 32 != process;
        let taken = is_inherited
            && slot.compare_exchange(value, FREE, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        // The lower half is a descriptor.
        found.extend(taken.then_some(value & 0x7fff_ffff).and_then(|fd| RawFd::try_from(fd).ok()));
    }
    found
}
