//! btrfs: the tree of extents tells used logical addresses, the tree of chunks
//! where these lie on the device.
//!
//! Source: the kernel's include/uapi/linux/btrfs_tree.h and the on-disk format
//! pages of btrfs' documentation ("On-disk format", "Btrfs design").

mod chunk;
mod chunk_tree;
mod key;
mod superblock;
mod tree;

use std::ops::Range;
use std::sync::Arc;

use super::Distrust;
use super::map::Allocation;
use super::read::{Fields, Reader};
use chunk::{Chunks, Place};
use key::Key;
use superblock::{MIRRORS, SUPERBLOCK_LEN, Superblock};
use tree::Tree;

/// Objects with fixed numbers.
const EXTENT_TREE: u64 = 2;

/// Types of items.
const ROOT_ITEM: u8 = 132;
const EXTENT_ITEM: u8 = 168;
const METADATA_ITEM: u8 = 169;

/// Bytes at the start that no chunk lies in: boot loaders use them.
const BOOT_AREA: u64 = 1 << 20;

/// Leaves that are gone back through for the extent that an address lies in.
const MAX_BACK: usize = 64;

/// A filesystem whose trees are believed.
#[derive(Debug)]
struct Btrfs {
    superblock: Superblock,
    chunks: Chunks,
    tree: Tree,
    /// Logical address and level of the extent tree's root.
    extents: (u64, u8),
}

/// What a leaf of the extent tree tells.
struct Extents {
    /// Logical addresses, in order.
    used: Vec<Range<u64>>,
    /// Where the next leaf begins.
    end: u64,
}

/// Reads the superblock and the chunks, and walks through the extents once.
pub(crate) fn open(volume: Reader) -> Result<Arc<dyn Allocation>, Distrust> {
    let superblock = Superblock::read(&*volume)?;
    let (chunks, tree) = chunk_tree::load(&superblock, volume)?;
    let item = tree.find(&chunks, superblock.root, &Key(EXTENT_TREE, ROOT_ITEM, 0))?;
    let item = item.ok_or(Distrust::Damaged {
        what: "there is no tree of extents",
    })?;
    let btrfs = Btrfs {
        extents: (item.le64(176)?, item.byte(238)?),
        superblock,
        chunks,
        tree,
    };
    if btrfs.is_mapped() {
        btrfs.check_extents()?;
        btrfs.check_known()?;
    }
    Ok(Arc::new(btrfs))
}

impl Btrfs {
    /// Whether the extents tell what is used; with several devices or stripes, all of a chunk is.
    fn is_mapped(&self) -> bool {
        self.superblock.devices == 1
    }

    /// The leaf that speaks of a logical address.
    fn leaf(&self, address: u64) -> Result<Extents, Distrust> {
        let mut key = Key(address, u8::MAX, u64::MAX);
        let mut end = None;
        for _ in 0..MAX_BACK {
            let leaf = self.tree.leaf(&self.chunks, self.extents, &key)?;
            let stop = end.unwrap_or(leaf.next.map_or(u64::MAX, |next| next.0));
            let mut used = Vec::new();
            for (key, _) in leaf.items() {
                let len = match key.1 {
                    EXTENT_ITEM => key.2,
                    METADATA_ITEM => self.superblock.node,
                    _ => continue,
                };
                used.push(key.0..self.check(key.0, len)?);
            }
            let first = leaf.items().next().map_or(Key(0, 0, 0), |(key, _)| key);
            // References of an extent may fill leaves behind the one with the extent itself.
            let begins = used.first().is_some_and(|run| run.start <= address);
            if begins || leaf.is_first {
                let end = used.last().map_or(stop, |run| stop.max(run.end));
                return Ok(Extents { used, end });
            }
            // What this leaf has is told from where its first extent begins.
            end = Some(used.first().map_or(stop, |run| run.start));
            key = first.before();
        }
        Err(Distrust::Arrangement("extents with very many references"))
    }

    /// The end of an extent, which lies within one chunk.
    fn check(&self, start: u64, len: u64) -> Result<u64, Distrust> {
        let end = start.checked_add(len).filter(|end| *end > start);
        let chunk = self.chunks.of(start);
        end.filter(|end| chunk.is_some_and(|chunk| *end <= chunk.end))
            .ok_or(Distrust::Range {
                what: "an extent",
                value: start,
            })
    }

    /// All extents are in order and as many bytes as the superblock says.
    fn check_extents(&self) -> Result<(), Distrust> {
        let (mut at, mut told, mut total) = (0, 0, 0_u64);
        let end = self.chunks.end();
        while at < end {
            let leaf = self.leaf(at)?;
            for run in leaf.used {
                if run.end <= told {
                    continue;
                }
                if run.start < told {
                    return Err(Distrust::Damaged {
                        what: "two extents overlap",
                    });
                }
                total += run.end - run.start;
                told = run.end;
            }
            if leaf.end <= at {
                return Err(Distrust::Damaged {
                    what: "the tree of extents is not in order",
                });
            }
            at = leaf.end;
        }
        if total != self.superblock.used {
            return Err(Distrust::Count {
                what: "the number of used bytes",
                expected: self.superblock.used,
                found: total,
            });
        }
        Ok(())
    }

    /// What the filesystem itself lies in has to be used by its own map: the roots of its trees.
    fn check_known(&self) -> Result<(), Distrust> {
        let superblock = &self.superblock;
        for (address, _) in [superblock.root, superblock.chunk_root, self.extents] {
            let is_used = |run: &Range<u64>| run.contains(&address);
            if !self.leaf(address)?.used.iter().any(is_used) {
                return Err(Distrust::Damaged {
                    what: "the map calls nodes unused that the filesystem itself lies in",
                });
            }
        }
        Ok(())
    }

    /// Used ranges from a place within a stripe on, and how far they go, without the superblocks.
    fn stripe(
        &self,
        place: &Place,
        from: u64,
        used: &mut Vec<Range<u64>>,
    ) -> Result<u64, Distrust> {
        if !self.is_mapped() || place.is_striped {
            used.push(place.device.clone());
            return Ok(place.device.end);
        }
        let address = place.logical + (from - place.device.start);
        let leaf = self.leaf(address)?;
        let limit = place.logical + (place.device.end - place.device.start);
        let end = leaf.end.min(limit);
        let at = |address: u64| address - place.logical + place.device.start;
        for run in leaf.used {
            let run = run.start.clamp(address, end)..run.end.clamp(address, end);
            if !run.is_empty() {
                used.push(at(run.start)..at(run.end));
            }
        }
        Ok(at(end))
    }
}

impl Allocation for Btrfs {
    fn extent(&self) -> u64 {
        self.superblock.len
    }

    /// A leaf's part of a stripe, or what lies between two stripes.
    fn piece(&self, from: u64, used: &mut Vec<Range<u64>>) -> Result<u64, Distrust> {
        if from < BOOT_AREA {
            used.push(0..BOOT_AREA);
            return Ok(BOOT_AREA.min(self.superblock.len));
        }
        let mut plain = Vec::new();
        let end = match self.chunks.on_device(from) {
            Ok(place) => self.stripe(place, from, &mut plain)?,
            Err(gap_end) => gap_end.min(self.superblock.len),
        };
        // Copies of the superblock may lie within a chunk, whose extents then leave them out.
        let copies = MIRRORS.into_iter().map(|at| at..at + SUPERBLOCK_LEN);
        let copies = copies.filter(|copy| copy.start < end && copy.end > from);
        plain.extend(copies.map(|copy| copy.start.max(from)..copy.end.min(end)));
        plain.sort_by_key(|run| run.start);
        used.extend(plain);
        Ok(end)
    }
}
