//! Damaged filesystems: whatever is in them, a look at them ends, and with a clear outcome.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mimeo_image::files::Files;
use mimeo_image::used::ReadAt;

use crate::common::{can_loop, noise};
use crate::conformance::copy_in;
use crate::fixture::{Fuse, Image, MIB};
use crate::walk::{Memory, walk};

/// Images that are damaged, one after the other, of each filesystem.
const SEEDS: u64 = 2000;

/// A few files in a few directories.
fn little(root: &Path) {
    for index in 0..3 {
        let directory = root.join(format!("directory {index}/etc/ssh"));
        fs::create_dir_all(&directory).unwrap();
        for index in 0..30 {
            fs::write(
                directory.join(format!("a name that is longer {index}")),
                "x",
            )
            .unwrap();
        }
        fs::write(directory.join("machine-id"), noise(40_000, index)).unwrap();
    }
}

/// Overwrites a few bytes among those that are not zero, which metadata mostly are, and looks at
/// everything.
fn damage(image: &Image) {
    let good = fs::read(&image.path).unwrap();
    let mut places: Vec<_> = (0..good.len()).filter(|at| good[*at] != 0).collect();
    // Content is noise, of which every byte is odd.
    places.retain(|at| {
        let sector = &good[at & !511..(at & !511) + 512];
        sector.iter().any(|byte| byte & 1 == 0)
    });
    let (mut whole, mut partly) = (0, 0);
    for seed in 0..SEEDS {
        let mut bytes = good.clone();
        let random = noise(64, seed + 1000);
        let count = 1 + seed as usize % 5;
        for change in random.chunks(8).take(count) {
            let number = u64::from_le_bytes(change.try_into().unwrap());
            let at = places[(number >> 8) as usize % places.len()];
            bytes[at] ^= number as u8;
        }
        let disk: Arc<dyn ReadAt> = Arc::new(Memory(bytes));
        let outcome = Files::open(&disk).and_then(|files| {
            let _ = files.check_clean();
            walk(&files, 100_000)
        });
        match outcome {
            Ok(_) => whole += 1,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                partly += 1;
            }
        }
    }
    assert!(whole > 0 && partly > 0, "{whole} and {partly}");
}

#[test]
fn ext() {
    let Some(_alone) = can_loop("damaged files of ext4", &["mkfs.ext4"]) else {
        return;
    };
    let all: [&[&str]; 3] = [
        &[
            "-b",
            "1024",
            "-O",
            "^metadata_csum,^has_journal,^resize_inode",
        ],
        &["-b", "1024", "-O", "none,filetype"],
        &["-O", "metadata_csum,inline_data,^has_journal", "-I", "256"],
    ];
    for options in all {
        let image = Image::new(MIB);
        let root = image.directory("root");
        little(&root);
        let mut arguments = vec!["-q", "-F", "-N", "256", "-d", root.to_str().unwrap()];
        arguments.extend(options);
        image.tool("mkfs.ext4", &arguments);
        damage(&image);
    }
}

#[test]
fn ntfs() {
    let Some(_alone) = can_loop("damaged files of NTFS", &["mkntfs", "ntfs-3g"]) else {
        return;
    };
    let image = Image::new(4 * MIB);
    image.tool("mkntfs", &["-q", "-F", "-Q", "-c", "1024"]);
    little(&Fuse::ntfs(&image, "rw").point);
    damage(&image);
}

#[test]
fn fat() {
    let Some(_alone) = can_loop("damaged files of FAT", &["mkfs.fat", "mcopy"]) else {
        return;
    };
    for options in [["-F", "12", "-s", "2"], ["-F", "16", "-s", "1"]] {
        let image = Image::new(if options[1] == "12" { MIB } else { 4 * MIB });
        image.tool("mkfs.fat", &options);
        let root = image.directory("root");
        little(&root);
        copy_in(&image, &root);
        damage(&image);
    }
}
