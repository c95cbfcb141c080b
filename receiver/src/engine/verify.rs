//! Reads a target back and proves that it holds the image.

use mimeo_image::target::{ReadMode, ReadPath, TargetError, TargetWriter};
use mimeo_protocol::receiver::{Difference, ReadBack as Proof, ReadBackPlan};
use mimeo_protocol::wire::ReadBack;

/// Read at once: what the reader reads fastest; four blocks.
const AT_ONCE: usize = 1 << 20;

/// Progress is told this often: several times a second by a hard disk.
const TOLD_EVERY: u64 = 16 << 20;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// The target holds the image, and this is how it was read.
    Right(ReadBack),
    /// It does not.
    Different(Difference),
}

/// Reads all of the image back, past the page cache where that is possible. `tell` hears how many
/// bytes are proved so far; when it says false nobody waits for the result, and there is none.
///
/// # Errors
///
/// When something cannot be read.
pub(super) fn prove(
    target: &TargetWriter,
    plan: ReadBackPlan,
    mut tell: impl FnMut(u64) -> bool,
) -> Result<Option<Finding>, TargetError> {
    let mut reader = target.reader(ReadMode::Direct)?;
    let mut proof = Proof::new(plan);
    let mut buffer = vec![0; AT_ONCE];
    let mut told = 0;
    while let Some(range) = proof.poll_read(buffer.len()) {
        let wanted = &mut buffer[..(range.end - range.start) as usize];
        let read = reader.read_at(range.start, wanted)?;
        let short = read < wanted.len();
        if let Err(difference) = proof.handle_read(&buffer[..read]) {
            return Ok(Some(Finding::Different(difference)));
        }
        if short {
            break;
        }
        if proof.done() - told >= TOLD_EVERY {
            told = proof.done();
            if !tell(told) {
                return Ok(None);
            }
        }
    }
    Ok(Some(match proof.finish() {
        Ok(()) => Finding::Right(way(reader.path())),
        Err(difference) => Finding::Different(difference),
    }))
}

fn way(path: ReadPath) -> ReadBack {
    match path {
        ReadPath::Direct => ReadBack::Direct,
        // It was not asked for, but would be no more than this.
        ReadPath::CacheDropped | ReadPath::Cached => ReadBack::CacheDropped,
        ReadPath::Memory => ReadBack::Memory,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::os::unix::fs::FileExt;
    use std::path::Path;

    use mimeo_image::{Target, TargetOptions};
    use mimeo_protocol::block::{BlockDigest, Coding, is_zero};
    use mimeo_protocol::manifest::{Entry, IdentityHasher, Run, StoredBlock};
    use mimeo_protocol::receiver::DigestTags;
    use mimeo_protocol::units::{BLOCK_SIZE, Place};

    use super::*;

    fn image(len: usize) -> Vec<u8> {
        let mut image: Vec<u8> = (0..len).map(|at| (at % 241) as u8).collect();
        image[BLOCK_SIZE..3 * BLOCK_SIZE].fill(0);
        image
    }

    fn plan(image: &[u8]) -> ReadBackPlan {
        let (mut hasher, mut tags) = (IdentityHasher::default(), DigestTags::default());
        for (place, raw) in (0..).map(Place).zip(image.chunks(BLOCK_SIZE)) {
            let entry = if raw.len() == BLOCK_SIZE && is_zero(raw) {
                Entry::Zero(Run { place, count: 1 })
            } else {
                Entry::Block(StoredBlock {
                    place,
                    stored_len: 1,
                    coding: Coding::Zstd,
                    digest: BlockDigest::of(place, raw, false),
                })
            };
            hasher.push(&entry).unwrap();
            tags.note(&entry);
        }
        ReadBackPlan {
            image_len: image.len() as u64,
            only: image.len() <= BLOCK_SIZE,
            identity: hasher.finish(image.len() as u64).unwrap(),
            unused: Vec::new(),
            unused_is_zero: false,
            tags,
        }
    }

    fn written(path: &Path, image: &[u8]) -> TargetWriter {
        let target = Target::open(path.as_os_str(), &TargetOptions::default()).unwrap();
        let mut writer = target.prepare(Some(image.len() as u64)).unwrap();
        writer.write_at(0, image).unwrap();
        writer.finish(image.len() as u64).unwrap();
        writer.flush().unwrap();
        writer
    }

    #[test]
    fn a_target_that_holds_the_image_is_right_and_progress_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let image = image((40 << 20) + 77);
        let writer = written(&dir.path().join("target"), &image);
        let mut told = Vec::new();
        let found = prove(&writer, plan(&image), |bytes| {
            told.push(bytes);
            true
        });
        assert!(
            matches!(found, Ok(Some(Finding::Right(how))) if how != ReadBack::No),
            "{found:?}"
        );
        assert_eq!(told, [16 << 20, 32 << 20]);
        let nobody_listens = prove(&writer, plan(&image), |_| false);
        assert!(matches!(nobody_listens, Ok(None)), "{nobody_listens:?}");
    }

    #[test]
    fn a_target_that_became_something_else_is_found_and_the_place_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("target");
        let image = image((3 << 20) + 77);
        let writer = written(&path, &image);
        let vandal = OpenOptions::new().write(true).open(&path).unwrap();
        let find = || prove(&writer, plan(&image), |_| true).unwrap().unwrap();
        let block = BLOCK_SIZE as u64;
        // In a run of zeros, and in the last, short block.
        for at in [2 * block + 5, 12 * block + 76] {
            vandal.write_all_at(&[0x55], at).unwrap();
            let start = at / block * block;
            let end = (start + block).min(image.len() as u64);
            assert_eq!(find(), Finding::Different(Difference::Bytes(start..end)));
            vandal.write_all_at(&image[at as usize..][..1], at).unwrap();
        }
        assert!(matches!(find(), Finding::Right(_)));
        vandal.set_len(2 << 20).unwrap();
        assert_eq!(find(), Finding::Different(Difference::Ends(2 << 20)));
    }

    #[test]
    fn a_target_that_keeps_nothing_is_an_error() {
        let target = Target::open("null:".as_ref(), &TargetOptions::default()).unwrap();
        let writer = target.prepare(Some(5)).unwrap();
        let image = vec![7; 2 * BLOCK_SIZE];
        let error = prove(&writer, plan(&image), |_| true).unwrap_err();
        assert!(error.to_string().contains("null:"), "{error}");
    }
}
