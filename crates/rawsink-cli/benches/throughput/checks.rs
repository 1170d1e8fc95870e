//! The work of a floor on its bytes.

use sha2::{Digest, Sha256};

/// Checks rows and computes the SHA-256, as requested.
pub(crate) struct Checks {
    json: bool,
    sha256: Option<Sha256>,
    /// The beginning of a row that continues in the next chunk.
    open_row: Vec<u8>,
    rows: u64,
}

impl Checks {
    pub(crate) fn of(work: &[&str]) -> Self {
        let sha256 = work.contains(&"sha256").then(Sha256::new);
        Self { json: work.contains(&"json"), sha256, open_row: Vec::new(), rows: 0 }
    }

    pub(crate) fn update(&mut self, chunk: &[u8]) {
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(chunk);
        }
        if self.json {
            self.check_rows(chunk);
        }
    }

    fn check_rows(&mut self, chunk: &[u8]) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            if start == 0 && !self.open_row.is_empty() {
                self.open_row.extend_from_slice(&chunk[..end]);
                rawsink::partition::row::check(&self.open_row, usize::MAX).unwrap();
                self.open_row.clear();
            } else {
                rawsink::partition::row::check(&chunk[start..end], usize::MAX).unwrap();
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
