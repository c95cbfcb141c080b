//! The golden image check: what it finds, what it leaves alone, and what the program says of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use mimeo_image::golden::{self, Report};
use mimeo_image::used::ReadAt;

use crate::common::{Alone, can_loop};
use crate::conformance::copy_in;
use crate::disk::{ESP, LINUX, WINDOWS, disk};
use crate::fixture::{Disk, Fuse, Image, MIB};
use crate::volumes;

const TOOLS: [&str; 6] = [
    "mkfs.ext4",
    "mkntfs",
    "ntfs-3g",
    "mkfs.fat",
    "mcopy",
    "sfdisk",
];

fn can_make(test: &str) -> Option<Alone> {
    can_loop(test, &TOOLS)
}

/// An ext4 with these files; a name that ends with a slash is that of a directory.
fn ext4(files: &[(&str, &str)]) -> Image {
    ext4_with(&[], files)
}

fn ext4_with(options: &[&str], files: &[(&str, &str)]) -> Image {
    let image = Image::new(8 * MIB);
    let root = image.directory("root");
    put(&root, files);
    let mut all = vec!["-q", "-F", "-d", root.to_str().unwrap()];
    all.extend(options);
    image.tool("mkfs.ext4", &all);
    image
}

fn put(root: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if name.ends_with('/') {
            fs::create_dir_all(&path).unwrap();
        } else {
            fs::write(&path, content).unwrap();
        }
    }
}

fn ntfs(files: &[(&str, &str)]) -> Image {
    let image = Image::new(16 * MIB);
    image.tool("mkntfs", &["-q", "-F", "-Q"]);
    put(&Fuse::ntfs(&image, "rw").point, files);
    image
}

fn fat(files: &[(&str, &str)]) -> Image {
    let image = Image::new(4 * MIB);
    image.tool("mkfs.fat", &[]);
    let root = image.directory("root");
    put(&root, files);
    copy_in(&image, &root);
    image
}

fn check(image: &Image) -> Report {
    let disk: Arc<dyn ReadAt> = Arc::new(Disk(image.file()));
    golden::check(&disk)
}

/// Kinds of findings; nothing may be left unexamined.
fn kinds(image: &Image) -> Vec<&'static str> {
    let report = check(image);
    assert!(report.unexamined.is_empty(), "{:?}", report.unexamined);
    report.findings.iter().map(|it| it.problem.kind()).collect()
}

const ID: &str = "0123456789abcdef0123456789abcdef\n";

#[test]
fn nothing_from_a_disk_is_a_command_to_a_terminal() {
    let Some(_alone) = can_make("names with control characters") else {
        return;
    };
    let files = [
        ("etc/ssh/ssh_host_\u{1b}[2J_key", "secret"),
        (
            "etc/dhcp/dhclient.conf",
            "send host-name \"lab\u{1b}]0;x\u{7}\";\n",
        ),
    ];
    let report = check(&ext4(&files));
    assert_eq!(report.findings.len(), 2);
    for finding in &report.findings {
        let text = format!("{} {}", finding.problem, finding.problem.remedy());
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}

#[test]
fn what_makes_a_linux_one_certain_machine_is_found() {
    let Some(_alone) = can_make("golden Linux") else {
        return;
    };
    assert_eq!(kinds(&ext4(&[])), [""; 0]);
    let id = |text: &str| kinds(&ext4(&[("etc/machine-id", text)]));
    assert_eq!(id(ID), ["machine-id"]);
    assert_eq!(id(""), [""; 0]);
    assert_eq!(id("uninitialized\n"), [""; 0]);
    // systemd takes it over.
    let dbus = [("etc/machine-id", ""), ("var/lib/dbus/machine-id", ID)];
    assert_eq!(kinds(&ext4(&dbus)), ["machine-id"]);
    let keys = [
        ("etc/ssh/ssh_host_ed25519_key", "secret"),
        ("etc/ssh/ssh_host_ed25519_key.pub", "public"),
        ("etc/ssh/sshd_config", "Port 22"),
    ];
    let report = check(&ext4(&keys));
    assert!(
        report.findings[0]
            .problem
            .to_string()
            .contains("(ssh_host_ed25519_key)")
    );
    assert_eq!(
        kinds(&ext4(&keys[1..])),
        [""; 0],
        "a public key is no secret"
    );
}

#[test]
fn a_link_to_the_identity_is_not_told_twice() {
    let Some(_alone) = can_make("a link to the machine-id") else {
        return;
    };
    let image = Image::new(8 * MIB);
    let root = image.directory("root");
    put(&root, &[("etc/machine-id", ID), ("var/lib/dbus/", "")]);
    symlink("/etc/machine-id", root.join("var/lib/dbus/machine-id")).unwrap();
    image.tool("mkfs.ext4", &["-q", "-F", "-d", root.to_str().unwrap()]);
    let text = check(&image).findings[0].problem.to_string();
    assert!(text.starts_with("/etc/machine-id is filled"), "{text}");
}

#[test]
fn a_host_name_counts_if_it_is_fixed_and_sent() {
    let Some(_alone) = can_make("host names") else {
        return;
    };
    let named = ("etc/hostname", "# the reference\nlab-ref\n");
    let dhcp = ("etc/netplan/01.yaml", "network: {}\nx:\n  dhcp4: true\n");
    assert_eq!(kinds(&ext4(&[named])), [""; 0], "nobody sends it");
    assert_eq!(kinds(&ext4(&[dhcp])), [""; 0], "there is none");
    assert_eq!(
        kinds(&ext4(&[dhcp, ("etc/hostname", "localhost\n")])),
        [""; 0]
    );
    let report = check(&ext4(&[named, dhcp]));
    let text = report.findings[0].problem.to_string();
    assert!(
        text.contains("lab-ref") && text.contains("netplan"),
        "{text}"
    );
    let clients = [
        ("etc/dhcp/dhclient.conf", "send host-name = gethostname();"),
        ("etc/systemd/network/a.network", "[Network]\nDHCP=yes\n"),
        (
            "etc/NetworkManager/NetworkManager.conf",
            "[main]\nplugins=keyfile\n",
        ),
        ("etc/dhcpcd.conf", "hostname\n"),
    ];
    for client in clients {
        assert_eq!(kinds(&ext4(&[named, client])), ["host-name"], "{client:?}");
    }
    // A name in the client's own configuration is sent whatever the machine is called.
    let report = check(&ext4(&[("etc/dhclient.conf", "send host-name \"fixed\";")]));
    let problem = &report.findings[0].problem;
    assert!(problem.to_string().contains("fixed"));
    assert!(problem.remedy().contains("/etc/dhclient.conf"));
    let manager = clients[2];
    let quiet = (
        "etc/NetworkManager/conf.d/a.conf",
        "[connection]\nipv4.dhcp-send-hostname=0\n",
    );
    assert_eq!(kinds(&ext4(&[named, manager, quiet])), [""; 0]);
    let by_hand = (
        "etc/NetworkManager/system-connections/a",
        "[ipv4]\nmethod=manual\n",
    );
    assert_eq!(kinds(&ext4(&[named, manager, by_hand])), [""; 0]);
}

#[test]
fn what_makes_a_windows_one_certain_machine_is_found() {
    let Some(_alone) = can_make("golden Windows") else {
        return;
    };
    let system = ("Windows/System32/ntoskrnl.exe", "x");
    let state = |state: &str| {
        let text = format!("[State]\r\nImageState={state}\r\n");
        kinds(&ntfs(&[system, ("Windows/Setup/State/State.ini", &text)]))
    };
    assert_eq!(state("IMAGE_STATE_COMPLETE"), ["not-generalized"]);
    assert_eq!(state("IMAGE_STATE_UNDEPLOYABLE"), ["not-generalized"]);
    assert_eq!(state("IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"), [""; 0]);
    assert_eq!(kinds(&ntfs(&[("data", "x")])), [""; 0], "no Windows");
    let report = check(&ntfs(&[system]));
    assert!(report.findings.is_empty());
    assert!(report.unexamined[0].why.contains("State.ini"));
    let asleep = format!("HIBR{}", "x".repeat(20_000));
    assert_eq!(kinds(&ntfs(&[("hiberfil.sys", &asleep)])), ["hibernated"]);
    let awake = asleep.replace("HIBR", "wake");
    assert_eq!(kinds(&ntfs(&[("hiberfil.sys", &awake)])), [""; 0]);
}

#[test]
fn every_partition_is_looked_at() {
    let Some(_alone) = can_make("golden disk") else {
        return;
    };
    let loader = fat(&[("EFI/Boot/bootx64.efi", "code")]);
    let other = fat(&[
        ("EFI/BOOT/BOOTAA64.EFI", "code"),
        ("EFI/debian/grubx64.efi", "x"),
    ]);
    let linux = ext4(&[("etc/machine-id", ID)]);
    let luks = Image::new(MIB);
    luks.write(0, b"LUKS\xba\xbe");
    let bitlocker = Image::new(MIB);
    bitlocker.write(3, b"-FVE-FS-");
    let xfs = Image::new(MIB);
    xfs.write(0, b"XFSB");
    let asleep = Image::new(MIB);
    asleep.write(4086, b"S1SUSPEND\0");
    let whole = disk(&[
        (ESP, &loader),
        (ESP, &other),
        (LINUX, &linux),
        (LINUX, &luks),
        (WINDOWS, &bitlocker),
        (LINUX, &xfs),
        (LINUX, &asleep),
        (ESP, &Image::new(MIB)),
        (LINUX, &Image::new(MIB)),
    ]);
    let report = check(&whole);
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|it| (it.place.partition.unwrap(), it.problem.kind()))
        .collect();
    let expected = [
        (2, "no-boot-loader"),
        (3, "machine-id"),
        (4, "luks"),
        (5, "bitlocker"),
        (7, "hibernated"),
        (8, "no-boot-loader"),
    ];
    assert_eq!(found, expected);
    assert!(
        report.findings[0]
            .problem
            .to_string()
            .contains("only BOOTAA64.EFI")
    );
    let left: Vec<_> = report
        .unexamined
        .iter()
        .map(|it| format!("{}: {}", it.place, it.why))
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(left[0], "partition 6 (XFS): XFS is not looked into");
    assert!(left[1].starts_with("partition 9: nothing is recognized"));
    // A FAT that is no system partition needs no loader.
    assert_eq!(kinds(&disk(&[(WINDOWS, &other)])), [""; 0]);
}

#[test]
fn logical_volumes_are_looked_into() {
    let Some((_alone, image)) = volumes::make("golden LVM") else {
        return;
    };
    let root = image.directory("root");
    put(&root, &[("etc/machine-id", ID)]);
    let volume = Image::new(36 * MIB);
    volume.tool("mkfs.ext4", &["-q", "-F", "-d", root.to_str().unwrap()]);
    // The second volume lies in extents of 4 MiB from the 16th and then the 8th on.
    image.write(65 * MIB, &volume.read(0, 20 << 20));
    image.write(33 * MIB, &volume.read(20 * MIB, 16 << 20));
    let report = check(&image);
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|it| it.place.to_string())
        .collect();
    assert_eq!(found, ["the disk, room/two (ext2/3/4)"]);
    assert_eq!(report.unexamined.len(), 2, "{:?}", report.unexamined);
}

#[test]
fn a_filesystem_that_was_not_unmounted_is_found() {
    let Some(_alone) = can_make("golden dirt") else {
        return;
    };
    let image = ext4_with(&["-O", "^metadata_csum"], &[("etc/machine-id", ID)]);
    let state = image.read(0x43a, 1)[0];
    image.write(0x43a, &[state | 2]);
    let found = kinds(&image);
    assert_eq!(found, ["unclean", "machine-id"]);
}

fn program(arguments: &[&str], image: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimeo-image"));
    command.arg("check").args(arguments).arg(image);
    command.output().unwrap()
}

#[test]
fn the_exit_code_says_whether_something_was_found() {
    let Some(_alone) = can_make("the program's check") else {
        return;
    };
    let clean = ext4(&[("etc/machine-id", "")]);
    let output = program(&[], &clean.path);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing was found"));
    let filled = ext4(&[("etc/machine-id", ID)]);
    let output = program(&[], &filled.path);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("the disk (ext2/3/4): /etc/machine-id is filled"),
        "{text}"
    );
    assert!(
        text.contains("    remedy: ") && text.ends_with("1 finding\n"),
        "{text}"
    );
    let output = program(&["--json"], &filled.path);
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["findings"][0]["kind"], "machine-id");
    assert_eq!(json["findings"][0]["partition"], serde_json::Value::Null);
    assert_eq!(program(&["--unknown"], &clean.path).status.code(), Some(2));
    assert_eq!(
        program(&[], Path::new("/nothing/there")).status.code(),
        Some(3)
    );
}
