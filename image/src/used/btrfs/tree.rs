//! Nodes of btrees, checked, and the way down to a leaf.

use super::chunk::Chunks;
use super::key::Key;
use super::superblock::Superblock;
use crate::used::Distrust;
use crate::used::checksum::crc32c_raw;
use crate::used::read::{Fields, Reader, read};

/// Bytes of a node's header, of an item's head in a leaf, of a pointer in a node.
const HEADER: usize = 0x65;
const ITEM: usize = 25;
const POINTER: usize = 33;

/// Levels of a tree (`BTRFS_MAX_LEVEL`).
const MAX_LEVELS: u8 = 8;

const TREE: &str = "a node of a tree";

/// Reads nodes.
#[derive(Debug)]
pub(super) struct Tree {
    volume: Reader,
    /// Bytes of a node.
    node: usize,
    id: [u8; 16],
}

/// A leaf, and what lies around it.
pub(super) struct Leaf {
    bytes: Vec<u8>,
    /// Keys, and where their data lies.
    items: Vec<(Key, usize, usize)>,
    /// The first key of the next leaf.
    pub(super) next: Option<Key>,
    pub(super) is_first: bool,
}

impl Leaf {
    pub(super) fn items(&self) -> impl Iterator<Item = (Key, &[u8])> {
        let data = |(key, at, len): &(Key, usize, usize)| (*key, &self.bytes[*at..*at + *len]);
        self.items.iter().map(data)
    }
}

impl Tree {
    pub(super) fn new(superblock: &Superblock, volume: Reader) -> Self {
        Self {
            volume,
            node: superblock.node as usize,
            id: superblock.node_id,
        }
    }

    /// The leaf that a key lies in, or would lie in.
    pub(super) fn leaf(
        &self,
        chunks: &Chunks,
        root: (u64, u8),
        key: &Key,
    ) -> Result<Leaf, Distrust> {
        let (mut address, mut level) = root;
        if level >= MAX_LEVELS {
            return Err(Distrust::Range {
                what: "the height of a tree",
                value: level.into(),
            });
        }
        let (mut next, mut is_first) = (None, true);
        // What the pointer to a node says it begins with. It does, so no node is that of several
        // pointers, and there are no more steps through a tree than it has nodes.
        let mut begins: Option<Key> = None;
        loop {
            let bytes = self.read(chunks, address, level)?;
            let count = bytes.le32(0x60)? as usize;
            if begins.is_some_and(|key| count == 0 || Key::parse(&bytes, HEADER).ok() != Some(key))
            {
                return Err(Distrust::Damaged {
                    what: "a node of a tree does not begin with what leads to it",
                });
            }
            if level == 0 {
                let items = items(&bytes, count)?;
                return Ok(Leaf {
                    bytes,
                    items,
                    next,
                    is_first,
                });
            }
            if count == 0 || count > (self.node - HEADER) / POINTER {
                return Err(Distrust::Range {
                    what: TREE,
                    value: count as u64,
                });
            }
            let mut child = 0;
            for index in 1..count {
                let first = Key::parse(&bytes, HEADER + index * POINTER)?;
                if first > *key {
                    next = Some(first);
                    break;
                }
                child = index;
            }
            is_first &= child == 0;
            begins = Some(Key::parse(&bytes, HEADER + child * POINTER)?);
            address = bytes.le64(HEADER + child * POINTER + Key::LEN)?;
            level -= 1;
        }
    }

    /// The data of an item whose key is this, or the next one of its object and type.
    pub(super) fn find(
        &self,
        chunks: &Chunks,
        root: (u64, u8),
        key: &Key,
    ) -> Result<Option<Vec<u8>>, Distrust> {
        let leaf = self.leaf(chunks, root, key)?;
        let found = leaf
            .items()
            .find(|(it, _)| it.0 == key.0 && it.1 == key.1 && it >= key);
        Ok(found.map(|(_, data)| data.to_vec()))
    }

    /// Reads a node; if it is damaged, the other copy that DUP keeps.
    fn read(&self, chunks: &Chunks, address: u64, level: u8) -> Result<Vec<u8>, Distrust> {
        let mut problem = Distrust::Range {
            what: TREE,
            value: address,
        };
        for at in chunks.copies(address) {
            let node = read(&*self.volume, at, self.node, TREE);
            match node.and_then(|bytes| self.check(&bytes, address, level).map(|()| bytes)) {
                Ok(bytes) => return Ok(bytes),
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    fn check(&self, bytes: &[u8], address: u64, level: u8) -> Result<(), Distrust> {
        if !crc32c_raw(!0, bytes.part(32, self.node - 32)?) != bytes.le32(0)? {
            return Err(Distrust::Checksum { what: TREE });
        }
        // An old node has the right checksum too, but not the right place.
        let is_it = bytes.le64(0x30)? == address && bytes.part(0x20, 16)? == self.id;
        if !is_it || bytes.byte(0x64)? != level {
            return Err(Distrust::Damaged {
                what: "a node of a tree belongs elsewhere",
            });
        }
        Ok(())
    }
}

/// The items of a leaf: in order, and each with its data inside of the leaf.
fn items(bytes: &[u8], count: usize) -> Result<Vec<(Key, usize, usize)>, Distrust> {
    let most = (bytes.len() - HEADER) / ITEM;
    let mut items: Vec<(Key, usize, usize)> = Vec::with_capacity(count.min(most));
    for index in 0..count {
        let at = HEADER + index * ITEM;
        let key = Key::parse(bytes, at)?;
        let (start, len) = (bytes.le32(at + 17)? as usize, bytes.le32(at + 21)? as usize);
        bytes.part(HEADER + start, len)?;
        if items.last().is_some_and(|(before, ..)| *before >= key) {
            return Err(Distrust::Damaged {
                what: "a leaf of a tree is not in order",
            });
        }
        items.push((key, HEADER + start, len));
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::memory::Memory;
    use super::*;

    const NODE: usize = 4096;

    /// A node at an address, with what follows its header.
    fn node(address: u64, level: u8, count: u32, rest: &[u8]) -> (u64, Vec<u8>) {
        let mut bytes = vec![0; NODE];
        bytes[0x30..0x38].copy_from_slice(&address.to_le_bytes());
        bytes[0x60..0x64].copy_from_slice(&count.to_le_bytes());
        bytes[0x64] = level;
        bytes[HEADER..HEADER + rest.len()].copy_from_slice(rest);
        let sum = !crc32c_raw(!0, &bytes[32..]);
        bytes[..4].copy_from_slice(&sum.to_le_bytes());
        (address, bytes)
    }

    fn key(object: u64) -> Vec<u8> {
        let mut bytes = object.to_le_bytes().to_vec();
        bytes.extend([0; 9]);
        bytes
    }

    /// A tree whose pointers all lead to one leaf could be walked through for hours.
    #[test]
    fn a_leaf_is_that_of_one_pointer() {
        let (root, leaf) = (1 << 16, 1 << 17);
        let pointer = |object| [key(object), u64::to_le_bytes(leaf).into(), vec![0; 8]].concat();
        let item = [key(10), vec![0; 8]].concat();
        let nodes = [
            node(root, 1, 2, &[pointer(10), pointer(20)].concat()),
            node(leaf, 0, 1, &item),
        ];
        let contents: Vec<_> = nodes.iter().map(|it| (it.0, it.1.as_slice())).collect();
        let tree = Tree {
            volume: Arc::new(Memory::new(1 << 20, &contents)),
            node: NODE,
            id: [0; 16],
        };
        let chunks = Chunks::identity(1 << 20);
        let find = |object| tree.leaf(&chunks, (root, 1), &Key(object, 0, 0));
        assert_eq!(find(10).unwrap().items().count(), 1);
        assert!(find(15).is_ok());
        let why = find(20).err().unwrap().to_string();
        assert!(why.contains("does not begin"), "{why}");
    }
}
