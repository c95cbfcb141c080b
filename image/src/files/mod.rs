//! A look at the files of a filesystem, without mounting it: what is at a path, what a directory
//! or a small file holds, and where a file lies.
//!
//! Read are ext2/3/4, NTFS and FAT. Each of them is a `Tree`, which tells names and where
//! content lies; paths and reading are the same for all. Content that does not simply lie in its
//! place (compressed, encrypted, elsewhere) is never guessed at: reading it is an error. Everything
//! is bounded, whatever a damaged filesystem says: the steps of a path, the links in it, the bytes
//! of a directory and its names, the pieces of a file and the bytes of the maps that they are
//! found by.

mod ext;
mod fat;
mod node;
mod ntfs;

use std::fmt::Debug;
use std::sync::Arc;

use crate::used::read::{Reader, read};
use crate::used::{Distrust, ReadAt, Signature, signature};

pub(crate) use node::{Content, Pieces};
pub use node::{Kind, Node, Piece};

/// Bytes of a directory that are looked through.
const MAX_DIRECTORY: u64 = 64 << 20;

/// Names of a directory that are listed.
const MAX_NAMES: usize = 1 << 16;

/// Symbolic links that are followed on the way to a file, as Linux does at most.
const MAX_LINKS: usize = 40;

/// Names in a path, what links put into it included.
const MAX_STEPS: usize = 256;

/// Bytes of a symbolic link.
const MAX_LINK: usize = 4096;

/// A name in a directory, and what finds the file that it names.
#[derive(Clone, Debug)]
pub struct Entry {
    /// As the filesystem has it.
    pub name: String,
    /// An inode, a file reference, a first cluster.
    id: u64,
    /// What FAT keeps with the name: kind and length.
    about: Option<(Kind, u64)>,
}

/// What the filesystems differ in.
trait Tree: Debug + Send + Sync {
    /// The directory that paths begin at.
    fn root(&self) -> Result<Node, Distrust>;

    /// The file that a name stands for.
    fn node(&self, entry: &Entry) -> Result<Node, Distrust>;

    /// Tells the names in a directory, but for itself and the one above it, in any order, until
    /// `each` says `false`.
    fn names(&self, directory: &Node, each: &mut dyn FnMut(Entry) -> bool) -> Result<(), Distrust>;

    /// Whether two names are the same to it.
    fn is_same(&self, one: &str, other: &str) -> bool;

    /// Whether all that was changed is in its place.
    fn check_clean(&self) -> Result<(), Distrust>;

    /// Bytes of the unit that space is given to files in.
    fn unit(&self) -> u64;
}

/// The files of a filesystem.
#[derive(Debug)]
pub struct Files {
    volume: Reader,
    tree: Box<dyn Tree>,
}

impl Files {
    /// Opens what a volume holds: a partition, or a disk without partitions.
    ///
    /// # Errors
    /// When it shows not exactly one of the filesystems that are read, or that one is not
    /// understood. It need not be clean: what is found in one that is not may lag behind.
    pub fn open(volume: &Arc<dyn ReadAt>) -> Result<Self, Distrust> {
        let signatures = signature::find(&**volume)?;
        match signatures.as_slice() {
            [] => Err(Distrust::Unknown),
            [one] => Self::open_as(volume, *one),
            _ => Err(Distrust::Ambiguous(signatures)),
        }
    }

    /// Opens a filesystem whose kind is known.
    ///
    /// # Errors
    /// When it is not one of those that are read, or not understood.
    pub fn open_as(volume: &Arc<dyn ReadAt>, signature: Signature) -> Result<Self, Distrust> {
        let reader = Arc::clone(volume);
        let tree: Box<dyn Tree> = match signature {
            Signature::Ext => Box::new(ext::Tree::open(reader)?),
            Signature::Ntfs => Box::new(ntfs::Tree::open(reader)?),
            Signature::Fat => Box::new(fat::Tree::open(reader)?),
            other => return Err(Distrust::NoMap(other)),
        };
        let volume = Arc::clone(volume);
        Ok(Self { volume, tree })
    }

    /// What is at a path, with `/` between its names; `None` if there is nothing. Symbolic links
    /// of Linux are followed.
    ///
    /// # Errors
    /// When the filesystem is damaged on the way, or the path goes through something that is
    /// not followed.
    pub fn find(&self, path: &str) -> Result<Option<Node>, Distrust> {
        // What is still to be gone, the next name last.
        let mut names: Vec<String> = steps(path);
        let mut way = vec![self.tree.root()?];
        let (mut links, mut gone) = (0, 0);
        while let Some(name) = names.pop() {
            gone += 1;
            if gone > MAX_STEPS {
                return Err(Distrust::Arrangement("a path of very many names"));
            }
            if name == ".." {
                // Above the root there is the root.
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            let Some(here) = way.last() else { break };
            if here.kind != Kind::Directory {
                return Ok(None);
            }
            let Some(node) = self.child(here, &name)? else {
                return Ok(None);
            };
            if node.kind != Kind::Link {
                way.push(node);
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Ok(None);
            }
            let target = self.read(&node, MAX_LINK)?;
            let target = String::from_utf8_lossy(&target).into_owned();
            if target.starts_with('/') {
                way.truncate(1);
            }
            names.extend(steps(&target));
        }
        Ok(way.pop())
    }

    /// The names in a directory, in any order.
    ///
    /// # Errors
    /// When it is damaged, or has more than 65,536 names.
    pub fn list(&self, directory: &Node) -> Result<Vec<Entry>, Distrust> {
        let mut all = Vec::new();
        self.tree.names(directory, &mut |entry| {
            all.push(entry);
            all.len() <= MAX_NAMES
        })?;
        if all.len() > MAX_NAMES {
            return Err(Distrust::Arrangement("a directory of very many names"));
        }
        Ok(all)
    }

    /// The file that a name stands for; a link is not followed.
    ///
    /// # Errors
    /// When the filesystem is damaged.
    pub fn node(&self, entry: &Entry) -> Result<Node, Distrust> {
        self.tree.node(entry)
    }

    /// The one file of a name in a directory; a link is not followed.
    ///
    /// # Errors
    /// When the filesystem is damaged.
    pub fn child(&self, directory: &Node, name: &str) -> Result<Option<Node>, Distrust> {
        let mut found = None;
        self.tree.names(directory, &mut |entry| {
            if self.tree.is_same(&entry.name, name) {
                found = Some(entry);
            }
            found.is_none()
        })?;
        found.map(|entry| self.tree.node(&entry)).transpose()
    }

    /// The content of a file, but not more than its first `max` bytes.
    ///
    /// # Errors
    /// When the disk cannot be read, or the content is not simply there: compressed, encrypted.
    pub fn read(&self, node: &Node, max: usize) -> Result<Vec<u8>, Distrust> {
        let len = node.len.min(max as u64) as usize;
        node.read(&*self.volume, 0, len)
    }

    /// Bytes of the unit in which the filesystem gives space to files.
    #[must_use]
    pub fn unit(&self) -> u64 {
        self.tree.unit()
    }

    /// Whether it was unmounted as it should be.
    ///
    /// # Errors
    /// Why it is not clean, or what keeps that from being found out.
    pub fn check_clean(&self) -> Result<(), Distrust> {
        self.tree.check_clean()
    }
}

/// The names in a path, the last one first.
fn steps(path: &str) -> Vec<String> {
    let names = path.split('/').filter(|it| !matches!(*it, "" | "."));
    // One more than is gone at most is as good as all.
    let mut names: Vec<_> = names.take(MAX_STEPS + 1).map(str::to_owned).collect();
    names.reverse();
    names
}

/// Goes through the content of a directory in steps of `unit` bytes, until `each` says `false`.
fn blocks(
    volume: &dyn ReadAt,
    directory: &Node,
    unit: u64,
    each: &mut dyn FnMut(&[u8]) -> Result<bool, Distrust>,
) -> Result<(), Distrust> {
    let mut total = 0;
    for piece in directory.pieces()? {
        let mut at = 0;
        while at < piece.len {
            total += unit;
            if total > MAX_DIRECTORY {
                return Err(Distrust::Arrangement("a directory of more than 64 MiB"));
            }
            let len = unit.min(piece.len - at) as usize;
            if !each(&read(volume, piece.place + at, len, "a directory")?)? {
                return Ok(());
            }
            at += unit;
        }
    }
    Ok(())
}
