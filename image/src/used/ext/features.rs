//! Which features are known, and whether the filesystem was unmounted.

use crate::used::Distrust;
use crate::used::read::Fields;

/// Incompatible features that do not change what a bitmap means, and those that are followed:
/// `FILETYPE`, `META_BG`, `EXTENTS`, `64BIT`, `MMP`, `FLEX_BG`, `EA_INODE`, `CSUM_SEED`,
/// `LARGEDIR`, `INLINE_DATA`, `ENCRYPT`, `CASEFOLD`.
const INCOMPAT: u32 = 0x2
    | META_BG
    | 0x40
    | BITS_64
    | 0x100
    | 0x200
    | 0x400
    | CSUM_SEED
    | 0x4000
    | 0x8000
    | 0x1_0000
    | 0x2_0000;
const RECOVER: u32 = 0x4;
const JOURNAL_DEV: u32 = 0x8;
pub(super) const META_BG: u32 = 0x10;
pub(super) const BITS_64: u32 = 0x80;
pub(super) const CSUM_SEED: u32 = 0x2000;

/// Of the features that only forbid writing: `SPARSE_SUPER`, `LARGE_FILE`, `BTREE_DIR`,
/// `HUGE_FILE`, `GDT_CSUM`, `DIR_NLINK`, `EXTRA_ISIZE`, `QUOTA`, `BIGALLOC`, `METADATA_CSUM`,
/// `READONLY`, `PROJECT`, `VERITY`.
const RO_COMPAT: u32 = SPARSE_SUPER
    | 0x2
    | 0x4
    | 0x8
    | GDT_CSUM
    | 0x20
    | 0x40
    | 0x100
    | BIGALLOC
    | METADATA_CSUM
    | 0x1000
    | 0x2000
    | 0x8000;
pub(super) const SPARSE_SUPER: u32 = 0x1;
pub(super) const GDT_CSUM: u32 = 0x10;
pub(super) const BIGALLOC: u32 = 0x200;
pub(super) const METADATA_CSUM: u32 = 0x400;
const ORPHAN_PRESENT: u32 = 0x1_0000;

const HAS_JOURNAL: u32 = 0x4;
pub(super) const SPARSE_SUPER2: u32 = 0x200;

/// `s_state`: unmounted cleanly; errors seen; orphans being dealt with.
const CLEAN: u16 = 1;
const ERRORS: u16 = 2;
const ORPHANS: u16 = 4;

const REMEDY: &str = "shut the system down properly, or run e2fsck -f on it";

/// Compatible, incompatible and read-only compatible features.
pub(super) fn features(bytes: &[u8]) -> Result<[u32; 3], Distrust> {
    // Revision 0 has none.
    if bytes.le32(0x4c)? == 0 {
        return Ok([0; 3]);
    }
    Ok([bytes.le32(0x5c)?, bytes.le32(0x60)?, bytes.le32(0x64)?])
}

/// Whether all features that could change the map are known.
pub(super) fn check_features(bytes: &[u8]) -> Result<(), Distrust> {
    let [compat, incompat, ro_compat] = features(bytes)?;
    let revision = bytes.le32(0x4c)?;
    if revision > 1 {
        return Err(Distrust::Feature {
            what: "revision",
            value: revision.into(),
        });
    }
    if incompat & JOURNAL_DEV != 0 {
        return Err(Distrust::Arrangement(
            "the journal of another filesystem on it",
        ));
    }
    let unknown = |what, unknown: u32| match unknown {
        0 => Ok(()),
        flags => Err(Distrust::Feature {
            what,
            value: flags.into(),
        }),
    };
    unknown("incompatible feature", incompat & !(INCOMPAT | RECOVER))?;
    unknown(
        "read-only compatible feature",
        ro_compat & !(RO_COMPAT | ORPHAN_PRESENT),
    )?;
    if compat & HAS_JOURNAL != 0 && bytes.le32(0xe4)? != 0 {
        return Err(Distrust::Arrangement("its journal on another device"));
    }
    Ok(())
}

/// Whether the map on the disk is the last one.
pub(super) fn check_clean(bytes: &[u8]) -> Result<(), Distrust> {
    let [_, incompat, ro_compat] = features(bytes)?;
    let state = bytes.le16(0x3a)?;
    let what = if incompat & RECOVER != 0 {
        "its journal has to be replayed"
    } else if state & ERRORS != 0 {
        "errors were found in it"
    } else if state & CLEAN == 0 {
        "it was not unmounted"
    } else if state & ORPHANS != 0 || ro_compat & ORPHAN_PRESENT != 0 {
        "files that were deleted while open have to be cleared"
    } else {
        return Ok(());
    };
    Err(Distrust::Unclean {
        what,
        remedy: REMEDY,
    })
}
