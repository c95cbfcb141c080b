//! What the benches have in common: how they measure, and what they measure with.
//!
//! All inputs come from seeds, so that two runs measure the same work.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::time::Duration;

use criterion::Criterion;
use mimeo_benches::fixture::Random;
use mimeo_protocol::ids::{Seq, Slot};
use mimeo_protocol::keys::SealKey;
use mimeo_protocol::units::{BLOCK_SIZE, BlockNumber, Esi};
use mimeo_protocol::wire::{SYMBOL_HEADER, SymbolHeader, SymbolKind};

/// Source symbols of a full block that cannot be compressed.
pub const K: u8 = 187;

/// Datagrams of the sender's largest burst.
pub const BURST: usize = 44;

/// First two bytes of the session id in all datagrams.
pub const SESSION_TAG: u16 = 0x0707;

/// Key of the group's datagrams.
pub const GROUP_KEY: [u8; 32] = [7; 32];

/// Time for each bench, so that all of them together take less than three minutes.
const WARM_UP: Duration = Duration::from_millis(500);
const MEASUREMENT: Duration = Duration::from_secs(3);

/// Measures all of `benches`, or what the command line says instead.
pub fn run(benches: &[fn(&mut Criterion)]) {
    let mut criterion = Criterion::default()
        .warm_up_time(WARM_UP)
        .measurement_time(MEASUREMENT)
        .sample_size(50)
        .nresamples(20_000)
        .without_plots()
        .configure_from_args();
    for bench in benches {
        bench(&mut criterion);
    }
    criterion.final_summary();
}

/// Bytes that no compressor makes shorter.
pub fn random_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Random::new(seed).fill(&mut bytes);
    bytes
}

/// A block of something like text: phrases of the licence in random order, so that it repeats
/// itself about as much as text does and stays the same while the project's own files change.
pub fn text_block(seed: u64) -> Vec<u8> {
    let words: Vec<_> = include_str!("../../../LICENSE-APACHE")
        .split_whitespace()
        .collect();
    let mut random = Random::new(seed);
    let mut text = Vec::with_capacity(BLOCK_SIZE + 64);
    while text.len() < BLOCK_SIZE {
        let (draw, len) = (random.next_u64(), random.next_u64() % 4);
        let from = (draw % words.len() as u64) as usize;
        for word in words.iter().cycle().skip(from).take(1 + len as usize) {
            text.extend_from_slice(word.as_bytes());
            text.push(b' ');
        }
    }
    text.truncate(BLOCK_SIZE);
    text
}

/// The header of a block's symbol.
pub fn header(seq: u64, block: u32, esi: u8) -> SymbolHeader {
    SymbolHeader {
        kind: SymbolKind::Block,
        session_tag: SESSION_TAG,
        seq: Seq(seq),
        slot: Slot(block + 1),
        horizon: BlockNumber(block),
        number: block,
        esi: Esi(esi),
        k: K,
    }
}

/// Seals a symbol behind its header into a whole datagram.
pub fn seal_symbol(key: &SealKey, header: &SymbolHeader, symbol: &[u8], datagram: &mut [u8]) {
    let (head, sealed) = datagram
        .split_first_chunk_mut::<SYMBOL_HEADER>()
        .expect("a datagram begins with its header");
    header.encode(head);
    key.seal(header.seq.0, head, symbol, sealed);
}
