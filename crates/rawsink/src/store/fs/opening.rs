//! Opens what is below the root by descriptor, and tells directories apart.
//!
//! No symbolic link is followed, unless the configuration allows it. Otherwise a user who can write one
//! partition could make other users read, replace or delete files elsewhere. A refused link is an error,
//! never a missing file.

use std::os::fd::OwnedFd;

use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags},
    io::Errno,
};

use super::config::Links;

/// A descriptor that only names a directory.
pub(super) const NAMED: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A descriptor to read a file. Opening never blocks, as a named pipe would.
pub(super) const FILE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// Opens a path below an open directory.
pub(super) fn open_below(
    dir: &OwnedFd,
    links: Links,
    path: &str,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    if links == Links::Followed {
        return fs::openat(dir, path, flags, Mode::empty());
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match fs::openat2(dir, path, flags, Mode::empty(), resolve) {
        // Kernels before 5.6 do not have the call, and filters of containers refuse it.
        Err(Errno::NOSYS | Errno::PERM) => open_by_component(dir, path, flags),
        // A directory was moved out of the root meanwhile.
        Err(Errno::XDEV) => Err(Errno::AGAIN),
        outcome => outcome,
    }
}

/// Opens a path component by component.
fn open_by_component(dir: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let (mut above, mut names) = (None::<OwnedFd>, path.split('/').peekable());
    while let Some(name) = names.next() {
        let at = above.as_ref().unwrap_or(dir);
        let flags = if names.peek().is_some() { NAMED } else { flags };
        let opened = fs::openat(at, name, flags | OFlags::NOFOLLOW, Mode::empty());
        let opened = opened.map_err(|cause| match cause {
            Errno::NOTDIR if is_link(at, name) => Errno::LOOP,
            cause => cause,
        })?;
        above = Some(opened);
    }
    above.ok_or(Errno::INVAL)
}

fn is_link(dir: &OwnedFd, name: &str) -> bool {
    let found = fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
    found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink)
}

/// What tells a directory from another of the same path, also if that has the same inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: (u32, u32),
    inode: u64,
    created: (i64, u32),
}

impl Identity {
    /// Returns the identity of an open directory; `None` on a file system without creation times.
    pub(super) fn of(dir: &OwnedFd) -> Option<Self> {
        let wanted = StatxFlags::INO | StatxFlags::BTIME;
        let found = fs::statx(dir, "", AtFlags::EMPTY_PATH, wanted).ok()?;
        let created = (found.stx_btime.tv_sec, found.stx_btime.tv_nsec);
        let device = (found.stx_dev_major, found.stx_dev_minor);
        let has_both = StatxFlags::from_bits_retain(found.stx_mask).contains(wanted);
        has_both.then_some(Self { device, inode: found.stx_ino, created })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn both_ways_to_open_refuse_the_same() {
        let parent = TempDir::new().unwrap();
        let at = |path: &str| parent.path().join(path);
        std::fs::create_dir_all(at("a/b/c")).unwrap();
        std::fs::write(at("a/b/file"), "x").unwrap();
        symlink("b", at("a/link")).unwrap();
        symlink("file", at("a/b/linked")).unwrap();
        symlink("nowhere", at("a/b/dangling")).unwrap();
        let dir = fs::open(parent.path(), NAMED, Mode::empty()).unwrap();
        let read = OFlags::RDONLY | OFlags::CLOEXEC;
        for (path, flags, expected) in [
            (".", NAMED, None),
            ("a/b/c", NAMED, None),
            ("a/b/file", read, None),
            ("a/b/file", NAMED, Some(Errno::NOTDIR)),
            ("a/b/file/x", read, Some(Errno::NOTDIR)),
            ("a/x/c", NAMED, Some(Errno::NOENT)),
            ("a/link", NAMED, Some(Errno::LOOP)),
            ("a/link/c", NAMED, Some(Errno::LOOP)),
            ("a/link/file", read, Some(Errno::LOOP)),
            ("a/b/linked", read, Some(Errno::LOOP)),
            ("a/b/dangling", read, Some(Errno::LOOP)),
        ] {
            let one = open_below(&dir, Links::Refused, path, flags).err();
            let other = open_by_component(&dir, path, flags).err();
            assert_eq!((one, other), (expected, expected), "{path}");
        }
        let followed = open_below(&dir, Links::Followed, "a/link/linked", read);
        followed.unwrap();
    }
}
