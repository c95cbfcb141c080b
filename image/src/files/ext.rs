//! Files of ext2, ext3, ext4.
//!
//! Directories are read block by block: to whoever does not look for a hash, the inner nodes of
//! a hashed one are entries that are not in use. Source: the kernel's
//! Documentation/filesystems/ext4 (inodes.rst, ifork.rst, directory.rst, inlinedata.rst,
//! attributes.rst).

use super::{Content, Entry, Kind, Node, Piece, Pieces, blocks};
use crate::used::Distrust;
use crate::used::ext::{CLASSIC, Ext, Inode};
use crate::used::read::{Fields, Reader, read};

/// The inode of the root directory.
const ROOT: u64 = 2;

/// The part of an inode that says where the content is, or holds it.
const MAP: usize = 0x28;
const MAP_LEN: usize = 60;

/// Flags of an inode: in the old compressed form, encrypted, in extents, inside of the inode.
const COMPRESSED: u32 = 0x4;
const ENCRYPTED: u32 = 0x800;
const EXTENTS: u32 = 0x8_0000;
const INLINE: u32 = 0x1000_0000;

const EXTENT_MAGIC: u16 = 0xf30a;
/// Bytes of the head of a node of extents, and of each of its entries.
const EXTENT: usize = 12;
/// A tree that addresses all blocks is not higher.
const MAX_DEPTH: u16 = 5;
/// Longer ones stand for blocks that were never written.
const MAX_EXTENT: u64 = 32_768;

/// Bytes of extent trees and lists of blocks that are read for one file: a swap file of 8 GB in
/// blocks of 1 KiB takes half as much.
const MAX_MAP: u64 = 64 << 20;

/// The attribute that inline data goes on in: index and name.
const DATA_INDEX: u8 = 7;
const DATA_NAME: &[u8] = b"data";
const ATTRIBUTES_MAGIC: u32 = 0xea02_0000;

/// The files of one filesystem.
#[derive(Debug)]
pub(super) struct Tree(Ext);

impl Tree {
    pub(super) fn open(volume: Reader) -> Result<Self, Distrust> {
        Ext::read(volume).map(Self)
    }

    fn load(&self, number: u64) -> Result<Node, Distrust> {
        let inode = self.0.inode(number)?;
        let bytes = inode.bytes.as_slice();
        let kind = match bytes.le16(0)? & 0xf000 {
            0x8000 => Kind::File,
            0x4000 => Kind::Directory,
            0xa000 => Kind::Link,
            _ => Kind::Other,
        };
        if bytes.le16(0x1a)? == 0 {
            return Err(Distrust::Damaged {
                what: "a directory names a file that was deleted",
            });
        }
        // What means the upper half of a file's length once meant something else elsewhere.
        let high = if kind == Kind::File {
            bytes.le32(0x6c)?
        } else {
            0
        };
        let len = u64::from(bytes.le32(4)?) | u64::from(high) << 32;
        let content = self.content(&inode, kind, len)?;
        Ok(Node { kind, len, content })
    }

    fn content(&self, inode: &Inode, kind: Kind, len: u64) -> Result<Content, Distrust> {
        let flags = inode.bytes.le32(0x20)?;
        let map = inode.bytes.part(MAP, MAP_LEN)?;
        let has = |flag: u32| flags & flag != 0;
        if has(COMPRESSED) {
            return Ok(Content::Opaque("a file that is compressed"));
        }
        if has(ENCRYPTED) {
            return Ok(Content::Opaque("a file that is encrypted"));
        }
        if has(INLINE) {
            return inline(inode, map).map(Content::Inline);
        }
        let is_short = len < MAP_LEN as u64 && !has(EXTENTS);
        match kind {
            Kind::Link if is_short => Ok(Content::Inline(map[..len as usize].to_vec())),
            Kind::Other => Ok(Content::Inline(Vec::new())),
            _ => {
                let mut walk = Walk {
                    ext: &self.0,
                    inode,
                    pieces: Pieces::new(self.0.blocks() * self.0.block_size()),
                    budget: MAX_MAP,
                };
                if has(EXTENTS) {
                    walk.extents(map, None)?;
                } else {
                    walk.lists(map, len.div_ceil(self.0.block_size()))?;
                }
                Ok(walk.pieces.done())
            }
        }
    }

    /// Tells the entries in a block; `false` if that was enough.
    fn entries(&self, block: &[u8], each: &mut dyn FnMut(Entry) -> bool) -> Result<bool, Distrust> {
        let mut at = 0;
        while at < block.len() {
            let inode = block.le32(at)?;
            let len = match block.le16(at + 4)? {
                0 | 0xffff if block.len() == 1 << 16 => block.len(),
                // The lowest two bits, of no use to lengths, go on above.
                len => usize::from(len & !3) | usize::from(len & 3) << 16,
            };
            // The head of an entry has eight bytes: every turn goes on.
            let entry = block.part(at, len.max(8))?;
            at += entry.len();
            let name = entry.part(8, entry.byte(6)?.into())?;
            if inode == 0 || name == b"." || name == b".." {
                continue;
            }
            let entry = Entry {
                name: String::from_utf8_lossy(name).into_owned(),
                id: inode.into(),
                about: None,
            };
            if !each(entry) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl super::Tree for Tree {
    fn root(&self) -> Result<Node, Distrust> {
        self.load(ROOT)
    }

    fn node(&self, entry: &Entry) -> Result<Node, Distrust> {
        self.load(entry.id)
    }

    fn names(&self, directory: &Node, each: &mut dyn FnMut(Entry) -> bool) -> Result<(), Distrust> {
        if let Content::Inline(bytes) = &directory.content {
            // The inode of the directory above, instead of an entry for it; then entries fill both
            // places that hold inline data.
            let (head, rest) = bytes.split_at(bytes.len().min(MAP_LEN));
            if self.entries(head.get(4..).unwrap_or_default(), each)? {
                self.entries(rest, each)?;
            }
            return Ok(());
        }
        let unit = self.0.block_size();
        blocks(&*self.0.volume, directory, unit, &mut |block| {
            self.entries(block, each)
        })
    }

    fn is_same(&self, one: &str, other: &str) -> bool {
        one == other
    }

    fn check_clean(&self) -> Result<(), Distrust> {
        self.0.check_clean()
    }

    fn unit(&self) -> u64 {
        self.0.block_size()
    }
}

/// Content inside of an inode: in the place of the map, and what does not fit there in an
/// attribute.
fn inline(inode: &Inode, map: &[u8]) -> Result<Vec<u8>, Distrust> {
    let mut all = map.to_vec();
    let start = CLASSIC + inode.extra()?;
    let body = inode.bytes.get(start..).unwrap_or_default();
    if body.len() < 4 || body.le32(0)? != ATTRIBUTES_MAGIC {
        return Ok(all);
    }
    let entries = body.part(4, body.len() - 4)?;
    let mut at = 0;
    // Four zeros end the list.
    while at + 16 <= entries.len() && entries.le32(at)? != 0 {
        let name = entries.part(at + 16, entries.byte(at)?.into())?;
        if entries.byte(at + 1)? == DATA_INDEX && name == DATA_NAME {
            let (offset, len) = (entries.le16(at + 2)?, entries.le32(at + 8)?);
            if entries.le32(at + 4)? != 0 {
                return Err(Distrust::Damaged {
                    what: "the content of an inode is not in it",
                });
            }
            all.extend(entries.part(offset.into(), len as usize)?);
            break;
        }
        at += (16 + name.len()).next_multiple_of(4);
    }
    Ok(all)
}

/// Finds the pieces of one file.
struct Walk<'a> {
    ext: &'a Ext,
    inode: &'a Inode,
    pieces: Pieces,
    /// Bytes of maps that may still be read.
    budget: u64,
}

impl Walk<'_> {
    /// A block of a map.
    fn block(&mut self, number: u64) -> Result<Vec<u8>, Distrust> {
        let what = "the map of a file";
        let size = self.ext.block_size();
        self.budget = self
            .budget
            .checked_sub(size)
            .ok_or(Distrust::Arrangement("a file in very many pieces"))?;
        let at = number.checked_mul(size).ok_or(Distrust::Range {
            what,
            value: number,
        })?;
        read(&*self.ext.volume, at, size as usize, what)
    }

    /// Adds blocks of the file, where it counts them from `from` on.
    fn push(
        &mut self,
        from: u64,
        count: u64,
        start: u64,
        is_written: bool,
    ) -> Result<(), Distrust> {
        let size = self.ext.block_size();
        // A file's blocks are counted with 32 bits, or a few more in the old form.
        self.pieces.push(Piece {
            from: from * size,
            len: count * size,
            place: start.checked_mul(size).ok_or(Distrust::Range {
                what: "a block of a file",
                value: start,
            })?,
            is_written,
        })
    }

    /// A node of an extent tree; what is below one is one less high.
    fn extents(&mut self, node: &[u8], expected: Option<u16>) -> Result<(), Distrust> {
        let damaged = |what| Distrust::Damaged { what };
        let (count, max) = (usize::from(node.le16(2)?), usize::from(node.le16(4)?));
        let depth = node.le16(6)?;
        if node.le16(0)? != EXTENT_MAGIC
            || count > max
            || EXTENT * (max + 1) > node.len()
            || depth > MAX_DEPTH
            || expected.is_some_and(|it| it != depth)
        {
            return Err(damaged("the map of a file has a wrong head"));
        }
        // The root is in the inode, which has a checksum of its own.
        if expected.is_some() && !self.inode.matches_tree_block(node, EXTENT * (max + 1))? {
            return Err(Distrust::Checksum {
                what: "the map of a file",
            });
        }
        for entry in node.part(EXTENT, EXTENT * count)?.chunks_exact(EXTENT) {
            if depth == 0 {
                let start = u64::from(entry.le32(8)?) | u64::from(entry.le16(6)?) << 32;
                let len = u64::from(entry.le16(4)?);
                let (count, is_written) = match len.checked_sub(MAX_EXTENT) {
                    Some(count) if count > 0 => (count, false),
                    _ => (len, true),
                };
                self.push(entry.le32(0)?.into(), count, start, is_written)?;
            } else {
                let below = u64::from(entry.le32(4)?) | u64::from(entry.le16(8)?) << 32;
                let block = self.block(below)?;
                self.extents(&block, Some(depth - 1))?;
            }
        }
        Ok(())
    }

    /// Twelve blocks, and a list, a list of lists and one of those, for `count` blocks.
    fn lists(&mut self, map: &[u8], count: u64) -> Result<(), Distrust> {
        let per_block = self.ext.block_size() / 4;
        let mut from = 0;
        for index in 0..15 {
            let height = u32::try_from(index).unwrap_or(0).saturating_sub(11);
            if from >= count {
                break;
            }
            self.list(map.le32(index * 4)?, height, from, count)?;
            from += per_block.pow(height);
        }
        Ok(())
    }

    /// What is below a pointer: a block of the file, or a list of pointers less high.
    fn list(&mut self, block: u32, height: u32, from: u64, count: u64) -> Result<(), Distrust> {
        if block == 0 {
            return Ok(());
        }
        if height == 0 {
            return self.push(from, 1, block.into(), true);
        }
        let list = self.block(block.into())?;
        let span = (self.ext.block_size() / 4).pow(height - 1);
        for (index, pointer) in list.chunks_exact(4).enumerate() {
            let at = from + index as u64 * span;
            if at >= count {
                break;
            }
            self.list(pointer.le32(0)?, height - 1, at, count)?;
        }
        Ok(())
    }
}
