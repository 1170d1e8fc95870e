//! Writes the HTML page: completely or not at all, and never below the root of the sink.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, BufWriter, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rawsink::{
    Backend, Error, ErrorKind, Result,
    error::system_text,
    runtime::{SystemTokens, Tokens},
};
use rawsink_ops::coverage::{Coverage, PageFacts};

use crate::context::Context;

/// Mode of a new page, less the umask.
const FILE_MODE: u32 = 0o640;

/// Checks the path of the page before anything is listed.
///
/// `Invalid` for a path below the root of the sink, in a directory that does not exist, or of anything
/// but a regular file: the rename would replace a link or a device.
pub(super) fn check(path: &Path, context: &Context<'_>) -> Result<()> {
    if path.file_name().is_none() || path.is_dir() {
        return Err(Error::invalid("the page needs a file name").on_path(path.display()));
    }
    if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        let message = "the page would replace a file that is not regular";
        return Err(Error::invalid(message).on_path(path.display()));
    }
    let dir = directory(path).canonicalize().map_err(|cause| refused(&cause, path))?;
    let root = match &context.config().backend {
        Backend::Directory(directory) => directory.root.canonicalize().ok(),
        _ => None,
    };
    if root.is_some_and(|root| dir.starts_with(root)) {
        let message = "the page must not be below the sink's root; choose another path";
        return Err(Error::invalid(message).on_path(path.display()));
    }
    Ok(())
}

/// Writes the page to a temporary file beside `path`, then renames it over an older page, whose mode it gets.
pub(super) fn write(coverage: &Coverage, facts: &PageFacts, path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = directory(path).join(format!(".{name}.{:032x}", SystemTokens.next()));
    let written = create_draft(&draft, path)
        .and_then(|file| write_draft(coverage, facts, file))
        .and_then(|()| replace(&draft, path));
    written.map_err(|cause| {
        // The first error is the one to report.
        let _ = fs::remove_file(&draft);
        refused(&cause, path)
    })
}

fn create_draft(draft: &Path, path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(draft)?;
    if let Ok(older) = fs::metadata(path) {
        file.set_permissions(Permissions::from_mode(older.permissions().mode() & 0o777))?;
    }
    Ok(file)
}

fn write_draft(coverage: &Coverage, facts: &PageFacts, file: File) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    coverage.write_page(facts, &mut out)?;
    out.flush()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a page is not a stored object: a new one replaces the old"
)]
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
