//! Disks that end too early, and disks with sectors that cannot be read: all that a map does not
//! speak for any more is copied, and it is said why.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use mimeo_image::used::{Layout, ReadAt, Verdict};

use crate::common::{Alone, can_loop};
use crate::fixture::{Disk, Image, MIB, examine};

const TOOLS: [&str; 7] = [
    "mkfs.ext4",
    "mkntfs",
    "mkfs.fat",
    "mkfs.exfat",
    "mkfs.xfs",
    "mkfs.btrfs",
    "mkswap",
];

/// One of each, with a name.
fn all(test: &str) -> Option<(Alone, Vec<(&'static str, Image)>)> {
    let alone = can_loop(test, &TOOLS)?;
    let make = |len: u64, program: &'static str, options: &[&str]| {
        let image = Image::new(len * MIB);
        image.tool(program, options);
        (program, image)
    };
    let images = vec![
        make(16, "mkfs.ext4", &["-q", "-F", "-b", "1024", "-g", "1024"]),
        make(16, "mkntfs", &["-q", "-F", "-Q"]),
        make(4, "mkfs.fat", &["-F", "12"]),
        make(64, "mkfs.fat", &["-F", "32", "-s", "1"]),
        make(16, "mkfs.exfat", &["-c", "512"]),
        make(300, "mkfs.xfs", &["-q", "-f"]),
        make(256, "mkfs.btrfs", &["-q", "-f"]),
        make(4, "mkswap", &["-q"]),
    ];
    Some((alone, images))
}

/// All of the only area counts as used, and an operator is told why.
fn assert_whole(name: &str, layout: &Layout) {
    let area = &layout.areas[0];
    let Verdict::Whole(why) = &area.volume.verdict else {
        panic!("{name}: {:?}", area.volume.verdict);
    };
    let remark = &layout.remarks()[0];
    let is_told = remark.text.contains("copied whole") && remark.text.ends_with(&why.to_string());
    assert!(remark.is_warning && is_told, "{name}: {}", remark.text);
    assert_eq!(layout.used(), layout.map().disk_len(), "{name}");
}

#[test]
fn what_is_cut_off_is_copied_whole() {
    let Some((_alone, images)) = all("disks that end too early") else {
        return;
    };
    for (name, image) in images {
        let len = image.file().metadata().unwrap().len();
        assert!(image.layout().used() < len, "{name}");
        // The sector of NTFS behind its last cluster is that of no file.
        for cut in [len - 9000, len / 4 * 3, len / 2 + 1, 128 << 10] {
            image.file().set_len(cut).unwrap();
            assert_whole(name, &image.layout());
        }
        for cut in [0, 1, 511, 512, 4095, 70_000] {
            image.file().set_len(cut).unwrap();
            let layout = image.layout();
            assert_eq!(layout.used(), cut, "{name}");
        }
    }
}

/// A disk that tells what is read, and cannot read one range.
#[derive(Debug)]
struct Dying {
    disk: Disk,
    bad: Range<u64>,
    read: Mutex<BTreeSet<u64>>,
}

impl ReadAt for Dying {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset + buffer.len() as u64;
        if offset < self.bad.end && self.bad.start < end {
            return Err(io::Error::other("a bad sector"));
        }
        let mut read = self.read.lock().unwrap();
        read.extend(offset / 512..end.div_ceil(512));
        self.disk.read_exact_at(offset, buffer)
    }
}

#[test]
fn what_cannot_be_read_is_copied_whole() {
    let Some((_alone, images)) = all("disks with bad sectors") else {
        return;
    };
    for (name, image) in images {
        let used = image.layout().used();
        let look = |bad: Range<u64>| {
            let dying = Arc::new(Dying {
                disk: Disk(image.file()),
                bad,
                read: Mutex::default(),
            });
            let layout = Layout::examine(&(Arc::clone(&dying) as Arc<dyn ReadAt>));
            let read = std::mem::take(&mut *dying.read.lock().unwrap());
            (layout, read)
        };
        let (whole, read) = look(0..0);
        assert_eq!(whole.used(), used);
        let step = read.len().div_ceil(300);
        for number in read.into_iter().step_by(step) {
            let (layout, _) = look(number * 512..number * 512 + 512);
            let area = &layout.areas[0];
            match &area.volume.verdict {
                Verdict::Whole(why) => {
                    assert!(why.to_string().contains("cannot be read"), "{name}: {why}");
                    assert_whole(name, &layout);
                }
                // A node of btrfs has a copy.
                Verdict::Trusted { .. } => {
                    assert_eq!(name, "mkfs.btrfs");
                    assert_eq!(layout.used(), used);
                }
            }
        }
    }
}

#[test]
fn nothing_is_found_on_what_is_no_disk() {
    for len in [0, 1, 511, 512, 4096, 1 << 20] {
        let image = Image::new(len);
        let layout = examine(image.file());
        assert_eq!(layout.used(), len);
        assert_eq!(layout.areas.len(), 1);
    }
}
