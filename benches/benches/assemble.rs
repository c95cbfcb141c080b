//! Putting blocks together: from the group's datagrams to whole bodies in their buffers.
//!
//! The symbols of a group of blocks come column by column, as the sender interleaves them.

mod support;

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput};
use mimeo_protocol::block::{BlockDigest, Coding};
use mimeo_protocol::ids::{Cycle, Nonce, ReceiverNumber, SessionId, Slot};
use mimeo_protocol::keys::{JoinKeys, SealKey, Secret, Signer, SigningKey};
use mimeo_protocol::manifest::{Entry, Page, StoredBlock};
use mimeo_protocol::receiver::{
    Admitted, Endpoint, Event, Placement, Resume, Session, SessionConfig, Unused,
};
use mimeo_protocol::units::{
    BLOCK_SIZE, BlockNumber, GROUP, MAX_BODY, PageNumber, Place, SYMBOL_SIZE,
};
use mimeo_protocol::wire::{SYMBOL_DATAGRAM, SymbolHeader, SymbolKind, WelcomeBody};

use support::{GROUP_KEY, K, SESSION_TAG, header, random_bytes, seal_symbol};

/// Symbols of the blocks of a group.
const SYMBOLS: usize = GROUP as usize * K as usize;

/// The blocks that are put together: a group of their own in each round, as a block that was
/// written is not put together again.
#[derive(Default)]
struct Rounds {
    begun: u32,
    seq: u64,
}

impl Rounds {
    /// The headers of the next group's symbols, in the order of sending.
    fn next_group(&mut self) -> Vec<SymbolHeader> {
        let first = self.begun * GROUP;
        self.begun += 1;
        let columns = (0..K).flat_map(|esi| (first..first + GROUP).map(move |block| (esi, block)));
        columns
            .map(|(esi, block)| header(self.next_seq(), block, esi))
            .collect()
    }

    fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }
}

fn session_config() -> SessionConfig {
    SessionConfig {
        buffers: 254,
        window: 8192,
        in_order: false,
        target_len: None,
        resume: Resume::Off,
        idle_timeout: Duration::from_secs(60),
        seed: 1,
        image_len: None,
        verify: false,
        unused: Unused::Keep,
    }
}

/// What signs the pages of the session.
fn signer() -> Signer {
    let mut session = [0; 16];
    session[..2].copy_from_slice(&SESSION_TAG.to_be_bytes());
    Signer {
        key: SigningKey::from_seed(&[5; 32]),
        session: SessionId(session),
    }
}

fn welcome() -> WelcomeBody {
    WelcomeBody {
        group: (Ipv4Addr::new(239, 255, 1, 1), 50_000).into(),
        group_key: Secret::new(GROUP_KEY),
        sender_key: signer().key.verifying_key(),
        image_len: None,
        cycle: Cycle(1),
        slot: Slot(0),
        begun: BlockNumber(0),
        receivers: 1,
        needs: None,
    }
}

/// Only deciding where symbols belong: nothing is opened.
fn place(criterion: &mut Criterion) {
    let now = Instant::now();
    let mut session = Session::new(now, session_config(), signer().session, &welcome());
    let mut rounds = Rounds::default();
    let mut group = criterion.benchmark_group("place");
    group.throughput(Throughput::Bytes((SYMBOLS * SYMBOL_SIZE) as u64));
    group.bench_function(format!("k{K}_blocks{GROUP}"), |bencher| {
        bencher.iter_batched_ref(
            || rounds.next_group(),
            |headers| place_group(now, &mut session, headers),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn place_group(now: Instant, session: &mut Session, headers: &[SymbolHeader]) {
    for header in headers {
        let placement = match session.place(header) {
            Placement::First => session.begin(header),
            other => other,
        };
        let Placement::Slot(_, slot) = black_box(placement) else {
            panic!("no place for {header:?}");
        };
        session.handle_symbol(now, header, Some(slot));
    }
    for header in &headers[..GROUP as usize] {
        let block = BlockNumber(header.number);
        session.handle_written(now, block, BLOCK_SIZE as u64, Duration::ZERO);
    }
}

/// The receiver's whole way from a datagram to a body: opening included.
fn assemble(criterion: &mut Criterion) {
    let now = Instant::now();
    let key = SealKey::new(&Secret::new(GROUP_KEY));
    let symbol = random_bytes(4, SYMBOL_SIZE);
    let mut endpoint = Endpoint::new(now, session_config(), admitted());
    let mut rounds = Rounds::default();
    let mut group = criterion.benchmark_group("assemble");
    group.throughput(Throughput::Bytes((SYMBOLS * SYMBOL_SIZE) as u64));
    group.bench_function(format!("k{K}_blocks{GROUP}"), |bencher| {
        bencher.iter_batched_ref(
            || datagrams(&key, &symbol, &mut rounds),
            |datagrams| assemble_group(now, &mut endpoint, datagrams),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn assemble_group(now: Instant, endpoint: &mut Endpoint, datagrams: &[u8]) {
    for datagram in datagrams.chunks_exact(SYMBOL_DATAGRAM) {
        endpoint.handle_datagram(now, datagram);
    }
    let mut whole = 0;
    while let Some(event) = endpoint.poll_event() {
        if let Event::Block { block, buffer, .. } = event {
            let symbols = endpoint.take(buffer).expect("a whole block has a buffer");
            endpoint.give_back(buffer, black_box(symbols));
            let session = endpoint.session_mut();
            session.handle_written(now, block, BLOCK_SIZE as u64, Duration::ZERO);
            whole += 1;
        }
    }
    assert_eq!(whole, GROUP, "nothing was lost");
}

fn admitted() -> Admitted {
    let (session_id, number) = (signer().session, ReceiverNumber(1));
    let (ours, theirs) = (Nonce([1; 16]), Nonce([2; 16]));
    Admitted {
        session_id,
        session_name: "bench".to_owned(),
        sender: (Ipv4Addr::LOCALHOST, 64_636).into(),
        number,
        keys: JoinKeys::derive(&Secret::new([3; 32]), session_id, ours, theirs, number),
        body: welcome(),
    }
}

/// The page of the next group and behind it the group's symbols, sealed.
fn datagrams(key: &SealKey, symbol: &[u8], rounds: &mut Rounds) -> Vec<u8> {
    let number = rounds.begun;
    let page_header = SymbolHeader {
        kind: SymbolKind::Page,
        number,
        k: 1,
        ..header(rounds.next_seq(), number * GROUP, 0)
    };
    let headers = rounds.next_group();
    let mut datagrams = vec![0; (1 + SYMBOLS) * SYMBOL_DATAGRAM];
    let mut free = datagrams.chunks_exact_mut(SYMBOL_DATAGRAM);
    let mut seal = |header: &SymbolHeader, symbol: &[u8]| {
        let datagram = free
            .next()
            .expect("one for the page and one for each symbol");
        seal_symbol(key, header, symbol, datagram);
    };
    seal(&page_header, &page_symbol(number));
    for header in &headers {
        seal(header, symbol);
    }
    datagrams
}

/// The page that describes a group.
fn page_symbol(number: u32) -> Vec<u8> {
    let first = number * GROUP;
    let entry = |place| {
        Entry::Block(StoredBlock {
            place: Place(place),
            stored_len: MAX_BODY as u32,
            coding: Coding::Raw,
            digest: BlockDigest([0; 32]),
        })
    };
    let entries = (first..first + GROUP).map(entry).collect();
    let page = Page::new(PageNumber(number), BlockNumber(first), entries);
    let mut page = page.expect("its entries are in order");
    page.sign(&signer());
    let mut symbol = Vec::new();
    page.encode(&mut symbol);
    symbol.resize(SYMBOL_SIZE, 0);
    symbol
}

fn main() {
    support::run(&[place, assemble]);
}
