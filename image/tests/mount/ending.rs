//! How a mount begins and ends, and why it may not begin.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::{noise, run};
use crate::fixture::Image;
use crate::mounting::{Captured, can_mount, mimeo, succeeded};

fn image() -> Captured {
    let disk = Image::new(1 << 20);
    disk.write(0, &noise(1 << 20, 8));
    Captured::plain(&disk.path, &[])
}

fn is_mounted(point: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    device(point) != device(point.parent().unwrap())
}

#[test]
fn signals_and_umount_end_it() {
    let Some(_alone) = can_mount("the end of a mount", &["umount"]) else {
        return;
    };
    let image = image();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut mounted = image.mount();
        assert!(is_mounted(&mounted.point));
        mounted.signal(signal);
        let (code, said) = mounted.end();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.ends_with(": unmounted\n"), "{said}");
        assert!(!is_mounted(&mounted.point));
    }
    let mut mounted = image.mount();
    run("umount", &[mounted.point.as_ref()]);
    let (code, said) = mounted.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(!is_mounted(&mounted.point));
    // Whoever asked for it keeps it through the end of a terminal.
    let nohup = "trap '' HUP; exec \"$0\" \"$@\"";
    let mut mounted = image.mount_by(&["sh", "-c", nohup]);
    mounted.signal(Signal::HUP);
    std::thread::sleep(Duration::from_millis(300));
    assert!(is_mounted(&mounted.point));
    mounted.stop();
}

#[test]
fn nothing_is_mounted_over_something_else() {
    let Some(_alone) = can_mount("a mount above another", &[]) else {
        return;
    };
    let image = image();
    let mut below = image.mount();
    let arguments = ["mount".as_ref(), image.path.as_ref(), below.point.as_ref()];
    let above = mimeo(&arguments).output().unwrap();
    assert_eq!(above.status.code(), Some(2), "{above:?}");
    let said = String::from_utf8_lossy(&above.stderr).into_owned();
    assert!(said.contains("mounted there already"), "{said}");
    assert!(is_mounted(&below.point));
    below.stop();
}

#[test]
fn what_is_in_use_is_served_to_the_end() {
    let Some(_alone) = can_mount("the end of a mount in use", &[]) else {
        return;
    };
    let image = image();
    for again in [false, true] {
        let mut mounted = image.mount();
        let file = File::open(mounted.file("disk.img")).unwrap();
        mounted.signal(Signal::TERM);
        let begun = Instant::now();
        while is_mounted(&mounted.point) {
            assert!(begun.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut bytes = vec![0; 1 << 20];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes == noise(1 << 20, 8));
        std::thread::sleep(Duration::from_millis(1500));
        assert!(mounted.program.try_wait().unwrap().is_none());
        if again {
            mounted.signal(Signal::TERM);
        } else {
            drop(file);
        }
        let (code, said) = mounted.end();
        assert!(said.contains("still in use"), "{said}");
        assert_eq!(code, Some(if again { 130 } else { 0 }), "{said}");
    }
}

#[test]
fn in_the_background_it_is_ready_when_the_prompt_comes_back() {
    let Some(_alone) = can_mount("a mount in the background", &["umount"]) else {
        return;
    };
    let image = image();
    let dir = tempfile::tempdir().unwrap();
    let point = dir.path().join("mounted");
    fs::create_dir(&point).unwrap();
    // Both outputs are read to their end: nobody must keep them open.
    let mount = |path: &Path| {
        let mut command = mimeo(&["mount".as_ref(), "--background".as_ref()]);
        command.arg(path).arg("mounted").current_dir(dir.path());
        command.output().unwrap()
    };
    let names = succeeded(&mount(&image.path));
    assert_eq!(names, point.join("disk.img").display().to_string());
    assert!(is_mounted(&point));
    let mut bytes = Vec::new();
    let mut file = File::open(point.join("disk.img")).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    assert!(bytes == noise(1 << 20, 8));
    drop(file);
    run("umount", &[point.as_ref()]);
    // What cannot be mounted is told before the prompt comes back.
    let other = dir.path().join("other");
    fs::write(&other, "nothing").unwrap();
    let failed = mount(&dir.path().join("nowhere"));
    assert_eq!(failed.status.code(), Some(3), "{failed:?}");
    assert!(String::from_utf8_lossy(&failed.stderr).contains("nowhere"));
    assert!(!is_mounted(&point));
}

#[track_caller]
fn fails(output: &Output, code: i32, words: &str) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(words), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn what_is_in_the_way_is_named() {
    let Some(_alone) = can_mount("a mount that fails", &["unshare", "mount"]) else {
        return;
    };
    let image = image();
    let dir = tempfile::tempdir().unwrap();
    let mount = |path: &Path, point: &Path| {
        let mut command = mimeo(&["mount".as_ref()]);
        command.arg(path).arg(point).output().unwrap()
    };
    fails(&mount(&image.path, &dir.path().join("x")), 2, "mkdir");
    fails(&mount(&image.path, &image.path), 2, "no directory");
    fails(&mount(&dir.path().join("x"), dir.path()), 3, "x");
    // A machine without FUSE.
    let script = "mount -t tmpfs none /dev && exec \"$0\" mount \"$1\" \"$2\"";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .arg(env!("CARGO_BIN_EXE_mimeo-image"))
        .args([&image.path, dir.path()])
        .output()
        .unwrap();
    fails(&output, 1, "modprobe fuse");
    // One whose process was killed.
    let mut mounted = image.mount();
    mounted.program.kill().unwrap();
    mounted.program.wait().unwrap();
    fails(&mount(&image.path, &mounted.point), 2, "umount");
    run("umount", &[mounted.point.as_ref()]);
}
