//! Directories: an index of names, in the file's record and in blocks of its own.
//!
//! Source: the Linux-NTFS project's "NTFS Documentation" (index root, index allocation, index
//! entries, `$FILE_NAME`).

use super::record::mend;
use super::{Content, Ntfs, Record};
use crate::used::Distrust;
use crate::used::read::Fields;

/// Attributes of a directory, and the name of all three.
const INDEX_ROOT: u32 = 0x90;
const INDEX_ALLOCATION: u32 = 0xa0;
const INDEX_BITMAP: u32 = 0xb0;
const NAME: &[u8] = b"$\0I\x003\x000\0";

/// Bytes of a directory that are looked through.
const MAX_DIRECTORY: u64 = 256 << 20;

/// The flag of an index entry that has no key.
const LAST: u16 = 2;

/// The namespace of the short second name that DOS gives a file.
const DOS: u8 = 2;

/// A name in a directory.
#[derive(Debug)]
pub(crate) struct Name {
    /// The file's record and how often that was used anew.
    pub(crate) reference: u64,
    /// As people know it.
    pub(crate) name: String,
}

impl Ntfs {
    /// Tells the names in a directory, in any order, until `each` says `false`.
    pub(crate) fn names(
        &self,
        directory: &Record,
        each: &mut dyn FnMut(Name) -> bool,
    ) -> Result<(), Distrust> {
        let damaged = |what| Distrust::Damaged { what };
        let Some(Content::Resident(root)) = self.attribute(directory, INDEX_ROOT, NAME)? else {
            return Err(damaged("a directory has no index"));
        };
        if !collect(&root, 0x10, each)? || root.le32(0x10 + 12)? & 1 == 0 {
            return Ok(());
        }
        let block = root.le32(8)? as usize;
        if !block.is_power_of_two() || !(512..=65_536).contains(&block) {
            return Err(Distrust::Range {
                what: "the size of index records",
                value: block as u64,
            });
        }
        let blocks = self.stream(directory, INDEX_ALLOCATION, NAME, Some(&self.mft))?;
        if blocks.size > MAX_DIRECTORY {
            return Err(Distrust::Arrangement("a directory of more than 256 MiB"));
        }
        let count = blocks.size / block as u64;
        let in_use = self.index_bitmap(directory, count)?;
        for index in 0..count {
            let byte = in_use.byte((index / 8) as usize)?;
            // What was freed holds names that are gone.
            if byte >> (index % 8) & 1 == 0 {
                continue;
            }
            let at = index * block as u64;
            let mut bytes = self.read_stream(&blocks, at, block, "a directory")?;
            mend(&mut bytes, b"INDX")?;
            if !collect(&bytes, 0x18, each)? {
                break;
            }
        }
        Ok(())
    }

    /// Which of so many blocks are in use, a bit for each.
    fn index_bitmap(&self, directory: &Record, count: u64) -> Result<Vec<u8>, Distrust> {
        let len = count.div_ceil(8);
        match self.attribute(directory, INDEX_BITMAP, NAME)? {
            Some(Content::Resident(bytes)) => Ok(bytes),
            Some(Content::Runs(stream)) => {
                let stream = stream.complete(self.cluster, self.clusters)?;
                self.read_stream(&stream, 0, len as usize, "a directory")
            }
            None => Err(Distrust::Damaged {
                what: "a directory does not say which of its blocks are in use",
            }),
        }
    }
}

/// Tells the entries of the index whose header is at `head`; `false` if that was enough.
fn collect(
    bytes: &[u8],
    head: usize,
    each: &mut dyn FnMut(Name) -> bool,
) -> Result<bool, Distrust> {
    let mut at = head + bytes.le32(head)? as usize;
    let end = head + bytes.le32(head + 4)? as usize;
    while at < end && bytes.le16(at + 12)? & LAST == 0 {
        // An entry with a name has at least so many bytes: every turn goes on.
        let entry = bytes.part(at, usize::from(bytes.le16(at + 8)?).max(0x52))?;
        at += entry.len();
        if entry.byte(0x51)? == DOS {
            continue;
        }
        let name = entry.part(0x52, usize::from(entry.byte(0x50)?) * 2)?;
        let units = name.chunks_exact(2);
        let units: Vec<_> = units.map(|it| u16::from_le_bytes([it[0], it[1]])).collect();
        let name = Name {
            reference: entry.le64(0)?,
            name: String::from_utf16_lossy(&units),
        };
        if !each(name) {
            return Ok(false);
        }
    }
    Ok(true)
}
