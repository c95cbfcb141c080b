//! Finds the checksums of a disk: where one may stand, it is tried whether it is right there. What
//! depends on others comes after them.

use std::ops::Range;
use std::sync::Arc;

use super::Sectors;
use super::seal::{Polynomial, Seal, Sum, crc, one};

/// What LVM's checksums begin with.
const LVM_START: u32 = 0xf597_a6cf;

/// All that are right.
pub(super) fn find(plain: &Arc<Sectors>) -> Vec<Seal> {
    let disk = Reader(plain);
    let all = [gpt, ext, xfs, btrfs, ntfs, exfat, lvm];
    let mut seals: Vec<_> = all.into_iter().flat_map(|find| find(&disk)).collect();
    seals.retain(|seal| seal.is_right(plain));
    seals
}

struct Reader<'a>(&'a Sectors);

impl Reader<'_> {
    fn array<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.peek(at, &mut bytes);
        bytes
    }
    fn le16(&self, at: u64) -> u64 {
        u16::from_le_bytes(self.array(at)).into()
    }
    fn le32(&self, at: u64) -> u64 {
        u32::from_le_bytes(self.array(at)).into()
    }
    fn le64(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.array(at))
    }
    fn be32(&self, at: u64) -> u64 {
        u32::from_be_bytes(self.array(at)).into()
    }
    fn is(&self, at: u64, bytes: &[u8]) -> bool {
        self.0.bytes(at, bytes.len()) == bytes
    }
}

/// As zlib has it.
fn crc32(start: u32, cover: Range<u64>, at: u64, is_inverted: bool) -> Seal {
    Seal {
        sum: Sum::Crc {
            polynomial: Polynomial::Ieee,
            start,
            is_inverted,
        },
        ..Seal::crc32c(start, cover, at, is_inverted)
    }
}

/// Of both headers, with sectors of either size.
fn gpt(disk: &Reader<'_>) -> Vec<Seal> {
    let mut all = Vec::new();
    for sector in [512, 4096] {
        for at in [sector, (disk.0.len / sector).saturating_sub(1) * sector] {
            if !disk.is(at, b"EFI PART") {
                continue;
            }
            let entries = disk.le64(at + 72) * sector;
            let len = disk.le32(at + 80) * disk.le32(at + 84);
            if len < 1 << 20 {
                all.push(crc32(!0, entries..entries + len, at + 88, true));
            }
            all.push(crc32(
                !0,
                at..at + disk.le32(at + 12).min(sector),
                at + 16,
                true,
            ));
        }
    }
    all
}

/// Where descriptors, bitmaps and inodes of ext4 are.
struct Ext<'a, 'b> {
    disk: &'a Reader<'b>,
    block: u64,
    descriptor: u64,
    first: u64,
    group: u64,
    groups: u64,
    /// Of CRC-32C, or of CRC-16.
    seed: u32,
    has_crc32c: bool,
}

fn ext(disk: &Reader<'_>) -> Vec<Seal> {
    let at = |field: u64| 1024 + field;
    if !disk.is(at(0x38), b"\x53\xef") || disk.le32(at(0x20)) == 0 {
        return Vec::new();
    }
    let (incompat, ro_compat) = (disk.le32(at(0x60)), disk.le32(at(0x64)));
    let uuid: [u8; 16] = disk.array(at(0x68));
    let has_crc32c = ro_compat & 0x400 != 0;
    let (first, group) = (disk.le32(at(0x14)), disk.le32(at(0x20)));
    let ext = Ext {
        disk,
        block: 1024 << disk.le32(at(0x18)),
        descriptor: if incompat & 0x80 != 0 {
            disk.le16(at(0xfe))
        } else {
            32
        },
        first,
        group,
        groups: (disk.le32(at(4)) - first).div_ceil(group),
        seed: match (has_crc32c, incompat & 0x2000 != 0) {
            (true, true) => disk.le32(at(0x270)) as u32,
            (true, false) => crc(Polynomial::Castagnoli, !0, &uuid),
            _ => crc(Polynomial::Ansi, 0xffff, &uuid),
        },
        has_crc32c,
    };
    let mut all = Vec::new();
    for number in 0..ext.groups {
        for place in ext.descriptors(number) {
            ext.bitmap(number, place, &mut all);
            ext.inodes(number, place, &mut all);
            ext.of_descriptor(number, place, &mut all);
        }
    }
    let superblock = Seal::crc32c(!0, at(0)..at(0x3fc), at(0x3fc), false);
    all.push(superblock);
    all
}

impl Ext<'_, '_> {
    /// Where the descriptor of a group may be: in the table, or in a block of its own group's.
    fn descriptors(&self, number: u64) -> Vec<u64> {
        let in_table = self.block.max(2048) + number * self.descriptor;
        let per_block = self.block / self.descriptor;
        let owner = self.first + number / per_block * per_block * self.group;
        let inside = number % per_block * self.descriptor;
        let in_meta = [0, 1, 2].map(|block| (owner + block) * self.block + inside);
        let mut all = vec![in_table];
        all.extend(in_meta.into_iter().filter(|it| *it != in_table));
        all
    }

    fn wide(&self, place: u64, low: u64, high: u64) -> u64 {
        let high = match self.descriptor {
            64.. => self.disk.le32(place + high),
            _ => 0,
        };
        self.disk.le32(place + low) | high << 32
    }

    fn halves(&self, low: u64, high: u64) -> Vec<(u64, Range<usize>)> {
        let mut store = vec![(low, 0..2)];
        store.extend((self.descriptor >= 64).then_some((high, 2..4)));
        store
    }

    fn bitmap(&self, number: u64, place: u64, all: &mut Vec<Seal>) {
        let at = self.wide(place, 0, 0x20).saturating_mul(self.block);
        let clusters = self.disk.le32(1024 + 0x24);
        let ratio = self.group / clusters.max(1);
        let blocks = self.disk.le32(1024 + 4) - self.first - number * self.group;
        let bits = blocks.min(self.group).div_ceil(ratio.max(1));
        if at == 0 || at >= self.disk.0.len || bits > self.block * 8 {
            return;
        }
        let cover = at..at + clusters / 8;
        all.push(Seal {
            sum: Sum::Zeros(bits),
            cover: one(cover.clone()),
            blank: Vec::new(),
            store: self.halves(place + 0xc, place + 0x2c),
        });
        all.push(Seal {
            blank: Vec::new(),
            store: self.halves(place + 0x18, place + 0x38),
            ..Seal::crc32c(self.seed, cover, 0, false)
        });
    }

    fn inodes(&self, number: u64, place: u64, all: &mut Vec<Seal>) {
        let table = self.wide(place, 8, 0x28).saturating_mul(self.block);
        let (count, size) = (self.disk.le32(1024 + 0x28), self.disk.le16(1024 + 0x58));
        if !self.has_crc32c || table == 0 || table >= self.disk.0.len {
            return;
        }
        for index in 0..count {
            let at = table + index * size;
            if self
                .disk
                .0
                .bytes(at, size as usize)
                .iter()
                .all(|it| *it == 0)
            {
                continue;
            }
            let inode = (number * count + index + 1) as u32;
            let seed = crc(Polynomial::Castagnoli, self.seed, &inode.to_le_bytes());
            let seed = crc(
                Polynomial::Castagnoli,
                seed,
                &self.disk.array::<4>(at + 0x64),
            );
            let mut seal = Seal::crc32c(seed, at..at + size, 0, false);
            seal.blank = one(at + 0x7c..at + 0x7e);
            seal.store = vec![(at + 0x7c, 0..2)];
            if size > 128 && self.disk.le16(at + 0x80) >= 4 {
                seal.blank.push(at + 0x82..at + 0x84);
                seal.store.push((at + 0x82, 2..4));
            }
            all.push(seal);
        }
    }

    fn of_descriptor(&self, number: u64, place: u64, all: &mut Vec<Seal>) {
        let (polynomial, end) = match self.has_crc32c {
            true => (Polynomial::Castagnoli, place + self.descriptor),
            false => (Polynomial::Ansi, place + self.descriptor),
        };
        let start = crc(polynomial, self.seed, &(number as u32).to_le_bytes());
        let sum = place + 0x1e;
        let cover = match self.has_crc32c {
            true => one(place..end),
            // The old one leaves its own place out.
            false => vec![place..sum, sum + 2..end],
        };
        all.push(Seal {
            sum: Sum::Crc {
                polynomial,
                start,
                is_inverted: false,
            },
            cover,
            blank: one(sum..sum + 2),
            store: vec![(sum, 0..2)],
        });
    }
}

/// Superblock, headers and blocks of the trees of free space.
fn xfs(disk: &Reader<'_>) -> Vec<Seal> {
    if !disk.is(0, b"XFSB") {
        return Vec::new();
    }
    let (block, sector) = (disk.be32(4), disk.be32(100) & 0xffff);
    let mut all = vec![Seal::crc32c(!0, 0..sector, 224, true)];
    for at in disk.0.find(b"XAGF") {
        all.push(Seal::crc32c(!0, at..at + sector, at + 216, true));
    }
    for at in disk.0.find(b"AB3B") {
        all.push(Seal::crc32c(!0, at..at + block, at + 52, true));
    }
    all
}

/// Superblock and nodes.
fn btrfs(disk: &Reader<'_>) -> Vec<Seal> {
    const SUPERBLOCK: u64 = 64 << 10;
    if !disk.is(SUPERBLOCK + 0x40, b"_BHRfS_M") {
        return Vec::new();
    }
    let of = |at: u64, len: u64| Seal {
        blank: Vec::new(),
        ..Seal::crc32c(!0, at + 32..at + len, at, true)
    };
    let node = disk.le32(SUPERBLOCK + 0x94);
    let mut all = vec![of(SUPERBLOCK, 4096)];
    let id = disk.0.bytes(SUPERBLOCK + 0x20, 16);
    let numbers = disk.0.numbers().filter(|it| it * 512 % 4096 == 0);
    for at in numbers.map(|it| it * 512) {
        if disk.is(at + 0x20, &id) && at != SUPERBLOCK {
            all.push(of(at, node));
        }
    }
    all
}

/// The update sequence of every record.
fn ntfs(disk: &Reader<'_>) -> Vec<Seal> {
    if !disk.is(3, b"NTFS    ") {
        return Vec::new();
    }
    let mut all = Vec::new();
    for magic in [b"FILE", b"INDX", b"RSTR"] {
        for at in disk.0.find(magic) {
            let (sequence, count) = (at + disk.le16(at + 4), disk.le16(at + 6));
            all.push(Seal {
                sum: Sum::Fixups,
                cover: one(at..at + count.saturating_sub(1) * 512),
                blank: Vec::new(),
                store: vec![(sequence, 0..2)],
            });
        }
    }
    all
}

fn exfat(disk: &Reader<'_>) -> Vec<Seal> {
    if !disk.is(3, b"EXFAT   ") {
        return Vec::new();
    }
    let sector = 1 << disk.array::<1>(108)[0];
    let last = (11 * sector..12 * sector).step_by(4);
    vec![Seal {
        sum: Sum::Boot,
        cover: one(0..11 * sector),
        blank: Vec::new(),
        store: last.map(|at| (at, 0..4)).collect(),
    }]
}

/// Label, description and header of metadata areas.
fn lvm(disk: &Reader<'_>) -> Vec<Seal> {
    let mut all = Vec::new();
    for at in disk.0.find(b"LABELONE") {
        all.push(crc32(LVM_START, at + 20..at + 512, at + 16, false));
    }
    for number in disk.0.numbers().map(|it| it * 512) {
        if !disk.is(number + 4, b" LVM2 x[5A%r0N*>") {
            continue;
        }
        let (offset, len) = (disk.le64(number + 40), disk.le64(number + 48));
        if len < 1 << 20 && len > 0 {
            let text = number + offset..number + offset + len;
            all.push(crc32(LVM_START, text, number + 56, false));
        }
        all.push(crc32(LVM_START, number + 4..number + 512, number, false));
    }
    all
}
