//! Bodies there and back, and everything that decoding refuses.

use super::*;
use proptest::prelude::*;

/// Bytes that zstd cannot make shorter.
fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn text(len: usize) -> Vec<u8> {
    b"a room of thirty machines. "
        .iter()
        .copied()
        .cycle()
        .take(len)
        .collect()
}

fn check(level: Level, raw: &[u8], expected: Coding) {
    let mut body = Vec::new();
    let coding = Encoder::new(level).encode(raw, &mut body);
    assert_eq!(coding, expected, "{} bytes at {level}", raw.len());
    let body = match coding {
        Coding::Zstd => &body,
        Coding::Raw => raw,
    };
    let mut decoder = Decoder::new();
    let decoded = decoder.decode(coding, body, raw.len());
    assert!(decoded.unwrap() == raw);
    assert_eq!(content_size(coding, body), Some(raw.len()));
    if coding == Coding::Zstd {
        assert!(body.len() < raw.len());
        // Any zstd tool reads the body.
        assert!(zstd::stream::decode_all(body).unwrap() == raw);
    }
}

#[test]
fn a_length_that_no_block_has_is_not_a_content_size() {
    let too_long = zstd::bulk::compress(&text(BLOCK_SIZE + 1), 1).unwrap();
    let empty = zstd::bulk::compress(&[], 1).unwrap();
    for body in [&too_long[..], &empty, b"", b"no frame", &empty[..4]] {
        assert_eq!(content_size(Coding::Zstd, body), None);
    }
    assert_eq!(content_size(Coding::Raw, &[]), None);
    assert_eq!(content_size(Coding::Raw, &[0; BLOCK_SIZE + 1]), None);
}

#[test]
fn blocks_of_all_lengths_return() {
    let levels = [
        Level::FAST,
        Level::DEFAULT,
        Level::MAX,
        Level::zstd(-7).unwrap(),
    ];
    for len in [300, 1000, 131_072, 131_073, BLOCK_SIZE - 1, BLOCK_SIZE] {
        check(Level::NONE, &text(len), Coding::Raw);
        check(Level::NONE, &noise(len), Coding::Raw);
        for level in levels {
            check(level, &text(len), Coding::Zstd);
            check(level, &noise(len), Coding::Raw);
        }
    }
    check(Level::NONE, &[0], Coding::Raw);
}

#[test]
fn contexts_are_reused_without_growing() {
    let (mut encoder, mut decoder) = (Encoder::new(Level::DEFAULT), Decoder::new());
    let mut body = Vec::new();
    for raw in [text(BLOCK_SIZE), noise(BLOCK_SIZE), text(5000), text(300)] {
        let coding = encoder.encode(&raw, &mut body);
        assert!(body.capacity() <= 264 * 1024, "{}", body.capacity());
        if coding == Coding::Zstd {
            let decoded = decoder.decode(coding, &body, raw.len());
            assert!(decoded.unwrap() == raw);
        }
    }
}

#[test]
fn a_raw_body_is_exactly_its_block() {
    let mut decoder = Decoder::new();
    let body = noise(1000);
    for expected in [1, 999, 1001, BLOCK_SIZE] {
        let found = body.len();
        assert_eq!(
            decoder.decode(Coding::Raw, &body, expected),
            Err(DecodeError::Length { expected, found })
        );
    }
    for found in [0, BLOCK_SIZE + 1, usize::MAX] {
        assert_eq!(
            decoder.decode(Coding::Raw, &body, found),
            Err(DecodeError::RawLen { found })
        );
    }
}

#[test]
fn only_exactly_one_frame_of_the_right_size_is_taken() {
    let raw = text(5000);
    let mut body = Vec::new();
    assert_eq!(
        Encoder::new(Level::DEFAULT).encode(&raw, &mut body),
        Coding::Zstd
    );
    let mut decoder = Decoder::new();
    let mut decode = |body: &[u8], len| {
        let decoded = decoder.decode(Coding::Zstd, body, len);
        decoded.map(<[u8]>::len)
    };
    assert_eq!(decode(&body, 5000), Ok(5000));
    for expected in [4999, 5001] {
        let found = DecodeError::ContentSize {
            expected,
            found: Some(5000),
        };
        assert_eq!(decode(&body, expected), Err(found));
    }
    assert_eq!(decode(&body, 0), Err(DecodeError::RawLen { found: 0 }));
    let found = DecodeError::RawLen {
        found: BLOCK_SIZE + 1,
    };
    assert_eq!(decode(&body, BLOCK_SIZE + 1), Err(found));
    for len in 0..body.len() {
        assert!(
            decode(&body[..len], 5000).is_err(),
            "{len} of {} bytes",
            body.len()
        );
    }
    let (frame, found) = (body.len(), body.len() + 1);
    let trailing = [&body[..], &[0]].concat();
    assert_eq!(
        decode(&trailing, 5000),
        Err(DecodeError::Trailing { frame, found })
    );
    let twice = [&body[..], &body[..]].concat();
    assert!(matches!(
        decode(&twice, 10_000),
        Err(DecodeError::ContentSize { .. })
    ));
    let skippable = b"\x50\x2a\x4d\x18\x01\x00\x00\x00\x00";
    let behind = [skippable, &body[..]].concat();
    assert_eq!(decode(&behind, 5000), Err(DecodeError::NoFrame));
    let long = [&body[..], &vec![0; 5000]].concat();
    assert_eq!(
        decode(&long, 5000),
        Err(DecodeError::NotShorter {
            raw_len: 5000,
            found: long.len()
        })
    );
}

#[test]
fn a_frame_without_content_size_is_refused() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    std::io::Write::write_all(&mut encoder, &text(5000)).unwrap();
    let body = encoder.finish().unwrap();
    let found = DecodeError::ContentSize {
        expected: 5000,
        found: None,
    };
    assert_eq!(Decoder::new().decode(Coding::Zstd, &body, 5000), Err(found));
}

proptest! {
    #[test]
    fn damaged_bodies_never_panic(
        len in 300..10_000_usize,
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut body = Vec::new();
        prop_assert_eq!(Encoder::new(Level::FAST).encode(&text(len), &mut body), Coding::Zstd);
        for (index, byte) in hits {
            let n = index.index(body.len());
            body[n] = byte;
        }
        // Without a checksum a damaged frame may decode: the digest is what proves a block.
        let _ = Decoder::new().decode(Coding::Zstd, &body, len);
    }

    #[test]
    fn random_bodies_are_refused(
        body in prop::collection::vec(any::<u8>(), 0..200),
        len in 0..300_000_usize,
    ) {
        let framed = [&[0x28, 0xb5, 0x2f, 0xfd][..], &body].concat();
        let mut decoder = Decoder::new();
        prop_assert!(decoder.decode(Coding::Zstd, &body, len).is_err());
        let _ = decoder.decode(Coding::Zstd, &framed, len);
    }
}
