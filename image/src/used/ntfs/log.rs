//! `$LogFile`: whether everything that was logged is also in its place.
//!
//! Windows marks a volume dirty only when it finds damage. A volume that was
//! pulled out, or that lies below a system that went to sleep, shows it here:
//! its bitmap may lag behind.

use super::record::mend;
use super::stream::Stream;
use super::{Ntfs, REMEDY};
use crate::used::Distrust;
use crate::used::read::Fields;

/// Bytes of a page where nothing says otherwise.
const PAGE: usize = 4096;

/// The largest page that is believed.
const MAX_PAGE: usize = 65_536;

/// "No client": nobody has the log open.
const NO_CLIENT: u16 = 0xffff;

/// The flag of a restart area that the volume was unmounted.
const IS_CLEAN: u16 = 2;

/// What one of the two restart pages says.
struct Restart {
    /// Log sequence number: the later one counts.
    lsn: u64,
    is_clean: bool,
}

/// Checks that the log has nothing to be done again.
pub(super) fn check(ntfs: &Ntfs, log: &Stream) -> Result<(), Distrust> {
    let what = "$LogFile";
    let head = ntfs.read_stream(log, 0, PAGE, what)?;
    let page = match head.le32(16)? as usize {
        page if page.is_power_of_two() && (512..=MAX_PAGE).contains(&page) => page,
        _ => PAGE,
    };
    let pages = [
        ntfs.read_stream(log, 0, page, what)?,
        ntfs.read_stream(log, page as u64, page, what)?,
    ];
    // Emptied by mkntfs or by ntfs-3g, and never used since.
    if pages
        .iter()
        .flat_map(|page| page.chunks(512))
        .all(|part| part == [0xff; 512])
    {
        return Ok(());
    }
    let [first, second] = pages.map(|page| restart(page).ok());
    let last = match (first, second) {
        (Some(first), Some(second)) if second.lsn > first.lsn => second,
        (Some(only), _) | (None, Some(only)) => only,
        (None, None) => {
            return Err(Distrust::Damaged {
                what: "$LogFile has no restart page",
            });
        }
    };
    if last.is_clean {
        return Ok(());
    }
    Err(Distrust::Unclean {
        what: "$LogFile has changes that are not in their place",
        remedy: REMEDY,
    })
}

/// Parses a restart page ("$LogFile", restart area).
fn restart(mut page: Vec<u8>) -> Result<Restart, Distrust> {
    mend(&mut page, b"RSTR")?;
    let major = page.le16(28)?;
    if !matches!(major, 1 | 2) {
        return Err(Distrust::Feature {
            what: "version of $LogFile",
            value: major.into(),
        });
    }
    let area = usize::from(page.le16(24)?);
    let (in_use, flags) = (page.le16(area + 12)?, page.le16(area + 14)?);
    Ok(Restart {
        lsn: page.le64(area)?,
        is_clean: in_use == NO_CLIENT || flags & IS_CLEAN != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(in_use: u16, flags: u16) -> Vec<u8> {
        let mut page = vec![0; 4096];
        page[..8].copy_from_slice(b"RSTR\x1e\0\x09\0");
        page[24..30].copy_from_slice(&[0x30, 0, 1, 0, 1, 0]);
        page[0x30..0x38].copy_from_slice(&77_u64.to_le_bytes());
        page[0x3c..0x3e].copy_from_slice(&in_use.to_le_bytes());
        page[0x3e..0x40].copy_from_slice(&flags.to_le_bytes());
        page
    }

    #[test]
    fn a_log_is_clean_if_nobody_has_it_open_or_it_says_so() {
        let is_clean = |in_use, flags| restart(page(in_use, flags)).unwrap().is_clean;
        assert!(is_clean(NO_CLIENT, 0));
        assert!(is_clean(0, IS_CLEAN));
        assert!(!is_clean(0, 0));
        assert!(!is_clean(0, 1));
        assert_eq!(restart(page(0, 0)).unwrap().lsn, 77);
    }

    #[test]
    fn a_page_that_was_written_in_part_does_not_count() {
        let mut torn = page(NO_CLIENT, 0);
        torn[1022] = 1;
        assert!(restart(torn).is_err());
        let mut newer = page(NO_CLIENT, 0);
        newer[28] = 3;
        assert!(restart(newer).is_err());
    }
}
