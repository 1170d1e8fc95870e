//! The work of a floor on its bytes.

use rawsink::partition::row::RowChecker;
use sha2::{Digest, Sha256};

/// Checks rows and computes the SHA-256, as requested.
pub(crate) struct Checks {
    json: Option<RowChecker>,
    sha256: Option<Sha256>,
    /// The beginning of a row that continues in the next chunk.
    open_row: Vec<u8>,
    rows: u64,
}

impl Checks {
    pub(crate) fn of(work: &[&str]) -> Self {
        let sha256 = work.contains(&"sha256").then(Sha256::new);
        let json = work.contains(&"json").then(|| RowChecker::new(usize::MAX));
        Self { json, sha256, open_row: Vec::new(), rows: 0 }
    }

    pub(crate) fn update(&mut self, chunk: &[u8]) {
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(chunk);
        }
        self.check_rows(chunk);
    }

    fn check_rows(&mut self, chunk: &[u8]) {
        let Some(checker) = &mut self.json else { return };
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            if start == 0 && !self.open_row.is_empty() {
                self.open_row.extend_from_slice(&chunk[..end]);
                checker.check(&self.open_row).unwrap();
                self.open_row.clear();
            } else {
                checker.check(&chunk[start..end]).unwrap();
            }
            start = end + 1;
            self.rows += 1;
        }
        self.open_row.extend_from_slice(&chunk[start..]);
    }

    /// Ends the work, which the compiler must not optimise away.
    pub(crate) fn finish(self) {
        std::hint::black_box((self.sha256.map(Digest::finalize), self.rows));
    }
}
