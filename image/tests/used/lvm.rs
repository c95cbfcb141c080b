//! LVM2.

use mimeo_image::used::Verdict;

use crate::fixture::{Image, MIB, damage, poison};
use crate::volumes::{Device, make};

/// Puts a filesystem over the pieces of a logical volume, in extents of 4 MiB behind 1 MiB.
fn put(image: &Image, pieces: &[(u64, u64)]) -> Image {
    let len: u64 = pieces.iter().map(|(_, count)| count * 4 * MIB).sum();
    let volume = Image::new(len);
    volume.tool("mkfs.ext4", &["-q", "-F", "-b", "1024"]);
    let mut at = 0;
    for (extent, count) in pieces {
        let bytes = volume.read(at, (count * 4 * MIB) as usize);
        image.write(MIB + extent * 4 * MIB, &bytes);
        at += count * 4 * MIB;
    }
    volume
}

/// The logical volume as it is now.
fn get(image: &Image, pieces: &[(u64, u64)]) -> Vec<u8> {
    let piece = |(extent, count): &(u64, u64)| {
        image.read(MIB + extent * 4 * MIB, (count * 4 * MIB) as usize)
    };
    pieces.iter().flat_map(piece).collect()
}

#[test]
fn linear_volumes_are_read_in_their_pieces() {
    let Some((_alone, image)) = make("LVM") else {
        return;
    };
    let pieces = [(16, 5), (8, 4)];
    put(&image, &[(0, 4)]);
    let volume = put(&image, &pieces);
    let used = poison(&image);
    let layout = image.layout();
    let inner = &layout.areas[0].volume.logical;
    let names: Vec<_> = inner.iter().map(|volume| volume.name.as_str()).collect();
    assert_eq!(names, ["room/one", "room/two", "room/raw"]);
    let mut sum = MIB + 4 * MIB + (128 - 1) % 4 * MIB;
    for volume in &inner[..2] {
        let Verdict::Trusted { used } = volume.volume.verdict else {
            panic!("{:?}", volume.volume.verdict);
        };
        sum += used;
    }
    assert_eq!(used, sum);
    assert!(matches!(inner[2].volume.verdict, Verdict::Whole(_)));
    // What the pieces hold is still a filesystem.
    volume.write(0, &get(&image, &pieces));
    volume.tool("e2fsck", &["-f", "-n"]);
    let device = Device::new(&image);
    device.lvm(&["pvck", &device.0]);
}

#[test]
fn what_is_not_linear_or_not_right_is_copied_whole() {
    let Some((_alone, image)) = make("traps of LVM") else {
        return;
    };
    assert!(image.layout().used() < 64 * MIB);
    // A label, then a metadata area, then its text.
    let header = image.read(4096, 512);
    let offset = u64::from_le_bytes(header[40..48].try_into().unwrap());
    for (at, reason) in [
        (512 + 40, "label"),
        (4096 + 41, "metadata area"),
        (4096 + offset + 20, "volume group"),
    ] {
        let was = image.read(at, 1);
        image.write(at, &[was[0] ^ 1]);
        let why = image.distrust();
        assert!(
            why.contains("checksum") && why.contains(reason),
            "{reason}: {why}"
        );
        image.write(at, &was);
    }
    let device = Device::new(&image);
    device.lvm(&[
        "lvcreate", "--type", "striped", "--name", "again", "--size", "4m", "--zero", "n", "room",
    ]);
    device.lvm(&[
        "lvcreate", "--type", "zero", "--name", "thin", "--size", "4m", "room",
    ]);
    drop(device);
    assert!(image.distrust().contains("not linear"));
}

#[test]
fn damage_has_a_clear_outcome() {
    let Some((_alone, image)) = make("damaged LVM") else {
        return;
    };
    damage(&image, &[(512, 128), (4096, 80)], 60);
}
