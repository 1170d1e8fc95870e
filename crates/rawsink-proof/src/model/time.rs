//! Time without numbers.
//!
//! The protocol needs one fact about time: the settings are refused unless the grace is at least
//! the seal's deadline and one and a half of its timeout. So when an attempt has waited for its
//! grace, whatever others had begun when it began to wait is over: a seal that rests on an older look
//! was applied, or is not sent any more, or is never applied.
//!
//! That is an order, not a length. When an attempt's grace begins (`Attempt::quiet_since`), every
//! look and every request under way gets its mark. When it is over, every look with the mark is too
//! old to seal by, and no request with the mark is applied any more, unless
//! [`Requests::MayOutliveGrace`](super::Requests). Everything else about time is free: a deadline may
//! pass at any moment, an attempt may be paused anywhere. So every real run whose requests end in
//! time is one of the model's, whatever its clocks say.

/// The attempts, and `clean`, whose waiting began after something else had begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Marks(u8);

impl Marks {
    /// The mark of `clean`, which waits for uploads to be old.
    pub const CLEAN: u8 = 7;

    /// Tells whether it is marked by one who waits.
    pub fn has(self, waiting: u8) -> bool {
        self.0 & (1 << waiting) != 0
    }

    /// Marks it.
    pub fn add(&mut self, waiting: u8) {
        self.0 |= 1 << waiting;
    }

    /// Takes a mark away.
    pub fn remove(&mut self, waiting: u8) {
        self.0 &= !(1 << waiting);
    }
}

/// What a seal rests on: the upload list of step 5, or the payload request where that is left out.
/// It counts from the sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Look {
    /// Who began to wait after it was sent.
    pub marks: Marks,
    /// Whether one of them has waited: it is certainly older than the grace.
    pub outlived: bool,
}

/// What an attempt's clock says about its look, where that is not decided by the marks: it may say
/// either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Clock {
    /// The deadline, or the grace, has not passed.
    InTime,
    /// It has.
    Late,
}
