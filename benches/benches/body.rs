//! What happens to the bytes of a block before they are sent and after they arrived.
//! Throughput counts the raw bytes.

mod support;

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use mimeo_protocol::block::{BlockDigest, Coding, Decoder, Encoder, Level};
use mimeo_protocol::units::{BLOCK_SIZE, Place};

use support::{random_bytes, text_block};

const LEVELS: [Level; 2] = [Level::FAST, Level::DEFAULT];

/// Raw blocks with their names and how they end up.
fn blocks() -> [(&'static str, Vec<u8>, Coding); 2] {
    [
        ("random", random_bytes(3, BLOCK_SIZE), Coding::Raw),
        ("text", text_block(3), Coding::Zstd),
    ]
}

fn digest(criterion: &mut Criterion) {
    let raw = random_bytes(3, BLOCK_SIZE);
    let mut group = criterion.benchmark_group("digest");
    group.throughput(Throughput::Bytes(BLOCK_SIZE as u64));
    group.bench_function(format!("bytes{BLOCK_SIZE}"), |bencher| {
        bencher.iter(|| BlockDigest::of(Place(1000), black_box(&raw), false));
    });
    group.finish();
}

fn compress(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compress");
    group.throughput(Throughput::Bytes(BLOCK_SIZE as u64));
    for level in LEVELS {
        for (name, raw, coding) in blocks() {
            let (mut encoder, mut body) = (Encoder::new(level), Vec::new());
            assert_eq!(encoder.encode(&raw, &mut body), coding, "{level}_{name}");
            group.bench_function(format!("{level}_{name}"), |bencher| {
                bencher.iter(|| encoder.encode(black_box(&raw), black_box(&mut body)));
            });
        }
    }
    group.finish();
}

fn decompress(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decompress");
    group.throughput(Throughput::Bytes(BLOCK_SIZE as u64));
    for level in LEVELS {
        for (name, raw, coding) in blocks() {
            let mut compressed = Vec::new();
            let body = match Encoder::new(level).encode(&raw, &mut compressed) {
                Coding::Zstd => &compressed,
                Coding::Raw => &raw,
            };
            let mut decoder = Decoder::new();
            let decoded = decoder.decode(coding, body, raw.len());
            assert!(
                decoded == Ok(&raw[..]),
                "{level}_{name} came back otherwise"
            );
            group.bench_function(format!("{level}_{name}"), |bencher| {
                bencher.iter(|| {
                    let decoded = decoder.decode(coding, black_box(body), raw.len());
                    black_box(decoded).is_ok()
                });
            });
        }
    }
    group.finish();
}

fn main() {
    support::run(&[digest, compress, decompress]);
}
