//! Disks that are larger or smaller, and what may happen on the way.

use std::fs::File;
use std::os::unix::fs::FileExt;

use mimeo_image::fit::{Last, Moves, Note};
use mimeo_image::source::DiskSource;

use crate::common::run;
use crate::fixture::{BACKUP, MIB, assert_sound, can, disk, ordinary, restore, seen, table};

#[test]
fn a_larger_disk_gets_the_backup_at_its_end() {
    let Some(_alone) = can("a larger disk") else {
        return;
    };
    let image = ordinary(32 * MIB);
    for more in [512, 16 * 512, BACKUP, MIB, 40 * MIB] {
        let device = disk(32 * MIB + more, "512");
        let notes = restore(&image, &device.path).unwrap();
        assert!(matches!(notes[..], [Note::Moved { .. }]), "{notes:?}");
        assert_sound(&device.path);
        assert_eq!(table(&device.path), table(&image.path));
        assert_eq!(seen(&device.path), 2);
        let (was, is) = (image.bytes(), device.read());
        // Boot code and entries are what they were, and so are all partitions.
        assert!(is[..458] == was[..458] && is[462..512] == was[462..512]);
        assert!(
            is[1024..32 * MIB as usize - BACKUP as usize]
                == was[1024..32 * MIB as usize - BACKUP as usize]
        );
        // Of the old backup, and of what the disk held before in its last MiB, nothing is left.
        let new = is.len() - BACKUP as usize;
        let old = (32 * MIB - BACKUP) as usize..(32 * MIB) as usize;
        assert!(
            is[old.start..old.end.min(new)]
                .iter()
                .all(|byte| *byte == 0)
        );
        let last = (is.len() - MIB as usize).max(old.end);
        assert!(last >= new || is[last..new].iter().all(|byte| *byte == 0));
        let kept = old.end..last;
        assert!(
            is[kept].iter().all(|byte| *byte != 0),
            "what is behind the image stays"
        );
    }
}

#[test]
fn a_smaller_disk_takes_what_fits_and_nothing_else() {
    let Some(_alone) = can("a smaller disk") else {
        return;
    };
    let image = ordinary(32 * MIB);
    let last = 13 * MIB;
    assert_eq!(
        image.geometry().last,
        Some(Last {
            number: 3,
            end: last
        })
    );
    assert_eq!(image.needs().least, last + BACKUP);
    for len in [
        32 * MIB - 512,
        32 * MIB - 16 * 512,
        20 * MIB + 512,
        last + BACKUP,
    ] {
        let device = disk(len, "512");
        let notes = restore(&image, &device.path).unwrap();
        assert!(matches!(notes[..], [Note::Moved { .. }]), "{notes:?}");
        assert_sound(&device.path);
        assert_eq!(table(&device.path), table(&image.path));
        assert_eq!(seen(&device.path), 2);
        let (was, is) = (image.bytes(), device.read());
        assert!(is[1024..(len - BACKUP) as usize] == was[1024..(len - BACKUP) as usize]);
    }
    for (len, words) in [
        (
            last + BACKUP - 512,
            "partition 3 leaves no room for the GPT's backup",
        ),
        (
            last - 1024,
            "partition 3 ends 1.0 kB beyond this disk: shrink it on the reference machine",
        ),
        (8 * MIB, "partition 3 ends 5.2 MB beyond this disk"),
    ] {
        let device = disk(len, "512");
        let before = device.read();
        let error = restore(&image, &device.path).unwrap_err();
        assert!(
            error.is_refusal() && error.to_string().contains(words),
            "{error}"
        );
        assert!(before == device.read());
    }
}

/// Whatever was flushed when the machine lost its power, there is a sound table.
#[test]
fn between_two_steps_the_disk_can_be_read() {
    let Some(_alone) = can("a crash between two steps") else {
        return;
    };
    let image = ordinary(32 * MIB);
    for len in [32 * MIB + 512, 32 * MIB + BACKUP, 40 * MIB, 24 * MIB] {
        let device = disk(len, "512");
        let bytes = image.bytes();
        let file = File::options()
            .read(true)
            .write(true)
            .open(&device.path)
            .unwrap();
        file.write_all_at(&bytes[..bytes.len().min(len as usize)], 0)
            .unwrap();
        let moves = Moves::of(&DiskSource::open(&device.path).unwrap(), 32 * MIB, 512).unwrap();
        assert_eq!(moves.steps.len(), if len < 32 * MIB { 2 } else { 3 });
        for (number, step) in moves.steps.iter().enumerate() {
            for write in &step.writes {
                file.write_all_at(&write.bytes, write.at).unwrap();
            }
            file.sync_all().unwrap();
            let listed = run("sgdisk", &["-p".as_ref(), device.path.as_os_str()]);
            assert!(listed.contains("daten"), "step {number}: {listed}");
            // On a shorter disk nobody but sgdisk takes the old primary, whose end lies beyond.
            if len > 32 * MIB || number > 0 {
                assert_eq!(seen(&device.path), 2, "step {number} of {len}");
            }
            // Begun anew from here it comes to the same.
            let again = Moves::of(&DiskSource::open(&device.path).unwrap(), 32 * MIB, 512).unwrap();
            let held = |at: u64, len: usize| {
                let mut bytes = vec![0; len];
                file.read_exact_at(&mut bytes, at).unwrap();
                bytes
            };
            for write in again
                .steps
                .iter()
                .take(number + 1)
                .flat_map(|step| &step.writes)
            {
                assert!(
                    held(write.at, write.bytes.len()) == write.bytes,
                    "step {number} of {len}"
                );
            }
        }
        assert_sound(&device.path);
    }
}
