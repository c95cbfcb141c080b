//! Encoding and decoding of what goes over the wire most often.

mod support;

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use mimeo_protocol::block::{BlockDigest, Coding};
use mimeo_protocol::ids::{Seq, Slot};
use mimeo_protocol::manifest::{Entry, Page, StoredBlock};
use mimeo_protocol::units::{BlockNumber, ENTRIES_PER_PAGE, PageNumber, Place, SYMBOL_SIZE};
use mimeo_protocol::wire::{
    Deficit, Effort, PageRun, Report, SYMBOL_DATAGRAM, SYMBOL_HEADER, Stage, SymbolHeader,
};

use support::header;

/// Runs of deficits in the report of a receiver under random loss.
const DEFICITS: u32 = 64;
/// Runs of missing pages in it.
const PAGES: u32 = 2;

fn symbol_header(criterion: &mut Criterion) {
    let header = header(1 << 40, 5000, 100);
    let mut datagram = [0; SYMBOL_DATAGRAM];
    header.encode(datagram.first_chunk_mut().expect("it is longer"));
    assert_eq!(SymbolHeader::decode(&datagram), Ok(header));
    let mut group = criterion.benchmark_group("wire");
    group.throughput(Throughput::Bytes(SYMBOL_HEADER as u64));
    group.bench_function("symbol_header_encode", |bencher| {
        let mut head = [0; SYMBOL_HEADER];
        bencher.iter(|| black_box(&header).encode(black_box(&mut head)));
    });
    group.bench_function("symbol_header_decode", |bencher| {
        bencher.iter(|| SymbolHeader::decode(black_box(&datagram)));
    });
    group.finish();
}

fn some_report() -> Report {
    let deficit = |i| Deficit {
        first: BlockNumber(5000 + 3 * i),
        count: 1 + i % 2,
        symbols: 1 + (i % 7) as u8,
    };
    let run = |i| PageRun {
        first: PageNumber(90 + 2 * i),
        count: 1,
    };
    Report {
        stage: Stage::Receiving,
        seq_seen: Seq(1 << 30),
        held_us: 300,
        received: 1 << 29,
        expected: 1 << 30,
        socket_drops: 17,
        window: 8192,
        credit: Slot(5400),
        blocks_done: 4990,
        bytes_kept: 0,
        bytes_written: 4990 << 18,
        busy_ms: 9000,
        bytes_verified: 0,
        effort: Effort {
            decode_ms: 3000,
            session_ms: 8000,
            disk_bytes: 4980 << 18,
            disk_ms: 9500,
        },
        buffers: 254,
        turn: 0,
        bad_blocks: 0,
        forged_symbols: 0,
        pages_up_to: PageNumber(88),
        missing_pages: (0..PAGES).map(run).collect(),
        spoiled: Vec::new(),
        complete_up_to: BlockNumber(4990),
        covered_up_to: BlockNumber(5000 + 3 * DEFICITS),
        deficits: (0..DEFICITS).map(deficit).collect(),
    }
}

fn report(criterion: &mut Criterion) {
    let report = some_report();
    let mut bytes = Vec::new();
    report.encode(&mut bytes);
    assert_eq!(Report::decode(&bytes).as_ref(), Ok(&report));
    let mut group = criterion.benchmark_group("wire");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    let parameters = format!("deficits{DEFICITS}_pages{PAGES}");
    group.bench_function(format!("report_encode_{parameters}"), |bencher| {
        let mut out = Vec::new();
        bencher.iter(|| {
            out.clear();
            black_box(&report).encode(black_box(&mut out));
        });
    });
    group.bench_function(format!("report_decode_{parameters}"), |bencher| {
        bencher.iter(|| Report::decode(black_box(&bytes)));
    });
    group.finish();
}

fn some_page() -> Page {
    let entry = |place| {
        Entry::Block(StoredBlock {
            place: Place(place),
            stored_len: 100_000 + place,
            coding: Coding::Zstd,
            digest: BlockDigest([place as u8; 32]),
        })
    };
    let entries = (0..ENTRIES_PER_PAGE as u32).map(entry).collect();
    Page::new(PageNumber(0), BlockNumber(0), entries).expect("its entries are in order")
}

fn page(criterion: &mut Criterion) {
    let page = some_page();
    let mut bytes = Vec::new();
    page.encode(&mut bytes);
    let len = bytes.len();
    bytes.resize(len.next_multiple_of(SYMBOL_SIZE), 0);
    let decode = |symbols| Page::decode(Page::trim(symbols)?);
    assert_eq!(decode(&bytes).as_ref(), Ok(&page));
    let mut group = criterion.benchmark_group("wire");
    group.throughput(Throughput::Bytes(len as u64));
    group.bench_function(
        format!("page_encode_entries{ENTRIES_PER_PAGE}"),
        |bencher| {
            let mut out = Vec::new();
            bencher.iter(|| {
                out.clear();
                black_box(&page).encode(black_box(&mut out));
            });
        },
    );
    group.bench_function(
        format!("page_decode_entries{ENTRIES_PER_PAGE}"),
        |bencher| {
            bencher.iter(|| decode(black_box(&bytes)));
        },
    );
    group.finish();
}

fn main() {
    support::run(&[symbol_header, report, page]);
}
