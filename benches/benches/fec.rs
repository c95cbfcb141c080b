//! Making repair symbols, and recovering what is missing. Throughput counts the block's bytes.

mod support;

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use mimeo_protocol::AlignedBytes;
use mimeo_protocol::fec::Code;
use mimeo_protocol::units::{Esi, SYMBOL_SIZE};

use support::{K, random_bytes};

const BODY: usize = K as usize * SYMBOL_SIZE;

/// Where the programs keep their blocks.
fn aligned(bytes: &[u8]) -> AlignedBytes {
    let mut aligned = AlignedBytes::zeroed(bytes.len());
    aligned.copy_from_slice(bytes);
    aligned
}

fn rows(code: &Code, body: &[u8], count: usize) -> AlignedBytes {
    let mut rows = AlignedBytes::zeroed(count * SYMBOL_SIZE);
    code.repair(0, body, &mut rows)
        .expect("a code of 187 source symbols has 68 rows");
    rows
}

fn fec_rows(criterion: &mut Criterion) {
    let code = Code::new(K).expect("187 is the most");
    let body = aligned(&random_bytes(2, BODY));
    let mut group = criterion.benchmark_group("fec_rows");
    group.throughput(Throughput::Bytes(BODY as u64));
    for count in [1, 4, 16] {
        let mut out = rows(&code, &body, count);
        group.bench_function(format!("k{K}_rows{count}"), |bencher| {
            bencher.iter(|| code.repair(0, black_box(&body), black_box(&mut out)));
        });
    }
    group.finish();
}

/// A block of which every so-many-th symbol is missing; repair symbols lie in its place.
struct Damaged {
    code: Code,
    /// The slots with a repair symbol, in the order of the rows.
    missing: Vec<usize>,
    rows: AlignedBytes,
    slots: AlignedBytes,
    esis: Vec<Esi>,
}

impl Damaged {
    fn new(code: Code, body: &[u8], erasures: usize) -> Self {
        let spread = |i| i * usize::from(K) / erasures;
        Self {
            code,
            missing: (0..erasures).map(spread).collect(),
            rows: rows(&code, body, erasures),
            slots: aligned(body),
            esis: (0..K).map(Esi).collect(),
        }
    }

    fn damage(&mut self) {
        let rows = self.rows.chunks_exact(SYMBOL_SIZE).zip(K..);
        for ((row, esi), &slot) in rows.zip(&self.missing) {
            self.slots[slot * SYMBOL_SIZE..][..SYMBOL_SIZE].copy_from_slice(row);
            self.esis[slot] = Esi(esi);
        }
    }

    fn recover(&mut self) {
        self.code
            .recover(black_box(&mut self.slots), black_box(&mut self.esis))
            .expect("as many repair symbols as are missing");
    }
}

fn fec_decode(criterion: &mut Criterion) {
    let code = Code::new(K).expect("187 is the most");
    let body = aligned(&random_bytes(2, BODY));
    let mut group = criterion.benchmark_group("fec_decode");
    group.throughput(Throughput::Bytes(BODY as u64));
    for erasures in [1, 4, 16, 64] {
        let mut block = Damaged::new(code, &body, erasures);
        block.damage();
        block.recover();
        assert!(
            block.slots[..] == body[..],
            "{erasures} erasures were not mended"
        );
        group.bench_function(format!("k{K}_erasures{erasures}"), |bencher| {
            bencher.iter(|| {
                // One copy of a symbol beside 187 products of one: it hardly counts.
                block.damage();
                block.recover();
            });
        });
    }
    group.finish();
}

fn main() {
    support::run(&[fec_rows, fec_decode]);
}
