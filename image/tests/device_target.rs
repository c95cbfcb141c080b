//! Writing to block devices, and refusing to. Needs root and loop devices.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::File;
use std::os::unix::fs::FileExt;

use common::{Loop, Mounted, can_loop, noise, open, run, writer};
use mimeo_image::{Target, TargetError, TargetOptions};

const MIB: u64 = 1 << 20;

#[test]
fn zeroing_really_zeroes_and_touches_nothing_else() {
    let Some(_alone) = can_loop(
        "zeroing_really_zeroes_and_touches_nothing_else",
        &["losetup"],
    ) else {
        return;
    };
    let len = 8 * MIB;
    // Short ranges are written, long ones zeroed by the device; with 4 KiB
    // sectors the body must be aligned to those.
    for options in [&[][..], &["--sector-size", "4096"]] {
        for (start, end) in [
            (0, len),
            (1, 2),
            (513, 1023),
            (777, 3 * MIB + 5),
            (MIB, 5 * MIB),
            (4097, len),
        ] {
            let device = Loop::new(len as usize, options);
            let mut expected = noise(len as usize, 1);
            let mut writer = writer(&device.path, Some(len));
            // Dirty pages right at the edges must neither be lost nor come back.
            let fresh = noise(len as usize, 2);
            writer.write_at(0, &fresh[..4 * MIB as usize]).unwrap();
            expected[..4 * MIB as usize].copy_from_slice(&fresh[..4 * MIB as usize]);
            writer.zero_at(start, end - start).unwrap();
            writer.finish(len).unwrap();
            writer.flush().unwrap();
            drop(writer);
            expected[start as usize..end as usize].fill(0);
            assert!(
                device.read() == expected,
                "{start}..{end} with {options:?}, device"
            );
            assert!(
                std::fs::read(&device.file).unwrap() == expected,
                "{start}..{end} with {options:?}, backing file"
            );
        }
    }
}

#[test]
fn the_last_sector_keeps_its_other_bytes() {
    let Some(_alone) = can_loop("the_last_sector_keeps_its_other_bytes", &["losetup"]) else {
        return;
    };
    for options in [&[][..], &["--sector-size", "4096"]] {
        let device = Loop::new(MIB as usize, options);
        let image = noise(300_001, 8);
        let mut writer = writer(&device.path, Some(300_001));
        writer.write_at(0, &image[..262_144]).unwrap();
        writer.write_at(262_144, &image[262_144..]).unwrap();
        writer.finish(300_001).unwrap();
        writer.flush().unwrap();
        drop(writer);
        let mut expected = noise(MIB as usize, 1);
        expected[..300_001].copy_from_slice(&image);
        assert!(device.read() == expected);
    }
}

#[test]
fn an_image_that_does_not_fit_is_refused_before_anything_is_written() {
    let Some(_alone) = can_loop("an_image_that_does_not_fit_is_refused", &["losetup"]) else {
        return;
    };
    let device = Loop::new(MIB as usize, &[]);
    let target = open(&device.path, true).unwrap();
    assert_eq!(target.capacity(), Some(MIB));
    let error = target.prepare(Some(MIB + 1)).unwrap_err();
    assert!(error.is_refusal());
    assert!(
        matches!(error, TargetError::TooSmall { needed, available, .. }
        if needed == MIB + 1 && available == MIB)
    );
    assert!(device.read() == noise(MIB as usize, 1));
    writer(&device.path, Some(MIB))
        .write_at(0, &noise(MIB as usize, 3))
        .unwrap();
}

#[test]
fn an_image_of_unknown_length_fails_at_the_end_of_the_device() {
    let Some(_alone) = can_loop("an_image_of_unknown_length_fails_at_the_end", &["losetup"]) else {
        return;
    };
    let device = Loop::new(MIB as usize, &[]);
    let mut writer = writer(&device.path, None);
    writer.write_at(MIB - 10, &[1; 10]).unwrap();
    for error in [
        writer.write_at(MIB - 10, &[1; 11]).unwrap_err(),
        writer.zero_at(MIB, 1).unwrap_err(),
        writer.zero_at(5, u64::MAX).unwrap_err(),
    ] {
        assert!(
            matches!(error, TargetError::NoSpace { offset: MIB, .. }),
            "{error}"
        );
        assert!(!error.is_refusal());
    }
}

#[test]
fn a_mounted_device_is_refused_and_so_is_the_file_behind_it() {
    let test = "a_mounted_device_is_refused_and_so_is_the_file_behind_it";
    let Some(_alone) = can_loop(test, &["losetup", "mkfs.ext4", "mount"]) else {
        return;
    };
    let device = Loop::with_content(&vec![0; 8 * MIB as usize], &[]);
    run("mkfs.ext4", &["-q".as_ref(), device.path.as_ref()]);
    for options in [&["-o", "ro"][..], &[]] {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Mounted::new(options, &device.path, dir.path().to_owned());
        for spec in [&device.path, &device.file] {
            let error = open(spec, true).unwrap_err();
            assert!(matches!(error, TargetError::InUse { .. }) && error.is_refusal());
            assert!(
                error.to_string().contains(mounted.0.to_str().unwrap()),
                "{error}"
            );
        }
    }
    assert!(open(&device.path, true).unwrap().prepare(Some(1)).is_ok());
}

#[test]
fn a_disk_with_a_mounted_partition_is_refused_and_its_other_partition_is_not() {
    let test = "a_disk_with_a_mounted_partition_is_refused";
    let Some(_alone) = can_loop(
        test,
        &["losetup", "mkfs.ext4", "mount", "sfdisk", "addpart"],
    ) else {
        return;
    };
    let plain = tempfile::NamedTempFile::new().unwrap();
    plain.as_file().set_len(32 * MIB).unwrap();
    let script = "label: gpt\nsize=12MiB\nsize=12MiB\n";
    let table = tempfile::NamedTempFile::new().unwrap();
    table.as_file().write_all_at(script.as_bytes(), 0).unwrap();
    let command = format!(
        "sfdisk --quiet {} < {}",
        plain.path().display(),
        table.path().display()
    );
    run("sh", &["-c".as_ref(), command.as_ref()]);
    let device = Loop::with_content(&std::fs::read(plain.path()).unwrap(), &["--partscan"]);
    let part = |number| format!("{}p{number}", device.path.display());
    for (number, start) in [(1, "2048"), (2, "26624")] {
        // A kernel without GPT support has to be told where they are.
        if !std::path::Path::new(&part(number)).exists() {
            let number = number.to_string();
            let place = [number.as_ref(), start.as_ref(), "24576".as_ref()];
            run(
                "addpart",
                &[&[device.path.as_os_str()], &place[..]].concat(),
            );
        }
    }
    run("mkfs.ext4", &["-q".as_ref(), part(1).as_ref()]);
    let dir = tempfile::tempdir().unwrap();
    let mounted = Mounted::new(&[], part(1).as_ref(), dir.path().to_owned());
    let error = open(&device.path, true).unwrap_err().to_string();
    assert!(
        error.contains(&format!("{} is mounted", part(1))),
        "{error}"
    );
    assert!(matches!(
        open(part(1), true),
        Err(TargetError::InUse { .. })
    ));
    let target = open(part(2), false).unwrap();
    assert_eq!(target.capacity(), Some(12 * MIB));
    assert!(
        target
            .describe()
            .starts_with(&format!("partition {}", part(2)))
    );
    drop(mounted);
    drop(target);
    let found = open(&device.path, false).unwrap_err().to_string();
    assert!(
        found.contains("GPT partition table") && found.contains("--yes"),
        "{found}"
    );
}

#[test]
fn a_device_claimed_by_somebody_else_is_refused() {
    let Some(_alone) = can_loop("a_device_claimed_by_somebody_else_is_refused", &["losetup"])
    else {
        return;
    };
    let device = Loop::new(MIB as usize, &[]);
    let first = open(&device.path, true).unwrap();
    let error = open(&device.path, true).unwrap_err();
    assert!(matches!(error, TargetError::InUse { .. }), "{error}");
    drop(first);
    open(&device.path, true).unwrap();
}

#[test]
fn overwriting_a_file_system_needs_a_yes() {
    let Some(_alone) = can_loop(
        "overwriting_a_file_system_needs_a_yes",
        &["losetup", "mkfs.ext4"],
    ) else {
        return;
    };
    let device = Loop::with_content(&vec![0; 8 * MIB as usize], &[]);
    open(&device.path, false).unwrap();
    run("mkfs.ext4", &["-q".as_ref(), device.path.as_ref()]);
    let before = device.read();
    let error = open(&device.path, false).unwrap_err();
    assert!(matches!(error, TargetError::NeedsYes { .. }) && error.is_refusal());
    let text = error.to_string();
    for part in [
        device.path.to_str().unwrap(),
        "ext2/3/4",
        "8.3 MB",
        "--yes",
        "serial",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(device.read() == before);
    let target = open(&device.path, true).unwrap();
    assert!(target.describe().contains("holding ext2/3/4"));
}

#[test]
fn a_read_only_device_is_refused() {
    let Some(_alone) = can_loop("a_read_only_device_is_refused", &["losetup"]) else {
        return;
    };
    let device = Loop::new(MIB as usize, &["--read-only"]);
    let error = open(&device.path, true).unwrap_err();
    assert!(
        matches!(error, TargetError::ReadOnly { .. }) && error.is_refusal(),
        "{error}"
    );
}

#[test]
fn a_device_without_the_serial_number_asked_for_is_refused() {
    let Some(_alone) = can_loop(
        "a_device_without_the_serial_number_is_refused",
        &["losetup"],
    ) else {
        return;
    };
    let device = Loop::new(MIB as usize, &[]);
    let options = TargetOptions {
        yes: true,
        serial: Some("S5Y1".to_owned()),
    };
    let error = Target::open(device.path.as_ref(), &options).unwrap_err();
    assert!(matches!(error, TargetError::SerialMismatch { .. }) && error.is_refusal());
    assert!(error.to_string().contains("S5Y1"), "{error}");
}

#[test]
fn a_prepared_device_is_written_through_and_not_only_cached() {
    let Some(_alone) = can_loop("a_prepared_device_is_written_through", &["losetup"]) else {
        return;
    };
    let device = Loop::new(4 * MIB as usize, &[]);
    let image = noise(4 * MIB as usize, 6);
    let mut writer = writer(&device.path, Some(4 * MIB));
    for (index, block) in image.chunks(262_144).enumerate().rev() {
        writer.write_at(index as u64 * 262_144, block).unwrap();
    }
    writer.flush().unwrap();
    let mut read = vec![0; 4 * MIB as usize];
    File::open(&device.file)
        .unwrap()
        .read_exact_at(&mut read, 0)
        .unwrap();
    assert!(read == image);
}
