//! Images of filesystems, filled and partly emptied; and poison for what is unused.
//!
//! Poison is what proves a map: every byte that it calls unused is overwritten,
//! and afterwards the filesystem's own check finds nothing and every file is
//! what it was.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mimeo_image::used::{Distrust, Layout, ReadAt, Verdict};
use tempfile::TempDir;

use crate::common::{Mounted, noise, run};

pub const MIB: u64 = 1 << 20;

/// A disk image in a directory of its own.
pub struct Image {
    pub path: PathBuf,
    dir: TempDir,
}

impl Image {
    /// A sparse file of `len` bytes.
    pub fn new(len: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.img");
        File::create(&path).unwrap().set_len(len).unwrap();
        Self { path, dir }
    }

    /// An empty directory that lives as long as the image.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// Runs a tool on it: the arguments, then the image.
    pub fn tool(&self, program: &str, arguments: &[&str]) -> String {
        let mut all: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        all.push(self.path.as_ref());
        run(program, &all)
    }

    /// Mounts it, fills it with so many bytes of files, and with what only Unix has, and tells what is
    /// in it.
    pub fn filled(&self, bytes: u64) -> BTreeMap<PathBuf, String> {
        let mounted = self.mount("rw");
        fill(&mounted.point, bytes);
        fill_unix(&mounted.point);
        let all = tree(&mounted.point);
        assert!(all.len() > 200);
        all
    }

    /// Mounts it by the kernel.
    pub fn mount(&self, options: &str) -> Kernel {
        let options = format!("loop,{options}");
        let mounted = Mounted::new(&["-o", &options], &self.path, self.directory("mounted"));
        Kernel {
            point: mounted.0.clone(),
            mounted: Some(mounted),
            image: self.path.clone(),
        }
    }

    pub fn file(&self) -> File {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.path)
            .unwrap()
    }

    pub fn layout(&self) -> Layout {
        examine(self.file())
    }

    /// Writes over bytes of it.
    pub fn write(&self, offset: u64, bytes: &[u8]) {
        self.file().write_all_at(bytes, offset).unwrap();
    }

    pub fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.file().read_exact_at(&mut bytes, offset).unwrap();
        bytes
    }

    /// Why the map of the only area is not trusted.
    pub fn distrust(&self) -> String {
        let layout = self.layout();
        match &layout.areas[0].volume.verdict {
            Verdict::Whole(why) => {
                assert_eq!(layout.used(), layout.map().disk_len(), "{why}");
                why.to_string()
            }
            Verdict::Trusted { used } => panic!("trusted, with {used} bytes"),
        }
    }
}

/// An image mounted by the kernel, unmounted when dropped.
pub struct Kernel {
    pub point: PathBuf,
    mounted: Option<Mounted>,
    image: PathBuf,
}

impl Drop for Kernel {
    fn drop(&mut self) {
        drop(self.mounted.take());
        wait_for_loops(&self.image);
    }
}

/// Waits until no loop device has a file any more. A mount lives on where another mount namespace
/// has a copy of it, and is not written back before that is gone too.
fn wait_for_loops(file: &Path) {
    let backs = |device: PathBuf| {
        let backing = fs::read_to_string(device.join("loop/backing_file"));
        backing.is_ok_and(|it| Path::new(it.trim_end()) == file)
    };
    let is_used = || {
        let devices = fs::read_dir("/sys/block").unwrap();
        devices.flatten().any(|device| backs(device.path()))
    };
    // Two minutes: whoever holds it that long does not let go.
    for _ in 0..12_000 {
        if !is_used() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(
        std::thread::panicking(),
        "{} is still mounted elsewhere",
        file.display()
    );
}

/// An image mounted by a program, unmounted when dropped.
pub struct Fuse {
    pub point: PathBuf,
    /// What runs in the foreground: when it has ended, everything is written.
    program: Option<Child>,
    device: Option<(String, PathBuf)>,
}

impl Fuse {
    pub fn ntfs(image: &Image, options: &str) -> Self {
        let point = image.directory("mounted");
        let options = format!("no_detach,{options}");
        let mut command = Command::new("ntfs-3g");
        command.args(["-o", &options]).arg(&image.path).arg(&point);
        let mut program = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let outside = fs::metadata(point.parent().unwrap()).unwrap().dev();
        while fs::metadata(&point).unwrap().dev() == outside {
            assert!(program.try_wait().unwrap().is_none(), "{command:?} ended");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self {
            point,
            program: Some(program),
            device: None,
        }
    }

    /// It takes block devices only.
    pub fn exfat(image: &Image) -> Self {
        let point = image.directory("mounted");
        let device = image.tool("losetup", &["--find", "--show"]);
        run("mount.exfat-fuse", &[device.as_ref(), point.as_ref()]);
        Self {
            point,
            program: None,
            device: Some((device, image.path.clone())),
        }
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        let run = |program: &str, arguments: &[&OsStr]| {
            let status = Command::new(program).args(arguments).status();
            assert!(status.is_ok_and(|status| status.success()) || std::thread::panicking());
        };
        run("umount", &[self.point.as_ref()]);
        if let Some(mut program) = self.program.take() {
            let _ = program.wait();
        }
        if let Some((device, image)) = self.device.take() {
            run("losetup", &["--detach".as_ref(), device.as_ref()]);
            wait_for_loops(&image);
        }
    }
}

/// A file as a disk.
#[derive(Debug)]
pub struct Disk(pub File);

impl ReadAt for Disk {
    fn size(&self) -> u64 {
        self.0.metadata().unwrap().len()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }
}

pub fn examine(file: File) -> Layout {
    let disk: Arc<dyn ReadAt> = Arc::new(Disk(file));
    Layout::examine(&disk)
}

/// Overwrites every byte that is called unused. All areas have to be trusted.
/// Returns the number of used bytes.
pub fn poison(image: &Image) -> u64 {
    let layout = image.layout();
    for area in &layout.areas {
        if let Verdict::Whole(why) = &area.volume.verdict {
            panic!("{:?}: {why}", area.partition);
        }
    }
    let venom = noise(MIB as usize, 77);
    let file = image.file();
    let mut spared = layout.map().disk_len();
    for gap in layout
        .map()
        .unused()
        .collect::<Result<Vec<_>, Distrust>>()
        .unwrap()
    {
        spared -= gap.end - gap.start;
        let mut at = gap.start;
        while at < gap.end {
            let len = MIB.min(gap.end - at);
            file.write_all_at(&venom[..len as usize], at).unwrap();
            at += len;
        }
    }
    assert_eq!(
        spared,
        layout.used(),
        "what is told and what is summed up differ"
    );
    spared
}

/// The used set is at most 2 % above the filesystem's own count.
pub fn assert_close(used: u64, own: u64) {
    assert!(
        used * 100 <= own * 102,
        "{used} bytes are used, by its own count {own}"
    );
    assert!(
        used * 100 >= own * 95,
        "{used} bytes are used, by its own count {own}"
    );
}

/// Everything below a directory: what it is, and a digest of its content.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            let is = if kind.is_dir() {
                open.push(path.clone());
                "directory".to_owned()
            } else if kind.is_symlink() {
                format!("link to {}", fs::read_link(&path).unwrap().display())
            } else {
                let content = fs::read(&path).unwrap();
                let mut digest = DefaultHasher::new();
                digest.write(&content);
                format!("{} bytes, {:x}", content.len(), digest.finish())
            };
            all.insert(path.strip_prefix(root).unwrap().to_owned(), is);
        }
    }
    all
}

/// Fills a directory with about `bytes` of files in pieces, so that none is in one place,
/// and deletes a third of them.
pub fn fill(root: &Path, bytes: u64) {
    let piece = noise(70_000, 5);
    let mut written = 0;
    let mut round = 0_usize;
    while written < bytes {
        let directory = root.join(format!("directory-{}", round % 7));
        fs::create_dir_all(&directory).unwrap();
        // Four files grow at once, by turns.
        let mut files: Vec<_> = (0..4)
            .map(|it| File::create(directory.join(format!("file-{round}-{it}"))).unwrap())
            .collect();
        for turn in 0..4 + round % 5 {
            for (index, file) in files.iter_mut().enumerate() {
                let len = 1000 + (round * 7919 + turn * 104_729 + index * 31) % 69_000;
                file.write_all(&piece[..len]).unwrap();
                // Otherwise allocation is put off until all is in one place.
                if index == turn % 4 && round.is_multiple_of(2) {
                    file.sync_data().unwrap();
                }
                written += len as u64;
            }
        }
        if round % 3 == 2 {
            for index in 0..4 {
                fs::remove_file(directory.join(format!("file-{round}-{index}"))).unwrap();
            }
        }
        round += 1;
    }
    for index in 0..200 {
        fs::write(root.join(format!("small-{index}")), &piece[..index * 3]).unwrap();
    }
}

/// What only a filesystem for Unix can hold.
fn fill_unix(root: &Path) {
    symlink("directory-0/file-0-0", root.join("link")).unwrap();
    symlink("x".repeat(200), root.join("long-link")).unwrap();
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(b"start", 0).unwrap();
    sparse.write_all_at(b"end", 5 * MIB).unwrap();
}

/// The number behind `label` in a tool's output.
pub fn number_after(output: &str, label: &str) -> u64 {
    let line = output
        .lines()
        .find_map(|line| line.trim().strip_prefix(label));
    let line = line.unwrap_or_else(|| panic!("no {label:?} in {output}"));
    let digits = line.trim_start_matches([' ', ':', '=', '\t']);
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().unwrap()
}

/// Flips bits at places spread over `ranges`, one after the other; each time the outcome must be
/// a clear one: a verdict for each area, and runs that end.
pub fn damage(image: &Image, ranges: &[(u64, u64)], steps: u64) {
    for &(start, len) in ranges {
        for step in 0..steps.min(len) {
            let offset = start + step * len / steps.min(len);
            let was = image.read(offset, 1);
            for flip in [0x01, 0x80, 0xff] {
                image.write(offset, &[was[0] ^ flip]);
                let layout = image.layout();
                assert!(layout.used() <= layout.map().disk_len());
                let told: u64 = layout
                    .map()
                    .runs()
                    .map(|run| run.map_or(0, |run| run.end - run.start))
                    .sum();
                assert!(told <= layout.map().disk_len());
            }
            image.write(offset, &was);
        }
    }
}
