use super::*;
use crate::units::BLOCK_SIZE;

const BLOCK: u64 = BLOCK_SIZE as u64;

/// The places that are unused in an image; the rest is its bytes.
fn plan(image: &[u8], unused: &[Run], tagged: bool) -> ReadBackPlan {
    let (mut hasher, mut tags) = (IdentityHasher::default(), DigestTags::default());
    let only = image.len() <= BLOCK_SIZE;
    let mut place = Place(0);
    while place.offset() < image.len() as u64 {
        let raw = &image[place.offset() as usize..];
        let raw = &raw[..raw.len().min(BLOCK_SIZE)];
        let run = unused.iter().find(|run| run.place == place);
        let entry = match run {
            Some(run) => Entry::Unused(*run),
            None if raw.len() == BLOCK_SIZE && is_zero(raw) => Entry::Zero(Run { place, count: 1 }),
            None => Entry::Block(StoredBlock {
                place,
                stored_len: 1,
                coding: Coding::Zstd,
                digest: BlockDigest::of(place, raw, only),
            }),
        };
        hasher.push(&entry).unwrap();
        if tagged {
            tags.note(&entry);
        }
        place = entry.end().unwrap();
    }
    ReadBackPlan {
        image_len: image.len() as u64,
        only,
        identity: hasher.finish(image.len() as u64).unwrap(),
        unused: unused.to_vec(),
        unused_is_zero: false,
        tags,
    }
}

fn run(place: u32, count: u32) -> Run {
    Run {
        place: Place(place),
        count,
    }
}

fn prove(plan: ReadBackPlan, target: &[u8], most: usize) -> Result<Vec<(u64, u64)>, Difference> {
    let mut proof = ReadBack::new(plan);
    let mut read = Vec::new();
    while let Some(range) = proof.poll_read(most) {
        let end = target.len().min(range.end as usize);
        proof.handle_read(&target[(range.start as usize).min(end)..end])?;
        if (end as u64) < range.end {
            break;
        }
        read.push((range.start, range.end));
    }
    proof.finish().map(|()| read)
}

/// Five blocks and a bit; the second and third are zeros.
fn image() -> Vec<u8> {
    let mut image: Vec<u8> = (0..5 * BLOCK_SIZE + 77)
        .map(|at| (at % 249) as u8)
        .collect();
    image[BLOCK_SIZE..3 * BLOCK_SIZE].fill(0);
    image
}

#[test]
fn the_image_is_proved_whatever_its_length_and_the_pieces() {
    let image = image();
    for len in [
        1,
        77,
        BLOCK_SIZE - 1,
        BLOCK_SIZE,
        BLOCK_SIZE + 1,
        image.len(),
    ] {
        for (first, most) in [
            (0, BLOCK_SIZE),
            (0, 4 * BLOCK_SIZE),
            (BLOCK_SIZE, 2 * BLOCK_SIZE),
        ] {
            // From the second block on it begins with zeros.
            let end = (first + len).min(image.len());
            let image = &image[first..end];
            let read = prove(plan(image, &[], true), image, most).unwrap();
            let bytes: u64 = read.iter().map(|(start, end)| end - start).sum();
            assert_eq!(bytes, image.len() as u64);
        }
    }
}

#[test]
fn unused_runs_that_were_made_zeros_are_read_and_have_to_be() {
    let mut image = image();
    let unused = [run(1, 1), run(3, 2)];
    for run in unused {
        let from = run.place.offset() as usize;
        image[from..from + run.count as usize * BLOCK_SIZE].fill(0);
    }
    for most in [BLOCK_SIZE, 4 * BLOCK_SIZE] {
        for tagged in [false, true] {
            let plan = || ReadBackPlan {
                unused_is_zero: true,
                ..plan(&image, &unused, tagged)
            };
            let read = prove(plan(), &image, most).unwrap();
            let bytes: u64 = read.iter().map(|(start, end)| end - start).sum();
            assert_eq!(bytes, image.len() as u64);
            for place in [1, 3, 4] {
                let mut other = image.clone();
                other[place * BLOCK_SIZE + 9] = 1;
                let (start, end) = (place as u64 * BLOCK, (place as u64 + 1) * BLOCK);
                let found = prove(plan(), &other, most);
                assert_eq!(found, Err(Difference::Bytes(start..end)));
            }
        }
    }
}

#[test]
fn a_short_last_block_of_zeros_is_a_body() {
    let image = vec![0; BLOCK_SIZE + 5];
    assert!(prove(plan(&image, &[], true), &image, BLOCK_SIZE).is_ok());
    let one = vec![0; 5];
    assert!(prove(plan(&one, &[], true), &one, BLOCK_SIZE).is_ok());
}

#[test]
fn every_flipped_byte_is_found_and_named() {
    let image = image();
    for at in [0, BLOCK_SIZE + 9, 3 * BLOCK_SIZE, image.len() - 1] {
        let mut target = image.clone();
        target[at] ^= 0x20;
        let start = at as u64 / BLOCK * BLOCK;
        let range = start..(start + BLOCK).min(image.len() as u64);
        assert_eq!(
            prove(plan(&image, &[], true), &target, 2 * BLOCK_SIZE),
            Err(Difference::Bytes(range)),
            "byte {at}"
        );
        assert_eq!(
            prove(plan(&image, &[], false), &target, 2 * BLOCK_SIZE),
            Err(Difference::Somewhere),
            "byte {at} without tags"
        );
    }
}

#[test]
fn a_block_that_became_zeros_is_found() {
    let image = image();
    let mut target = image.clone();
    target[3 * BLOCK_SIZE..4 * BLOCK_SIZE].fill(0);
    assert_eq!(
        prove(plan(&image, &[], true), &target, BLOCK_SIZE),
        Err(Difference::Bytes(3 * BLOCK..4 * BLOCK))
    );
    assert_eq!(
        prove(plan(&image, &[], false), &target, BLOCK_SIZE),
        Err(Difference::Somewhere)
    );
}

#[test]
fn unused_runs_are_not_read_and_may_hold_anything() {
    let image = image();
    for (unused, read) in [
        (vec![run(0, 2)], vec![(2 * BLOCK, image.len() as u64)]),
        (
            vec![run(1, 1), run(2, 1), run(4, 1)],
            vec![
                (0, BLOCK),
                (3 * BLOCK, 4 * BLOCK),
                (5 * BLOCK, image.len() as u64),
            ],
        ),
        (vec![run(3, 3)], vec![(0, 3 * BLOCK)]),
        (vec![run(0, 6)], vec![]),
    ] {
        let mut target = image.clone();
        for run in &unused {
            let end =
                (run.place.offset() as usize + run.count as usize * BLOCK_SIZE).min(image.len());
            target[run.place.offset() as usize..end].fill(0xee);
        }
        let plan = plan(&image, &unused, true);
        assert_eq!(prove(plan.clone(), &target, 8 * BLOCK_SIZE), Ok(read));
        let mut forgotten = plan;
        forgotten.unused.pop();
        assert!(prove(forgotten, &target, 8 * BLOCK_SIZE).is_err());
    }
}

#[test]
fn a_target_that_ends_early_is_found() {
    let image = image();
    for len in [0, 1, 2 * BLOCK_SIZE, image.len() - 1] {
        let found = prove(plan(&image, &[], true), &image[..len], 2 * BLOCK_SIZE);
        assert_eq!(found, Err(Difference::Ends(len as u64)));
    }
}

#[test]
fn progress_counts_bytes_of_the_image() {
    let image = image();
    let unused = [Run {
        place: Place(0),
        count: 1,
    }];
    let mut proof = ReadBack::new(plan(&image, &unused, true));
    let mut seen = vec![proof.done()];
    while let Some(range) = proof.poll_read(2 * BLOCK_SIZE) {
        proof
            .handle_read(&image[range.start as usize..range.end as usize])
            .unwrap();
        seen.push(proof.done());
    }
    assert_eq!(seen, [0, 3 * BLOCK, 5 * BLOCK, image.len() as u64]);
}
