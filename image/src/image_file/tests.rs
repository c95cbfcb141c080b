//! Whole image files: what is written comes back, and what was changed is found.

use std::fs;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use super::footer::{FOOTER_LEN, Footer, SIGNATURE_LEN};
use super::part::PART_HEADER;
use super::*;

/// A part of a disk.
#[derive(Clone, Debug)]
enum Piece {
    Block(Vec<u8>),
    Run(RunKind, u32),
}

/// A folder with an image file in it.
struct Made {
    dir: tempfile::TempDir,
    raw: Vec<u8>,
}

impl Made {
    fn path(&self) -> PathBuf {
        self.dir.path().join("disk.zst")
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    fn open(&self) -> Result<ImageFile, FileError> {
        ImageFile::open(&self.path(), &Credentials::default())
    }
}

fn description() -> Description {
    Description {
        tool: "mimeo".to_owned(),
        created: "2026-11-30T12:00:00Z".to_owned(),
        level: "fast".to_owned(),
        ..Description::default()
    }
}

fn raw_of(pieces: &[Piece]) -> Vec<u8> {
    let mut raw = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Block(bytes) => raw.extend(bytes),
            Piece::Run(_, count) => raw.resize(raw.len() + *count as usize * BLOCK_SIZE, 0),
        }
    }
    raw
}

fn make(pieces: &[Piece], encryption: Encryption, key: Option<&SigningKey>) -> Made {
    let made = Made {
        dir: tempfile::tempdir().unwrap(),
        raw: raw_of(pieces),
    };
    let len = made.raw.len() as u64;
    let mut writer = ImageWriter::create(&made.path(), false, encryption, len).unwrap();
    let mut encoder = Encoder::new(Level::FAST);
    let (mut place, mut hasher) = (0, DiskHasher::default());
    for piece in pieces {
        match piece {
            Piece::Block(raw) => {
                let (digest, block) = NewBlock::encode(&mut encoder, Place(place), raw, len);
                hasher.push(digest);
                match block {
                    Some(block) => writer.push_block(&block).unwrap(),
                    None => writer.push_run(RunKind::Zero, 1).unwrap(),
                }
                place += 1;
            }
            Piece::Run(kind, count) => {
                writer.push_run(*kind, *count).unwrap();
                for _ in 0..*count {
                    hasher.push(BlockDigest::of_zeros(Place(place), len));
                    place += 1;
                }
            }
        }
    }
    let description = Description {
        blake3: Some(hasher.finish().to_string()),
        ..description()
    };
    writer.finish(&description, key).unwrap();
    made
}

fn text(len: usize, seed: u8) -> Vec<u8> {
    let line = format!("line {seed} of a file that compresses well\n");
    line.bytes().cycle().take(len).collect()
}

fn noise(len: usize, seed: u8) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new_keyed(&[seed; 32])
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// Every kind of frame, in few bytes.
fn small() -> Vec<Piece> {
    vec![
        Piece::Block(text(BLOCK_SIZE, 1)),
        Piece::Run(RunKind::Unused, 2),
        Piece::Run(RunKind::Zero, 1),
        Piece::Block(noise(100, 2)),
    ]
}

fn verify(file: &ImageFile) -> Verified {
    Verifier::new(file, true).run(|_| true).unwrap()
}

/// What is wrong with a file: nothing, or the first thing.
fn first_damage(path: &Path, credentials: &Credentials) -> Option<FileError> {
    match ImageFile::open(path, credentials) {
        Err(error) => Some(error),
        Ok(file) => verify(&file).damaged.into_iter().next(),
    }
}

#[test]
fn a_tiny_image_is_what_the_format_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny");
    let mut writer = ImageWriter::create(&path, false, Encryption::None, 5).unwrap();
    let mut encoder = Encoder::new(Level::NONE);
    let (digest, block) = NewBlock::encode(&mut encoder, Place(0), b"mimeo", 5);
    assert_eq!(digest.0, *blake3::hash(b"mimeo").as_bytes());
    writer.push_block(&block.unwrap()).unwrap();
    writer.finish(&description(), None).unwrap();
    assert_eq!(fs::read(&path).unwrap(), golden());
    let file = ImageFile::open(&path, &Credentials::default()).unwrap();
    assert_eq!(verify(&file).damages, 0);
}

/// A skippable frame of ours, by hand.
fn part_of(kind: u8, content: &[u8]) -> Vec<u8> {
    let len = (content.len() as u32 + 12).to_le_bytes();
    let header = [b"\x50\x2a\x4d\x18", &len[..], b"mimeoimg", &[kind, 1, 0, 0]];
    [header.concat(), content.to_vec()].concat()
}

/// The image file of the five bytes `mimeo`, by hand.
fn golden() -> Vec<u8> {
    let hash = |bytes: &[u8]| *blake3::hash(bytes).as_bytes();
    let hello: &[u8] =
        b"Image of a disk, made by mimeo. It is a zstd file: `zstd -d` makes the raw disk of it.\n";
    let head = part_of(1, hello);
    assert_eq!(head.len(), 0x6b);
    let frame = b"\x28\xb5\x2f\xfd\xa0\x05\0\0\0\x29\0\0mimeo";
    let entry = b"\x6b\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x11\0\0\x02";
    let page = part_of(
        2,
        &[&entry[..], &hash(frame)[..4], &hash(b"mimeo")].concat(),
    );
    let json = br#"{"tool":"mimeo","created":"2026-11-30T12:00:00Z","source":"","level":"fast","sector_size":null,"used":null,"blake3":null,"blocks":{"data":1,"zero":0,"unused":0},"layout":null,"labels":{}}"#;
    let description = part_of(3, json);
    let record = b"\0\0\0\0\x01\0\0\0\x6b\0\0\0\0\0\0\0\x7c\0\0\0\0\0\0\0";
    let directory = part_of(4, &[&record[..], &hash(&page)].concat());
    let at = head.len() + frame.len() + page.len();
    let mut footer = part_of(6, &[0; 136]);
    footer.truncate(20);
    footer.extend(5_u64.to_le_bytes());
    for (at, frame) in [(at, &description), (at + description.len(), &directory)] {
        footer.extend((at as u64).to_le_bytes());
        footer.extend((frame.len() as u64).to_le_bytes());
        footer.extend(hash(frame));
    }
    footer.extend(blake3::derive_key("mimeo image file 1 root", &footer));
    let signature = part_of(5, &[0; 96]);
    let frames = [
        &head[..],
        frame,
        &page,
        &description,
        &directory,
        &signature,
        &footer,
    ];
    let mut table = b"\x5e\x2a\x4d\x18\x41\0\0\0".to_vec();
    for (n, frame) in frames.iter().enumerate() {
        table.extend((frame.len() as u32).to_le_bytes());
        table.extend(if n == 1 { 5_u32 } else { 0 }.to_le_bytes());
    }
    table.extend(b"\x07\0\0\0\0\xb1\xea\x92\x8f");
    [frames.concat(), table].concat()
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_its_place_is_said() {
    let key = SigningKey::from_bytes(&[7; 32]);
    for key in [None, Some(&key)] {
        let made = make(&small(), Encryption::None, key);
        let path = made.path();
        assert!(first_damage(&path, &Credentials::default()).is_none());
        let mut bytes = made.bytes();
        for at in 0..bytes.len() {
            let bit = 1 << (at % 8);
            bytes[at] ^= bit;
            fs::write(&path, &bytes).unwrap();
            let error = first_damage(&path, &Credentials::default())
                .unwrap_or_else(|| panic!("byte {at} of {}", bytes.len()));
            match error {
                FileError::Damaged { offset, .. } | FileError::DamagedBlock { offset, .. } => {
                    assert!(offset <= at as u64, "{at}: {error}");
                    assert!(at as u64 - offset < 1000, "{at}: {error}");
                }
                // The ends are what it is recognized by.
                FileError::NotAnImage { .. } => assert!(at < 4 || at > bytes.len() - 120),
                error => panic!("{at}: {error}"),
            }
            bytes[at] ^= bit;
        }
    }
}

#[test]
fn a_file_that_was_cut_off_is_none() {
    let made = make(&small(), Encryption::None, None);
    let (path, bytes) = (made.path(), made.bytes());
    for len in 0..bytes.len() {
        fs::write(&path, &bytes[..len]).unwrap();
        let error = made.open().unwrap_err();
        assert!(matches!(error, FileError::NotAnImage { .. }), "{error}");
    }
}

#[test]
fn a_damaged_block_is_named_by_its_places_and_the_others_can_be_read() {
    let pieces: Vec<_> = (0..4).map(|n| Piece::Block(text(BLOCK_SIZE, n))).collect();
    let made = make(&pieces, Encryption::None, None);
    let located = made.open().unwrap().locate(Place(2)).unwrap();
    let mut bytes = made.bytes();
    bytes[located.at as usize + 9] ^= 1;
    fs::write(made.path(), bytes).unwrap();
    let file = made.open().unwrap();
    let verified = verify(&file);
    assert_eq!((verified.damages, verified.damaged.len()), (1, 1));
    let text = verified.damaged[0].to_string();
    let place = format!(
        "offset {}, block 2 of the disk (bytes 524288 to 786432)",
        located.at
    );
    assert!(text.contains(&place), "{text}");
    let mut raw = vec![0; BLOCK_SIZE];
    for block in [0, 1, 3] {
        file.read_at(block * BLOCK_SIZE as u64, &mut raw).unwrap();
        assert_eq!(raw, made.raw[block as usize * BLOCK_SIZE..][..BLOCK_SIZE]);
    }
    let error = file.read_at(2 * BLOCK_SIZE as u64, &mut raw).unwrap_err();
    assert!(matches!(
        error,
        FileError::DamagedBlock {
            place: Place(2),
            ..
        }
    ));
}

#[test]
fn nothing_is_there_before_the_end_and_nothing_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let begin = |force| ImageWriter::create(&path, force, Encryption::None, BLOCK_SIZE as u64);
    let end = |mut writer: ImageWriter| {
        writer.push_run(RunKind::Zero, 1).unwrap();
        writer.finish(&description(), None)
    };
    let abandoned = begin(false).unwrap();
    assert!(!path.exists());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    drop(abandoned);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

    let late = begin(false).unwrap();
    fs::write(&path, "precious").unwrap();
    assert!(matches!(begin(false), Err(FileError::Exists { .. })));
    assert!(matches!(end(late), Err(FileError::Exists { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    end(begin(true).unwrap()).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(ImageFile::open(&path, &Credentials::default()).is_ok());
    // A folder or a device is not replaced by a file.
    let folder = ImageWriter::create(dir.path(), true, Encryption::None, 1);
    assert!(matches!(folder, Err(FileError::Io { .. })));
}

#[test]
fn long_runs_are_cut_into_frames_of_a_gibibyte() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let blocks = 3 * MAX_RUN + 5;
    let len = u64::from(blocks) * BLOCK_SIZE as u64;
    let mut writer = ImageWriter::create(&path, false, Encryption::None, len).unwrap();
    writer.push_run(RunKind::Unused, MAX_RUN - 1).unwrap();
    writer.push_run(RunKind::Unused, 2).unwrap();
    writer.push_run(RunKind::Zero, 2 * MAX_RUN + 4).unwrap();
    writer.finish(&description(), None).unwrap();
    let file = ImageFile::open(&path, &Credentials::default()).unwrap();
    let runs: Vec<_> = file.entries().map(|it| it.unwrap().entry.content).collect();
    let expected = [
        Content::Run(RunKind::Unused, MAX_RUN),
        Content::Run(RunKind::Unused, 1),
        Content::Run(RunKind::Zero, MAX_RUN),
        Content::Run(RunKind::Zero, MAX_RUN),
        Content::Run(RunKind::Zero, 4),
    ];
    assert_eq!(runs, expected);
    assert_eq!(file.description().blocks.unused, u64::from(MAX_RUN) + 1);
    assert_eq!(
        Verifier::new(&file, false).run(|_| true).unwrap().damages,
        0
    );
}

#[test]
fn a_signature_is_one_of_this_image() {
    let key = SigningKey::from_bytes(&[9; 32]);
    let signed = make(&small(), Encryption::None, Some(&key));
    assert_eq!(signed.open().unwrap().signer(), Some(&key.verifying_key()));
    let free = make(&small(), Encryption::None, None);
    assert_eq!(free.open().unwrap().signer(), None);
    let other = make(&small()[3..], Encryption::None, None);
    // A signature that was made for another image.
    let at = |made: &Made| made.open().unwrap().signature_at() as usize;
    let (from, to) = (at(&signed), at(&other));
    let mut bytes = other.bytes();
    bytes[to..to + SIGNATURE_LEN].copy_from_slice(&signed.bytes()[from..from + SIGNATURE_LEN]);
    fs::write(other.path(), bytes).unwrap();
    let error = other.open().unwrap_err();
    assert!(error.to_string().contains("signature"), "{error}");
    // Signed afterwards, also over what was there.
    for made in [&free, &other] {
        sign(&made.path(), &key).unwrap();
        assert_eq!(made.open().unwrap().signer(), Some(&key.verifying_key()));
        assert_eq!(verify(&made.open().unwrap()).damages, 0);
    }
}

#[test]
fn what_is_encrypted_is_for_those_who_have_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let identity = age::x25519::Identity::generate();
    let secret = dir.path().join("identity");
    use age::secrecy::ExposeSecret as _;
    fs::write(&secret, identity.to_string().expose_secret()).unwrap();
    let recipients = [identity.to_public().to_string()];
    let encryption = Encryption::recipients(&recipients).unwrap();
    let made = make(&small(), encryption, None);
    let credentials = Credentials::identity_file(&secret).unwrap();
    let file = ImageFile::open(&made.path(), &credentials).unwrap();
    assert_eq!(file.form(), Form::Encrypted);
    let mut raw = vec![0; made.raw.len()];
    file.read_at(0, &mut raw).unwrap();
    assert!(raw == made.raw);
    assert_eq!(verify(&file).damages, 0);
    assert!(matches!(
        made.open(),
        Err(FileError::Locked {
            why: Locked::NoCredentials,
            ..
        })
    ));
    let passphrase = dir.path().join("passphrase");
    fs::write(&passphrase, "correct horse\n").unwrap();
    let wrong = Credentials::passphrase_file(&passphrase).unwrap();
    assert!(matches!(
        ImageFile::open(&made.path(), &wrong),
        Err(FileError::Locked { .. })
    ));
    let bytes = made.bytes();
    for at in (0..bytes.len()).step_by(7) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(made.path(), bytes).unwrap();
        assert!(
            first_damage(&made.path(), &credentials).is_some(),
            "byte {at}"
        );
    }
    for len in (0..bytes.len()).step_by(13) {
        fs::write(made.path(), &bytes[..len]).unwrap();
        assert!(
            ImageFile::open(&made.path(), &credentials).is_err(),
            "{len} bytes"
        );
    }
}

#[test]
fn reading_goes_on_after_a_damaged_piece_of_what_is_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let passphrase = dir.path().join("passphrase");
    fs::write(&passphrase, "correct horse\r\nbattery").unwrap();
    let pieces: Vec<_> = (0..4).map(|n| Piece::Block(noise(BLOCK_SIZE, n))).collect();
    let made = make(
        &pieces,
        Encryption::passphrase_file(&passphrase).unwrap(),
        None,
    );
    let mut bytes = made.bytes();
    bytes[600_000] ^= 1;
    fs::write(made.path(), bytes).unwrap();
    let credentials = Credentials::passphrase_file(&passphrase).unwrap();
    let file = ImageFile::open(&made.path(), &credentials).unwrap();
    let verified = verify(&file);
    assert_eq!(verified.damages, 1, "{:?}", verified.damaged);
    let text = verified.damaged[0].to_string();
    assert!(
        text.contains("block 2 of the disk") && text.contains("encrypted"),
        "{text}"
    );
    let mut raw = vec![0; BLOCK_SIZE];
    file.read_at(3 * BLOCK_SIZE as u64, &mut raw).unwrap();
    assert!(raw == noise(BLOCK_SIZE, 3));
}

/// Makes all digests right again, so that only what a parser checks stands in the way.
fn reseal(bytes: &mut [u8]) {
    let table = seek_table::SeekTable::find(bytes.len() as u64, |at, buffer: &mut [u8]| {
        buffer.copy_from_slice(&bytes[at as usize..][..buffer.len()]);
        Ok::<_, ()>(())
    });
    let Ok(Some(table)) = table else {
        return;
    };
    let footer_at = table.at as usize - FOOTER_LEN;
    let pointer = |bytes: &[u8], at: usize| {
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let (from, len) = (number(at) as usize, number(at + 8) as usize);
        from.checked_add(len)
            .filter(|end| *end <= bytes.len())
            .map(|end| from..end)
    };
    // The only page, then what points to it.
    let directory_at = footer_at + PART_HEADER + 8 + 48;
    if let Some(directory) = pointer(bytes, directory_at) {
        let record = directory.start + PART_HEADER;
        if let Some(page) = bytes.get(record + 16..record + 24) {
            let at = u64::from_le_bytes(page.try_into().unwrap()) as usize;
            let entries = u32::from_le_bytes(bytes[record + 4..record + 8].try_into().unwrap());
            let end = at.saturating_add(32 + entries as usize * 48);
            if let Some(page) = bytes.get(at..end) {
                let hash = blake3::hash(page);
                bytes[record + 24..record + 56].copy_from_slice(hash.as_bytes());
            }
        }
    }
    for at in [footer_at + PART_HEADER + 8, directory_at] {
        if let Some(range) = pointer(bytes, at) {
            let hash = blake3::hash(&bytes[range]);
            bytes[at + 16..at + 48].copy_from_slice(hash.as_bytes());
        }
    }
    let root = footer_at + FOOTER_LEN - 32;
    let digest = blake3::derive_key("mimeo image file 1 root", &bytes[footer_at..root]);
    bytes[root..root + 32].copy_from_slice(&digest);
}

#[test]
fn resealing_changes_nothing_in_a_whole_file() {
    let made = make(&small(), Encryption::None, None);
    let mut bytes = made.bytes();
    reseal(&mut bytes);
    assert_eq!(bytes, made.bytes());
    let footer_at = bytes.len() - 8 - 9 - 10 * 8 - FOOTER_LEN;
    let (footer, _) = Footer::decode(&bytes[footer_at..][..FOOTER_LEN], footer_at as u64).unwrap();
    assert_eq!(footer.disk_len, made.raw.len() as u64);
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let kind = prop_oneof![Just(RunKind::Zero), Just(RunKind::Unused)];
    let piece = prop_oneof![
        any::<u8>().prop_map(|seed| Piece::Block(text(BLOCK_SIZE, seed))),
        any::<u8>().prop_map(|seed| Piece::Block(noise(BLOCK_SIZE, seed))),
        Just(Piece::Block(vec![0; BLOCK_SIZE])),
        (kind, 1_u32..4).prop_map(|(kind, count)| Piece::Run(kind, count)),
    ];
    let last = (1_usize..BLOCK_SIZE, any::<u8>()).prop_map(|(len, seed)| match seed % 3 {
        0 => vec![0; len],
        1 => text(len, seed),
        _ => noise(len, seed),
    });
    (proptest::collection::vec(piece, 0..8), last).prop_map(|(mut pieces, last)| {
        pieces.push(Piece::Block(last));
        pieces
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_written_comes_back(
        pieces in pieces(),
        ranges in proptest::collection::vec((any::<u32>(), 0_usize..600_000), 8),
    ) {
        let made = make(&pieces, Encryption::None, None);
        let file = made.open().unwrap();
        let len = made.raw.len();
        prop_assert_eq!(file.disk_len(), len as u64);
        for (at, count) in ranges {
            let at = at as usize % len;
            let count = count.min(len - at);
            let mut buffer = vec![1; count];
            file.read_at(at as u64, &mut buffer).unwrap();
            prop_assert!(buffer == made.raw[at..at + count]);
        }
        prop_assert!(file.read_at(len as u64, &mut [0]).is_err());
        let verified = verify(&file);
        prop_assert_eq!(verified.damages, 0);
        let hash = DiskDigest(*blake3::hash(&made.raw).as_bytes());
        prop_assert_eq!(verified.disk_digest, Some(hash));
        prop_assert_eq!(file.description().disk_digest(), Some(hash));
        // A decompressor that knows nothing of us.
        let plain = zstd::stream::decode_all(&made.bytes()[..]).unwrap();
        prop_assert!(plain == made.raw);
    }

    #[test]
    fn forged_numbers_are_errors_and_never_a_panic(
        changes in proptest::collection::vec((any::<u16>(), any::<u64>(), 1_usize..9), 1..4),
    ) {
        let made = make(&small(), Encryption::None, None);
        let mut bytes = made.bytes();
        let frames = made.open().unwrap().locate(Place(4)).unwrap().at as usize;
        for (at, value, len) in changes {
            let at = frames + at as usize % (bytes.len() - frames);
            let end = bytes.len().min(at + len);
            bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
        }
        reseal(&mut bytes);
        fs::write(made.path(), bytes).unwrap();
        if let Ok(file) = made.open() {
            for located in file.entries() {
                let _ = located;
            }
            let mut buffer = vec![0; 4096];
            for place in 0..6 {
                let _ = file.read_at(place * BLOCK_SIZE as u64, &mut buffer);
            }
            let _ = Verifier::new(&file, true).run(|_| true);
        }
    }
}
