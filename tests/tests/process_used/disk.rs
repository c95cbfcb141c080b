//! Disks with filesystems on them.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use mimeo_image::used::UsedMap;
use mimeo_tests::host::{LoopDevice, Place};

use super::BLOCK;
use super::common::{noise, run};
use super::fixture::{Fuse, Image, MIB, fill, poison, tree};

/// What is on a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ext4,
    Ntfs,
    Fat,
    Xfs,
    Btrfs,
    Swap,
}

pub const ALL: [Kind; 6] = [
    Kind::Ext4,
    Kind::Ntfs,
    Kind::Fat,
    Kind::Xfs,
    Kind::Btrfs,
    Kind::Swap,
];

pub const TOOLS: [&str; 13] = [
    "sgdisk",
    "mkfs.ext4",
    "e2fsck",
    "mkntfs",
    "ntfs-3g",
    "ntfsfix",
    "mkfs.fat",
    "fsck.fat",
    "mcopy",
    "mkfs.xfs",
    "xfs_repair",
    "mkfs.btrfs",
    "mkswap",
];

impl Kind {
    fn len(self) -> u64 {
        match self {
            Self::Ext4 | Self::Ntfs | Self::Fat => 64 * MIB,
            // The smallest that their tools make.
            Self::Xfs => 300 * MIB,
            Self::Btrfs => 256 * MIB,
            Self::Swap => 16 * MIB,
        }
    }

    fn make(self, image: &Image) {
        let (program, options): (_, &[&str]) = match self {
            Self::Ext4 => ("mkfs.ext4", &["-q", "-F"]),
            Self::Ntfs => ("mkntfs", &["-q", "-F", "-Q"]),
            Self::Fat => ("mkfs.fat", &["-F", "32"]),
            Self::Xfs => ("mkfs.xfs", &["-q", "-f"]),
            Self::Btrfs => ("mkfs.btrfs", &["-q", "-f"]),
            Self::Swap => ("mkswap", &[]),
        };
        image.tool(program, options);
    }

    fn check(self, image: &Image) {
        let (program, options): (_, &[&str]) = match self {
            Self::Ext4 => ("e2fsck", &["-f", "-n"]),
            Self::Ntfs => ("ntfsfix", &["--no-action"]),
            Self::Fat => ("fsck.fat", &["-n"]),
            Self::Xfs => ("xfs_repair", &["-n", "-f"]),
            Self::Btrfs => ("btrfs", &["check", "--check-data-csum"]),
            Self::Swap => ("swaplabel", &[]),
        };
        image.tool(program, options);
    }

    /// Puts files into it, and deletes some.
    fn fill(self, image: &Image) {
        const BYTES: u64 = 10 * MIB;
        match self {
            Self::Ntfs => fill(&Fuse::ntfs(image, "rw").point, BYTES),
            Self::Fat => {
                let files = image.directory("files");
                fill(&files, BYTES);
                let files = files.to_str().unwrap();
                mtool(image, "mcopy", &["-s", "-Q", files, "::all"]);
            }
            Self::Swap => {}
            _ => fill(&image.mount("rw").point, BYTES),
        }
    }

    /// What is in it.
    fn tree(self, image: &Image) -> BTreeMap<PathBuf, String> {
        match self {
            Self::Ntfs => tree(&Fuse::ntfs(image, "ro").point),
            Self::Fat => {
                let out = image.directory("out");
                mtool(
                    image,
                    "mcopy",
                    &["-s", "-Q", "::all", out.to_str().unwrap()],
                );
                tree(&out)
            }
            Self::Swap => BTreeMap::new(),
            _ => tree(&image.mount("ro").point),
        }
    }
}

/// A disk with a GPT, and what its partitions hold.
pub struct Disk {
    pub image: Image,
    partitions: Vec<(Kind, u64, BTreeMap<PathBuf, String>)>,
}

impl Disk {
    /// Partitions of these kinds, filled and partly emptied; every unused byte is noise.
    pub fn new(kinds: &[Kind]) -> Self {
        let len: u64 = kinds.iter().map(|kind| kind.len() + MIB).sum();
        // As small as a disk may be, and no multiple of a block.
        let image = Image::new(len + 2 * MIB + 4096);
        let mut at = MIB;
        let mut partitions = Vec::new();
        for (number, kind) in (1..).zip(kinds) {
            let (first, last) = (at / 512, (at + kind.len()) / 512 - 1);
            image.tool("sgdisk", &["-n", &format!("{number}:{first}:{last}")]);
            let filesystem = Image::new(kind.len());
            kind.make(&filesystem);
            kind.fill(&filesystem);
            let holds = kind.tree(&filesystem);
            assert!(holds.len() > 200 || *kind == Kind::Swap);
            copy(&filesystem.path, 0, &image.path, at, kind.len());
            partitions.push((*kind, at, holds));
            at += kind.len() + MIB;
        }
        poison(&image);
        Self { image, partitions }
    }

    /// The disk with zeros where it is unused: what its digest is of.
    pub fn reference(&self, place: &Place) -> PathBuf {
        let path = place.path("reference");
        fs::copy(&self.image.path, &path).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let layout = self.image.layout();
        for gap in layout.map().unused() {
            let gap = gap.unwrap();
            let zeros = vec![0; (gap.end - gap.start) as usize];
            file.write_all_at(&zeros, gap.start).unwrap();
        }
        path
    }

    /// Checks that each partition of a disk or a file is a clean filesystem with the same files.
    pub fn assert_arrived(&self, target: &Path) {
        for (kind, at, holds) in &self.partitions {
            let filesystem = Image::new(kind.len());
            copy(target, *at, &filesystem.path, 0, kind.len());
            kind.check(&filesystem);
            let arrived = kind.tree(&filesystem);
            assert!(arrived == *holds, "{kind:?} on {}", target.display());
        }
    }

    /// Whole blocks that are unused.
    pub fn unused_blocks(&self) -> u64 {
        let count = |map: &UsedMap| {
            let gaps = map.unused().map(Result::unwrap);
            let blocks =
                gaps.map(|gap| (gap.end / BLOCK).saturating_sub(gap.start.div_ceil(BLOCK)));
            blocks.sum()
        };
        count(self.image.layout().map())
    }

    pub fn len(&self) -> u64 {
        self.image.path.metadata().unwrap().len()
    }

    /// A loop device as long as the disk, full of other noise.
    pub fn device(&self, place: &Place, name: &str) -> LoopDevice {
        let device = LoopDevice::new(name, &place.path(name), self.len()).unwrap();
        spoil(device.path(), self.len());
        device
    }
}

/// Fills a file or a device with noise.
pub fn spoil(path: &Path, len: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let piece = noise(MIB as usize, 99);
    for at in (0..len).step_by(MIB as usize) {
        let count = MIB.min(len - at) as usize;
        file.write_all_at(&piece[..count], at).unwrap();
    }
    file.sync_all().unwrap();
}

/// Whether a device, whose length no metadata tells, begins with all bytes of a file.
pub fn begins_with(device: &Path, file: &Path) -> bool {
    let (device, file) = (File::open(device).unwrap(), File::open(file).unwrap());
    let len = file.metadata().unwrap().len();
    let mut pieces = (0..len).step_by(MIB as usize);
    pieces.all(|at| {
        let count = MIB.min(len - at) as usize;
        let read = |from: &File| {
            let mut bytes = vec![0; count];
            from.read_exact_at(&mut bytes, at).unwrap();
            bytes
        };
        read(&device) == read(&file)
    })
}

/// What [`spoil`] wrote.
pub fn is_spoilt(path: &Path, offset: u64, len: u64) -> bool {
    let mut bytes = vec![0; len as usize];
    File::open(path)
        .unwrap()
        .read_exact_at(&mut bytes, offset)
        .unwrap();
    let piece = noise(MIB as usize, 99);
    let at = |index: u64| piece[((offset + index) % MIB) as usize];
    (0..).zip(&bytes).all(|(index, byte)| *byte == at(index))
}

/// A disk with one filesystem and no partitions, on a loop device.
pub fn plain_ext4(place: &Place, len: u64) -> LoopDevice {
    let device = LoopDevice::new("ext4", &place.path("ext4"), len).unwrap();
    run("mkfs.ext4", &["-q".as_ref(), device.path().as_ref()]);
    device
}

fn mtool(image: &Image, tool: &str, arguments: &[&str]) {
    let mut command = Command::new(tool);
    command.arg("-i").arg(&image.path).args(arguments);
    let output = command.env("MTOOLS_SKIP_CHECK", "1").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn copy(from: &Path, from_at: u64, to: &Path, to_at: u64, len: u64) {
    // Holes stay holes: most of a filesystem that was just made is.
    let status = Command::new("dd")
        .args([
            "bs=1M",
            "conv=notrunc,sparse",
            "iflag=skip_bytes,count_bytes",
        ])
        .args(["oflag=seek_bytes", "status=none"])
        .arg(format!("if={}", from.display()))
        .arg(format!("of={}", to.display()))
        .arg(format!("skip={from_at}"))
        .arg(format!("seek={to_at}"))
        .arg(format!("count={len}"))
        .status();
    assert!(status.unwrap().success());
}
