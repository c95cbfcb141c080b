//! Tables that are not those of every disk.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;

use mimeo_image::TargetError;
use mimeo_image::fit::{Division, Geometry, Note};
use mimeo_image::source::DiskSource;

use crate::common::{can_loop, run};
use crate::fixture::{Image, MIB, assert_sound, can, disk, ordinary, restore, seen, table};

#[test]
fn sectors_of_4096_bytes_fit_among_themselves_only() {
    let Some(_alone) = can("sectors of 4096 bytes") else {
        return;
    };
    let image = Image::with_large_sectors(32 * MIB, &["-n", "1:256:+8M", "-c", "1:large"]);
    let geometry = image.geometry();
    assert_eq!(geometry.sector, Some(4096));
    let both = Division::Gpt {
        primary: true,
        backup: true,
    };
    assert_eq!(geometry.division, both);
    assert_eq!(image.needs().least, 9 * MIB + 5 * 4096);
    for len in [
        32 * MIB + 4096,
        48 * MIB,
        32 * MIB - 4096,
        9 * MIB + 5 * 4096,
    ] {
        let device = disk(len, "4096");
        restore(&image, &device.path).unwrap();
        assert_sound(&device.path);
        assert_eq!(seen(&device.path), 1);
    }
    let small = disk(48 * MIB, "512");
    let error = restore(&image, &small.path).unwrap_err().to_string();
    assert!(
        error.contains("sectors of 4096 bytes, and this one has 512"),
        "{error}"
    );
    let large = disk(48 * MIB, "4096");
    let error = restore(&ordinary(32 * MIB), &large.path)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("sectors of 512 bytes, and this one has 4096"),
        "{error}"
    );
}

#[test]
fn a_hybrid_mbr_stays_as_it_is_and_more_entries_than_usual_move() {
    let Some(_alone) = can("a hybrid MBR") else {
        return;
    };
    let hybrid = Image::new(
        32 * MIB,
        &[
            "-S",
            "248",
            "-n",
            "1:2048:+4M",
            "-n",
            "200:0:+4M",
            "-h",
            "1",
        ],
    );
    let bytes = hybrid.bytes();
    let kinds: Vec<u8> = (0..4).map(|index| bytes[450 + 16 * index]).collect();
    assert!(
        kinds.contains(&0xee) && kinds.iter().filter(|kind| **kind != 0).count() > 1,
        "{kinds:?}"
    );
    for len in [40 * MIB, 24 * MIB] {
        let device = disk(len, "512");
        restore(&hybrid, &device.path).unwrap();
        let said = run("sgdisk", &["-v".as_ref(), device.path.as_os_str()]);
        assert!(said.contains("No problems found"), "{said}");
        assert_eq!(table(&device.path), table(&hybrid.path));
        let is = device.read();
        assert!(
            is[..512] == bytes[..512],
            "the entry does not reach the disk's end"
        );
    }
}

#[test]
fn where_one_table_is_damaged_the_other_one_moves() {
    let Some(_alone) = can("damaged tables") else {
        return;
    };
    let image = ordinary(32 * MIB);
    image.spoil(32 * MIB - 512 + 56);
    let device = disk(40 * MIB, "512");
    let notes = restore(&image, &device.path).unwrap();
    assert!(
        matches!(notes[..], [Note::Moved { .. }, Note::Made]),
        "{notes:?}"
    );
    assert_sound(&device.path);

    let image = ordinary(32 * MIB);
    image.spoil(512 + 56);
    let only_backup = Division::Gpt {
        primary: false,
        backup: true,
    };
    assert_eq!(image.geometry().division, only_backup);
    let device = disk(40 * MIB, "512");
    let notes = restore(&image, &device.path).unwrap();
    assert!(
        matches!(notes[..], [Note::Moved { .. }, Note::PrimaryDamaged]),
        "{notes:?}"
    );
    let dump = run("sgdisk", &["-p".as_ref(), device.path.as_os_str()]);
    assert!(dump.contains("daten"), "{dump}");
    // Without the end of the image there would be no table at all.
    let device = disk(31 * MIB, "512");
    let error = restore(&image, &device.path).unwrap_err();
    assert!(matches!(error, TargetError::TooSmall { .. }), "{error}");

    let image = ordinary(32 * MIB);
    image.spoil(512 + 56);
    image.spoil(32 * MIB - 512 + 56);
    let device = disk(40 * MIB, "512");
    let notes = restore(&image, &device.path).unwrap();
    assert_eq!(notes, [Note::BothDamaged]);
    assert!(device.read()[..32 * MIB as usize] == image.bytes());
}

#[test]
fn a_cut_off_image_gets_its_backup_and_one_that_lacks_a_partition_stays() {
    let Some(_alone) = can("a cut off image") else {
        return;
    };
    let image = ordinary(32 * MIB);
    let cut = |len| {
        File::options()
            .write(true)
            .open(&image.path)
            .unwrap()
            .set_len(len)
            .unwrap();
    };
    cut(13 * MIB + 700);
    let device = disk(32 * MIB, "512");
    let notes = restore(&image, &device.path).unwrap();
    assert!(
        matches!(notes[..], [Note::Moved { .. }, Note::Made]),
        "{notes:?}"
    );
    assert_sound(&device.path);
    cut(9 * MIB);
    let device = disk(12 * MIB, "512");
    let notes = restore(&image, &device.path).unwrap();
    assert_eq!(notes, [Note::Beyond { number: 3 }]);
    assert!(device.read()[..9 * MIB as usize] == image.bytes());
}

#[test]
fn disks_without_a_gpt_need_nothing_on_a_larger_disk() {
    let Some(_alone) = can("disks without a GPT") else {
        return;
    };
    let mbr = Image::new(32 * MIB, &[]);
    let script = "label: dos\nstart=2048, size=4MiB, type=7\nstart=20480, type=5, size=8MiB\nstart=22528, size=2MiB, type=83\n";
    let script_file = mbr.path.with_extension("sfdisk");
    std::fs::write(&script_file, script).unwrap();
    let status = Command::new("sfdisk")
        .args(["--quiet".as_ref(), mbr.path.as_os_str()])
        .stdin(File::open(&script_file).unwrap())
        .status()
        .unwrap();
    assert!(status.success());
    let geometry = mbr.geometry();
    assert_eq!(geometry.division, Division::Mbr);
    // The extended partition ends behind the last logical one.
    assert_eq!(mbr.needs().least, 18 * MIB);
    for len in [40 * MIB, 18 * MIB] {
        let device = disk(len, "512");
        assert_eq!(restore(&mbr, &device.path).unwrap(), []);
        let is = device.read();
        let both = (32 * MIB).min(len) as usize;
        assert!(is[..both] == mbr.bytes()[..both]);
        assert!(is[both..].iter().all(|byte| *byte != 0));
        assert_eq!(seen(&device.path), 3);
    }
    let device = disk(18 * MIB - 512, "512");
    assert!(restore(&mbr, &device.path).is_err());

    let plain = Image::new(32 * MIB, &[]);
    run("mkfs.ext4", &["-q".as_ref(), plain.path.as_os_str()]);
    assert_eq!(plain.geometry().division, Division::Unknown);
    for sector in ["512", "4096"] {
        let device = disk(40 * MIB, sector);
        assert_eq!(restore(&plain, &device.path).unwrap(), []);
    }
    let device = disk(32 * MIB - 512, "512");
    let error = restore(&plain, &device.path).unwrap_err();
    assert!(matches!(error, TargetError::TooSmall { .. }), "{error}");
}

#[test]
fn a_boot_sector_tells_the_size_of_sectors() {
    let Some(_alone) = can_loop("boot sectors", &["mkfs.fat", "sgdisk"]) else {
        return;
    };
    for sector in [512, 4096] {
        let image = Image::new(64 * MIB, &[]);
        let size = sector.to_string();
        run(
            "mkfs.fat",
            &["-S".as_ref(), size.as_ref(), image.path.as_os_str()],
        );
        assert_eq!(image.geometry().sector, Some(sector));
        // The same in the partition of an MBR, which counts in these sectors.
        let file = File::options()
            .read(true)
            .write(true)
            .open(&image.path)
            .unwrap();
        let mut fat = vec![0; 512];
        file.read_exact_at(&mut fat, 0).unwrap();
        let mut mbr = vec![0; 512];
        mbr[450] = 0x0c;
        mbr[454..458].copy_from_slice(&8_u32.to_le_bytes());
        mbr[458..462].copy_from_slice(&1000_u32.to_le_bytes());
        mbr[510..].copy_from_slice(&[0x55, 0xaa]);
        std::fs::write(&image.path, vec![0; 64 << 20]).unwrap();
        file.write_all_at(&mbr, 0).unwrap();
        file.write_all_at(&fat, 8 * u64::from(sector)).unwrap();
        let geometry = image.geometry();
        assert_eq!(geometry.sector, Some(sector));
        let is_mbr = geometry.division == Division::Mbr;
        assert_eq!(is_mbr, sector == 512);
    }
    // A device's own word counts more.
    let image = ordinary(32 * MIB);
    let geometry = Geometry::of(&DiskSource::open(&image.path).unwrap(), Some(4096));
    assert_eq!(
        (geometry.sector, geometry.division),
        (Some(4096), Division::Unknown)
    );
}
