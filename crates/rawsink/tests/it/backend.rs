//! The stores under test, and what only a test may do to them.
//!
//! A new store joins every suite with one `impl Backend` and one line in `on_every_store`.

mod meddling; // a store whose uploads and readings pass through a test's hands
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
        Attempt, Discarded, FsStore, Leftover, MemoryStore, Object, Presence, Reading, RunObjects,
        Store, StorePath, Stored, Upload,
    },
};
use tempfile::TempDir;

pub(crate) use self::{meddling::Meddling, remote::Remote};
use crate::s3_server::S3Server;

/// Makes one test of each case for every store; those of a real server are run by `make parity`.
macro_rules! on_every_store {
    ($($case:ident),+ $(,)?) => {
        $crate::backend::on_one_store!(memory, $crate::backend::Memory::default(), $($case),+);
        $crate::backend::on_one_store!(fs, $crate::backend::Directory::default(), $($case),+);
        $crate::backend::on_one_store!(s3, $crate::backend::Bucket::default(), $($case),+);
        $crate::backend::on_one_store!(
            remote,
            #[ignore = "parity: needs an object storage server"]
            $crate::backend::Remote::default(),
            $($case),+
        );
    };
}

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

pub(crate) use {on_every_store, on_one_store};

/// One empty store of some kind.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    /// Returns the store, as a process that starts now would open it.
    fn store(&self) -> AnyStore;

    /// Puts an object there or takes it away, as software that follows no rule would.
    async fn tamper(&self, run: &StorePath, object: Object, content: Option<&[u8]>);

    /// Returns everything that lies at a run's place, what no verb of a store shows included.
    async fn residue(&self, run: &StorePath) -> Vec<String>;

    /// Returns what becomes of a whole payload whose attempt ends without a seal (G08).
    fn whole_payload(&self) -> WholePayload {
        WholePayload::TakenBack
    }

    /// Returns what a writer meets that starts while another is at work.
    fn second_writer(&self) -> SecondWriter {
        SecondWriter::Refused
    }
}

/// What becomes of a whole payload whose attempt ends without a seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WholePayload {
    TakenBack,
    /// A DELETE could meet a writer that has just sealed.
    Left,
}

/// What a writer meets that starts while another is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecondWriter {
    Refused,
    /// The newer one goes on and the older one ends.
    Supersedes,
}

/// Any store, so that a suite need not be generic.
#[derive(Debug, Clone)]
pub(crate) struct AnyStore(pub(crate) Arc<dyn Store>);

#[async_trait]
impl Store for AnyStore {
    async fn look(&self, run: &StorePath) -> Result<RunObjects> {
        self.0.look(run).await
    }

    async fn start(&self, run: &StorePath, attempt: Attempt) -> Result<Box<dyn Upload>> {
        self.0.start(run, attempt).await
    }

    async fn read(&self, run: &StorePath, object: Object, offset: u64) -> Result<Reading> {
        self.0.read(run, object, offset).await
    }

    async fn sync(&self, run: &StorePath) -> Result<()> {
        self.0.sync(run).await
    }

    async fn children(&self, dir: &StorePath) -> Result<Vec<String>> {
        self.0.children(dir).await
    }

    fn walk(&self, dir: &StorePath) -> BoxStream<'static, Result<Stored>> {
        self.0.walk(dir)
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
}

/// A store in memory.
#[derive(Clone, Default)]
pub(crate) struct Memory(MemoryStore);

#[async_trait]
impl Backend for Memory {
    fn store(&self) -> AnyStore {
        AnyStore(Arc::new(self.0.clone()))
    }

    async fn tamper(&self, run: &StorePath, object: Object, content: Option<&[u8]>) {
        self.0.tamper(run, object, content.map(Bytes::copy_from_slice));
    }

    async fn residue(&self, run: &StorePath) -> Vec<String> {
        let there = self.0.look(run).await.unwrap();
        let payload = there.payload.map(|_| Object::Payload);
        payload.into_iter().chain(there.seal.map(|_| Object::Seal)).map(name).collect()
    }
}

/// A store in a bucket.
#[derive(Default)]
pub(crate) struct Bucket(S3Server);

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

/// A store in a directory that does not exist yet.
pub(crate) struct Directory {
    parent: TempDir,
}

impl Default for Directory {
    fn default() -> Self {
        Self { parent: TempDir::new().unwrap() }
    }
}

impl Directory {
    pub(crate) fn root(&self) -> PathBuf {
        self.parent.path().join("raw")
    }

    pub(crate) fn at(&self, path: &StorePath) -> PathBuf {
        self.root().join(path.as_str())
    }
}

#[async_trait]
impl Backend for Directory {
    fn store(&self) -> AnyStore {
        AnyStore(Arc::new(FsStore::new(self.root()).unwrap()))
    }

    async fn tamper(&self, run: &StorePath, object: Object, content: Option<&[u8]>) {
        let file = self.at(run).join(object.file_name());
        if let Some(content) = content {
            fs::create_dir_all(self.at(run)).unwrap();
            fs::write(file, content).unwrap();
        } else if file.exists() {
            fs::remove_file(file).unwrap();
        }
    }

    async fn residue(&self, run: &StorePath) -> Vec<String> {
        entries(&self.at(run)).map_or_else(Vec::new, |names| [vec!["./".into()], names].concat())
    }
}

/// Returns the names in a directory, sorted; `None` where it is not there.
pub(crate) fn entries(dir: &Path) -> Option<Vec<String>> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let names = fs::read_dir(dir).ok()?.map(|entry| name(entry).into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    Some(names)
}
