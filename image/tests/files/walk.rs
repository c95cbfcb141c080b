//! Everything that is found in a filesystem without mounting it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use mimeo_image::files::{Files, Kind, Node};
use mimeo_image::used::{Distrust, ReadAt};

use crate::fixture::Image;

/// Directories in each other, and names of all together, that a walk goes through: a damaged
/// filesystem may go in circles.
const MAX_DEPTH: usize = 8;
const MAX_NAMES: usize = 4000;

/// Says what each thing is, as [`crate::fixture::tree`] does.
pub fn walk(files: &Files, max: usize) -> Result<BTreeMap<PathBuf, String>, Distrust> {
    let mut all = BTreeMap::new();
    let root = files.find("/")?.unwrap();
    let mut open = vec![(PathBuf::new(), root)];
    while let Some((path, directory)) = open.pop() {
        for entry in files.list(&directory)? {
            // What NTFS keeps itself in.
            if path == Path::new("") && entry.name.starts_with('$') || all.len() > MAX_NAMES {
                continue;
            }
            let node = files.node(&entry)?;
            let path = path.join(&entry.name);
            all.insert(path.clone(), describe(files, &node, max)?);
            if node.kind == Kind::Directory && path.components().count() < MAX_DEPTH {
                open.push((path, node));
            }
        }
    }
    Ok(all)
}

pub fn describe(files: &Files, node: &Node, max: usize) -> Result<String, Distrust> {
    Ok(match node.kind {
        Kind::Directory => "directory".to_owned(),
        Kind::Link => {
            let target = files.read(node, 4096)?;
            format!("link to {}", String::from_utf8_lossy(&target))
        }
        Kind::File | Kind::Other => {
            let content = files.read(node, max)?;
            let mut digest = DefaultHasher::new();
            digest.write(&content);
            format!("{} bytes, {:x}", content.len(), digest.finish())
        }
    })
}

/// Whether the pieces of a file hold its content, and the rest of it is zeros.
pub fn check_pieces(image: &Image, files: &Files, node: &Node) {
    let content = files.read(node, usize::MAX).unwrap();
    let mut from_pieces = vec![0; content.len()];
    let pieces = node.pieces().unwrap();
    if pieces.is_empty() {
        return;
    }
    for piece in pieces {
        let end = (piece.from + piece.len).min(node.len);
        if piece.from < end && piece.is_written {
            let bytes = image.read(piece.place, (end - piece.from) as usize);
            from_pieces[piece.from as usize..end as usize].copy_from_slice(&bytes);
        }
    }
    assert!(content == from_pieces);
}

/// Bytes in memory as a disk.
#[derive(Debug)]
pub struct Memory(pub Vec<u8>);

impl ReadAt for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let bytes = self.0.get(start..start + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(std::io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
