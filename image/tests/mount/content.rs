//! What is in a mounted image is what was in the disk.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::common::run;
use crate::disk::{LINUX, WINDOWS, disk};
use crate::fixture::{Fuse, Image, MIB, fill, tree};
use crate::mounting::{Captured, Mounting, can_mount};
use crate::volumes;

const TOOLS: [&str; 5] = ["mkfs.ext4", "mkntfs", "ntfs-3g", "sfdisk", "mount"];

#[test]
fn files_are_fetched_out_of_plain_and_encrypted_images() {
    let Some(_alone) = can_mount("files of a mounted image", &TOOLS) else {
        return;
    };
    let ext = Image::new(24 * MIB);
    ext.tool("mkfs.ext4", &["-q", "-F"]);
    let linux = ext.filled(6 * MIB);
    let ntfs = Image::new(24 * MIB);
    ntfs.tool("mkntfs", &["-q", "-F", "-Q"]);
    fill(&Fuse::ntfs(&ntfs, "rw").point, 6 * MIB);
    let windows = tree(&Fuse::ntfs(&ntfs, "ro").point);
    assert!(windows.len() > 200);
    let disk = disk(&[(LINUX, &ext), (WINDOWS, &ntfs)]);
    let auto = ["--used", "auto"];
    for captured in [
        Captured::plain(&disk.path, &auto),
        Captured::encrypted(&disk.path, &auto),
    ] {
        let mut mounted = captured.mount();
        assert_eq!(mounted.names(), ["disk.img", "p1.img", "p2.img"]);
        let whole = fs::read(mounted.file("disk.img")).unwrap();
        assert_eq!(blake3::hash(&whole).to_string(), captured.hash);
        assert!(fs::read(mounted.file("p2.img")).unwrap() == whole[25 << 20..49 << 20]);
        assert_eq!(tree(&mounted.image("p1.img").mount("ro").point), linux);
        let fuse = Fuse::ntfs(&mounted.image("p2.img"), "ro");
        assert_eq!(tree(&fuse.point), windows);
        drop(fuse);
        let said = mounted.stop();
        assert!(!said.contains("warning"), "{said}");
    }
}

#[test]
fn partitions_have_the_numbers_that_sfdisk_gives_them() {
    let Some(_alone) = can_mount("numbers of partitions", &["sfdisk"]) else {
        return;
    };
    let disk = Image::new(32 * MIB);
    let script = "label: dos\nstart=2048, size=4096, type=c\n\
                  start=8192, size=40000, type=5\nstart=49152, size=63, type=83\n\n\
                  start=10240, size=5000\nstart=20480, size=7001\n";
    let script = script.replace("\n\n", "\nstart=57344, size=100, type=83\n");
    let mut sfdisk = Command::new("sfdisk")
        .args(["--quiet".as_ref(), disk.path.as_os_str()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = sfdisk.stdin.take().unwrap();
    input.write_all(script.as_bytes()).unwrap();
    drop(input);
    assert!(sfdisk.wait().unwrap().success());
    let captured = Captured::plain(&disk.path, &[]);
    let mounted = captured.mount();
    // As it is found on the file that is mounted: lines `disk.img5 : start= 10240, size= 5000, ..`.
    let dump = run(
        "sfdisk",
        &["--dump".as_ref(), mounted.file("disk.img").as_os_str()],
    );
    let mut partitions = vec!["disk.img".to_owned()];
    for line in dump.lines().filter(|line| line.contains("start=")) {
        let (name, about) = line.split_once(" : ").unwrap();
        let number = name.rsplit("img").next().unwrap();
        if about.contains("type=5") {
            continue;
        }
        let name = format!("p{number}.img");
        let size = about.split("size=").nth(1).unwrap();
        let size = size.split(',').next().unwrap().trim();
        let sectors = fs::metadata(mounted.file(&name)).unwrap().len() / 512;
        assert_eq!(sectors.to_string(), size, "{line}");
        partitions.push(name);
    }
    assert!(partitions.contains(&"p6.img".to_owned()), "{dump}");
    assert_eq!(mounted.names(), partitions);
}

#[test]
fn logical_volumes_are_files_too() {
    let tools = ["lvm", "mkfs.ext4", "losetup"];
    if can_mount("logical volumes of a mounted image", &tools).is_none() {
        return;
    }
    let Some((_alone, disk)) = volumes::make("logical volumes of a mounted image") else {
        return;
    };
    let volume = Image::new(36 * MIB);
    volume.tool("mkfs.ext4", &["-q", "-F"]);
    let files = volume.filled(2 * MIB);
    // The second volume lies in extents of 4 MiB from the 16th and then the 8th on.
    disk.write(65 * MIB, &volume.read(0, 20 << 20));
    disk.write(33 * MIB, &volume.read(20 * MIB, 16 << 20));
    let mounted = Captured::plain(&disk.path, &[]).mount();
    assert_eq!(
        mounted.names(),
        ["disk.img", "room-one.img", "room-raw.img", "room-two.img"]
    );
    assert_eq!(
        tree(&mounted.image("room-two.img").mount("ro").point),
        files
    );
}

#[test]
fn other_images_are_mounted_too() {
    let Some(_alone) = can_mount("qcow2 that is mounted", &["mkfs.ext4", "qemu-img"]) else {
        return;
    };
    let ext = Image::new(16 * MIB);
    ext.tool("mkfs.ext4", &["-q", "-F"]);
    let files = ext.filled(2 * MIB);
    let qcow = ext.directory("other").join("disk.qcow2");
    let options = ["convert", "-O", "qcow2"].map(AsRef::as_ref);
    run(
        "qemu-img",
        &[&options[..], &[ext.path.as_ref(), qcow.as_ref()]].concat(),
    );
    for disk in [&ext.path, &qcow] {
        let mounted = Mounting::new(disk, &[]);
        assert_eq!(mounted.names(), ["disk.img"]);
        assert_eq!(tree(&mounted.image("disk.img").mount("ro").point), files);
    }
}

#[test]
fn files_are_read_only_and_as_old_as_the_image() {
    let Some(_alone) = can_mount("what is said of mounted files", &["sfdisk"]) else {
        return;
    };
    let part = Image::new(2 * MIB);
    let disk = disk(&[(LINUX, &part)]);
    let mounted = Captured::plain(&disk.path, &[]).mount();
    for name in mounted.names() {
        let path = mounted.file(&name);
        let about = fs::metadata(&path).unwrap();
        assert_eq!(about.mode() & 0o7777, 0o444);
        assert_eq!((about.uid(), about.gid()), (0, 0));
        let age = SystemTime::now().duration_since(about.modified().unwrap());
        assert!(age.unwrap() < Duration::from_secs(600));
        let open = fs::OpenOptions::new().write(true).open(&path).unwrap_err();
        assert_eq!(open.raw_os_error(), Some(30), "EROFS: {open}");
        assert!(fs::remove_file(&path).is_err());
    }
    assert!(fs::write(mounted.file("new"), "").is_err());
    assert!(fs::metadata(mounted.file("p2.img")).is_err());
    assert_eq!(fs::metadata(mounted.file("p1.img")).unwrap().len(), 2 * MIB);
    let about = rustix::fs::statvfs(&mounted.point).unwrap();
    let len = fs::metadata(&disk.path).unwrap().len();
    assert_eq!(about.f_blocks * about.f_frsize, len);
    assert_eq!((about.f_bfree, about.f_files), (0, 3));
    // Nobody else, whatever the modes say.
    let arguments = ["--reuid", "65534", "--clear-groups", "cat"];
    let read = Command::new("setpriv")
        .args(arguments)
        .arg(mounted.file("p1.img"))
        .output()
        .unwrap();
    assert!(!read.status.success() && read.stdout.is_empty(), "{read:?}");
}
