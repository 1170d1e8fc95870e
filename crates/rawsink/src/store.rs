//! What a backend must be able to do: bytes at paths, with the invariants as verbs.
//!
//! There is no `put` and no `delete(path)`: a store starts an attempt at a run, makes its payload
//! appear whole, makes its seal appear after it, once, and never touches a sealed run again.
//! Must not know what partitions, metadata or state mean.
//!
//! | store | what it is |
//! |---|---|
//! | [`MemoryStore`] | the reference: exact, in memory, for tests and examples |
//! | [`FsStore`] | a directory |
//! | [`S3Store`] | a bucket of any S3-compatible object storage |
//! | [`FaultyStore`] | any store, with faults injected before and after its operations |

mod faulty;
mod fs;
mod leftovers;
mod memory;
mod path;
#[cfg(not(feature = "simulation"))]
mod s3;
#[cfg(feature = "simulation")]
pub mod s3;
pub(crate) mod scratch;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;

pub use self::{
    faulty::{Fault, FaultyStore, Operation, Side, When},
    fs::FsStore,
    leftovers::{Discarded, Leftover, LeftoverKind, Presence},
    memory::MemoryStore,
    path::StorePath,
    s3::S3Store,
};
pub use crate::config::{Blocking, LeftoverPolicy};
use crate::{
    clock::age,
    error::{Error, ErrorKind, Result},
};

/// The two objects of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Object {
    /// `payload.jsonl`
    Payload,
    /// `metadata.json`, whose existence is the seal (G01).
    Seal,
}

impl Object {
    /// Returns the object's name below its run.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Payload => "payload.jsonl",
            Self::Seal => "metadata.json",
        }
    }

    /// Returns the object that has this name.
    pub fn from_file_name(name: &str) -> Option<Self> {
        [Self::Payload, Self::Seal].into_iter().find(|object| object.file_name() == name)
    }
}

/// The random token of one writing attempt: 32 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WriterToken(String);

impl WriterToken {
    /// Makes a token of 128 random bits.
    pub fn new(random: u128) -> Self {
        Self(format!("{random:032x}"))
    }

    /// Returns the token's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WriterToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who starts an attempt, and how.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The attempt's token.
    pub token: WriterToken,
    /// What to do about a payload that an earlier attempt left.
    pub leftover: LeftoverPolicy,
    /// The time of the start.
    pub now: Timestamp,
}

/// Length and age of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Length in bytes.
    pub bytes: u64,
    /// When the object was last modified, as the store says.
    pub modified: Timestamp,
}

/// What is there of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunObjects {
    /// The payload, when there is one.
    pub payload: Option<ObjectInfo>,
    /// The seal, when there is one.
    pub seal: Option<ObjectInfo>,
}

/// One object found by [`Store::walk`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The directory that holds it, below the store's root.
    pub dir: StorePath,
    /// Which of the two objects.
    pub object: Object,
    /// Its length and age.
    pub info: ObjectInfo,
}

/// An object's bytes, as a stream of chunks.
pub struct Reading {
    /// Length of the whole object in bytes, whatever offset was asked for.
    pub bytes: u64,
    /// The chunks from the offset on, none of them empty.
    pub chunks: BoxStream<'static, Result<Bytes>>,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Makes the bytes of the seal from the token of the attempt that seals.
pub type SealDocument<'a> = dyn Fn(&WriterToken) -> Bytes + Send + Sync + 'a;

/// The bytes below a sink.
///
/// Names that start with a dot, empty directories and zero-byte objects whose name ends in a slash
/// do not exist for any of these verbs.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Returns what is there of a run; nothing there is not an error.
    async fn look(&self, run: &StorePath) -> Result<RunObjects>;

    /// Starts an attempt at a run.
    ///
    /// Nothing becomes visible. What dead attempts left is taken over or removed (G09).
    ///
    /// # Errors
    /// `AlreadySealed` where a seal is there; `Conflict` where another writer of this run is at
    /// work, or where a payload was left and the policy refuses it.
    async fn start(&self, run: &StorePath, attempt: Attempt) -> Result<Box<dyn Upload>>;

    /// Opens an object from `offset` on.
    ///
    /// # Errors
    /// `NotFound` when it is not there.
    async fn read(&self, run: &StorePath, object: Object, offset: u64) -> Result<Reading>;

    /// Makes what is there of a run durable, whoever wrote it.
    async fn sync(&self, run: &StorePath) -> Result<()>;

    /// Returns the names directly below `dir` that hold a payload or a seal at any depth, sorted by bytes.
    async fn children(&self, dir: &StorePath) -> Result<Vec<String>>;

    /// Returns every payload and seal at any depth below `dir`, sorted by path, byte by byte. The stream
    /// goes on after an error that hides only a part.
    fn walk(&self, dir: &StorePath) -> BoxStream<'static, Result<Stored>>;

    /// Returns how this store knows that a writer of a run is at work.
    fn presence(&self) -> Presence;

    /// Streams what attempts left at any depth below `dir`, with bounded memory. What a living writer
    /// is using may be among it. The stream goes on after an error that hides only a part.
    fn leftovers(&self, dir: &StorePath) -> BoxStream<'static, Result<Leftover>>;

    /// Removes a leftover that is still as [`leftovers`](Self::leftovers) showed it.
    ///
    /// Looks again first: under the run's lock, taken without waiting, where there is one
    /// ([`Presence::Lock`]); else as late as the server allows, and whoever calls has to know that no
    /// writer of the run lives. An object of a sealed run is never touched (G03).
    async fn discard(&self, leftover: &Leftover) -> Result<Discarded>;
}

#[async_trait]
impl Store for std::sync::Arc<dyn Store> {
    async fn look(&self, run: &StorePath) -> Result<RunObjects> {
        (**self).look(run).await
    }

    async fn start(&self, run: &StorePath, attempt: Attempt) -> Result<Box<dyn Upload>> {
        (**self).start(run, attempt).await
    }

    async fn read(&self, run: &StorePath, object: Object, offset: u64) -> Result<Reading> {
        (**self).read(run, object, offset).await
    }

    async fn sync(&self, run: &StorePath) -> Result<()> {
        (**self).sync(run).await
    }

    async fn children(&self, dir: &StorePath) -> Result<Vec<String>> {
        (**self).children(dir).await
    }

    fn walk(&self, dir: &StorePath) -> BoxStream<'static, Result<Stored>> {
        (**self).walk(dir)
    }

    fn presence(&self) -> Presence {
        (**self).presence()
    }

    fn leftovers(&self, dir: &StorePath) -> BoxStream<'static, Result<Leftover>> {
        (**self).leftovers(dir)
    }

    async fn discard(&self, leftover: &Leftover) -> Result<Discarded> {
        (**self).discard(leftover).await
    }
}

/// One attempt at a run: parts in order, then the payload whole, then the seal.
///
/// After an error the only call that makes sense is [`abort`](Self::abort). Dropping an upload is
/// an abort that nobody waits for. A future of these calls that is dropped half-way leaves the
/// attempt usable only for `abort`; dropped inside `seal`, it decides nothing.
#[async_trait]
pub trait Upload: fmt::Debug + Send {
    /// Returns how many bytes the next part should have, the last one apart.
    fn part_bytes(&self) -> usize;

    /// Adds a part of [`part_bytes`](Self::part_bytes) or more: object storage refuses shorter ones,
    /// though only when the payload is whole. It may still be on its way when this returns; a fault
    /// then shows at a later call.
    async fn append(&mut self, part: Bytes) -> Result<()>;

    /// Adds the last part and makes the payload appear, whole and durable (G02).
    ///
    /// # Errors
    /// `AlreadySealed` or `Conflict` where another writer got there first.
    async fn complete(&mut self, last: Bytes) -> Result<()>;

    /// Makes the seal appear, unless there is one, and returns the token that it carries (G03, G04).
    ///
    /// # Errors
    /// `AlreadySealed` where another's seal is there. `Unknown` where the seal may be there or
    /// still appear; any other kind means that it does not (G06).
    async fn seal(self: Box<Self>, document: &SealDocument<'_>) -> Result<WriterToken>;

    /// Ends the attempt and removes what it made visible (G08). Faults in doing so are not reported.
    async fn abort(self: Box<Self>);
}

/// What every store says where a seal is there.
fn already_sealed() -> Error {
    Error::new(ErrorKind::AlreadySealed, "the run is already sealed")
}

/// What every store says where an exclusive writer is alive.
fn writer_at_work() -> Error {
    Error::new(ErrorKind::Conflict, "another writer of this run is at work")
}

/// What every store says where a payload was left and the policy refuses it.
fn leftover_refused(left: ObjectInfo, now: Timestamp) -> Error {
    let (bytes, minutes) = (left.bytes, age(left.modified, now).as_secs() / 60);
    Error::new(
        ErrorKind::Conflict,
        format!(
            "an earlier attempt left a payload of {bytes} bytes, last modified {minutes} min ago, \
             and RAW_SINK_LEFTOVER=refuse: use a new run id, or allow it to be replaced"
        ),
    )
}

/// What every store says where an object is not there.
fn object_missing(object: Object) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no {}", object.file_name()))
}
