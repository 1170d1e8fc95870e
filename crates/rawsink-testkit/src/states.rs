//! The states under test: in memory and in every database of the build.

use rawsink::state::{MemoryState, PartitionState};

/// Creates one test of each case for every state of this build.
#[macro_export]
macro_rules! on_every_state {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(&$crate::states::Memory::default()).await;
                }
            )+
        }
        $crate::on_sqlite!($($case),+);
        $crate::on_postgres!($($case),+);
    };
}

/// Creates one test of each case on SQLite.
#[cfg(feature = "sqlite")]
#[macro_export]
macro_rules! on_sqlite {
    ($($case:ident),+) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(&$crate::databases::Sqlite::new()).await;
                }
            )+
        }
    };
}

/// Creates no test: this build has no SQLite.
#[cfg(not(feature = "sqlite"))]
#[macro_export]
macro_rules! on_sqlite {
    ($($case:ident),+) => {};
}

/// Creates one test of each case on PostgreSQL, run by `make parity`.
#[cfg(feature = "postgres")]
#[macro_export]
macro_rules! on_postgres {
    ($($case:ident),+) => {
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "parity: needs a PostgreSQL server"]
                async fn $case() {
                    super::$case(&$crate::databases::Postgres::new().await).await;
                }
            )+
        }
    };
}

/// Creates no test: this build has no PostgreSQL.
#[cfg(not(feature = "postgres"))]
#[macro_export]
macro_rules! on_postgres {
    ($($case:ident),+) => {};
}

pub use on_every_state;

/// An empty state that several processes can open.
pub trait StateBackend: Send + Sync {
    /// Opens the state, as a new process does, with a busy timeout of 200 ms.
    fn state(&self) -> Box<dyn PartitionState>;

    /// Opens the state with the default busy timeout.
    fn patient_state(&self) -> Box<dyn PartitionState>;
}

/// A state in memory.
#[derive(Debug, Default)]
pub struct Memory(MemoryState);

impl StateBackend for Memory {
    fn state(&self) -> Box<dyn PartitionState> {
        Box::new(self.0.clone())
    }

    fn patient_state(&self) -> Box<dyn PartitionState> {
        self.state()
    }
}
