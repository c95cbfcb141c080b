//! The tree of chunks.

use super::chunk::Chunks;
use super::key::Key;
use super::superblock::Superblock;
use super::tree::Tree;
use crate::used::Distrust;
use crate::used::read::Reader;

/// The type of a chunk's item, and the object that all of them belong to.
const CHUNK_ITEM: u8 = 228;
const CHUNKS: u64 = 256;

/// Reads all chunks, and what reads trees with them.
pub(super) fn load(superblock: &Superblock, volume: Reader) -> Result<(Chunks, Tree), Distrust> {
    let system = Chunks::of_superblock(superblock)?;
    let tree = Tree::new(superblock, volume);
    let mut chunks = Chunks::default();
    let mut key = Key(CHUNKS, CHUNK_ITEM, 0);
    loop {
        let leaf = tree.leaf(&system, superblock.chunk_root, &key)?;
        for (key, item) in leaf.items() {
            if key.1 == CHUNK_ITEM && key.0 == CHUNKS {
                chunks.add(superblock, key, item)?;
            }
        }
        match leaf.next {
            Some(next) if next > key => key = next,
            Some(_) => {
                return Err(Distrust::Damaged {
                    what: "the tree of chunks is not in order",
                });
            }
            None => break,
        }
    }
    chunks.sort(superblock)?;
    Ok((chunks, tree))
}
