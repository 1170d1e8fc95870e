//! The directory store: exact without waits, with locks, links and syncs.
//!
//! | file | contents |
//! |---|---|
//! | `attempt` | the steps of one attempt |
//! | `restoring` | the steps of restoring a damaged file |
//! | `lock` | the right to write a run |
//! | `error` | the kind of each system error |
//!
//! Reads never lock and never write. Symbolic links to directories and files are followed.

mod attempt;
mod config;
mod error;
mod leftovers;
mod listing;
mod lock;
mod probe;
mod restoring;
#[cfg(feature = "unstable-raw")]
mod scratch;
#[cfg(test)]
mod tests;
mod upload;

use std::{
    fs::{File, Metadata},
    io::{Seek, SeekFrom},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use rustix::{buffer::spare_capacity, fs::OFlags, io::Errno};
use tokio::task::{JoinHandle, spawn_blocking};

pub use self::config::{Blocking, FsConfig};
#[cfg(feature = "unstable-raw")]
pub use self::scratch::{DirectoryScratch, FileSystem, Taken};
use self::{
    attempt::{AncestorsSynced, FsAttempt},
    error::{FsError, joined},
    probe::Probe,
    restoring::FsRestore,
    upload::FsUpload,
};
use super::{
    Discarded, Leftover, Object, ObjectInfo, ObjectTag, Presence, Reading, Restoration, RunObjects,
    StartOptions, Store, StorePath, Stored, Upload, WriterToken,
};
use crate::error::Result;

const READ_BYTES: usize = 512 * 1024;
/// Size of the buffer for a small file.
const LEAST_READ_BYTES: usize = 4096;

/// A store in a directory of a local file system.
///
/// The first writer creates the directory. Files get mode 0640 and directories 0750, less the
/// umask. Requires hard links and `flock`; without them, writes fail with `Unsupported`.
#[derive(Debug, Clone)]
pub struct FsStore {
    root: PathBuf,
    ancestors_synced: AncestorsSynced,
    blocking: Blocking,
    probe: Probe,
}

impl FsStore {
    /// Opens a store in a directory. Resolves a relative root against the current directory now.
    ///
    /// # Errors
    /// `Invalid` for an empty root.
    pub fn new(config: &FsConfig) -> Result<Self> {
        let root = config::absolute(&config.root)?;
        let (ancestors_synced, probe) = <(AncestorsSynced, Probe)>::default();
        Ok(Self { root, ancestors_synced, blocking: config.blocking, probe })
    }

    /// Returns the root directory, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn dir(&self, path: &StorePath) -> PathBuf {
        if path.as_str().is_empty() { self.root.clone() } else { self.root.join(path.as_str()) }
    }
}

impl crate::internal::Internal for FsStore {}

#[async_trait]
impl Store for FsStore {
    async fn inspect(&self, run: &StorePath) -> Result<RunObjects> {
        let dir = self.dir(run);
        Ok(joined(spawn_blocking(move || inspect(&dir)).await)?)
    }

    async fn start(&self, run: &StorePath, options: StartOptions) -> Result<Box<dyn Upload>> {
        if self.inspect(run).await?.seal.is_some() {
            return Err(super::already_sealed());
        }
        let (root, ancestors_synced) = (self.root.clone(), self.ancestors_synced.clone());
        let (dir, probe) = (self.dir(run), self.probe.clone());
        let start = move || FsAttempt::start(&root, ancestors_synced, &dir, options, probe);
        let started = spawn_blocking(start).await;
        Ok(Box::new(FsUpload::new(joined(started)?)))
    }

    async fn read(&self, run: &StorePath, object: Object, offset: u64) -> Result<Reading> {
        let path = self.dir(run).join(object.file_name());
        let opened = match self.blocking {
            Blocking::Inline => open_at(&path, offset),
            Blocking::Pool => joined(spawn_blocking(move || open_at(&path, offset)).await),
        };
        match opened {
            Ok((file, meta)) => {
                let (bytes, tag) = (meta.len(), Some(tag_of(&meta)));
                let at_once = chunk_bytes(bytes.saturating_sub(offset));
                Ok(Reading { bytes, tag, chunks: chunks(file, at_once, self.blocking) })
            }
            Err(error) if error.is_absence() => Err(super::object_missing(object)),
            Err(error) => Err(error.into()),
        }
    }

    async fn sync(&self, runs: &[StorePath]) -> Result<()> {
        let (root, ancestors_synced) = (self.root.clone(), self.ancestors_synced.clone());
        let dirs: Vec<PathBuf> = runs.iter().map(|run| self.dir(run)).collect();
        let probe = self.probe.clone();
        let sync = move || attempt::sync_runs(&root, &ancestors_synced, &dirs, &probe);
        Ok(joined(spawn_blocking(sync).await)?)
    }

    fn children(&self, dir: &StorePath) -> BoxStream<'static, Result<String>> {
        listing::children(self.dir(dir), dir.clone())
    }

    fn walk(&self, dir: &StorePath) -> BoxStream<'static, Result<Stored>> {
        listing::walk(self.dir(dir), dir.clone())
    }

    fn prefix_bytes(&self) -> usize {
        0
    }

    fn presence(&self) -> Presence {
        Presence::Lock
    }

    fn leftovers(&self, dir: &StorePath) -> BoxStream<'static, Result<Leftover>> {
        leftovers::leftovers(self.dir(dir), dir.clone())
    }

    async fn discard(&self, leftover: &Leftover) -> Result<Discarded> {
        let (dir, leftover) = (self.dir(&leftover.run), leftover.clone());
        let probe = self.probe.clone();
        let discarded = spawn_blocking(move || leftovers::discard(&dir, &leftover, &probe)).await;
        Ok(joined(discarded)?)
    }

    async fn restore(
        &self,
        run: &StorePath,
        token: WriterToken,
        restoration: Restoration,
    ) -> Result<()> {
        let (object, seal, mut chunks) = restoration.into_parts();
        let (root, ancestors_synced) = (self.root.clone(), self.ancestors_synced.clone());
        let (dir, probe) = (self.dir(run), self.probe.clone());
        let start =
            move || FsRestore::start(root, ancestors_synced, &dir, (object, seal), &token, probe);
        let mut restore = joined(spawn_blocking(start).await)?;
        // After an error of the stream, dropping the restore deletes its staging file.
        while let Some(chunk) = chunks.next().await.transpose()? {
            let append = move || restore.append(&chunk).map(|()| restore);
            restore = joined(spawn_blocking(append).await)?;
        }
        Ok(joined(spawn_blocking(move || restore.finish()).await)?)
    }
}

/// Returns the objects in a run's directory. A directory that does not exist has none.
fn inspect(dir: &Path) -> Result<RunObjects, FsError> {
    let info = |object: Object| file_info(&dir.join(object.file_name()));
    // The seal first: then a payload without a seal was unsealed when the seal was checked.
    let seal = info(Object::Seal)?;
    Ok(RunObjects { seal, payload: info(Object::Payload)? })
}

/// Returns length, age and tag of a regular file; `None` for anything else.
fn file_info(path: &Path) -> Result<Option<ObjectInfo>, FsError> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() => {
            let modified =
                meta.modified().ok().and_then(|time| time.try_into().ok()).unwrap_or_default();
            Ok(Some(ObjectInfo { bytes: meta.len(), modified, tag: Some(tag_of(&meta)) }))
        }
        Ok(_) => Ok(None),
        Err(cause) => {
            let error = FsError::new("check", path, &cause);
            if error.is_absence() { Ok(None) } else { Err(error) }
        }
    }
}

/// Returns the tag of a file. Another file of the same name has another inode, a changed one another
/// time.
fn tag_of(meta: &Metadata) -> ObjectTag {
    ObjectTag::of(&(meta.ino(), meta.mtime(), meta.mtime_nsec()))
}

fn open_at(path: &Path, offset: u64) -> Result<(File, Metadata), FsError> {
    let wrap = |cause| FsError::new("open", path, &cause);
    // Opening a named pipe would block. The flag has no effect on a file.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag of the system");
    let mut options = File::options();
    let mut file = options.read(true).custom_flags(nonblocking).open(path).map_err(wrap)?;
    let meta = file.metadata().map_err(wrap)?;
    if !meta.is_file() {
        return Err(FsError::new("open", path, &Errno::NOENT.into()));
    }
    // Past the end there are no bytes, and the system accepts no offset above 2^63.
    file.seek(SeekFrom::Start(offset.min(meta.len()))).map_err(wrap)?;
    Ok((file, meta))
}

/// Returns the size of a buffer for the rest of a file. A small one also finds the end of a small file.
fn chunk_bytes(rest: u64) -> usize {
    usize::try_from(rest)
        .map_or(READ_BYTES, |rest| rest.saturating_add(1).clamp(LEAST_READ_BYTES, READ_BYTES))
}

/// Streams the rest of a file, in chunks of up to `at_once` bytes.
fn chunks(file: File, at_once: usize, blocking: Blocking) -> BoxStream<'static, Result<Bytes>> {
    match blocking {
        Blocking::Inline => {
            let next = move || read_chunk(&file, at_once).transpose();
            stream::iter(std::iter::from_fn(next).map(|chunk| Ok(chunk?))).boxed()
        }
        Blocking::Pool => chunks_ahead(file, at_once),
    }
}

type NextChunk = JoinHandle<(File, Result<Option<Bytes>, FsError>)>;

/// Streams the rest of a file from the blocking pool, always one chunk ahead.
fn chunks_ahead(file: File, at_once: usize) -> BoxStream<'static, Result<Bytes>> {
    let next = move |file: File| -> NextChunk {
        spawn_blocking(move || {
            let chunk = read_chunk(&file, at_once);
            (file, chunk)
        })
    };
    stream::unfold(Some(next(file)), move |reading: Option<NextChunk>| async move {
        match reading?.await {
            Ok((file, Ok(Some(chunk)))) => Some((Ok(chunk), Some(next(file)))),
            Ok((_, Ok(None))) => None,
            Ok((_, Err(error))) => Some((Err(error.into()), None)),
            Err(cause) => Some((Err(FsError::panicked(&cause).into()), None)),
        }
    })
    .boxed()
}

/// Returns the next chunk of a file; `None` at the end. Only the last chunk is short.
fn read_chunk(file: &File, at_once: usize) -> Result<Option<Bytes>, FsError> {
    let mut chunk = Vec::with_capacity(at_once);
    loop {
        match rustix::io::read(file, spare_capacity(&mut chunk)) {
            Ok(0) => return Ok((!chunk.is_empty()).then(|| Bytes::from(chunk))),
            Ok(_) if chunk.len() == chunk.capacity() => return Ok(Some(Bytes::from(chunk))),
            Ok(_) | Err(Errno::INTR) => {}
            Err(cause) => return Err(FsError::new("read", "", &cause.into())),
        }
    }
}
