//! Creates the tests of a suite: one of each case for every state, or for every database.

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

/// Creates one test of each case for every database of this build.
#[macro_export]
macro_rules! on_every_database {
    ($($case:ident),+ $(,)?) => {
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

pub use {on_every_database, on_every_state};
