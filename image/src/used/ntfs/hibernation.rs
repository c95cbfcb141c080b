//! `hiberfil.sys`: whether a Windows sleeps on the volume, which fast start-up
//! makes of every shutdown.

use super::record::{NUMBER, mend};
use super::stream::Stream;
use super::{DATA, Ntfs, ROOT};
use crate::used::Distrust;
use crate::used::read::Fields;

/// Attributes of a directory, and the name of both.
const INDEX_ROOT: u32 = 0x90;
const INDEX_ALLOCATION: u32 = 0xa0;
const NAME: &[u8] = b"$\0I\x003\x000\0";

const HIBERFIL: &str = "HIBERFIL.SYS";

/// Bytes of the root directory that are looked through.
const MAX_DIRECTORY: u64 = 256 << 20;

/// The flag of an index entry that has no key.
const LAST: u16 = 2;

/// Looks for a header of hibernation that is still alive.
pub(super) fn check(ntfs: &Ntfs) -> Result<(), Distrust> {
    let root = ntfs.record(ROOT, &ntfs.mft)?;
    let damaged = Distrust::Damaged {
        what: "the root directory has no index",
    };
    // The head of the index never leaves the record.
    let index = root.find(INDEX_ROOT, NAME, None)?.ok_or(damaged)?.value()?;
    let block = index.le32(8)? as usize;
    let mut files = Vec::new();
    collect(index, 0x10, &mut files)?;
    let is_large = index.le32(0x10 + 12)? & 1 != 0;
    if is_large {
        if !block.is_power_of_two() || !(512..=65_536).contains(&block) {
            return Err(Distrust::Range {
                what: "the size of index records",
                value: block as u64,
            });
        }
        let blocks = ntfs.stream(&root, INDEX_ALLOCATION, NAME, Some(&ntfs.mft))?;
        search(ntfs, &blocks, block, &mut files)?;
    }
    for file in files {
        check_file(ntfs, file)?;
    }
    Ok(())
}

/// Goes through all index records, those not in use too: what is stale in them is found out by
/// the file's own record.
fn search(
    ntfs: &Ntfs,
    blocks: &Stream,
    block: usize,
    files: &mut Vec<u64>,
) -> Result<(), Distrust> {
    let what = "the root directory";
    if blocks.size > MAX_DIRECTORY {
        return Err(Distrust::Arrangement(
            "a root directory of more than 256 MiB",
        ));
    }
    for index in 0..blocks.size / block as u64 {
        let mut bytes = ntfs.read_stream(blocks, index * block as u64, block, what)?;
        // Records that were never used have no magic number.
        if bytes.part(0, 4)? == b"INDX" {
            mend(&mut bytes, b"INDX")?;
            collect(&bytes, 0x18, files)?;
        }
    }
    Ok(())
}

/// Collects the references of entries called `hiberfil.sys` in the index whose header is at `head`.
fn collect(bytes: &[u8], head: usize, files: &mut Vec<u64>) -> Result<(), Distrust> {
    let mut at = head + bytes.le32(head)? as usize;
    let end = head + bytes.le32(head + 4)? as usize;
    while at < end && bytes.le16(at + 12)? & LAST == 0 {
        let entry = bytes.part(at, usize::from(bytes.le16(at + 8)?).max(0x52))?;
        let name = entry.part(0x52, usize::from(entry.byte(0x50)?) * 2)?;
        let upper = |pair: &[u8]| u16::from_le_bytes([pair[0].to_ascii_uppercase(), pair[1]]);
        if name.chunks_exact(2).map(upper).eq(HIBERFIL.encode_utf16()) && files.len() < 16 {
            files.push(entry.le64(0)?);
        }
        at += entry.len();
    }
    Ok(())
}

/// The file's first bytes are `hibr` or `HIBR` while a system sleeps in it, and others or zeros
/// once it has been woken up.
fn check_file(ntfs: &Ntfs, reference: u64) -> Result<(), Distrust> {
    let Ok(record) = ntfs.record(reference & NUMBER, &ntfs.mft) else {
        // Deleted: an index record that is not in use names it still.
        return Ok(());
    };
    if u64::from(record.sequence()?) != reference >> 48 {
        return Ok(());
    }
    let data = record.find(DATA, &[], None)?;
    if data.is_some_and(|data| data.is_resident().unwrap_or(false)) {
        return Ok(());
    }
    let data = ntfs.stream(&record, DATA, &[], Some(&ntfs.mft))?;
    if data.size < 4 {
        return Ok(());
    }
    let magic = ntfs.read_stream(&data, 0, 4, "hiberfil.sys")?;
    if magic.eq_ignore_ascii_case(b"HIBR") {
        return Err(Distrust::Hibernated {
            what: "hiberfil.sys is in use",
            remedy: "start Windows and shut it down fully (shutdown /s /t 0), with fast start-up \
                     and hibernation off (powercfg /h off)",
        });
    }
    Ok(())
}
