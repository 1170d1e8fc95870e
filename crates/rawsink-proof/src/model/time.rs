//! Time without numbers.
//!
//! The protocol needs one fact about time: the grace is at least the seal's deadline plus one and a half
//! of its timeout, or the library refuses the settings. So when an attempt has waited for its grace, all
//! requests of others from before the wait have ended: a seal that relies on an older check was applied,
//! will not be sent, or is never applied.
//!
//! That is an order, not a length. When an attempt's grace begins (`S3Attempt::quiet_since`), every check
//! and every request in flight gets its mark. When the grace ends, every check with the mark is too old
//! for a seal, and no request with the mark is applied, except under
//! [`RequestDelay::MayOutliveGrace`](super::RequestDelay). Nothing else about time is fixed: a deadline
//! may pass at any moment, and an attempt may pause anywhere. So the model covers every real execution
//! whose requests end in time, with any clocks.

/// The attempts, or `clean`, whose wait began after a check or a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct WaitMarks(u8);

impl WaitMarks {
    /// The mark of `clean`, which waits until uploads are old.
    pub const CLEAN: u8 = 7;

    /// Returns whether it has a mark.
    pub fn has(self, waiting: u8) -> bool {
        self.0 & (1 << waiting) != 0
    }

    /// Adds a mark.
    pub fn add(&mut self, waiting: u8) {
        self.0 |= 1 << waiting;
    }

    /// Removes a mark.
    pub fn remove(&mut self, waiting: u8) {
        self.0 &= !(1 << waiting);
    }
}

/// The age of the check on which a seal relies: the upload list of step 5, or the payload request without
/// step 5. It counts from the sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CheckAge {
    /// The waits that began after it was sent.
    pub marks: WaitMarks,
    /// Whether one of these waits has ended, so that it is older than the grace.
    pub outlived: bool,
}

/// What an attempt's clock shows about its check. Both are possible unless the marks decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClockReading {
    /// The deadline or the grace has not passed.
    InTime,
    /// The deadline or the grace has passed.
    Late,
}
