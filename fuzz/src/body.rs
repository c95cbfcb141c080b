//! Bodies of blocks: decompressing any bytes gives what was stated, or an error, and takes no
//! memory, zstd's included.

use std::cell::RefCell;

use arbitrary::Arbitrary;
use mimeo_protocol::block::{Coding, Decoder, Encoder, Level, content_size};
use mimeo_protocol::units::BLOCK_SIZE;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    /// A body as it may come, and the length that its block should have.
    Raw(u32, &'a [u8]),
    Zstd(u32, &'a [u8]),
    /// Behind the magic number of a frame.
    Frame(u32, &'a [u8]),
    /// A frame that states as many bytes as the block has.
    Stating(u32, &'a [u8]),
    /// A block that is compressed and then damaged: a byte each.
    Damaged {
        repeat: u16,
        damage: Vec<(u16, u8)>,
        cut: u8,
        raw: &'a [u8],
    },
}

thread_local! {
    static DECODER: RefCell<Decoder> = RefCell::new(Decoder::new());
    static ENCODER: RefCell<Encoder> = RefCell::new(Encoder::new(Level::FAST));
}

/// See the module's page.
pub fn run(data: &[u8]) {
    let Some(input) = crate::input::<Input<'_>>(data) else {
        return;
    };
    match input {
        Input::Raw(len, body) => decode(Coding::Raw, body, raw_len(len, body)),
        Input::Zstd(len, body) => decode(Coding::Zstd, body, raw_len(len, body)),
        Input::Frame(len, rest) => {
            let body = [&ZSTD_MAGIC, rest].concat();
            decode(Coding::Zstd, &body, raw_len(len, &body));
        }
        Input::Stating(len, rest) => {
            let len = 257 + len % (BLOCK_SIZE as u32 - 256);
            // Single segment, four bytes of content size (RFC 8878 section 3.1.1.1).
            let body = [&ZSTD_MAGIC, &[0b1010_0000][..], &len.to_le_bytes(), rest].concat();
            assert_eq!(content_size(Coding::Zstd, &body), Some(len as usize));
            decode(Coding::Zstd, &body, len as usize);
        }
        Input::Damaged {
            repeat,
            damage,
            cut,
            raw,
        } => damaged(repeat, &damage, cut, raw),
    }
}

/// Bytes that the C library's allocator has given out. zstd keeps what it takes with its context, so
/// nothing it takes for a frame escapes this. AddressSanitizer has an allocator of its own, of which
/// this knows nothing.
#[allow(unsafe_code, reason = "the C library's own books")]
fn allocated() -> usize {
    // SAFETY: it takes nothing, and locks what it reads.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}

/// Mostly what the body states.
fn raw_len(len: u32, body: &[u8]) -> usize {
    let stated = content_size(Coding::Zstd, body);
    stated
        .filter(|_| len.is_multiple_of(4))
        .unwrap_or(len as usize)
}

fn decode(coding: Coding, body: &[u8], raw_len: usize) {
    let stated = content_size(coding, body);
    assert!(stated.is_none_or(|len| (1..=BLOCK_SIZE).contains(&len)));
    DECODER.with_borrow_mut(|decoder| {
        let before = allocated();
        let decoded = decoder.decode(coding, body, raw_len);
        assert_eq!(allocated(), before, "decoding has taken memory");
        if let Ok(raw) = decoded {
            assert_eq!(raw.len(), raw_len);
            assert_eq!(stated, Some(raw_len));
            assert!(coding == Coding::Zstd || raw == body);
            assert!(coding == Coding::Raw || body.len() < raw_len);
        }
    });
}

/// What is compressed comes back; what is damaged then does not matter, as long as it is stated.
fn damaged(repeat: u16, damage: &[(u16, u8)], cut: u8, raw: &[u8]) {
    let mut raw = raw.repeat(1 + usize::from(repeat) % 64);
    raw.truncate(BLOCK_SIZE);
    if raw.is_empty() {
        return;
    }
    let mut body = Vec::new();
    let compressed = ENCODER.with_borrow_mut(|encoder| encoder.compress(&raw, &mut body));
    if !compressed {
        return;
    }
    DECODER.with_borrow_mut(|decoder| {
        let again = decoder.decode(Coding::Zstd, &body, raw.len());
        assert!(again.is_ok_and(|again| again == raw));
    });
    for &(at, flip) in damage {
        let at = usize::from(at) % body.len();
        body[at] ^= flip;
    }
    body.truncate(body.len().saturating_sub(usize::from(cut % 4)));
    decode(Coding::Zstd, &body, raw.len());
}
