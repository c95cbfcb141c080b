//! Files that hold a disk but are none, by their first bytes: sent as they are they would start no
//! machine.

use std::fmt;

/// What a file seems to hold a disk in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// A compressed file, and the program that makes the disk of it.
    Compressed(&'static str, &'static str),
    /// The disk of a virtual machine, of which `mimeo-image capture` makes an image file.
    Virtual(&'static str),
    /// The same, which `qemu-img convert` understands.
    Foreign(&'static str),
}

/// How such files begin.
const MAGIC: [(&[u8], Container); 10] = [
    (b"\x1f\x8b\x08", Container::Compressed("gzip", "zcat")),
    (b"\xfd7zXZ\0", Container::Compressed("xz", "xzcat")),
    (
        b"\x28\xb5\x2f\xfd",
        Container::Compressed("zstd", "zstdcat"),
    ),
    (b"BZh", Container::Compressed("bzip2", "bzcat")),
    (b"QFI\xfb", Container::Virtual("qcow2")),
    (b"KDMV", Container::Virtual("vmdk")),
    (b"# Disk DescriptorFile", Container::Virtual("vmdk")),
    (b"vhdxfile", Container::Foreign("vhdx")),
    (b"conectix", Container::Foreign("vhd")),
    (b"<<< ", Container::Foreign("vdi")),
];

/// Bytes that have to be looked at.
pub(super) const START: usize = 21;

impl Container {
    /// What a file that begins so is.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        let found = MAGIC.iter().find(|(magic, _)| start.starts_with(magic));
        found.map(|(_, container)| *container)
    }
}

/// What it is, and what to do about it.
impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compressed(name, program) => write!(
                f,
                "a {name} file, and is taken as it is; `{program} FILE` writes what is in it, to a \
                 file or into `mimeo-sender -`"
            ),
            Self::Virtual(name) => write!(
                f,
                "a {name} file, and is taken as it is; of the disk in it `mimeo-image capture` makes \
                 an image file to send"
            ),
            Self::Foreign(name) => write!(
                f,
                "a {name} file, and is taken as it is; of the disk in it `qemu-img convert -O raw` \
                 makes an image"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_first_bytes() {
        for (magic, container) in MAGIC {
            assert!(magic.len() <= START);
            let mut start = magic.to_vec();
            assert_eq!(Container::of(&start[1..]), None);
            start.resize(START, 7);
            assert_eq!(Container::of(&start), Some(container));
            assert!(container.to_string().contains("as it is"));
        }
        assert_eq!(Container::of(&[0; START]), None);
    }
}
