//! The interface of a backend: bytes at paths, with methods that preserve the invariants.
//!
//! There is no `put` and no `delete(path)`. A store starts an attempt at a run, creates its
//! complete payload, then creates its seal once, and never touches a sealed run again. Must not
//! know partitions, metadata or state.
//!
//! | store | description |
//! |---|---|
//! | `MemoryStore` | the reference: exact, in memory, for tests and examples |
//! | [`FsStore`] | a directory |
//! | [`S3Store`] | a bucket of any S3-compatible object storage |
//! | `FaultyStore` | any store, with faults injected before and after its operations |

#[cfg(feature = "test-util")]
mod faulty;
pub mod fs;
mod leftovers;
#[cfg(feature = "test-util")]
mod memory;
mod path;
#[cfg(feature = "unstable-raw")]
#[doc(hidden)]
pub mod raw;
#[cfg(feature = "s3")]
pub mod s3;
#[cfg(any(feature = "s3", feature = "test-util"))]
mod unsealed;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;

#[cfg(feature = "s3")]
pub use self::s3::S3Store;
#[cfg(feature = "test-util")]
pub use self::{
    faulty::{FaultyStore, InjectedFault, Operation, Side, When},
    memory::MemoryStore,
};
pub use self::{
    fs::{Blocking, FsStore},
    leftovers::{Discarded, Leftover, LeftoverKind, Presence},
    path::StorePath,
};
use crate::{
    error::{Error, ErrorKind, Result},
    internal::Internal,
    runtime::age,
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

/// The random token of one attempt: 32 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WriterToken(String);

impl WriterToken {
    /// Creates a token of 128 random bits.
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

/// What to do with an unsealed payload of an earlier attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeftoverPolicy {
    /// Replace it with this attempt's payload (G09).
    #[default]
    Replace,
    /// Fail with `Conflict`, so that a person decides.
    Refuse,
}

/// The options of a new attempt.
#[derive(Debug, Clone)]
pub struct StartOptions {
    /// The attempt's token.
    pub token: WriterToken,
    /// What to do with an unsealed payload of an earlier attempt.
    pub leftover: LeftoverPolicy,
    /// The start time.
    pub now: Timestamp,
}

/// Length and age of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Length in bytes.
    pub bytes: u64,
    /// Time of the last change, by the store's clock.
    pub modified: Timestamp,
}

/// The objects of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunObjects {
    /// The payload, if it exists.
    pub payload: Option<ObjectInfo>,
    /// The seal, if it exists.
    pub seal: Option<ObjectInfo>,
}

/// One object found by [`Store::walk`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The object's directory, below the store's root.
    pub dir: StorePath,
    /// Payload or seal.
    pub object: Object,
    /// Its length and age.
    pub info: ObjectInfo,
}

/// An object's bytes, as a stream of chunks.
pub struct Reading {
    /// Length of the whole object in bytes, independent of the offset.
    pub bytes: u64,
    /// The chunks from the offset on. None is empty.
    pub chunks: BoxStream<'static, Result<Bytes>>,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// A function that returns the seal's bytes for the token of the sealing attempt.
pub type SealDocument<'a> = dyn Fn(&WriterToken) -> Bytes + Send + Sync + 'a;

/// The storage of a sink.
///
/// All methods ignore names that start with a dot, empty directories, and zero-byte objects whose
/// name ends with a slash.
#[async_trait]
pub trait Store: Internal + fmt::Debug + Send + Sync + 'static {
    /// Returns the objects of a run. A run that does not exist has none.
    async fn inspect(&self, run: &StorePath) -> Result<RunObjects>;

    /// Starts an attempt at a run.
    ///
    /// Nothing becomes visible. Leftovers of dead attempts are replaced or deleted (G09).
    ///
    /// # Errors
    /// `AlreadySealed` if a seal exists. `Conflict` if another writer of the run is active, or if
    /// an unsealed payload exists and the policy refuses it.
    async fn start(&self, run: &StorePath, options: StartOptions) -> Result<Box<dyn Upload>>;

    /// Opens an object from `offset` on.
    ///
    /// # Errors
    /// `NotFound` if it does not exist.
    async fn read(&self, run: &StorePath, object: Object, offset: u64) -> Result<Reading>;

    /// Makes the objects of runs durable, regardless of their writer. A run that does not exist has
    /// none.
    async fn sync(&self, runs: &[StorePath]) -> Result<()>;

    /// Returns the names directly below `dir` that hold a payload or a seal at any level, sorted
    /// byte by byte.
    async fn children(&self, dir: &StorePath) -> Result<Vec<String>>;

    /// Streams every payload and seal at any level below `dir`, sorted by path byte by byte.
    /// Continues after an error that hides only a part.
    fn walk(&self, dir: &StorePath) -> BoxStream<'static, Result<Stored>>;

    /// Returns the length of the prefix of every path, in bytes.
    fn prefix_bytes(&self) -> usize;

    /// Returns how the store detects an active writer of a run.
    fn presence(&self) -> Presence;

    /// Streams the leftovers at any level below `dir`, with bounded memory.
    ///
    /// May include objects of an active writer. Continues after an error that hides only a part.
    fn leftovers(&self, dir: &StorePath) -> BoxStream<'static, Result<Leftover>>;

    /// Deletes a leftover that is still as [`leftovers`](Self::leftovers) returned it.
    ///
    /// Checks it again first. With [`Presence::Lock`] this happens under the run's lock, without
    /// waiting for it. With [`Presence::Age`] it happens as late as the server allows, and the
    /// caller has to know that no writer of the run is active. An object of a sealed run is never
    /// touched (G03).
    async fn discard(&self, leftover: &Leftover) -> Result<Discarded>;
}

impl Internal for std::sync::Arc<dyn Store> {}

#[async_trait]
impl Store for std::sync::Arc<dyn Store> {
    async fn inspect(&self, run: &StorePath) -> Result<RunObjects> {
        (**self).inspect(run).await
    }

    async fn start(&self, run: &StorePath, options: StartOptions) -> Result<Box<dyn Upload>> {
        (**self).start(run, options).await
    }

    async fn read(&self, run: &StorePath, object: Object, offset: u64) -> Result<Reading> {
        (**self).read(run, object, offset).await
    }

    async fn sync(&self, runs: &[StorePath]) -> Result<()> {
        (**self).sync(runs).await
    }

    async fn children(&self, dir: &StorePath) -> Result<Vec<String>> {
        (**self).children(dir).await
    }

    fn walk(&self, dir: &StorePath) -> BoxStream<'static, Result<Stored>> {
        (**self).walk(dir)
    }

    fn prefix_bytes(&self) -> usize {
        (**self).prefix_bytes()
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

/// One attempt at a run: parts in order, then the complete payload, then the seal.
///
/// After an error, only [`abort`](Self::abort) may be called. Dropping an upload aborts it in the
/// background. After the future of a call was dropped, only `abort` may be called. A seal whose
/// future was dropped may still appear.
#[async_trait]
pub trait Upload: Internal + fmt::Debug + Send {
    /// Returns the size of the next part, in bytes. The last part may be shorter.
    fn part_bytes(&self) -> usize;

    /// Adds a part of [`part_bytes`](Self::part_bytes) or more. Object storage refuses shorter
    /// parts when the payload is completed. The part may still be in flight when this returns; a
    /// later call then reports its fault.
    async fn append(&mut self, part: Bytes) -> Result<()>;

    /// Adds the last part and creates the payload, complete and durable (G02).
    ///
    /// # Errors
    /// `AlreadySealed` or `Conflict` if another writer was first.
    async fn complete(&mut self, last: Bytes) -> Result<()>;

    /// Creates the seal, unless one exists, and returns its token (G03, G04).
    ///
    /// # Errors
    /// `AlreadySealed` if another writer's seal exists. `Unknown` if the seal may exist or still
    /// appear. After any other kind it does not (G06).
    async fn seal(self: Box<Self>, document: &SealDocument<'_>) -> Result<WriterToken>;

    /// Aborts the attempt (G08): a directory deletes its files; in a bucket an unsealed payload may
    /// stay. Does not report faults.
    async fn abort(self: Box<Self>);
}

/// The error of every store for a run that has a seal.
fn already_sealed() -> Error {
    Error::new(ErrorKind::AlreadySealed, "the run is already sealed")
}

/// The error of every store for a run that another writer has locked.
fn writer_active() -> Error {
    Error::new(ErrorKind::Conflict, "another writer of this run is active")
}

/// The error of every store for an unsealed payload that the policy refuses.
fn leftover_refused(left: ObjectInfo, now: Timestamp) -> Error {
    let (bytes, minutes) = (left.bytes, age(left.modified, now).as_secs() / 60);
    Error::new(
        ErrorKind::Conflict,
        format!(
            "an earlier attempt left a payload of {bytes} bytes, last modified {minutes} min ago, \
             and the settings refuse to replace it: use a new run id, or change that setting"
        ),
    )
    .by_setting("leftover")
}

/// The error of every store for an object that does not exist.
fn object_missing(object: Object) -> Error {
    Error::new(ErrorKind::NotFound, format!("{} does not exist", object.file_name()))
}
