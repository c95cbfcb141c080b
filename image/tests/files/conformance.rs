//! The same expectations for every filesystem: what is found is what was put in.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use mimeo_image::files::{Files, Kind};
use mimeo_image::used::ReadAt;

use crate::common::{can_loop, noise, run};
use crate::fixture::{Disk, Fuse, Image, MIB, fill, tree};
use crate::walk::{check_pieces, describe, walk};

const EXT: [&str; 2] = ["mkfs.ext4", "mount"];
const NTFS: [&str; 2] = ["mkntfs", "ntfs-3g"];
const FAT: [&str; 2] = ["mkfs.fat", "mcopy"];

pub fn open(image: &Image) -> Files {
    let disk: Arc<dyn ReadAt> = Arc::new(Disk(image.file()));
    Files::open(&disk).unwrap()
}

/// Compares all that is found with a directory that has the same, and looks up each path.
fn agree(image: &Image, expected: &Path, any_case: bool) {
    let files = open(image);
    let expected = tree(expected);
    assert!(expected.len() > 200);
    assert_eq!(walk(&files, usize::MAX).unwrap(), expected);
    for (path, what) in expected {
        let path = path.to_str().unwrap();
        if what.starts_with("link") {
            continue;
        }
        let node = files.find(path).unwrap().unwrap();
        assert_eq!(describe(&files, &node, usize::MAX).unwrap(), what, "{path}");
        if node.kind == Kind::File {
            check_pieces(image, &files, &node);
        }
        let upper = files.find(&format!("/{}/", path.to_ascii_uppercase()));
        assert_eq!(upper.unwrap().is_some(), any_case, "{path}");
    }
    for path in [
        "nothing",
        "directory-0/nothing",
        "small-1/nothing",
        "directory-0/../nothing",
    ] {
        assert!(files.find(path).unwrap().is_none(), "{path}");
    }
    assert!(files.find("directory-0/../small-7").unwrap().is_some());
    assert!(files.find("../../small-7").unwrap().is_some());
    files.check_clean().unwrap();
}

/// Fills a directory with what every filesystem can hold, some of it where it is hard to find.
fn fill_more(root: &Path, many: usize) {
    fill(root, 3 * MIB);
    let crowd = root.join("a directory with many names, in blocks of its own");
    fs::create_dir(&crowd).unwrap();
    for index in 0..many {
        fs::write(
            crowd.join(format!("One of Very Many Names {index}.text")),
            "x",
        )
        .unwrap();
    }
    for index in (0..many).step_by(3) {
        fs::remove_file(crowd.join(format!("One of Very Many Names {index}.text"))).unwrap();
    }
    let deep = root.join("a/b.b/c c/d/e");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("SHORT.TXT"), noise(5000, 3)).unwrap();
    fs::write(deep.join("empty"), "").unwrap();
}

fn ext(test: &str, len: u64, options: &[&str]) {
    let Some(_alone) = can_loop(test, &EXT) else {
        return;
    };
    let image = Image::new(len);
    let mut all = vec!["-q", "-F"];
    all.extend(options);
    image.tool("mkfs.ext4", &all);
    image.filled(MIB);
    {
        let mounted = image.mount("rw");
        fill_more(&mounted.point, 800);
        // Pieces so many that they take a map of several levels.
        let pieces = File::create(mounted.point.join("pieces")).unwrap();
        for index in 0..1500 {
            pieces.write_all_at(b"piece", index * 9000).unwrap();
        }
        // Asked for and never written; not every form of ext can do this.
        let path = mounted.point.join("reserved");
        let _ = Command::new("fallocate")
            .args(["-l", "300000"])
            .arg(&path)
            .output();
        let reserved = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .unwrap();
        reserved.write_all_at(&noise(5000, 9), 100_000).unwrap();
    }
    agree(&image, &image.mount("ro").point, false);
    let files = open(&image);
    let linked = files.find("link").unwrap().unwrap();
    assert_eq!(linked.kind, Kind::File);
    assert!(files.find("long-link").unwrap().is_none());
}

#[test]
fn ext4() {
    ext("files of ext4", 96 * MIB, &["-O", "metadata_csum,64bit"]);
    ext(
        "files of ext4 of 1 KiB blocks",
        64 * MIB,
        &["-b", "1024", "-O", "metadata_csum"],
    );
    ext(
        "files with bigalloc",
        256 * MIB,
        &["-O", "bigalloc", "-C", "16384"],
    );
    let options = [
        "-b",
        "1024",
        "-g",
        "1024",
        "-O",
        "meta_bg,^resize_inode,64bit",
    ];
    ext("files with meta_bg", 64 * MIB, &options);
    ext(
        "inline files",
        64 * MIB,
        &["-O", "inline_data,metadata_csum", "-I", "512"],
    );
}

#[test]
fn ext2_and_ext3() {
    ext(
        "files of ext2",
        64 * MIB,
        &["-b", "1024", "-O", "none,filetype,sparse_super,large_file"],
    );
    ext("files of revision 0", 64 * MIB, &["-r", "0", "-O", "none"]);
    ext(
        "files of ext3",
        64 * MIB,
        &["-O", "none,has_journal,filetype,dir_index"],
    );
}

fn ntfs(test: &str, len: u64, options: &[&str], pieces: u64) {
    let Some(_alone) = can_loop(test, &NTFS) else {
        return;
    };
    let image = Image::new(len);
    let mut all = vec!["-q", "-F", "-Q"];
    all.extend(options);
    image.tool("mkntfs", &all);
    {
        let mounted = Fuse::ntfs(&image, "streams_interface=none");
        fill_more(&mounted.point, 800);
        let sparse = File::create(mounted.point.join("sparse")).unwrap();
        sparse.write_all_at(b"start", 0).unwrap();
        sparse.write_all_at(b"end", 3 * MIB).unwrap();
        // So many pieces that they take several records.
        let names = [1, 2].map(|it| mounted.point.join(format!("p{it}")));
        let files = names.map(|it| File::create(it).unwrap());
        for index in 0..pieces {
            for file in &files {
                file.write_all_at(&[7; 4096], index * 12 * MIB / pieces)
                    .unwrap();
            }
        }
    }
    agree(&image, &Fuse::ntfs(&image, "ro").point, true);
    let files = open(&image);
    let pieces_found = files.find("p1").unwrap().unwrap().pieces().unwrap().len();
    assert!(pieces_found as u64 > pieces / 2, "{pieces_found}");
    assert!(files.find("$MFT").unwrap().unwrap().len > 1000);
}

#[test]
fn ntfs_of_small_and_large_clusters() {
    ntfs("files of NTFS", 96 * MIB, &[], 1000);
    ntfs(
        "files of NTFS of 512-byte clusters",
        64 * MIB,
        &["-c", "512"],
        1000,
    );
    ntfs(
        "files of NTFS of 64 KiB clusters",
        256 * MIB,
        &["-c", "65536"],
        60,
    );
    ntfs(
        "files of NTFS of 4096-byte sectors",
        96 * MIB,
        &["-s", "4096"],
        1000,
    );
}

/// Copies what is in a directory into a FAT.
pub fn copy_in(image: &Image, source: &Path) {
    for entry in fs::read_dir(source).unwrap() {
        let entry = entry.unwrap().path();
        let mut all: Vec<&OsStr> = vec!["-s".as_ref(), "-Q".as_ref(), "-i".as_ref()];
        all.push(image.path.as_ref());
        all.push(entry.as_ref());
        all.push("::".as_ref());
        run("mcopy", &all);
    }
}

fn fat(test: &str, len: u64, options: &[&str]) {
    let Some(_alone) = can_loop(test, &FAT) else {
        return;
    };
    let image = Image::new(len);
    image.tool("mkfs.fat", options);
    let source = image.directory("files");
    fill_more(&source, 300);
    copy_in(&image, &source);
    agree(&image, &source, true);
}

#[test]
fn fat_of_all_sizes() {
    fat("files of FAT12", 24 * MIB, &["-F", "12", "-s", "16"]);
    fat("files of FAT16", 32 * MIB, &["-F", "16", "-n", "A LABEL"]);
    fat("files of FAT32", 64 * MIB, &["-F", "32", "-s", "1"]);
    fat(
        "files of FAT of 4096-byte sectors",
        64 * MIB,
        &["-F", "16", "-S", "4096", "-s", "1"],
    );
}

#[test]
fn links_are_followed_and_circles_end() {
    let Some(_alone) = can_loop("links", &EXT) else {
        return;
    };
    let image = Image::new(8 * MIB);
    let root = image.directory("root");
    fs::create_dir_all(root.join("etc/deep")).unwrap();
    fs::write(root.join("etc/real"), "content").unwrap();
    let links = [
        ("etc/absolute", "/etc/real"),
        ("etc/deep/relative", "../absolute"),
        ("directory", "etc/deep"),
        ("circle", "circle"),
        ("grows", "grows/grows/grows"),
        ("nowhere", "/etc/nothing"),
    ];
    for (name, target) in links {
        std::os::unix::fs::symlink(target, root.join(name)).unwrap();
    }
    image.tool("mkfs.ext4", &["-q", "-F", "-d", root.to_str().unwrap()]);
    let files = open(&image);
    for path in [
        "etc/absolute",
        "etc/deep/relative",
        "directory/relative",
        "directory/../real",
    ] {
        let node = files.find(path).unwrap().unwrap();
        assert_eq!(files.read(&node, 100).unwrap(), b"content", "{path}");
        assert_eq!(files.read(&node, 3).unwrap(), b"con", "{path}");
    }
    assert!(files.find("circle").unwrap().is_none());
    assert!(files.find("nowhere").unwrap().is_none());
    assert!(files.find("grows").is_err() || files.find("grows").unwrap().is_none());
}

#[test]
fn what_is_compressed_or_linked_is_not_guessed_at() {
    let Some(_alone) = can_loop("compressed NTFS", &NTFS) else {
        return;
    };
    let image = Image::new(16 * MIB);
    image.tool("mkntfs", &["-q", "-F", "-Q"]);
    fs::write(
        Fuse::ntfs(&image, "rw").point.join("squeezed"),
        noise(9000, 4),
    )
    .unwrap();
    let record = {
        let all = fs::read(&image.path).unwrap();
        let name: Vec<_> = "squeezed"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        // The directory's own record has the name too.
        let is_record = |it: &[u8]| {
            it.starts_with(b"FILE") && it[0x16] & 2 == 0 && it.windows(16).any(|it| it == name)
        };
        all.chunks(1024).position(is_record).unwrap() as u64 * 1024
    };
    let mut data = record + u64::from(image.read(record + 0x14, 1)[0]);
    while image.read(data, 1)[0] != 0x80 {
        let len = image.read(data + 4, 4).try_into().unwrap();
        data += u64::from(u32::from_le_bytes(len));
    }
    let read = || {
        let files = open(&image);
        let node = files.find("squeezed").unwrap().unwrap();
        assert_eq!(node.pieces().is_ok(), files.read(&node, 10).is_ok());
        files.read(&node, 10000).map_err(|error| error.to_string())
    };
    assert_eq!(read().unwrap(), noise(9000, 4));
    for (flags, why) in [(1_u16, "compressed"), (0x4000, "encrypted")] {
        image.write(data + 12, &flags.to_le_bytes());
        assert!(read().unwrap_err().contains(why));
    }
    // A file with a reparse point is something else than what its data says.
    image.write(data + 12, &[0, 0]);
    image.write(data, &[0xc0]);
    assert!(read().unwrap_err().contains("reparse point"));
}
