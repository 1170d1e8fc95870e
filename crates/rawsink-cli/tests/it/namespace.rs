//! Mounts and networks for one test, which end with it.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::geteuid;
use tempfile::TempDir;

const SKIP: &str = "RAWSINK_TEST_NO_NAMESPACES";

/// Returns `unshare` for a namespace, with the rights of the current user.
///
/// `None` only if the environment disables namespaces; a test that cannot run must not pass
/// silently.
pub(crate) fn unshare(kind: &str) -> Option<Command> {
    if env::var_os(SKIP).is_some() {
        println!("NOT TESTED: {SKIP} is set");
        return None;
    }
    let mut command = Command::new("unshare");
    if !geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg(kind);
    Some(command)
}

/// A small file system in memory, seen from outside its namespace through `/proc`.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    holder: Child,
    _mount_point: TempDir,
    seen_at: PathBuf,
}

impl SmallDisk {
    /// Mounts a tmpfs with these options, such as `size=64k`.
    pub(crate) fn mount(options: &str) -> Option<Self> {
        let mount_point = TempDir::new().unwrap();
        let path = mount_point.path();
        let mut command = unshare("--mount")?;
        command.args([
            "sh",
            "-c",
            "mount -t tmpfs -o \"$2\" none \"$1\" && echo ready && exec cat",
        ]);
        command.arg("sh").arg(path).arg(options);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().expect("`unshare` of util-linux starts");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(
            line, "ready\n",
            "no tmpfs can be mounted in a namespace here; set {SKIP}=1 to leave these tests out"
        );
        let seen_at = Path::new("/proc").join(holder.id().to_string()).join("root");
        let seen_at = seen_at.join(path.strip_prefix("/").unwrap());
        Some(Self { holder, _mount_point: mount_point, seen_at })
    }

    /// Returns the directory's path outside the namespace.
    pub(crate) fn path(&self) -> &Path {
        &self.seen_at
    }

    /// Fills the disk except for `free` bytes.
    pub(crate) fn fill_but(&self, free: u64) {
        let ballast = self.path().join("ballast");
        let mut file = std::fs::File::create(ballast).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        let full = file.metadata().unwrap().len();
        file.set_len(full - free).unwrap();
    }

    /// Frees all space.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.path().join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Namespace and mount end with the only process.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
