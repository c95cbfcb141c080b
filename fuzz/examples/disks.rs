//! Writes the disks in `fuzz/disks/` anew, with the tools that make such disks. Needs root, for loop
//! devices and mounts, and the programs that the tests of `image/` need.
//!
//!     cargo run --manifest-path fuzz/Cargo.toml --no-default-features --example disks
//!
//! Of most of them only what mimeo reads is kept, and the rest is zeros: so they are small, and
//! whatever a fuzzer changes is read.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use mimeo_fuzz::{disk, golden};
use mimeo_image::used::{Layout, ReadAt};
use tempfile::TempDir;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const SECTOR: u64 = 512;

fn main() -> io::Result<()> {
    let maker = Maker::new()?;
    maker.partitions();
    maker.ext();
    maker.ntfs();
    maker.fat();
    maker.xfs();
    maker.btrfs();
    maker.lvm();
    maker.golden();
    maker.qcow2();
    Ok(())
}

/// Makes disks, one at a time.
struct Maker {
    dir: TempDir,
}

impl Maker {
    fn new() -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("mounted"))?;
        let maker = Self { dir };
        maker.tree(&maker.path("root"))?;
        Ok(maker)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Files that are looked for, and some of each other kind.
    fn tree(&self, root: &Path) -> io::Result<()> {
        let files = [
            ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
            ("etc/hostname", "reference\n"),
            ("etc/dhcpcd.conf", "hostname\n"),
            ("etc/netplan/one.yaml", "a: {dhcp4: yes}\n"),
            ("etc/fstab", "/var/swap none swap sw 0 0\n"),
            ("etc/ssh/ssh_host_ed25519_key", "secret"),
            ("EFI/BOOT/BOOTIA32.EFI", "MZ"),
            ("Windows/System32/x", ""),
            (
                "Windows/Setup/State/State.ini",
                "[State]\r\nImageState=IMAGE_STATE_COMPLETE\r\n",
            ),
        ];
        for (name, content) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap_or(root))?;
            fs::write(path, content)?;
        }
        let mut swap = vec![7; 64 << 10];
        swap[4086..4096].copy_from_slice(b"SWAPSPACE2");
        fs::create_dir_all(root.join("var"))?;
        fs::write(root.join("var/swap"), &swap)?;
        for name in ["pagefile.sys", "hiberfil.sys"] {
            fs::write(root.join(name), vec![7; 20_000])?;
        }
        for index in 0..40 {
            fs::write(root.join(format!("etc/ssh/a longer name {index}")), "x")?;
        }
        Ok(())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(self.dir.path())
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// An empty disk.
    fn empty(&self, len: u64) {
        let disk = File::create(self.path("disk")).expect("a file");
        disk.set_len(len).expect("a sparse file");
    }

    /// A disk of `len` bytes that a program was run on, with the disk as its last argument.
    fn make(&self, len: u64, program: &str, arguments: &[&str]) {
        self.empty(len);
        let all = [arguments, &["disk"]].concat();
        self.run(program, &all);
    }

    /// Does something while the disk is mounted.
    fn mounted(&self, act: impl FnOnce(&Path)) {
        self.run("mount", &["-o", "loop", "disk", "mounted"]);
        act(&self.path("mounted"));
        self.run("umount", &["mounted"]);
    }

    /// The same of NTFS: when the program has ended, everything is written.
    fn mounted_ntfs(&self, act: impl FnOnce(&Path)) {
        use std::os::unix::fs::MetadataExt as _;
        let mut program = Command::new("ntfs-3g")
            .args(["-o", "no_detach", "disk", "mounted"])
            .current_dir(self.dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ntfs-3g");
        let device = |path: &Path| fs::metadata(path).map(|it| it.dev()).unwrap_or(0);
        while device(&self.path("mounted")) == device(self.dir.path()) {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        act(&self.path("mounted"));
        self.run("umount", &["mounted"]);
        program.wait().expect("ntfs-3g ends");
    }

    /// Runs sfdisk by a script.
    fn divide(&self, script: &str) {
        let mut sfdisk = Command::new("sfdisk")
            .args(["--quiet", "disk"])
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .spawn()
            .expect("sfdisk");
        let mut input = sfdisk.stdin.take().expect("a pipe");
        input.write_all(script.as_bytes()).expect("a script");
        drop(input);
        assert!(sfdisk.wait().expect("sfdisk ends").success());
    }

    /// Keeps what is read of the disk.
    fn keep(&self, name: &str) {
        let disk = Recorder::open(&self.path("disk"));
        let reader = Arc::clone(&disk) as Arc<dyn ReadAt>;
        let layout = Layout::examine(&reader);
        disk::look_at_files(&reader, &layout, &disk::LOOKS);
        for area in &layout.areas {
            println!("{name}: {:?}", area.volume.verdict);
        }
        let read = disk.read.lock().expect("nobody panicked").clone();
        self.pack(name, |sector| read.contains(&sector));
    }

    /// Keeps these sectors of the disk.
    fn pack(&self, name: &str, keeps: impl Fn(u64) -> bool) {
        let mut disk = File::open(self.path("disk")).expect("a disk");
        let path = folder().join(format!("{name}.zst"));
        let file = File::create(path).expect("a file");
        let mut packed = zstd::stream::Encoder::new(file, 19).expect("an encoder");
        let (mut piece, mut number) = (vec![0; 1 << 20], 0);
        loop {
            let len = disk.read(&mut piece).expect("a disk");
            if len == 0 {
                break;
            }
            for sector in piece[..len].chunks_mut(SECTOR as usize) {
                if !keeps(number) {
                    sector.fill(0);
                }
                number += 1;
            }
            packed.write_all(&piece[..len]).expect("room");
        }
        packed.finish().expect("room");
    }

    fn partitions(&self) {
        self.make(
            MIB,
            "sgdisk",
            &[
                "-a",
                "8",
                "-n",
                "1:64:+100K",
                "-n",
                "3:0:+64K",
                "-n",
                "7:0:0",
            ],
        );
        self.swap_at(64 * SECTOR, 100 * KIB);
        self.keep("gpt");
        self.make(
            MIB,
            "sgdisk",
            &["-a", "8", "-n", "1:64:+100K", "-n", "2:0:+64K", "-h", "1:2"],
        );
        self.keep("hybrid");
        self.empty(MIB);
        let device = self.run(
            "losetup",
            &["--find", "--show", "--sector-size", "4096", "disk"],
        );
        self.run(
            "sgdisk",
            &["-a", "1", "-n", "1:8:+100K", "-n", "2:0:0", &device],
        );
        self.run("losetup", &["--detach", &device]);
        self.keep("gpt-4096");
        self.empty(MIB);
        self.divide(
            "label: dos\nunit: sectors\n64,200\n264,800,E\n328,100\n500,100\n700,100\n1100,200\n",
        );
        self.swap_at(64 * SECTOR, 100 * KIB);
        self.keep("mbr");
    }

    /// Makes swap of a part of the disk.
    fn swap_at(&self, at: u64, len: u64) {
        let swap = File::create(self.path("swap")).expect("a file");
        swap.set_len(len).expect("a sparse file");
        self.run("mkswap", &["-q", "swap"]);
        self.copy("swap", at);
    }

    /// Copies a file into the disk.
    fn copy(&self, from: &str, at: u64) {
        let bytes = fs::read(self.path(from)).expect("a file");
        let disk = File::options()
            .write(true)
            .open(self.path("disk"))
            .expect("a disk");
        disk.write_all_at(&bytes, at).expect("room");
    }

    fn ext(&self) {
        let root = self.path("root");
        let _ = symlink("../etc/hostname", root.join("var/link"));
        let all: [(&str, u64, &[&str]); 6] = [
            (
                "ext4",
                4,
                &[
                    "-g",
                    "1024",
                    "-O",
                    "metadata_csum,64bit,^resize_inode,^has_journal",
                ],
            ),
            (
                "ext4-inline",
                4,
                &[
                    "-I",
                    "256",
                    "-O",
                    "inline_data,metadata_csum_seed,metadata_csum",
                ],
            ),
            (
                "ext4-bigalloc",
                8,
                &["-C", "16384", "-O", "bigalloc,metadata_csum,^resize_inode"],
            ),
            (
                "ext4-meta-bg",
                20,
                &[
                    "-g",
                    "1024",
                    "-O",
                    "meta_bg,^resize_inode,64bit,metadata_csum,^has_journal",
                ],
            ),
            (
                "ext3-crc16",
                8,
                &[
                    "-g",
                    "1024",
                    "-O",
                    "^64bit,^metadata_csum,uninit_bg,^has_journal",
                ],
            ),
            ("ext2", 2, &["-r", "0", "-O", "none"]),
        ];
        for (name, len, options) in all {
            let usual = ["-q", "-F", "-b", "1024", "-N", "160", "-d", "root"];
            self.make(len * MIB, "mkfs.ext4", &[&usual, options].concat());
            self.keep(name);
        }
    }

    fn ntfs(&self) {
        for (name, len, cluster) in [("ntfs", 3, "512"), ("ntfs-4k", 4, "4096")] {
            self.make(len * MIB, "mkntfs", &["-q", "-F", "-Q", "-c", cluster]);
            self.mounted_ntfs(|point| {
                self.tree(point).expect("room");
                // Names that do not fit into one record, so that there is a list of attributes.
                for index in 0..30 {
                    let link = point.join(format!("another name of it {index}"));
                    fs::hard_link(point.join("hiberfil.sys"), link).expect("room");
                }
            });
            self.keep(name);
        }
    }

    fn fat(&self) {
        let all = [
            ("fat12", MIB, "12", "2"),
            ("fat16", 3 * MIB, "16", "1"),
            ("fat32", 34 * MIB, "32", "1"),
        ];
        for (name, len, kind, cluster) in all {
            self.make(len, "mkfs.fat", &["-F", kind, "-s", cluster]);
            self.run(
                "mcopy",
                &["-s", "-Q", "-i", "disk", "root/EFI", "root/etc", "::"],
            );
            self.keep(name);
        }
        for (name, len, cluster) in [
            ("exfat", 2 * MIB, "512"),
            ("exfat-128k", 16 * MIB, "131072"),
        ] {
            self.make(len, "mkfs.exfat", &["-b", "64K", "-c", cluster]);
            self.keep(name);
        }
        self.make(MIB, "mkswap", &["-q"]);
        self.keep("swap");
    }

    fn xfs(&self) {
        self.make(300 * MIB, "mkfs.xfs", &["-q", "-f"]);
        self.keep("xfs");
        self.make(
            300 * MIB,
            "mkfs.xfs",
            &["-q", "-f", "-m", "crc=0,finobt=0,rmapbt=0,reflink=0"],
        );
        self.keep("xfs-v4");
        self.make(
            300 * MIB,
            "mkfs.xfs",
            &["-q", "-f", "-b", "size=1024", "-d", "agcount=2"],
        );
        self.mounted(|point| scatter(point, 1500, 3000));
        self.keep("xfs-tree");
    }

    fn btrfs(&self) {
        self.make(256 * MIB, "mkfs.btrfs", &["-q", "-f", "--rootdir", "root"]);
        self.keep("btrfs");
        self.make(
            64 * MIB,
            "mkfs.btrfs",
            &["-q", "-f", "--mixed", "-n", "4096"],
        );
        self.mounted(|point| scatter(point, 300, 5000));
        self.keep("btrfs-mixed");
    }

    fn lvm(&self) {
        self.empty(4 * MIB);
        let device = self.run("losetup", &["--find", "--show", "disk"]);
        let config = format!(
            "devices {{ filter=[\"a|^{device}$|\", \"r|.*|\"] use_devicesfile=0 scan=[\"/dev\"] }} \
             activation {{ udev_sync=0 udev_rules=0 }} backup {{ backup=0 archive=0 }}"
        );
        let lvm = |arguments: &[&str]| {
            let usual = [
                "--driverloaded",
                "n",
                "--yes",
                "--quiet",
                "--config",
                &config,
            ];
            self.run("lvm", &[arguments, &usual].concat());
        };
        lvm(&["pvcreate", &device]);
        lvm(&["vgcreate", "--physicalextentsize", "128k", "room", &device]);
        for (name, extents, place) in [
            ("one", "4", "0-3"),
            ("two", "4", "8-11"),
            ("raw", "1", "16-16"),
        ] {
            let usual = ["lvcreate", "--zero", "n", "--wipesignatures", "n", "room"];
            let at = format!("{device}:{place}");
            lvm(&[&usual[..], &["--name", name, "--extents", extents, &at]].concat());
        }
        let at = format!("{device}:5-6");
        lvm(&["lvextend", "--extents", "+2", "room/two", &at]);
        self.run("losetup", &["--detach", &device]);
        let inner = File::create(self.path("inner")).expect("a file");
        inner.set_len(512 * KIB).expect("a sparse file");
        let usual = [
            "-q",
            "-F",
            "-b",
            "1024",
            "-O",
            "none,filetype",
            "-N",
            "16",
            "inner",
        ];
        self.run("mkfs.ext4", &usual);
        self.copy("inner", MIB);
        // The first piece of the other one.
        self.run("mkfs.fat", &["-I", "inner"]);
        self.copy("inner", MIB + 8 * 128 * KIB);
        self.keep("lvm");
    }

    fn golden(&self) {
        let mut content = golden::MARK.to_vec();
        content.resize(KIB as usize, b'\n');
        let put = |root: &Path, names: &[&str]| {
            for name in names {
                let path = root.join(name);
                fs::create_dir_all(path.parent().unwrap_or(root)).expect("room");
                fs::write(path, &content).expect("room");
            }
        };
        let names = [
            "etc/machine-id",
            "var/lib/dbus/machine-id",
            "etc/hostname",
            "etc/fstab",
            "etc/dhcp/dhclient.conf",
            "etc/dhcpcd.conf",
            "etc/netplan/one.yaml",
            "etc/systemd/network/one.network",
            "etc/NetworkManager/NetworkManager.conf",
            "etc/NetworkManager/conf.d/one.conf",
            "etc/NetworkManager/system-connections/one",
            "var/swap",
        ];
        let root = self.path("golden");
        put(&root, &names);
        let usual = [
            "-q",
            "-F",
            "-b",
            "1024",
            "-O",
            "none,filetype",
            "-N",
            "64",
            "-d",
            "golden",
        ];
        self.make(MIB, "mkfs.ext4", &usual);
        self.pack("golden-linux", |_| true);
        self.make(3 * MIB, "mkntfs", &["-q", "-F", "-Q", "-c", "1024"]);
        self.mounted_ntfs(|point| {
            put(point, &["Windows/Setup/State/State.ini"]);
            fs::create_dir(point.join("Windows/System32")).expect("room");
        });
        self.keep("golden-windows");
    }

    fn qcow2(&self) {
        let mut bytes = vec![0; 64 << 10];
        bytes[..3000].copy_from_slice(&b"mimeo".repeat(600));
        bytes[40_000..40_005].copy_from_slice(b"mimeo");
        fs::write(self.path("raw"), bytes).expect("room");
        let all: [(&str, &[&str]); 3] = [
            ("v3", &["-o", "cluster_size=512"]),
            ("v2", &["-o", "compat=0.10,cluster_size=512"]),
            ("packed", &["-c", "-o", "cluster_size=1024"]),
        ];
        for (name, options) in all {
            let path = folder().join(format!("{name}.qcow2"));
            let to = path.to_str().expect("a path");
            let usual = ["convert", "-f", "raw", "-O", "qcow2"];
            self.run("qemu-img", &[&usual, options, &["raw", to]].concat());
        }
    }
}

/// Many small files, half of which are gone again.
fn scatter(point: &Path, count: usize, len: usize) {
    let name = |index: usize| point.join(format!("file {index}"));
    for index in 0..count {
        fs::write(name(index), vec![1; len]).expect("room");
    }
    assert!(Command::new("sync").status().expect("sync").success());
    for index in (0..count).step_by(2) {
        fs::remove_file(name(index)).expect("it is there");
    }
}

fn folder() -> PathBuf {
    let folder = disk::folder();
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// A disk that notes which sectors are read.
#[derive(Debug)]
struct Recorder {
    disk: File,
    read: Mutex<BTreeSet<u64>>,
}

impl Recorder {
    fn open(path: &Path) -> Arc<Self> {
        Arc::new(Self {
            disk: File::open(path).expect("a disk"),
            read: Mutex::default(),
        })
    }
}

impl ReadAt for Recorder {
    fn size(&self) -> u64 {
        self.disk.metadata().map_or(0, |it| it.len())
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset + buffer.len() as u64;
        let mut read = self.read.lock().map_err(|_| io::ErrorKind::Other)?;
        read.extend(offset / SECTOR..end.div_ceil(SECTOR));
        self.disk.read_exact_at(buffer, offset)
    }
}
