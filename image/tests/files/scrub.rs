//! What is left out of page files and swap files: nothing else, and not their first page.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mimeo_image::scrub::Scrub;
use mimeo_image::source::{DiskSource, SourceOptions, UsedMode};
use mimeo_image::used::{Layout, ReadAt};

use crate::common::{can_loop, noise, run};
use crate::conformance::open;
use crate::disk::{LINUX, WINDOWS, disk};
use crate::fixture::{Disk, Fuse, Image, MIB, fill, poison, tree};
use crate::volumes;

/// Bytes of a first page.
const PAGE: usize = 4096;

fn find(image: &Image) -> Scrub {
    let disk: Arc<dyn ReadAt> = Arc::new(Disk(image.file()));
    Scrub::find(&disk, &Layout::examine(&disk))
}

/// Overwrites all that is left out, and all that is unused. Tells how much the former is.
fn scrub(image: &Image) -> u64 {
    let scrub = find(image);
    poison(image);
    let mut total = 0;
    for range in &scrub.ranges {
        let len = range.end - range.start;
        image.write(range.start, &noise(len as usize, range.start));
        total += len;
    }
    let told = scrub.files.iter().filter_map(|it| it.outcome.as_ref().ok());
    assert_eq!(told.sum::<u64>(), total);
    total
}

/// All but files of these names, and the first pages of these.
fn rest(root: &Path, names: &[&str]) -> (BTreeMap<PathBuf, String>, Vec<Vec<u8>>) {
    let mut all = tree(root);
    let pages = names.iter().map(|name| {
        let content = fs::read(root.join(name)).unwrap();
        assert!(all.remove(Path::new(name)).is_some());
        content[..PAGE.min(content.len())].to_vec()
    });
    let pages = pages.collect();
    (all, pages)
}

/// A swap file full of what was swapped out.
fn make_swap(path: &Path, len: usize) {
    fs::write(path, noise(len, 8)).unwrap();
    run("mkswap", &[path.as_ref()]);
}

fn ext(test: &str, options: &[&str], unit: u64) {
    let tools = ["mkfs.ext4", "e2fsck", "mkswap"];
    let Some(_alone) = can_loop(test, &tools) else {
        return;
    };
    let image = Image::new(64 * MIB);
    let mut all = vec!["-q", "-F"];
    all.extend(options);
    image.tool("mkfs.ext4", &all);
    let names = ["swapfile", "var/my swap", "swap.img"];
    let before = {
        let mounted = image.mount("rw");
        let root = &mounted.point;
        for path in ["etc", "var"] {
            fs::create_dir(root.join(path)).unwrap();
        }
        let table = "/swapfile none swap sw 0 0\n/var/my\\040swap none swap sw 0 0\n\
                     /var/data none swap sw 0 0\n/dev/sda2 none swap sw 0 0\n";
        fs::write(root.join("etc/fstab"), table).unwrap();
        fs::write(root.join("var/data"), noise(100_000, 3)).unwrap();
        make_swap(&root.join(names[0]), 3 << 20);
        fill(root, 4 * MIB);
        make_swap(&root.join(names[1]), (1 << 20) + 4096);
        // With a hole: nobody can swap to it, and it is left alone.
        make_swap(&root.join(names[2]), 40_960);
        let sparse = fs::OpenOptions::new().write(true).open(root.join(names[2]));
        sparse.unwrap().set_len(MIB).unwrap();
        rest(root, &names)
    };
    let lines: Vec<_> = find(&image).files.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[0].starts_with("the disk (ext2/3/4): 3.1 MB of /swapfile are left out"));
    assert!(
        lines[1].ends_with("/swap.img is sent as it is: it has a hole"),
        "{lines:?}"
    );
    assert!(lines[3].contains("/var/data is sent as it is: it has no signature"));
    let total = scrub(&image);
    let most = (4 << 20) + 4096 - 2 * 4096;
    assert!(total <= most && total >= most - 4 * unit, "{total}");
    image.tool("e2fsck", &["-f", "-n"]);
    assert!(before == rest(&image.mount("ro").point, &names));
    // And it was no swap file that was left as it was.
    let files = open(&image);
    let node = files.find("swapfile").unwrap().unwrap();
    assert_ne!(
        files.read(&node, 1 << 20).unwrap()[PAGE..],
        noise(1 << 20, 8)[PAGE..]
    );
}

#[test]
fn swap_files_of_linux() {
    ext("swap files on ext4", &["-O", "metadata_csum"], 4096);
    ext(
        "swap files in blocks of 1 KiB",
        &["-b", "1024", "-O", "none,filetype"],
        1024,
    );
    ext(
        "swap files with bigalloc",
        &["-O", "bigalloc", "-C", "65536"],
        4096,
    );
}

fn ntfs(test: &str, options: &[&str], unit: u64) {
    let tools = ["mkntfs", "ntfs-3g", "ntfsfix"];
    let Some(_alone) = can_loop(test, &tools) else {
        return;
    };
    let image = Image::new(64 * MIB);
    let mut all = vec!["-q", "-F", "-Q"];
    all.extend(options);
    image.tool("mkntfs", &all);
    let names = ["pagefile.sys", "SwapFile.sys", "hiberfil.sys"];
    let before = {
        let mounted = Fuse::ntfs(&image, "rw");
        fs::write(mounted.point.join(names[0]), noise(3 << 20, 8)).unwrap();
        fill(&mounted.point, 4 * MIB);
        for name in &names[1..] {
            fs::write(mounted.point.join(name), noise(1 << 20, 9)).unwrap();
        }
        let other = mounted.point.join("directory-0/pagefile.sys");
        fs::write(other, noise(100_000, 5)).unwrap();
        rest(&mounted.point, &names)
    };
    let total = scrub(&image);
    let first = unit.max(PAGE as u64);
    assert_eq!(total, (5 << 20) - 3 * first);
    image.tool("ntfsfix", &["--no-action"]);
    assert!(before == rest(&Fuse::ntfs(&image, "ro").point, &names));
}

#[test]
fn page_files_of_windows() {
    ntfs("page files", &[], 4096);
    ntfs("page files in clusters of 512 bytes", &["-c", "512"], 512);
    ntfs("page files in clusters of 64 KiB", &["-c", "65536"], 65_536);
}

#[test]
fn a_source_reads_zeros_where_it_is_scrubbed() {
    let Some(_alone) = can_loop("a scrubbed source", &["mkfs.ext4", "mkswap"]) else {
        return;
    };
    let image = Image::new(16 * MIB);
    let root = image.directory("root");
    make_swap(&root.join("swapfile"), 1 << 20);
    fs::write(root.join("other"), noise(100_000, 4)).unwrap();
    let options = ["-q", "-F", "-b", "4096", "-d", root.to_str().unwrap()];
    image.tool("mkfs.ext4", &options);
    let open = |used| {
        let options = SourceOptions {
            used,
            ..SourceOptions::EXACT
        };
        DiskSource::open_with(&image.path, &options).unwrap()
    };
    let read = |source: &DiskSource| {
        let mut bytes = vec![0; 16 << 20];
        source.read_exact_at(0, &mut bytes).unwrap();
        bytes
    };
    let mut exact = open(UsedMode::Off);
    assert!(exact.scrub().is_empty());
    assert!(read(&exact) == fs::read(&image.path).unwrap());
    let mut source = open(UsedMode::Auto);
    let mut expected = read(&source);
    for range in find(&image).ranges {
        expected[range.start as usize..range.end as usize].fill(0);
    }
    assert!(read(&source) != expected);
    assert_eq!(source.scrub().len(), 1);
    assert!(read(&source) == expected);
}

#[test]
fn a_sleeping_windows_is_left_alone() {
    let Some(_alone) = can_loop("scrubbing hibernation", &["mkntfs", "ntfs-3g"]) else {
        return;
    };
    let image = Image::new(16 * MIB);
    image.tool("mkntfs", &["-q", "-F", "-Q"]);
    let write = |content: &[u8]| {
        let mounted = Fuse::ntfs(&image, "remove_hiberfile");
        fs::write(mounted.point.join("pagefile.sys"), noise(100_000, 1)).unwrap();
        fs::write(mounted.point.join("hiberfil.sys"), content).unwrap();
    };
    let mut content = noise(100_000, 2);
    write(&content);
    assert_eq!(find(&image).files.len(), 2);
    content[..4].copy_from_slice(b"HIBR");
    write(&content);
    let found = find(&image);
    assert!(found.ranges.is_empty() && found.files.is_empty());
}

#[test]
fn partitions_and_logical_volumes_have_their_places() {
    let Some((_alone, image)) = volumes::make("scrubbing LVM") else {
        return;
    };
    let root = image.directory("root");
    make_swap(&root.join("swapfile"), 24 << 20);
    let volume = Image::new(36 * MIB);
    // Of smaller blocks the first one would be all zeros, so a hole.
    let options = ["-q", "-F", "-b", "4096", "-d", root.to_str().unwrap()];
    volume.tool("mkfs.ext4", &options);
    // The second volume lies in extents of 4 MiB from the 16th and then the 8th on.
    image.write(65 * MIB, &volume.read(0, 20 << 20));
    image.write(33 * MIB, &volume.read(20 * MIB, 16 << 20));
    let ntfs = Image::new(16 * MIB);
    ntfs.tool("mkntfs", &["-q", "-F", "-Q"]);
    fs::write(
        Fuse::ntfs(&ntfs, "rw").point.join("pagefile.sys"),
        noise(1 << 20, 8),
    )
    .unwrap();
    let whole = disk(&[(LINUX, &image), (WINDOWS, &ntfs)]);
    let found = find(&whole);
    let files: Vec<_> = found.files.iter().map(ToString::to_string).collect();
    assert_eq!(files.len(), 2);
    assert!(
        files[0].starts_with("partition 1, room/two (ext2/3/4): "),
        "{files:?}"
    );
    assert!(files[1].starts_with("partition 2 (NTFS): "), "{files:?}");
    // What is left out is noise of the files: every byte is what was put there, at its place.
    let mut left_out = 0;
    let contents = [noise(24 << 20, 8)];
    for range in &found.ranges {
        let bytes = whole.read(range.start, (range.end - range.start) as usize);
        for block in bytes.chunks(PAGE) {
            let is_content = |it: &[u8]| it.chunks(PAGE).any(|it| it == block);
            assert!(contents.iter().any(|it| is_content(it)));
        }
        left_out += range.end - range.start;
    }
    assert_eq!(left_out, (25 << 20) - 2 * PAGE as u64);
}
