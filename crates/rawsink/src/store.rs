//! The interface of a backend: bytes at paths, with methods that preserve the invariants.
//!
//! There is no `put` and no `delete(path)`. A store starts an attempt at a run, creates its
//! complete payload, then creates its seal once. Only a restore touches a sealed run again: it puts
//! back the bytes that the seal covers. Must not know partitions, metadata or state.
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
mod tag;
#[cfg(any(feature = "s3", feature = "test-util"))]
mod unsealed;

use std::{fmt, fs::File, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
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
    tag::ObjectTag,
};
use crate::{
    error::{Error, ErrorKind, Result},
    foreign::is_foreign,
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

    /// Returns whether a text has the form of a token.
    fn is_token(text: &str) -> bool {
        text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
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

/// Length, age and tag of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Length in bytes.
    pub bytes: u64,
    /// Time of the last change, by the store's clock.
    pub modified: Timestamp,
    /// The tag of its current state; `None` if the server sent none.
    pub tag: Option<ObjectTag>,
}

/// The objects of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunObjects {
    /// The payload, if it exists.
    pub payload: Option<ObjectInfo>,
    /// The seal, if it exists.
    pub seal: Option<ObjectInfo>,
}

impl RunObjects {
    /// Returns one of the objects, if it exists.
    pub fn get(&self, object: Object) -> Option<ObjectInfo> {
        match object {
            Object::Payload => self.payload,
            Object::Seal => self.seal,
        }
    }
}

/// One object found by [`Store::walk`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The object's directory, below the store's root.
    pub dir: StorePath,
    /// Payload or seal.
    pub object: Object,
    /// Its length, age and tag.
    pub info: ObjectInfo,
}

/// An object's bytes, as a stream of chunks.
pub struct Reading {
    /// Length of the whole object in bytes, independent of the offset.
    pub bytes: u64,
    /// The tag of the object that the bytes come from, as [`Store::inspect`] returns it; `None` if
    /// the answer had none.
    pub tag: Option<ObjectTag>,
    /// The chunks from the offset on. None is empty.
    pub chunks: BoxStream<'static, Result<Bytes>>,
    /// The open file of the object, if the store has one. Its position belongs to `chunks`.
    pub file: Option<Arc<File>>,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("bytes", &self.bytes)
            .field("tag", &self.tag)
            .finish_non_exhaustive()
    }
}

/// A function that returns the seal's bytes for the token of the sealing attempt.
pub type SealDocument<'a> = dyn Fn(&WriterToken) -> Bytes + Send + Sync + 'a;

/// What [`Store::restore`] puts back into a sealed run.
pub enum Restoration {
    /// The payload.
    Payload {
        /// The seal that covers the payload. The run must be sealed with exactly these bytes.
        seal: Bytes,
        /// The payload's bytes. An error of the stream leaves the run unchanged.
        chunks: BoxStream<'static, Result<Bytes>>,
    },
    /// The seal. The run must have one, with any bytes.
    Seal(Bytes),
}

impl Restoration {
    /// Returns the object, the bytes that the existing seal must have, and the object's bytes.
    fn into_parts(self) -> (Object, Option<Bytes>, BoxStream<'static, Result<Bytes>>) {
        match self {
            Self::Payload { seal, chunks } => (Object::Payload, Some(seal), chunks),
            Self::Seal(document) => {
                (Object::Seal, None, stream::once(async { Ok(document) }).boxed())
            }
        }
    }
}

impl fmt::Debug for Restoration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Payload { .. } => "Restoration::Payload",
            Self::Seal(_) => "Restoration::Seal",
        })
    }
}

/// The storage of a sink.
///
/// All methods ignore names that start with a dot, directories that file systems and appliances
/// create for themselves (`lost+found`), empty directories, and zero-byte objects whose name ends
/// with a slash.
///
/// A listing continues after an error that hides only a part. The place of such an error is the
/// path that it hides, with everything below. An error without a place ends the listing.
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

    /// Streams the names directly below `dir` that hold a payload or a seal at any level, sorted
    /// byte by byte. Continues after an error that hides only a part.
    fn children(&self, dir: &StorePath) -> BoxStream<'static, Result<String>>;

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

    /// Replaces one object of a sealed run, or creates it again if it is missing (G03).
    ///
    /// The caller knows that the new bytes are those that the seal covers, or the seal that was
    /// validated. They are staged completely, and then replace the object in one step, so readers see
    /// the old object or the new one. Repeating this, also concurrently, with the same bytes is safe.
    /// `token` names the process in the store, like that of an attempt.
    ///
    /// # Errors
    /// `NotSealed` if the run has no seal. `Corrupt` if its seal is not the given one. `Conflict` if
    /// another process holds the run's lock, or aborted the upload. The error of the stream. After
    /// `Unavailable` the object may be replaced or not.
    async fn restore(
        &self,
        run: &StorePath,
        token: WriterToken,
        restoration: Restoration,
    ) -> Result<()>;
}

impl Internal for Arc<dyn Store> {}

#[async_trait]
impl Store for Arc<dyn Store> {
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

    fn children(&self, dir: &StorePath) -> BoxStream<'static, Result<String>> {
        (**self).children(dir)
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

    async fn restore(
        &self,
        run: &StorePath,
        token: WriterToken,
        restoration: Restoration,
    ) -> Result<()> {
        (**self).restore(run, token, restoration).await
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

/// Returns whether every listing skips this name, with everything below it.
fn is_skipped(name: &str) -> bool {
    name.starts_with('.') || is_foreign(name)
}

/// The error of every store for a run that has a seal.
fn already_sealed() -> Error {
    Error::new(ErrorKind::AlreadySealed, "the run is already sealed")
}

/// The error of every store for a restore of a run without a seal.
fn not_sealed() -> Error {
    Error::new(ErrorKind::NotSealed, "the run has no seal, so nothing of it can be restored")
}

/// The error of every store for a restore below another seal.
fn seal_differs() -> Error {
    Error::corrupt("metadata.json is not the one that covers the payload to restore")
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
