//! Cuts the chunks of a source into lines, and decides the fate of each line.

use std::fmt;

use super::{HazardCounts, RefusedRow, RowChecker, RowFault};
use crate::error::{Error, Result};

/// Keeps a refused line.
type Keep = Box<dyn FnMut(&RefusedRow, &[u8]) -> Result<()> + Send>;

/// Cuts chunks into lines and checks that each is a row.
///
/// By default the first line that is not a row is an error.
pub struct LineChecker {
    checker: RowChecker,
    /// Number of lines so far.
    lines: u64,
    hazards: HazardCounts,
    skips_blank: bool,
    refused: Option<Refused>,
    open: OpenLine,
}

/// Refused lines that are no error.
struct Refused {
    keep: Keep,
    count: u64,
    /// Number that a payload may lack.
    max: u64,
    first: Option<RefusedRow>,
}

/// The start of a line whose line feed has not arrived.
#[derive(Debug, Default)]
struct OpenLine {
    text: Vec<u8>,
    /// Whether the line was refused because it is too long. Its rest is dropped.
    is_refused: bool,
}

/// The rows that end in a chunk, each with its line feed, in order.
#[derive(Debug, Default)]
pub struct AcceptedRows<'c> {
    /// The first row, if it began in an earlier chunk.
    pub joined: Vec<u8>,
    /// The other rows, as parts of the chunk.
    pub parts: Vec<&'c [u8]>,
    /// Number of all these rows.
    pub count: u64,
}

impl AcceptedRows<'_> {
    /// Returns the length of the rows with their line feeds, in bytes.
    pub fn bytes(&self) -> u64 {
        let parts: usize = self.parts.iter().map(|part| part.len()).sum();
        (self.joined.len() + parts) as u64
    }
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is a row.
    Row,
    /// It is not: blank lines are skipped, or refused lines kept.
    Skipped,
}

impl LineChecker {
    /// Creates a checker with a length limit of a row, in bytes.
    pub fn new(max_row_bytes: usize) -> Self {
        Self {
            checker: RowChecker::new(max_row_bytes),
            lines: 0,
            hazards: HazardCounts::default(),
            skips_blank: false,
            refused: None,
            open: OpenLine::default(),
        }
    }

    /// Skips blank lines, which are refused otherwise.
    pub fn skip_blank(&mut self) {
        self.skips_blank = true;
    }

    /// Refuses rows that lack a member of this name at the top level.
    pub fn require_member(&mut self, name: &str) {
        self.checker.require_member(name);
    }

    /// Passes each refused line, without its line feed, to `keep`, and continues. Of a line that is too
    /// long `keep` gets the start, up to the limit. A payload may lack up to `max` lines.
    ///
    /// A second call replaces `max` and `keep`; the lines before still count.
    pub fn keep_refused(
        &mut self,
        max: u64,
        keep: impl FnMut(&RefusedRow, &[u8]) -> Result<()> + Send + 'static,
    ) {
        let (count, first) = self.refused.take().map_or((0, None), |old| (old.count, old.first));
        self.refused = Some(Refused { keep: Box::new(keep), count, max, first });
    }

    /// Takes a chunk and returns the rows that end in it. Chunks may end anywhere, also inside a row.
    ///
    /// # Errors
    /// `Invalid`, with a [`RefusedRow`], for a line that is not a row, unless refused lines are kept; the
    /// error of keeping it.
    pub fn chunk<'c>(&mut self, mut chunk: &'c [u8]) -> Result<AcceptedRows<'c>> {
        let mut accepted = AcceptedRows::default();
        if self.has_open_line() {
            let Some(end) = memchr::memchr(b'\n', chunk) else {
                self.keep_open(chunk)?;
                return Ok(accepted);
            };
            self.keep_open(&chunk[..end])?;
            accepted = self.finish()?;
            chunk = &chunk[end + 1..];
        }
        let whole = memchr::memrchr(b'\n', chunk).map_or(0, |last| last + 1);
        self.whole_lines(&chunk[..whole], &mut accepted)?;
        self.keep_open(&chunk[whole..])?;
        Ok(accepted)
    }

    /// Takes the last line, if its line feed is missing, and returns it as a row.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk).
    pub fn finish(&mut self) -> Result<AcceptedRows<'static>> {
        let OpenLine { text: mut line, is_refused } = std::mem::take(&mut self.open);
        if line.is_empty() || is_refused || self.line(&line)? == Fate::Skipped {
            return Ok(AcceptedRows::default());
        }
        line.push(b'\n');
        Ok(AcceptedRows { joined: line, parts: Vec::new(), count: 1 })
    }

    /// Checks that no more lines were refused than a payload may lack.
    ///
    /// # Errors
    /// `Invalid`, with the first [`RefusedRow`].
    pub fn check_refused(&self) -> Result<()> {
        let Some(Refused { count, max, first, .. }) = &self.refused else { return Ok(()) };
        match first {
            Some(first) if count > max => {
                let lines = if *count == 1 { "line was" } else { "lines were" };
                let limit = if *max > 0 { format!(", more than {max}") } else { String::new() };
                let message = format!("{count} {lines} refused{limit}; first: {first}");
                Err(Error::invalid(message).because(first.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Returns the number of refused lines; `None` unless they are kept.
    pub fn refused_count(&self) -> Option<u64> {
        self.refused.as_ref().map(|refused| refused.count)
    }

    /// Returns the rows that common readers cannot read, or read differently.
    pub fn hazards(&self) -> &HazardCounts {
        &self.hazards
    }

    pub(crate) fn max_row_bytes(&self) -> usize {
        self.checker.max_row_bytes()
    }

    /// Returns whether the last chunk ended inside a line.
    pub(crate) fn has_open_line(&self) -> bool {
        self.open.is_refused || !self.open.text.is_empty()
    }

    /// Takes a line, without its line feed.
    pub(crate) fn line(&mut self, line: &[u8]) -> Result<Fate> {
        match self.checker.check(line) {
            Ok(hazards) => {
                self.lines += 1;
                if !hazards.is_empty() {
                    self.hazards.note(self.lines, hazards);
                }
                Ok(Fate::Row)
            }
            Err(fault) => self.refuse(fault, line),
        }
    }

    /// Takes a line from a caller, which may contain a line feed.
    pub(crate) fn single_line(&mut self, line: &[u8]) -> Result<Fate> {
        match memchr::memchr(b'\n', line) {
            None => self.line(line),
            Some(_) => self.refuse(RowFault::LineFeed, line),
        }
    }

    /// Refuses a line.
    pub(crate) fn refuse(&mut self, fault: RowFault, line: &[u8]) -> Result<Fate> {
        self.lines += 1;
        if self.skips_blank && fault == RowFault::Blank {
            return Ok(Fate::Skipped);
        }
        let line = &line[..line.len().min(self.max_row_bytes())];
        let row = RefusedRow::new(self.lines, fault, line);
        let Some(refused) = &mut self.refused else { return Err(row.into()) };
        (refused.keep)(&row, line)?;
        refused.count += 1;
        refused.first.get_or_insert(row);
        Ok(Fate::Skipped)
    }

    /// Returns the error for a row that another one follows before its end.
    pub(crate) fn incomplete(&self) -> Error {
        // A line that is too long was counted when it was refused.
        let line = self.lines + u64::from(!self.open.is_refused);
        RefusedRow::new(line, RowFault::Incomplete, &self.open.text).into()
    }

    fn whole_lines<'c>(&mut self, lines: &'c [u8], accepted: &mut AcceptedRows<'c>) -> Result<()> {
        let (mut part, mut start) = (0, 0);
        for end in memchr::memchr_iter(b'\n', lines) {
            match self.line(&lines[start..end])? {
                Fate::Row => accepted.count += 1,
                Fate::Skipped => {
                    accepted.parts.extend((part < start).then(|| &lines[part..start]));
                    part = end + 1;
                }
            }
            start = end + 1;
        }
        accepted.parts.extend((part < start).then(|| &lines[part..start]));
        Ok(())
    }

    /// Keeps the start of a line, unless it is already too long.
    fn keep_open(&mut self, more: &[u8]) -> Result<()> {
        if self.open.is_refused {
            return Ok(());
        }
        let limit = self.max_row_bytes();
        let free = limit - self.open.text.len();
        self.open.text.extend_from_slice(&more[..more.len().min(free)]);
        if more.len() > free {
            let text = std::mem::take(&mut self.open.text);
            self.refuse(RowFault::TooLong(limit), &text)?;
            self.open.is_refused = true;
        }
        Ok(())
    }
}

/// Prints the amounts, never the rows.
impl fmt::Debug for LineChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineChecker")
            .field("lines", &self.lines)
            .field("refused", &self.refused_count())
            .finish_non_exhaustive()
    }
}
