//! Writing the page: whole or not at all, and never among the partitions.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use rawsink::{
    Error, ErrorKind, Result,
    clock::{SystemTokens, Tokens},
    config::SinkKind,
    coverage::{Coverage, PageFacts},
    error::system_text,
};

use crate::context::Context;

/// Checks where the page would go, before anything is listed.
///
/// `Invalid` for a place below the sink's root, or without a directory, and for one that is taken by
/// anything but a file: a link or a device would be replaced, not written to.
pub(super) fn check(path: &Path, context: &Context<'_>) -> Result<()> {
    if path.file_name().is_none() || path.is_dir() {
        return Err(Error::invalid("the page needs the name of a file").on_path(path.display()));
    }
    if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        let message = "the page would replace what is no regular file";
        return Err(Error::invalid(message).on_path(path.display()));
    }
    let dir = directory(path).canonicalize().map_err(|cause| refused(&cause, path))?;
    let settings = context.settings();
    let root = settings.root.canonicalize().ok().filter(|_| settings.sink == SinkKind::Filesystem);
    if root.is_some_and(|root| dir.starts_with(root)) {
        let message = "the page would lie among the partitions; write it elsewhere";
        return Err(Error::invalid(message).on_path(path.display()));
    }
    Ok(())
}

/// Writes the page beside its place, then moves it there over an older one.
pub(super) fn write(coverage: &Coverage, facts: &PageFacts, path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = directory(path).join(format!(".{name}.{:032x}", SystemTokens.next()));
    let written = write_draft(coverage, facts, &draft).and_then(|()| replace(&draft, path));
    written.map_err(|cause| {
        // The first error is the one to tell.
        let _ = fs::remove_file(&draft);
        refused(&cause, path)
    })
}

fn write_draft(coverage: &Coverage, facts: &PageFacts, draft: &Path) -> io::Result<()> {
    let mut out = BufWriter::new(File::create_new(draft)?);
    coverage.write_page(facts, &mut out)?;
    out.flush()
}

#[expect(clippy::disallowed_methods, reason = "a page is no object: the newest replaces the last")]
fn replace(draft: &Path, path: &Path) -> io::Result<()> {
    fs::rename(draft, path)
}

fn directory(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
}

fn refused(cause: &io::Error, path: &Path) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::Invalid,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Denied,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("cannot write the page: {}", system_text(cause)))
        .on_path(path.display())
}
