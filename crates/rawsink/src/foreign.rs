//! Names that file systems and appliances put into a directory for themselves.
//!
//! A directory of such a name is often unreadable, and never holds a partition. So no listing enters
//! it (`store`), and no source may have its name (`partition`).

/// The names. Those that start with a dot, such as `.snapshot`, are skipped anyway.
const FOREIGN_NAMES: [&str; 7] = [
    // ext2, ext3, ext4
    "lost+found",
    // appliances
    "@eaDir",
    "#recycle",
    "#snapshot",
    // Windows
    "System Volume Information",
    "$RECYCLE.BIN",
    "$Recycle.Bin",
];

/// Returns whether a file system or an appliance uses this name for itself.
pub(crate) fn is_foreign(name: &str) -> bool {
    FOREIGN_NAMES.contains(&name)
}
