//! The stores under test, with operations for tests only.
//!
//! To add a store to every suite, write one `impl Backend` and one line in `on_every_store`.

mod meddling; // a store whose uploads and reads a test can intercept
#[cfg(feature = "s3")]
mod remote; // a bucket of the server that the environment names

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use rawsink::{
    Result,
    store::{
        Discarded, FsStore, Leftover, MemoryStore, Object, Presence, Reading, Restoration,
        RunObjects, StartOptions, Store, StorePath, Stored, Upload, WriterToken, fs::FsConfig,
    },
};
use tempfile::TempDir;

pub use self::meddling::Meddling;
#[cfg(feature = "s3")]
pub use self::remote::Remote;
#[cfg(feature = "s3")]
use crate::s3_server::S3Server;

/// Creates one test of each case for every store; `make parity` runs those of a real server.
#[cfg(feature = "s3")]
#[macro_export]
macro_rules! on_every_store {
    ($($case:ident),+ $(,)?) => {
        $crate::on_every_local_store!($($case),+);
        $crate::on_one_store!(s3, $crate::backend::Bucket::default(), $($case),+);
        $crate::on_one_store!(
            remote,
            #[ignore = "parity: needs an object storage server"]
            $crate::backend::Remote::default(),
            $($case),+
        );
    };
}

/// Creates one test of each case for every store of a build without object storage.
#[cfg(not(feature = "s3"))]
#[macro_export]
macro_rules! on_every_store {
    ($($case:ident),+ $(,)?) => {
        $crate::on_every_local_store!($($case),+);
    };
}

/// Creates one test of each case for the stores that need no server.
#[macro_export]
macro_rules! on_every_local_store {
    ($($case:ident),+ $(,)?) => {
        $crate::on_one_store!(memory, $crate::backend::Memory::default(), $($case),+);
        $crate::on_one_store!(fs, $crate::backend::Directory::default(), $($case),+);
    };
}

/// Creates one test of each case for one store.
#[macro_export]
macro_rules! on_one_store {
    ($store:ident, #[ignore = $why:literal] $backend:expr, $($case:ident),+) => {
        mod $store {
            $(
                #[tokio::test]
                #[ignore = $why]
                async fn $case() {
                    super::$case(&$backend).await;
                }
            )+
        }
    };
    ($store:ident, $backend:expr, $($case:ident),+) => {
        mod $store {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(&$backend).await;
                }
            )+
        }
    };
}

pub use {on_every_store, on_one_store};

/// An empty store.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Opens the store, as a new process does.
    fn store(&self) -> AnyStore;

    /// Creates or deletes an object outside the protocol.
    async fn tamper(&self, run: &StorePath, object: Object, content: Option<&[u8]>);

    /// Returns everything that is stored for a run, including what the store's operations do not show.
    async fn residue(&self, run: &StorePath) -> Vec<String>;

    /// Returns what happens to a complete payload whose attempt ends without a seal (G08).
    fn whole_payload(&self) -> WholePayload {
        WholePayload::Deleted
    }

    /// Returns what happens to a writer that starts while another is active.
    fn second_writer(&self) -> SecondWriter {
        SecondWriter::Refused
    }
}

/// What happens to a complete payload whose attempt ends without a seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WholePayload {
    Deleted,
    /// A DELETE could hit a run that was just sealed.
    Left,
}

/// What happens to a writer that starts while another is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondWriter {
    Refused,
    /// The newer writer continues and the older one fails.
    Supersedes,
}

/// Any store, so that suites are not generic.
#[derive(Debug, Clone)]
pub struct AnyStore(pub Arc<dyn Store>);

impl rawsink::Internal for AnyStore {}

#[async_trait]
impl Store for AnyStore {
    async fn inspect(&self, run: &StorePath) -> Result<RunObjects> {
        self.0.inspect(run).await
    }

    async fn start(&self, run: &StorePath, attempt: StartOptions) -> Result<Box<dyn Upload>> {
        self.0.start(run, attempt).await
    }

    async fn read(&self, run: &StorePath, object: Object, offset: u64) -> Result<Reading> {
        self.0.read(run, object, offset).await
    }

    async fn sync(&self, runs: &[StorePath]) -> Result<()> {
        self.0.sync(runs).await
    }

    fn children(&self, dir: &StorePath) -> BoxStream<'static, Result<String>> {
        self.0.children(dir)
    }

    fn walk(&self, dir: &StorePath) -> BoxStream<'static, Result<Stored>> {
        self.0.walk(dir)
    }

    fn prefix_bytes(&self) -> usize {
        self.0.prefix_bytes()
    }

    fn presence(&self) -> Presence {
        self.0.presence()
    }

    fn leftovers(&self, dir: &StorePath) -> BoxStream<'static, Result<Leftover>> {
        self.0.leftovers(dir)
    }

    async fn discard(&self, leftover: &Leftover) -> Result<Discarded> {
        self.0.discard(leftover).await
    }

    async fn restore(
        &self,
        run: &StorePath,
        token: WriterToken,
        restoration: Restoration,
    ) -> Result<()> {
        self.0.restore(run, token, restoration).await
    }
}

/// A store in memory.
#[derive(Clone, Default)]
pub struct Memory(MemoryStore);

#[async_trait]
impl Backend for Memory {
    fn store(&self) -> AnyStore {
        AnyStore(Arc::new(self.0.clone()))
    }

    async fn tamper(&self, run: &StorePath, object: Object, content: Option<&[u8]>) {
        self.0.tamper(run, object, content.map(Bytes::copy_from_slice));
    }

    async fn residue(&self, run: &StorePath) -> Vec<String> {
        let found = self.0.inspect(run).await.unwrap();
        let payload = found.payload.map(|_| Object::Payload);
        payload.into_iter().chain(found.seal.map(|_| Object::Seal)).map(name).collect()
    }
}

/// A store in a bucket.
#[cfg(feature = "s3")]
#[derive(Default)]
pub struct Bucket(S3Server);

#[cfg(feature = "s3")]
#[async_trait]
impl Backend for Bucket {
    fn store(&self) -> AnyStore {
        AnyStore(Arc::new(self.0.store()))
    }

    async fn tamper(&self, run: &StorePath, object: Object, content: Option<&[u8]>) {
        self.0.tamper(run, object, content);
    }

    async fn residue(&self, run: &StorePath) -> Vec<String> {
        self.0.residue(run)
    }

    fn whole_payload(&self) -> WholePayload {
        WholePayload::Left
    }

    fn second_writer(&self) -> SecondWriter {
        SecondWriter::Supersedes
    }
}

fn name(object: Object) -> String {
    object.file_name().to_owned()
}

/// A store in an empty directory.
pub struct Directory {
    parent: TempDir,
}

impl Default for Directory {
    fn default() -> Self {
        let directory = Self { parent: TempDir::new().unwrap() };
        fs::create_dir(directory.root()).unwrap();
        directory
    }
}

impl Directory {
    pub fn root(&self) -> PathBuf {
        self.parent.path().join("raw")
    }

    pub fn at(&self, path: &StorePath) -> PathBuf {
        self.root().join(path.as_str())
    }
}

#[async_trait]
impl Backend for Directory {
    fn store(&self) -> AnyStore {
        AnyStore(Arc::new(FsStore::new(&FsConfig::new(self.root())).unwrap()))
    }

    async fn tamper(&self, run: &StorePath, object: Object, content: Option<&[u8]>) {
        let file = self.at(run).join(object.file_name());
        if let Some(content) = content {
            fs::create_dir_all(self.at(run)).unwrap();
            // Sealed files are read-only.
            let _ = fs::remove_file(&file);
            fs::write(file, content).unwrap();
        } else if file.exists() {
            fs::remove_file(file).unwrap();
        }
    }

    async fn residue(&self, run: &StorePath) -> Vec<String> {
        entries(&self.at(run)).map_or_else(Vec::new, |names| [vec!["./".into()], names].concat())
    }
}

/// Returns the names in a directory, sorted; `None` if it does not exist.
pub fn entries(dir: &Path) -> Option<Vec<String>> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let names = fs::read_dir(dir).ok()?.map(|entry| name(entry).into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    Some(names)
}
