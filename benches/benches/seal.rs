//! Sealing and opening: what encryption costs for a burst of symbols, headers included.

mod support;

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use mimeo_protocol::keys::{SealKey, Secret};
use mimeo_protocol::units::SYMBOL_SIZE;
use mimeo_protocol::wire::{SYMBOL_DATAGRAM, SYMBOL_HEADER, SymbolHeader};

use support::{BURST, GROUP_KEY, K, header, random_bytes, seal_symbol};

/// Bytes of the body in a burst.
const PAYLOAD: usize = BURST * SYMBOL_SIZE;

/// From the body into the burst, as the sender does.
fn seal_burst(key: &SealKey, first: u64, body: &[u8], burst: &mut [u8]) {
    let symbols = body.chunks_exact(SYMBOL_SIZE).zip(0..K);
    for ((symbol, esi), datagram) in symbols.zip(burst.chunks_exact_mut(SYMBOL_DATAGRAM)) {
        let header = header(first + u64::from(esi), 0, esi);
        seal_symbol(key, &header, symbol, datagram);
    }
}

fn seal(criterion: &mut Criterion) {
    let key = SealKey::new(&Secret::new(GROUP_KEY));
    let body = random_bytes(1, PAYLOAD);
    let mut burst = vec![0; BURST * SYMBOL_DATAGRAM];
    let mut first = 0;
    let mut group = criterion.benchmark_group("seal");
    group.throughput(Throughput::Bytes(PAYLOAD as u64));
    group.bench_function(format!("symbols{BURST}_bytes{SYMBOL_SIZE}"), |bencher| {
        bencher.iter(|| {
            seal_burst(&key, first, black_box(&body), &mut burst);
            first += BURST as u64;
        });
    });
    group.finish();
}

/// From the burst into the slots of a block, as the receiver does.
fn open_burst(key: &SealKey, burst: &[u8], slots: &mut [u8]) {
    let datagrams = burst.chunks_exact(SYMBOL_DATAGRAM);
    for (datagram, slot) in datagrams.zip(slots.chunks_exact_mut(SYMBOL_SIZE)) {
        let header = SymbolHeader::decode(datagram).expect("it was just encoded");
        let (head, sealed) = datagram.split_at(SYMBOL_HEADER);
        key.open(header.seq.0, head, sealed, slot)
            .expect("it was just sealed");
    }
}

fn open(criterion: &mut Criterion) {
    let key = SealKey::new(&Secret::new(GROUP_KEY));
    let body = random_bytes(1, PAYLOAD);
    let mut burst = vec![0; BURST * SYMBOL_DATAGRAM];
    seal_burst(&key, 0, &body, &mut burst);
    let mut slots = vec![0; PAYLOAD];
    open_burst(&key, &burst, &mut slots);
    assert!(slots == body, "what was sealed opens to something else");
    let mut group = criterion.benchmark_group("open");
    group.throughput(Throughput::Bytes(PAYLOAD as u64));
    group.bench_function(format!("symbols{BURST}_bytes{SYMBOL_SIZE}"), |bencher| {
        bencher.iter(|| open_burst(&key, black_box(&burst), black_box(&mut slots)));
    });
    group.finish();
}

fn main() {
    support::run(&[seal, open]);
}
