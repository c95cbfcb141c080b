//! What a session of 8 TB takes in memory: all that the engine keeps for its blocks and runs, in a
//! session without payload, with a cycle for one that comes late and lacks a block here and there.
//!
//! ```text
//! cargo test --release -p mimeo-sender --lib -- --ignored --nocapture memory
//! ```
//!
//! runs for some minutes and writes 1.4 GB to the folder of temporary files. Bodies are not counted:
//! they are bounded by themselves.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mimeo_protocol::block::{BlockDigest, Coding, ImageTree, Level, ZerosDigest};
use mimeo_protocol::ids::{Cycle, Mac, ReceiverNumber, SessionId, Slot};
use mimeo_protocol::keys::{Signer, SigningKey};
use mimeo_protocol::manifest::{Entry, Run, StoredBlock};
use mimeo_protocol::pacing::Rate;
use mimeo_protocol::sender::{
    About, Job, Parity, Session, SessionConfig, SlowRules, StartPolicy, Transmit,
};
use mimeo_protocol::units::{BLOCK_SIZE, BlockNumber, PageNumber, Place};
use mimeo_protocol::wire::{
    ALL_SYMBOLS, Deficit, Effort, PageRun, Report, Stage, SymbolKind, ToSender,
};

use super::queue::{Work, WorkQueue};
use crate::SpilledPages;

/// 8 TB.
const PLACES: u32 = (8_000_000_000_000_u64 / BLOCK_SIZE as u64) as u32;

const FIRST: ReceiverNumber = ReceiverNumber(1);
const LATE: ReceiverNumber = ReceiverNumber(2);

/// The late one lacks one of so many blocks.
const STRIDE: u32 = 1009;

/// What it reports as missing at a time.
const RUNS: usize = 256;

struct Room {
    session: Session,
    now: Instant,
    queue: WorkQueue,
    levels: Vec<Level>,
    tree: ImageTree,
    /// Whether every second place is unused; else all are sent.
    alternating: bool,
    next: u32,
    fetched: u64,
    /// The next block that the late one lacks.
    lacks: u32,
    pages_asked: u32,
}

fn stored(place: Place) -> StoredBlock {
    let mut digest = [0; 32];
    for (i, bytes) in (0..).zip(digest.chunks_exact_mut(4)) {
        bytes.copy_from_slice(&(place.0 ^ i << 28).to_le_bytes());
    }
    StoredBlock {
        place,
        stored_len: 1000,
        coding: Coding::Zstd,
        digest: BlockDigest(digest),
    }
}

impl Room {
    fn new(alternating: bool) -> Self {
        let now = Instant::now();
        let config = SessionConfig {
            image_len: Some(u64::from(PLACES) * BLOCK_SIZE as u64),
            seekable: true,
            start: StartPolicy::default(),
            rate_cap: Some(Rate(1_000_000_000)),
            parity: Parity::Auto,
            slow: SlowRules::default(),
            linger: Duration::ZERO,
            lost_timeout: Duration::ZERO,
        };
        let signer = Signer {
            key: SigningKey::from_seed(&[1; 32]),
            session: SessionId([2; 16]),
        };
        let pages = Box::<SpilledPages>::default();
        let mut room = Self {
            session: Session::with_page_store(now, config, signer, pages),
            now,
            queue: WorkQueue::default(),
            levels: Vec::new(),
            tree: ImageTree::default(),
            alternating,
            next: 0,
            fetched: 0,
            lacks: 0,
            pages_asked: 0,
        };
        room.admit(FIRST);
        room
    }

    fn admit(&mut self, number: ReceiverNumber) {
        let about = About {
            host_name: format!("pc{number}"),
            mac: Mac([2, 0, 0, 0, 0, number.0 as u8]),
            target_id: 1,
            link_speed: 100_000,
            capacity: u64::MAX,
            resumes: false,
            piped: false,
            address: SocketAddr::from(([10, 0, 0, number.0 as u8], 50_000)),
        };
        self.session.handle_admitted(self.now, number, about);
        self.report(number, Vec::new(), Vec::new());
    }

    fn place_of(&self, block: u32) -> Place {
        Place(if self.alternating { 2 * block } else { block })
    }

    /// Of a receiver that has all that was sent but for these.
    fn report(&mut self, from: ReceiverNumber, deficits: Vec<Deficit>, pages: Vec<PageRun>) {
        let position = self.session.position();
        let seq = self.session.last_seq();
        let known = self.session.manifest().known_blocks();
        let of_first = position.cycle == Cycle(1);
        let covered = match deficits.last() {
            _ if of_first => position.horizon,
            Some(last) => BlockNumber(last.first.0 + last.count),
            None => known,
        };
        let complete = deficits.first().map_or(covered, |first| first.first);
        let report = Report {
            stage: Stage::Receiving,
            seq_seen: seq,
            held_us: 0,
            received: seq.0,
            expected: seq.0,
            socket_drops: 0,
            window: 100_000,
            credit: Slot(position.slot.0 + 20_000),
            blocks_done: position.slot.0,
            bytes_written: position.slot.0.into(),
            bytes_kept: 0,
            busy_ms: 1,
            bytes_verified: 0,
            effort: Effort::default(),
            buffers: 20_000,
            turn: 0,
            bad_blocks: 0,
            forged_symbols: 0,
            pages_up_to: pages.first().map_or(position.pages, |run| run.first),
            missing_pages: pages,
            spoiled: Vec::new(),
            complete_up_to: complete,
            covered_up_to: covered,
            deficits,
        };
        let message = ToSender::Report(report);
        self.session.handle_message(self.now, from, message);
    }

    /// The next place is read, as the encoders and the engine do it where there is never time for the
    /// digests of runs.
    fn read(&mut self) {
        let place = Place(self.next);
        self.next += 1;
        if self.alternating && place.0 % 2 == 1 {
            let (run, count) = (Run { place, count: 1 }, 1);
            self.queue.push(Work::Zeros { place, count });
            self.session.handle_entry(self.now, Entry::Unused(run));
            return;
        }
        self.queue.push(Work::Read {
            order: place.0.into(),
            place,
            len: BLOCK_SIZE,
            only: false,
        });
        while !matches!(self.work(), Work::Read { .. }) {}
        let block = stored(place);
        self.levels.push(Level::DEFAULT);
        self.tree.push(place, block.digest);
        self.session.handle_entry(self.now, Entry::Block(block));
    }

    fn work(&mut self) -> Work {
        let work = self.queue.pop().expect("it is not closed");
        if let Work::Zeros { place, .. } = work {
            let digest = ZerosDigest::of_block(stored(place).digest);
            self.tree.push_zeros(place, &digest);
        }
        work
    }

    fn read_all(&mut self) {
        while self.next < PLACES && self.session.wants_entries() {
            self.read();
            if self.next == PLACES {
                let len = u64::from(PLACES) * BLOCK_SIZE as u64;
                self.session.handle_source_end(len, None);
            }
        }
    }

    /// A millisecond.
    fn step(&mut self) {
        self.now += Duration::from_millis(1);
        self.session.handle_timeout(self.now);
        let mut burst = Vec::new();
        loop {
            self.read_all();
            while let Some(job) = self.session.poll_job() {
                if let Job::Fetch {
                    share,
                    block,
                    purpose,
                } = job
                {
                    assert_eq!(block, stored(self.place_of(share.block.0)));
                    self.fetched += 1;
                    self.session.handle_fetched(share, purpose);
                }
            }
            while self.session.poll_event().is_some() {}
            burst.clear();
            let Some(transmit) = self.session.poll_transmit(self.now, &mut burst) else {
                break;
            };
            if matches!(transmit, Transmit::Symbols { .. }) {
                for symbol in burst.iter().filter(|it| it.kind == SymbolKind::Page) {
                    let page = PageNumber(symbol.number);
                    assert!(self.session.page_object(page).is_some());
                }
            }
        }
        assert_eq!(self.session.abort_reason(), None);
    }

    /// Everything is read and sent; one of a thousand blocks is lost at first.
    fn first_cycle(&mut self) {
        let mut lost = 0;
        while self.session.end().is_none() || self.session.is_in_first_pass() {
            self.step();
            let horizon = self.session.position().horizon.0;
            let mut deficits = Vec::new();
            while lost < horizon {
                deficits.push(Deficit {
                    first: BlockNumber(lost),
                    count: 1,
                    symbols: 1,
                });
                lost += STRIDE;
            }
            self.report(FIRST, deficits, Vec::new());
        }
        while self.tree.finish(PLACES.into()).is_none() {
            self.work();
        }
    }

    /// One that came late lacks some blocks all over the image, and asks for pages anywhere.
    fn second_cycle(&mut self) {
        self.admit(LATE);
        let blocks = self.session.manifest().known_blocks().0;
        let pages = self.session.manifest().pages().0;
        let (before, mut luck) = (self.fetched, 1_u32);
        while self.lacks < blocks {
            let begun = match self.session.position().cycle {
                Cycle(1) => 0,
                _ => self.session.begun().0,
            };
            while self.lacks < begun {
                self.lacks += STRIDE;
            }
            let lacked = (self.lacks..blocks).step_by(STRIDE as usize).take(RUNS);
            let deficit = |block| Deficit {
                first: BlockNumber(block),
                count: 1,
                symbols: ALL_SYMBOLS,
            };
            let deficits: Vec<Deficit> = lacked.map(deficit).collect();
            luck = luck.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let first = PageNumber(luck % pages);
            self.pages_asked += 1;
            self.report(LATE, deficits, vec![PageRun { first, count: 1 }]);
            self.report(FIRST, Vec::new(), Vec::new());
            self.step();
        }
        let (sent, lacked) = (self.fetched - before, blocks / STRIDE);
        assert!(sent >= lacked.into(), "{sent} of {lacked}");
    }
}

/// The most memory that the process has had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<u64>().unwrap() << 10
}

fn measure(alternating: bool) {
    let mut room = Room::new(alternating);
    let before = peak();
    room.first_cycle();
    let first = peak() - before;
    room.second_cycle();
    let (all, blocks) = (peak() - before, room.session.manifest().known_blocks().0);
    println!(
        "{PLACES} places, {blocks} blocks, {} pages, {} fetched, {} pages asked for: {} MiB at the end of \
         the first cycle, {} in the end, {:.2} bytes a block; the process had {} MiB",
        room.session.manifest().pages(),
        room.fetched,
        room.pages_asked,
        first >> 20,
        all >> 20,
        all as f64 / f64::from(blocks),
        peak() >> 20,
    );
    // With 64 MiB of bodies at hand, 28 of buffers and what the encoders need it fits 256 MiB.
    assert!(all < 128 << 20, "{all}");
}

#[test]
#[ignore = "takes minutes and 1.4 GB of temporary files; one of the two at a time, as it measures the process"]
fn memory_of_a_full_disk() {
    measure(false);
}

#[test]
#[ignore = "takes minutes and 1.4 GB of temporary files; one of the two at a time, as it measures the process"]
fn memory_of_a_disk_of_which_every_second_block_is_used() {
    measure(true);
}
