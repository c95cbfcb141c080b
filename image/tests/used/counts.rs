//! The used set in several sizes, beside the filesystems' own counts and what partclone keeps.

use std::fs;
use std::path::Path;

use crate::common::can_loop;
use crate::fixture::{Fuse, Image, MIB, assert_close, fill};
use crate::{exfat, ext, fat, ntfs, xfs};

const GIB: u64 = 1 << 30;

/// Bytes that partclone keeps: regions with a `+` in the log that takes the place of a copy.
fn partclone(image: &Image, filesystem: &str) -> u64 {
    let directory = image.directory("partclone");
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let (map, log) = (path("map"), path("log"));
    let arguments = ["-D", "-q", "-O", &map, "-L", &log, "-s"];
    image.tool(&format!("partclone.{filesystem}"), &arguments);
    let text = fs::read_to_string(&map).unwrap();
    fs::remove_file(map).unwrap();
    let kept = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (len, state) = (words.next()?, words.next()?);
        let len = u64::from_str_radix(len.strip_prefix("0x")?, 16).ok()?;
        (state == "+").then_some(len)
    };
    text.lines().filter_map(kept).sum()
}

/// Compares an empty filesystem, and one that was filled and partly emptied.
fn compare(
    image: &Image,
    filesystem: &str,
    own: fn(&Image) -> u64,
    mounted: impl FnOnce(&dyn Fn(&Path)),
) {
    let check = || {
        let used = image.layout().used();
        assert_close(used, own(image));
        assert_close(used, partclone(image, filesystem));
        used
    };
    let empty = check();
    mounted(&|root| fill(root, 24 * MIB));
    assert!(check() > empty + 8 * MIB);
}

#[test]
fn ext_in_several_sizes() {
    let tools = [&ext::TOOLS[..], &["partclone.extfs"]].concat();
    let cases: [(u64, &[&str]); 5] = [
        (64 * MIB, &["-O", "metadata_csum,64bit"]),
        (GIB, &[]),
        (20 * GIB, &["-O", "metadata_csum,64bit"]),
        (
            256 * MIB,
            &["-b", "1024", "-O", "^64bit,^metadata_csum,uninit_bg"],
        ),
        (2 * GIB, &["-O", "none,filetype,sparse_super,large_file"]),
    ];
    for (len, options) in cases {
        let Some(_alone) = can_loop("counts of ext", &tools) else {
            return;
        };
        let image = Image::new(len);
        image.tool("mkfs.ext4", &[&["-q", "-F"], options].concat());
        compare(&image, "extfs", ext::own_count, |act| {
            act(&image.mount("rw").point);
        });
    }
}

#[test]
fn xfs_in_several_sizes() {
    let tools = [&xfs::TOOLS[..], &["partclone.xfs"]].concat();
    let cases: [(u64, &[&str]); 3] = [
        (300 * MIB, &[]),
        (GIB, &["-b", "size=1024"]),
        (20 * GIB, &["-m", "rmapbt=1,reflink=1"]),
    ];
    for (len, options) in cases {
        let Some(_alone) = can_loop("counts of XFS", &tools) else {
            return;
        };
        let image = Image::new(len);
        xfs::make(&image, options);
        compare(&image, "xfs", xfs::own_count, |act| {
            act(&image.mount("rw").point);
        });
    }
}

#[test]
fn ntfs_in_several_sizes() {
    let tools = [&ntfs::TOOLS[..], &["partclone.ntfs"]].concat();
    let cases: [(u64, &[&str]); 3] = [(64 * MIB, &["-c", "512"]), (GIB, &[]), (20 * GIB, &[])];
    for (len, options) in cases {
        let Some(_alone) = can_loop("counts of NTFS", &tools) else {
            return;
        };
        let image = Image::new(len);
        ntfs::make(&image, options);
        compare(&image, "ntfs", ntfs::own_count, |act| {
            act(&Fuse::ntfs(&image, "rw").point);
        });
    }
}

#[test]
fn fat_and_exfat_in_several_sizes() {
    let parts = ["partclone.fat16", "partclone.fat32", "partclone.exfat"];
    let tools = [&fat::TOOLS[..], &exfat::TOOLS, &parts].concat();
    let cases: [(&str, u64, &[&str]); 3] = [
        ("fat16", 128 * MIB, &["-F", "16"]),
        ("fat32", 512 * MIB, &["-F", "32", "-s", "1"]),
        ("fat32", 8 * GIB, &["-F", "32"]),
    ];
    for (filesystem, len, options) in cases {
        let Some(_alone) = can_loop("counts of FAT", &tools) else {
            return;
        };
        let image = Image::new(len);
        image.tool("mkfs.fat", options);
        // Not every kernel mounts it.
        let files = image.directory("files");
        let copy = |act: &dyn Fn(&Path)| {
            act(&files);
            let all = ["-s", "-Q", files.to_str().unwrap(), "::all"];
            fat::mtool(&image, "mcopy", &all);
        };
        compare(&image, filesystem, fat::own_count, copy);
    }
    for (len, cluster) in [(64 * MIB, "512"), (8 * GIB, "32768")] {
        let Some(_alone) = can_loop("counts of exFAT", &tools) else {
            return;
        };
        let image = Image::new(len);
        image.tool("mkfs.exfat", &["-c", cluster]);
        compare(&image, "exfat", exfat::own_count, |act| {
            act(&Fuse::exfat(&image).point);
        });
    }
}
