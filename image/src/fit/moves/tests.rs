use std::io;

use proptest::prelude::*;

use super::*;

const SECTOR: u64 = 512;

/// A disk in memory.
#[derive(Debug, Clone)]
struct Disk(Vec<u8>);

impl ReadAt for Disk {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let from = offset as usize;
        buffer.copy_from_slice(&self.0[from..from + buffer.len()]);
        Ok(())
    }
}

/// What the headers of a table say, true or not.
#[derive(Debug, Clone)]
struct Said {
    other_lba: u64,
    usable: (u64, u64),
    entries_lba: u64,
    count: u32,
    /// First and last sector of partitions.
    partitions: Vec<(u64, u64)>,
}

/// Puts a header and its entries there, with right checksums, as far as there is room.
fn put(disk: &mut Disk, lba: u64, said: &Said) {
    let mut entries = vec![0; said.count as usize * 128];
    for (entry, (first, last)) in entries.chunks_exact_mut(128).zip(&said.partitions) {
        entry[0] = 1;
        entry[32..40].copy_from_slice(&first.to_le_bytes());
        entry[40..48].copy_from_slice(&last.to_le_bytes());
    }
    let mut header = vec![0; SECTOR as usize];
    header[..8].copy_from_slice(b"EFI PART");
    header[12..16].copy_from_slice(&92_u32.to_le_bytes());
    let fields = [
        (24, lba),
        (32, said.other_lba),
        (40, said.usable.0),
        (48, said.usable.1),
        (72, said.entries_lba),
    ];
    for (at, value) in fields {
        header[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    header[80..84].copy_from_slice(&said.count.to_le_bytes());
    header[84..88].copy_from_slice(&128_u32.to_le_bytes());
    header[88..92].copy_from_slice(&crc32(&entries).to_le_bytes());
    let checksum = crc32(&header[..92]);
    header[16..20].copy_from_slice(&checksum.to_le_bytes());
    for (at, bytes) in [(said.entries_lba, entries), (lba, header)] {
        let from = at.saturating_mul(SECTOR) as usize;
        if let Some(place) = disk.0.get_mut(from..from.saturating_add(bytes.len())) {
            place.copy_from_slice(&bytes);
        }
    }
}

/// A disk of so many sectors whose MBR says that there is a GPT.
fn blank(sectors: u64, len: u32) -> Disk {
    let mut disk = Disk(vec![0x5a; (sectors * SECTOR) as usize]);
    disk.0[446..510].fill(0);
    disk.0[450] = mbr::PROTECTIVE;
    disk.0[454..458].copy_from_slice(&1_u32.to_le_bytes());
    disk.0[458..462].copy_from_slice(&len.to_le_bytes());
    disk.0[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// Small numbers, near the ends of a disk of 400 sectors, and absurd ones.
fn lba() -> impl Strategy<Value = u64> {
    prop_oneof![
        0_u64..40,
        150_u64..400,
        Just(u64::MAX),
        Just(u64::MAX / SECTOR)
    ]
}

fn said() -> impl Strategy<Value = Said> {
    let usable = (lba(), lba());
    let partitions = prop::collection::vec((lba(), lba()), 0..3);
    (lba(), usable, lba(), 0_u32..40, partitions).prop_map(
        |(other_lba, usable, entries_lba, count, partitions)| Said {
            other_lba,
            usable,
            entries_lba,
            count,
            partitions,
        },
    )
}

fn apply(disk: &mut Disk, moves: &Moves) {
    for write in moves.steps.iter().flat_map(|step| &step.writes) {
        let place = write.place();
        disk.0[place.start as usize..place.end as usize].copy_from_slice(&write.bytes);
    }
}

fn sound_table(was: u64) -> Said {
    Said {
        other_lba: was - 1,
        usable: (34, was - 34),
        entries_lba: 2,
        count: 128,
        partitions: vec![(40, 99), (100, 149)],
    }
}

#[test]
fn the_largest_length_of_the_protective_entry_stays() {
    for (len, expected) in [(199, 299_u32), (u32::MAX, u32::MAX)] {
        let mut disk = blank(300, len);
        put(&mut disk, 1, &sound_table(200));
        let moves = Moves::of(&disk, 200 * SECTOR, 512).unwrap();
        apply(&mut disk, &moves);
        assert_eq!(disk.0[458..462], expected.to_le_bytes());
    }
}

#[test]
fn a_protective_entry_that_begins_behind_the_end_still_says_that_there_is_a_table() {
    for start in [299_u32, 300, 4_390_913] {
        let mut disk = blank(300, 199);
        disk.0[454..458].copy_from_slice(&start.to_le_bytes());
        put(&mut disk, 1, &sound_table(200));
        let moves = Moves::of(&disk, 200 * SECTOR, 512).unwrap();
        apply(&mut disk, &moves);
        let entries = mbr::entries(&disk.0[..512]);
        assert!(entries.iter().any(|entry| entry.kind == mbr::PROTECTIVE));
    }
}

#[test]
fn a_table_of_other_sectors_is_left_alone_and_told() {
    let mut disk = blank(400, 399);
    put(&mut disk, 1, &sound_table(200));
    let moves = Moves::of(&disk, 200 * SECTOR, 4096).unwrap();
    let (image, target) = (512, 4096);
    assert_eq!(moves, nothing(Note::Sector { image, target }));
}

proptest! {
    #[test]
    fn whatever_a_table_says_no_partition_is_written_to_and_nothing_behind_the_end(
        first in said(),
        second in said(),
        lie in any::<bool>(),
        was in 150_u64..400,
        total in 150_u64..400,
    ) {
        let mut disk = blank(total, 199);
        put(&mut disk, was - 1, &second);
        let first = if lie { first } else { Said { other_lba: was - 1, entries_lba: 2, ..first } };
        put(&mut disk, 1, &first);
        let moves = Moves::of(&disk, was * SECTOR, 512).unwrap();
        let table = sound(Gpt::read(&disk, SECTOR, 1)).unwrap();
        let table = table.or_else(|| sound(Gpt::read(&disk, SECTOR, was - 1)).unwrap());
        let partitions = table.map_or(Vec::new(), |table| table.partitions().unwrap_or_default());
        for write in moves.steps.iter().flat_map(|step| &step.writes) {
            let place = write.place();
            prop_assert!(place.end <= total * SECTOR);
            // The table at the start is where it is, whatever a partition says.
            if place.start >= 2 * SECTOR {
                let hit = |part: &&Partition| {
                    part.place.start < place.end && part.place.end > place.start
                };
                prop_assert!(!partitions.iter().any(|part| hit(&part)), "{:?}", place);
            }
        }
        let mut once = disk.clone();
        apply(&mut once, &moves);
        let mut twice = once.clone();
        apply(&mut twice, &Moves::of(&once, was * SECTOR, 512).unwrap());
        if !lie {
            prop_assert!(once.0 == twice.0);
        }
    }

    #[test]
    fn a_sound_table_is_sound_afterwards(was in 200_u64..400, total in 183_u64..600) {
        let mut disk = blank(was, was as u32 - 1);
        put(&mut disk, 1, &sound_table(was));
        let backup = Said { entries_lba: was - 33, other_lba: 1, ..sound_table(was) };
        put(&mut disk, was - 1, &backup);
        disk.0.resize((total * SECTOR) as usize, 0x77);
        let before = disk.clone();
        let moves = Moves::of(&disk, was * SECTOR, 512).unwrap();
        apply(&mut disk, &moves);
        let primary = Gpt::read(&disk, SECTOR, 1).unwrap().unwrap();
        let backup = Gpt::read(&disk, SECTOR, total - 1).unwrap().unwrap();
        prop_assert_eq!((primary.other_lba, backup.other_lba), (total - 1, 1));
        prop_assert_eq!(primary.usable, (34, total - 34));
        prop_assert_eq!(backup.usable, primary.usable);
        prop_assert!(primary.entries == backup.entries);
        prop_assert!(before.0[1024..150 * 512] == disk.0[1024..150 * 512]);
    }
}
