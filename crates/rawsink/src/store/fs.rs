//! The directory store: exact without waits, with locks, links and syncs.
//!
//! | file | contents |
//! |---|---|
//! | `attempt` | the steps of one attempt |
//! | `restoring` | the steps of restoring a damaged file |
//! | `lock` | the right to write a run |
//! | `root`, `directory`, `opening` | the root, what is below it, and the links that nobody follows |
//! | `error` | the kind of each system error |
//!
//! Reads never lock and never write.

mod attempt;
mod config;
mod directory;
mod error;
mod held;
mod leftovers;
mod listing;
mod lock;
mod opening;
mod probe;
mod restoring;
mod root;
#[cfg(feature = "unstable-raw")]
mod scratch;
#[cfg(test)]
mod tests;
mod upload;

use std::{
    fs::File,
    io::{Seek, SeekFrom},
    os::fd::OwnedFd,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use rustix::{
    buffer::spare_capacity,
    fs::{FileType, Stat},
    io::Errno,
};
use tokio::task::{JoinHandle, spawn_blocking};

#[cfg(feature = "unstable-raw")]
pub use self::scratch::{Access, DirectoryScratch, FileSystem, Taken};
use self::{
    attempt::FsAttempt,
    directory::Directory,
    error::{FsError, joined},
    probe::Probe,
    restoring::FsRestore,
    root::Root,
    upload::FsUpload,
};
pub use self::{
    config::{Blocking, FsConfig, Links, MissingRoot, Mounted, Parents},
    held::inherited_locks,
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
/// The first writer creates the directory in its parent; reading one that does not exist is an error.
/// [`FsConfig`] changes that. Directories get mode 0750 and files 0640, less the umask; sealed files get
/// 0440. Requires hard links and `flock`; without them, writes fail with `Unsupported`.
#[derive(Debug, Clone)]
pub struct FsStore {
    root: Root,
    blocking: Blocking,
    probe: Probe,
}

impl FsStore {
    /// Opens a store in a directory. Resolves a relative root against the current directory now.
    ///
    /// # Errors
    /// `Invalid` for an empty root.
    pub fn new(config: &FsConfig) -> Result<Self> {
        let root = Root::new(config)?;
        Ok(Self { root, blocking: config.blocking, probe: Probe::default() })
    }

    /// Returns the root directory, absolute.
    pub fn root(&self) -> &Path {
        self.root.path()
    }
}

impl crate::internal::Internal for FsStore {}

#[async_trait]
impl Store for FsStore {
    async fn inspect(&self, run: &StorePath) -> Result<RunObjects> {
        let dir = self.root.at(run);
        Ok(joined(spawn_blocking(move || inspect(&dir)).await)?)
    }

    async fn start(&self, run: &StorePath, options: StartOptions) -> Result<Box<dyn Upload>> {
        let (dir, probe) = (self.root.at(run), self.probe.clone());
        let start = move || {
            dir.root().create()?;
            if inspect(&dir)?.seal.is_some() {
                return Err(FsError::Refused(super::already_sealed()));
            }
            FsAttempt::start(&dir, options, probe)
        };
        let started = spawn_blocking(start).await;
        Ok(Box::new(FsUpload::new(joined(started)?)))
    }

    async fn read(&self, run: &StorePath, object: Object, offset: u64) -> Result<Reading> {
        let dir = self.root.at(run);
        let opened = match self.blocking {
            Blocking::Inline => open_at(&dir, object, offset),
            Blocking::Pool => joined(spawn_blocking(move || open_at(&dir, object, offset)).await),
        };
        match opened {
            Ok((file, stat)) => {
                let (bytes, tag) = (bytes_of(&stat), Some(tag_of(&stat)));
                let at_once = chunk_bytes(bytes.saturating_sub(offset));
                let file = Arc::new(file);
                let chunks = chunks(file.clone(), at_once, self.blocking);
                Ok(Reading { bytes, tag, chunks, file: Some(file) })
            }
            Err(error) if error.is_absence() => Err(super::object_missing(object)),
            Err(error) => Err(error.into()),
        }
    }

    async fn sync(&self, runs: &[StorePath]) -> Result<()> {
        let dirs: Vec<Directory> = runs.iter().map(|run| self.root.at(run)).collect();
        let (root, probe) = (self.root.clone(), self.probe.clone());
        let sync = move || attempt::sync_runs(&root, &dirs, &probe);
        Ok(joined(spawn_blocking(sync).await)?)
    }

    fn children(&self, dir: &StorePath) -> BoxStream<'static, Result<String>> {
        listing::children(self.root.at(dir))
    }

    fn walk(&self, dir: &StorePath) -> BoxStream<'static, Result<Stored>> {
        listing::walk(self.root.at(dir))
    }

    fn prefix_bytes(&self) -> usize {
        0
    }

    fn presence(&self) -> Presence {
        Presence::Lock
    }

    fn leftovers(&self, dir: &StorePath) -> BoxStream<'static, Result<Leftover>> {
        leftovers::leftovers(self.root.at(dir))
    }

    async fn discard(&self, leftover: &Leftover) -> Result<Discarded> {
        let (dir, leftover) = (self.root.at(&leftover.run), leftover.clone());
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
        let (dir, probe) = (self.root.at(run), self.probe.clone());
        let start = move || FsRestore::start(&dir, (object, seal), &token, probe);
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
fn inspect(dir: &Directory) -> Result<RunObjects, FsError> {
    let open = match dir.open("check") {
        Err(error) if error.is_absence() => return Ok(RunObjects::default()),
        opened => opened?,
    };
    let info = |object: Object| file_info(dir, &open, object.file_name());
    // The seal first: then a payload without a seal was unsealed when the seal was checked.
    let seal = info(Object::Seal)?;
    Ok(RunObjects { seal, payload: info(Object::Payload)? })
}

/// Returns length, age and tag of a regular file in an open directory; `None` for anything else.
fn file_info(dir: &Directory, open: &OwnedFd, name: &str) -> Result<Option<ObjectInfo>, FsError> {
    match dir.status(open, name) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_file() => {
            let modified = modified(&stat).and_then(|time| time.try_into().ok());
            let (bytes, tag) = (bytes_of(&stat), Some(tag_of(&stat)));
            Ok(Some(ObjectInfo { bytes, modified: modified.unwrap_or_default(), tag }))
        }
        Ok(_) => Ok(None),
        Err(cause) => {
            let error = FsError::new("check", dir.path().join(name), &cause.into());
            if error.is_absence() { Ok(None) } else { Err(error) }
        }
    }
}
/// Returns the tag of a file. Another file of the same name has another inode, a changed one another
/// time.
fn tag_of(stat: &Stat) -> ObjectTag {
    ObjectTag::of(&(stat.st_ino, stat.st_mtime, stat.st_mtime_nsec))
}

/// Returns when a file was last changed; `None` before 1970.
fn modified(stat: &Stat) -> Option<SystemTime> {
    let seconds = Duration::from_secs(stat.st_mtime.try_into().ok()?);
    Some(SystemTime::UNIX_EPOCH + seconds + Duration::from_nanos(stat.st_mtime_nsec))
}

fn open_at(dir: &Directory, object: Object, offset: u64) -> Result<(File, Stat), FsError> {
    let wrap = |cause| FsError::new("open", dir.path().join(object.file_name()), &cause);
    let mut file = File::from(dir.open_file(object.file_name())?);
    let stat = rustix::fs::fstat(&file).map_err(|cause| wrap(cause.into()))?;
    if !FileType::from_raw_mode(stat.st_mode).is_file() {
        return Err(wrap(Errno::NOENT.into()));
    }
    // Past the end there are no bytes, and the system accepts no offset above 2^63.
    file.seek(SeekFrom::Start(offset.min(bytes_of(&stat)))).map_err(wrap)?;
    Ok((file, stat))
}

fn bytes_of(stat: &Stat) -> u64 {
    stat.st_size.try_into().unwrap_or_default()
}

/// Returns the size of a buffer for the rest of a file. A small one also finds the end of a small file.
fn chunk_bytes(rest: u64) -> usize {
    usize::try_from(rest)
        .map_or(READ_BYTES, |rest| rest.saturating_add(1).clamp(LEAST_READ_BYTES, READ_BYTES))
}

/// Streams the rest of a file, in chunks of up to `at_once` bytes.
fn chunks(
    file: Arc<File>,
    at_once: usize,
    blocking: Blocking,
) -> BoxStream<'static, Result<Bytes>> {
    match blocking {
        Blocking::Inline => {
            let next = move || read_chunk(&file, at_once).transpose();
            stream::iter(std::iter::from_fn(next).map(|chunk| Ok(chunk?))).boxed()
        }
        Blocking::Pool => chunks_ahead(file, at_once),
    }
}

type NextChunk = JoinHandle<(Arc<File>, Result<Option<Bytes>, FsError>)>;

/// Streams the rest of a file from the blocking pool, always one chunk ahead.
fn chunks_ahead(file: Arc<File>, at_once: usize) -> BoxStream<'static, Result<Bytes>> {
    let next = move |file: Arc<File>| -> NextChunk {
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
