//! The code against the reference crate, its golden vectors and its errors.

use proptest::prelude::*;
use reed_solomon_erasure::galois_8::ReedSolomon;

use super::gf256::Kernel;
use super::{Code, FecError};
use crate::units::{Esi, MAX_BODY, MAX_SYMBOLS, SYMBOL_SIZE, source_symbols};

/// Bytes without structure, the same for each seed (xorshift64*).
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// The source symbols of `body` and `m` repair symbols, by the reference crate.
fn reference(body: &[u8], m: usize) -> Vec<Vec<u8>> {
    let k = source_symbols(body.len());
    let mut symbols: Vec<_> = body.chunks(SYMBOL_SIZE).map(<[u8]>::to_vec).collect();
    symbols.resize(k + m, Vec::new());
    for symbol in &mut symbols {
        symbol.resize(SYMBOL_SIZE, 0);
    }
    ReedSolomon::new(k, m)
        .unwrap()
        .encode(&mut symbols)
        .unwrap();
    symbols
}

/// Encodes and recovers with every kernel of this machine: `present` lists the ESIs in slot
/// order.
fn check_recovery(body: &[u8], symbols: &[Vec<u8>], present: &[u8]) {
    let k = source_symbols(body.len());
    for kernel in Kernel::all() {
        let code = Code {
            kernel,
            ..Code::new(k as u8).unwrap()
        };
        let mut slots: Vec<u8> = present
            .iter()
            .flat_map(|&esi| &symbols[usize::from(esi)])
            .copied()
            .collect();
        let mut esis: Vec<Esi> = present.iter().copied().map(Esi).collect();
        code.recover(&mut slots, &mut esis).unwrap();
        assert!(
            slots == symbols[..k].concat(),
            "{kernel:?}, k {k}, ESIs {present:?}"
        );
        assert!(esis.iter().map(|esi| usize::from(esi.0)).eq(0..k));
    }
}

fn check_encoding(body: &[u8], first: usize, count: usize) {
    let k = source_symbols(body.len());
    let symbols = reference(body, first + count);
    for kernel in Kernel::all() {
        let code = Code {
            kernel,
            ..Code::new(k as u8).unwrap()
        };
        let mut out = vec![0xa5; count * SYMBOL_SIZE];
        code.repair(first as u8, body, &mut out).unwrap();
        assert!(
            out == symbols[k + first..].concat(),
            "{kernel:?}, k {k}, {count} from {first}"
        );
    }
}

#[test]
fn all_rows_match_the_reference() {
    for (k, short) in [
        (1, 0),
        (1, 1407),
        (2, 0),
        (3, 5),
        (64, 1),
        (127, 0),
        (128, 7),
        (187, 267),
    ] {
        check_encoding(
            &noise(k * SYMBOL_SIZE - short, k as u64),
            0,
            MAX_SYMBOLS - k,
        );
    }
}

#[test]
fn the_largest_body_is_coded() {
    check_encoding(&noise(MAX_BODY, 1), 66, 2);
}

#[test]
fn a_block_returns_from_repair_symbols_alone() {
    for k in [1, 2, 3, 126, 127] {
        let body = noise(k * SYMBOL_SIZE, k as u64);
        let symbols = reference(&body, MAX_SYMBOLS - k);
        let highest: Vec<u8> = (0..k).map(|n| (MAX_SYMBOLS - 1 - n) as u8).collect();
        check_recovery(&body, &symbols, &highest);
    }
}

#[test]
fn the_reference_recovers_from_our_rows() {
    let (k, m) = (187, 68);
    let body = noise(k * SYMBOL_SIZE, 5);
    let mut repair = vec![0; m * SYMBOL_SIZE];
    Code::new(k as u8)
        .unwrap()
        .repair(0, &body, &mut repair)
        .unwrap();
    let all = [body.clone(), repair].concat();
    let mut symbols: Vec<Option<Vec<u8>>> = all
        .chunks(SYMBOL_SIZE)
        .map(|symbol| Some(symbol.to_vec()))
        .collect();
    symbols
        .iter_mut()
        .step_by(3)
        .take(m)
        .for_each(|symbol| *symbol = None);
    ReedSolomon::new(k, m)
        .unwrap()
        .reconstruct(&mut symbols)
        .unwrap();
    assert!(symbols.into_iter().flatten().flatten().eq(all));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_rows_match_the_reference(
        len in 1..=MAX_BODY,
        seed: u64,
        first in 0..20_usize,
        count in 1..=21_usize,
    ) {
        check_encoding(&noise(len, seed), first, count);
    }

    #[test]
    fn any_symbols_recover_the_block(
        len in 1..=MAX_BODY,
        seed: u64,
        order in Just((0..255_u8).collect::<Vec<_>>()).prop_shuffle(),
        loss in 0..=3_usize,
    ) {
        let body = noise(len, seed);
        let k = source_symbols(len);
        // The reference makes at least one row. From no repair symbols at all (shuffled source symbols) to as many as there are.
        let m = ((MAX_SYMBOLS - k) * loss / 3).max(1);
        let symbols = reference(&body, m);
        let mut present: Vec<u8> =
            order.into_iter().filter(|&esi| usize::from(esi) < k + m * loss.min(1)).collect();
        present.truncate(k);
        check_recovery(&body, &symbols, &present);
    }

    #[test]
    fn no_list_of_esis_panics(k in 1..=6_u8, esis in prop::collection::vec(any::<u8>(), 0..8)) {
        let code = Code::new(k).unwrap();
        let mut slots = noise(usize::from(k) * SYMBOL_SIZE, 1);
        let before = slots.clone();
        let mut list: Vec<Esi> = esis.iter().copied().map(Esi).collect();
        let distinct = (1..esis.len()).all(|n| !esis[..n].contains(&esis[n]));
        let valid = esis.len() == usize::from(k) && distinct && !esis.contains(&255);
        prop_assert_eq!(code.recover(&mut slots, &mut list).is_ok(), valid);
        prop_assert!(valid || slots == before);
    }
}

#[test]
fn a_repair_row_has_golden_bytes() {
    // Source symbol i is filled with byte i + 1, so every byte of a row is the same.
    let body: Vec<u8> = (1..=5_u8).flat_map(|byte| [byte; SYMBOL_SIZE]).collect();
    let mut out = vec![0; 4 * SYMBOL_SIZE];
    Code::new(5).unwrap().repair(0, &body, &mut out).unwrap();
    let rows: Vec<u8> = out.chunks(SYMBOL_SIZE).map(|row| row[0]).collect();
    assert!(
        out.chunks(SYMBOL_SIZE)
            .zip(&rows)
            .all(|(row, byte)| row.iter().all(|b| b == byte))
    );
    assert_eq!(rows, GOLDEN_ROWS);
}

/// Rows 0 to 3 of the block above: the polynomial of degree 4 through (i, i + 1) for i in 0..5,
/// at the points 5, 6, 7 and 8.
const GOLDEN_ROWS: [u8; 4] = [0x1e, 0x27, 0x38, 0xc7];

#[test]
fn wrong_arguments_are_errors() {
    assert_eq!(
        Code::new(0).unwrap_err(),
        FecError::SourceSymbols { found: 0 }
    );
    assert_eq!(
        Code::new(188).unwrap_err(),
        FecError::SourceSymbols { found: 188 }
    );

    let code = Code::new(2).unwrap();
    let body = noise(2 * SYMBOL_SIZE, 1);
    let mut out = [0; SYMBOL_SIZE];
    for len in [0, SYMBOL_SIZE, 2 * SYMBOL_SIZE + 1] {
        let body = &noise(len, 1);
        let found = FecError::Body {
            expected: 2,
            found: len,
        };
        assert_eq!(code.repair(0, body, &mut out), Err(found));
    }
    let found = FecError::Buffer {
        expected: SYMBOL_SIZE,
        found: 1407,
    };
    assert_eq!(code.repair(0, &body, &mut out[1..]), Err(found));
    let found = FecError::Rows {
        last: 253,
        k: 2,
        rows: 253,
    };
    assert_eq!(code.repair(253, &body, &mut out), Err(found));
    assert_eq!(code.repair(252, &body, &mut out), Ok(()));

    let mut slots = body.clone();
    let mut recover = |esis: [u8; 2]| code.recover(&mut slots, &mut esis.map(Esi));
    assert_eq!(recover([7, 7]), Err(FecError::Duplicate { found: Esi(7) }));
    assert_eq!(
        recover([255, 0]),
        Err(FecError::EsiRange { found: Esi(255) })
    );
    assert_eq!(recover([0, 1]), Ok(()));
    let found = FecError::Esis {
        expected: 2,
        found: 1,
    };
    assert_eq!(code.recover(&mut slots, &mut [Esi(0)]), Err(found));
    let found = FecError::Buffer {
        expected: 2 * SYMBOL_SIZE,
        found: 2 * SYMBOL_SIZE - 1,
    };
    assert_eq!(
        code.recover(&mut slots[1..], &mut [Esi(0), Esi(1)]),
        Err(found)
    );
}
