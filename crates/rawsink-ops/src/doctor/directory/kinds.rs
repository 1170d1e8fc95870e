//! Recognizes file systems by their `statfs(2)` numbers.

/// The kind of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Local, with everything that sealing needs.
    Local,
    /// In memory: lost at a power failure.
    Memory,
    /// The upper layer of a container: deleted with the container.
    Layer,
    /// Stored on another machine, and possibly shared.
    Network,
    /// Durability depends on the FUSE daemon.
    UserSpace,
}

/// The known file systems.
const KNOWN: [(u32, &str, Kind); 23] = [
    (0x0000_ef53, "ext4", Kind::Local),
    (0x5846_5342, "xfs", Kind::Local),
    (0x9123_683e, "btrfs", Kind::Local),
    (0x2fc1_2fc1, "zfs", Kind::Local),
    (0xca45_1a4e, "bcachefs", Kind::Local),
    (0xf2f5_2010, "f2fs", Kind::Local),
    (0x3153_464a, "jfs", Kind::Local),
    (0x5265_4973, "reiserfs", Kind::Local),
    (0x0000_4d44, "vfat", Kind::Local),
    (0x2011_bab0, "exfat", Kind::Local),
    (0x7366_746e, "ntfs3", Kind::Local),
    (0x0102_1994, "tmpfs", Kind::Memory),
    (0x8584_58f6, "ramfs", Kind::Memory),
    (0x794c_7630, "overlayfs", Kind::Layer),
    (0x0000_6969, "nfs", Kind::Network),
    (0x0000_517b, "smb", Kind::Network),
    (0xff53_4d42, "cifs", Kind::Network),
    (0xfe53_4d42, "smb2", Kind::Network),
    (0x0102_1997, "9p", Kind::Network),
    (0x00c3_6400, "ceph", Kind::Network),
    (0x0bd0_0bd0, "lustre", Kind::Network),
    (0x5346_414f, "afs", Kind::Network),
    (0x6573_5546, "fuse", Kind::UserSpace),
];

/// Returns name and kind of a file system; `None` if it is unknown.
pub(super) fn of(number: u32) -> Option<(&'static str, Kind)> {
    let known = KNOWN.iter().find(|(known, _, _)| *known == number);
    known.map(|(_, name, kind)| (*name, *kind))
}
