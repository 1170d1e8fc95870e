//! The benchmark's place: a directory, a prefix of a bucket, and the measured children.

use std::path::Path;

use crate::measure::{Usage, measure};

/// The partition of every command.
pub(crate) const PARTITION: &str =
    "ads/customer_id=123/query_name=campaign/logical_date=2024-06-01";
/// The file of the rows, in the directory.
pub(crate) const ROWS: &str = "rows.jsonl";

/// The sink of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sink {
    Filesystem,
    Object,
}

impl Sink {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Filesystem => "filesystem",
            Self::Object => "object",
        }
    }
}

/// A place to work in.
#[derive(Debug, Clone)]
pub(crate) struct Lab<'dir> {
    pub(crate) dir: &'dir Path,
    pub(crate) rounds: u32,
    /// Variables of the children, besides those that are inherited.
    variables: Vec<(&'static str, String)>,
}

impl<'dir> Lab<'dir> {
    pub(crate) fn new(dir: &'dir Path, rounds: u32) -> Self {
        let prefix = format!("benchmark-{}", std::process::id());
        let variables = [
            ("RAW_SINK_ROOT", "data".to_owned()),
            ("RAW_SINK_PREFIX", prefix),
            ("RAW_SINK_STATE_URL", "sqlite:state.db".to_owned()),
        ];
        Self { dir, rounds, variables: variables.into() }
    }

    /// Returns the same place for children with one more variable.
    pub(crate) fn with(&self, name: &'static str, value: &str) -> Self {
        let mut other = self.clone();
        other.variables.push((name, value.to_owned()));
        other
    }

    /// Measures the program.
    pub(crate) fn program(&self, sink: Sink, arguments: &[&str]) -> Usage {
        self.child(sink, env!("CARGO_BIN_EXE_rawsink"), arguments)
    }

    /// Measures this benchmark as its own child.
    pub(crate) fn own(&self, sink: Sink, arguments: &[&str]) -> Usage {
        self.child(sink, std::env::current_exe().unwrap().to_str().unwrap(), arguments)
    }

    fn child(&self, sink: Sink, program: &str, arguments: &[&str]) -> Usage {
        let mut variables = self.variables.clone();
        variables.push(("RAW_SINK", sink.name().to_owned()));
        let mut command = vec![program];
        command.extend(arguments);
        measure(self.dir, &variables, &command)
    }

    /// Deletes all partitions.
    pub(crate) fn clear(&self, sink: Sink) {
        match sink {
            Sink::Filesystem => {
                // Missing the first time.
                let _ = std::fs::remove_dir_all(self.dir.join("data"));
            }
            Sink::Object => drop(self.own(sink, &["clear", "runs"])),
        }
    }

    /// Deletes the objects of the floors too.
    pub(crate) fn clear_everything(&self, sink: Sink) {
        self.clear(sink);
        if sink == Sink::Object {
            self.own(sink, &["clear", "everything"]);
        }
    }

    /// Allocates as much page cache as a command will, and frees it.
    ///
    /// On a virtual machine the host has to provide a page at its first use, which can cost more than
    /// the whole command and affects only the first one.
    pub(crate) fn warm_page_cache(&self) {
        let (from, to) = (self.dir.join(ROWS), self.dir.join("warm"));
        let mut warm = std::fs::File::create(&to).unwrap();
        std::io::copy(&mut std::fs::File::open(from).unwrap(), &mut warm).unwrap();
        std::fs::remove_file(to).unwrap();
    }
}
