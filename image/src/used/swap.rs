//! Linux swap: only the header, the first page, is worth keeping.
//!
//! Source: Linux' include/linux/swap.h (`union swap_header`) and
//! kernel/power/swap.c: hibernation replaces the magic number.

use std::ops::Range;
use std::sync::Arc;

use super::Distrust;
use super::map::Allocation;
use super::read::{Fields, Reader, read};
use super::signature::{SUSPENDED, SWAP_PAGES};

const MAGIC: &[u8] = b"SWAPSPACE2";

/// A swap area that nobody sleeps in.
#[derive(Debug)]
struct Swap {
    page: u64,
    len: u64,
}

/// Reads the header.
pub(crate) fn open(volume: &Reader) -> Result<Arc<dyn Allocation>, Distrust> {
    let mut hibernated = false;
    for page in SWAP_PAGES {
        if page > volume.size() {
            break;
        }
        let header = read(&**volume, 0, page as usize, "the header")?;
        let magic = header.part(page as usize - MAGIC.len(), MAGIC.len())?;
        if magic == MAGIC {
            return Swap::parse(page, &header, volume).map(|swap| Arc::new(swap) as _);
        }
        hibernated |= SUSPENDED.iter().any(|it| magic.starts_with(it));
    }
    if hibernated {
        return Err(Distrust::Hibernated {
            what: "its swap has a suspend signature",
            remedy: "start it again and shut it down properly",
        });
    }
    Err(Distrust::Feature {
        what: "version",
        value: 0,
    })
}

impl Swap {
    fn parse(page: u64, header: &[u8], volume: &Reader) -> Result<Self, Distrust> {
        let version = header.le32(1024)?;
        if version != 1 {
            return Err(Distrust::Feature {
                what: "version",
                value: version.into(),
            });
        }
        let len = (u64::from(header.le32(1028)?) + 1) * page;
        if len > volume.size() {
            return Err(Distrust::Size {
                filesystem: len,
                volume: volume.size(),
            });
        }
        Ok(Self { page, len })
    }
}

impl Allocation for Swap {
    fn extent(&self) -> u64 {
        self.len
    }

    fn piece(&self, _from: u64, used: &mut Vec<Range<u64>>) -> Result<u64, Distrust> {
        used.push(0..self.page);
        Ok(self.len)
    }
}
