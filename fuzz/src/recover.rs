//! FEC: any k distinct symbols give the block back, whatever their order; other lists are refused
//! and change nothing.

use std::sync::OnceLock;

use arbitrary::Arbitrary;
use mimeo_protocol::fec::Code;
use mimeo_protocol::units::{Esi, MAX_SOURCE_SYMBOLS, MAX_SYMBOLS, SYMBOL_SIZE};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    size: u8,
    k: u8,
    /// Bytes that the last source symbol lacks.
    short: u16,
    /// Which symbols are held: each takes one of those that are left.
    picks: Vec<u8>,
    /// ESIs as they may come, for as many slots.
    any: Option<Vec<u8>>,
    /// What the block begins with; the rest follows from it.
    body: &'a [u8],
}

impl Input<'_> {
    /// Mostly a small block, which is quick.
    fn k(&self) -> u8 {
        match self.size {
            0..240 => self.k % 4,
            240..=254 => self.k % 25,
            _ => self.k,
        }
    }
}

/// See the module's page.
pub fn run(data: &[u8]) {
    let Some(input) = crate::input::<Input<'_>>(data) else {
        return;
    };
    let k = input.k();
    let Ok(code) = Code::new(k) else {
        let found = usize::from(k);
        assert!(found == 0 || found > MAX_SOURCE_SYMBOLS);
        return;
    };
    let k = usize::from(k);
    let source = source(k, input.body);
    let body = &source[..source.len() - usize::from(input.short) % SYMBOL_SIZE];
    let mut padded = body.to_vec();
    padded.resize(k * SYMBOL_SIZE, 0);
    match &input.any {
        Some(any) => any_list(code, &padded, any),
        None => distinct(code, body, &padded, &input.picks),
    }
}

/// Bytes that differ from symbol to symbol. Where they begin depends on the seed, and they are made
/// once: making them takes as long as coding them.
fn source(k: usize, seed: &[u8]) -> &'static [u8] {
    const PLACES: usize = 1 << 16;
    static ALL: OnceLock<Vec<u8>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let bytes = (0..PLACES + MAX_SOURCE_SYMBOLS * SYMBOL_SIZE).map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        });
        bytes.collect()
    });
    let mix = |state: u32, byte: &u8| (state ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    let from = seed.iter().fold(0x811c_9dc5, mix) as usize % PLACES;
    &all[from..from + k * SYMBOL_SIZE]
}

fn distinct(code: Code, body: &[u8], padded: &[u8], picks: &[u8]) {
    let k = padded.len() / SYMBOL_SIZE;
    let mut esis = pick(k, picks);
    let mut slots = vec![0; padded.len()];
    for (slot, esi) in slots.chunks_exact_mut(SYMBOL_SIZE).zip(&esis) {
        match padded.chunks_exact(SYMBOL_SIZE).nth(usize::from(esi.0)) {
            Some(symbol) => slot.copy_from_slice(symbol),
            None => {
                let row = esi.0 - code.source_symbols();
                code.repair(row, body, slot)
                    .expect("the row is one of the code's");
            }
        }
    }
    code.recover(&mut slots, &mut esis)
        .expect("they are distinct");
    assert!(slots == padded, "k {k}, {picks:?}");
    assert!(esis.iter().map(|esi| usize::from(esi.0)).eq(0..k));
}

/// `k` different symbols: each pick takes one of those that are left, the others are source symbols
/// as far as there are any.
fn pick(k: usize, picks: &[u8]) -> Vec<Esi> {
    let mut left: Vec<u8> = (0..MAX_SYMBOLS as u8).collect();
    let mut esis = Vec::new();
    for n in 0..k {
        let at = picks
            .get(n)
            .map_or(0, |&pick| usize::from(pick) % left.len());
        esis.push(Esi(left.remove(at)));
    }
    esis
}

fn any_list(code: Code, padded: &[u8], any: &[u8]) {
    let mut esis: Vec<Esi> = any.iter().map(|&esi| Esi(esi)).collect();
    let mut seen = [false; 256];
    let distinct = esis.iter().all(|esi| {
        let first = !seen[usize::from(esi.0)];
        seen[usize::from(esi.0)] = true;
        first && usize::from(esi.0) < MAX_SYMBOLS
    });
    let fits = esis.len() == usize::from(code.source_symbols());
    let (mut slots, before) = (padded.to_vec(), esis.clone());
    let recovered = code.recover(&mut slots, &mut esis);
    assert_eq!(recovered.is_ok(), distinct && fits, "{before:?}");
    if recovered.is_err() {
        assert!(slots == padded && esis == before);
    }
}
