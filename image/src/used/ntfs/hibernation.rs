//! `hiberfil.sys`: whether a Windows sleeps on the volume, which fast start-up
//! makes of every shutdown.

use super::{DATA, Ntfs, ROOT};
use crate::used::Distrust;

const HIBERFIL: &str = "hiberfil.sys";

/// Files of that name that are looked at: one, unless names are told apart by case.
const MAX_FILES: usize = 16;

/// Looks for a header of hibernation that is still alive.
pub(super) fn check(ntfs: &Ntfs) -> Result<(), Distrust> {
    let root = ntfs.record(ROOT, &ntfs.mft)?;
    let mut files = Vec::new();
    ntfs.names(&root, &mut |it| {
        if it.name.eq_ignore_ascii_case(HIBERFIL) {
            files.push(it.reference);
        }
        files.len() < MAX_FILES
    })?;
    for file in files {
        check_file(ntfs, file)?;
    }
    Ok(())
}

/// The file's first bytes are `hibr` or `HIBR` while a system sleeps in it, and others or zeros
/// once it has been woken up.
fn check_file(ntfs: &Ntfs, reference: u64) -> Result<(), Distrust> {
    let damaged = Distrust::Damaged {
        what: "the root directory names a file that is not there",
    };
    let record = ntfs.follow(reference)?.ok_or(damaged)?;
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
