//! A legitimate receiver may report whatever it likes. That must not keep the sender busy, lead the
//! others astray, or hold them up.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mimeo_protocol::block::{BlockDigest, Coding};
use mimeo_protocol::ids::{Cycle, Mac, ReceiverNumber, Seq, SessionId, Slot};
use mimeo_protocol::keys::{Signer, SigningKey};
use mimeo_protocol::manifest::{Entry, StoredBlock};
use mimeo_protocol::sender::{
    About, Job, Parity, Session, SessionConfig, SlowRules, StartPolicy, Transmit,
};
use mimeo_protocol::units::{BLOCK_SIZE, BlockNumber, PageNumber, Place};
use mimeo_protocol::wire::{
    ALL_SYMBOLS, Deficit, Effort, Remedy, Report, Spoiled, Stage, ToSender,
};

const BLOCKS: u32 = 4;

struct Sender {
    session: Session,
    now: Instant,
}

impl Sender {
    /// A session in which everybody resumes, so that what is sent follows from reports alone.
    fn new(receivers: u16) -> Self {
        #[allow(
            clippy::disallowed_methods,
            reason = "a test needs some instant to start from"
        )]
        let now = Instant::now();
        let config = SessionConfig {
            image_len: Some(u64::from(BLOCKS) * BLOCK_SIZE as u64),
            seekable: true,
            start: StartPolicy {
                min_receivers: receivers.into(),
                ..StartPolicy::default()
            },
            rate_cap: None,
            parity: Parity::Auto,
            slow: SlowRules::default(),
            linger: Duration::ZERO,
            lost_timeout: Duration::ZERO,
        };
        let signer = Signer {
            key: SigningKey::from_seed(&[1; 32]),
            session: SessionId([2; 16]),
        };
        let mut sender = Self {
            session: Session::new(now, config, signer),
            now,
        };
        for number in 1..=receivers {
            sender.admit(number);
            sender.report(number, report());
        }
        sender.pass(1);
        sender
    }

    fn admit(&mut self, number: u16) {
        let about = About {
            host_name: format!("pc{number}"),
            mac: Mac([2, 0, 0, 0, 0, number as u8]),
            target_id: 1,
            link_speed: 1000,
            capacity: u64::MAX,
            resumes: true,
            piped: false,
            address: SocketAddr::from(([10, 0, 0, number as u8], 50_000)),
        };
        self.session
            .handle_admitted(self.now, ReceiverNumber(number), about);
    }

    fn report(&mut self, number: u16, report: Report) {
        let from = ReceiverNumber(number);
        self.session
            .handle_message(self.now, from, ToSender::Report(report));
    }

    /// Lets time pass and does what is asked for. Returns the blocks that were sent.
    fn pass(&mut self, millis: u32) -> Vec<u32> {
        let mut blocks = Vec::new();
        for _ in 0..millis {
            self.now += Duration::from_millis(1);
            self.session.handle_timeout(self.now);
            let mut burst = Vec::new();
            while let Some(transmit) = self.session.poll_transmit(self.now, &mut burst) {
                if matches!(transmit, Transmit::Symbols { .. }) {
                    let of_blocks = burst
                        .iter()
                        .filter(|symbol| symbol.kind == mimeo_protocol::wire::SymbolKind::Block);
                    blocks.extend(of_blocks.map(|symbol| symbol.number));
                }
                burst.clear();
            }
            while let Some(job) = self.session.poll_job() {
                if let Job::Fetch { share, purpose, .. } = job {
                    self.session.handle_fetched(share, purpose);
                }
            }
        }
        blocks
    }

    /// The whole image is read.
    fn read(&mut self) {
        for place in 0..BLOCKS {
            let entry = Entry::Block(StoredBlock {
                place: Place(place),
                stored_len: 100,
                coding: Coding::Zstd,
                digest: BlockDigest([7; 32]),
            });
            self.session.handle_entry(self.now, entry);
        }
        let image_len = u64::from(BLOCKS) * BLOCK_SIZE as u64;
        self.session.handle_source_end(image_len, None);
    }
}

/// Of a receiver that has seen everything and needs nothing yet.
fn report() -> Report {
    Report {
        stage: Stage::Receiving,
        seq_seen: Seq(1 << 40),
        held_us: 0,
        received: 0,
        expected: 0,
        socket_drops: 0,
        window: 2048,
        credit: Slot(1000),
        blocks_done: 0,
        bytes_written: 0,
        bytes_kept: 0,
        busy_ms: 0,
        bytes_verified: 0,
        effort: Effort::default(),
        buffers: 256,
        turn: 0,
        bad_blocks: 0,
        forged_symbols: 0,
        pages_up_to: PageNumber(0),
        missing_pages: Vec::new(),
        spoiled: Vec::new(),
        complete_up_to: BlockNumber(0),
        covered_up_to: BlockNumber(0),
        deficits: Vec::new(),
    }
}

fn needs(first: u32, count: u32) -> Report {
    let run = Deficit {
        first: BlockNumber(first),
        count,
        symbols: ALL_SYMBOLS,
    };
    Report {
        pages_up_to: PageNumber(1),
        covered_up_to: BlockNumber(u32::MAX),
        deficits: vec![run],
        ..report()
    }
}

#[test]
fn who_needs_billions_of_blocks_gets_those_that_there_are() {
    let mut sender = Sender::new(1);
    sender.read();
    sender.report(1, needs(0, u32::MAX));
    assert_eq!(sender.pass(20), [0, 1, 2, 3]);
}

#[test]
fn the_position_does_not_run_ahead_of_the_image() {
    let mut sender = Sender::new(1);
    let covers_all = Report {
        covered_up_to: BlockNumber(u32::MAX),
        ..report()
    };
    sender.report(1, covers_all.clone());
    sender.pass(20);
    assert_eq!(sender.session.position().horizon, BlockNumber(0));
    sender.read();
    sender.report(1, covers_all);
    sender.pass(20);
    assert_eq!(sender.session.position().horizon, BlockNumber(BLOCKS));
}

#[test]
fn who_needs_what_lies_behind_the_end_does_not_hold_up_the_next_cycle() {
    let mut sender = Sender::new(2);
    sender.read();
    let nothing = Report {
        deficits: Vec::new(),
        ..needs(0, 1)
    };
    sender.report(1, needs(BLOCKS, 1));
    sender.report(2, nothing);
    sender.pass(20);
    assert_eq!(sender.session.position().cycle, Cycle(2));
    // A third one comes when all had their pass: what it needs comes in the next.
    sender.admit(3);
    sender.report(3, needs(1, 2));
    sender.pass(20);
    for _ in 0..20 {
        sender.report(1, needs(BLOCKS, 1));
        sender.report(3, needs(1, 2));
        if !sender.pass(20).is_empty() {
            break;
        }
    }
    assert_eq!(sender.session.position().cycle, Cycle(3));
}

#[test]
fn what_the_sender_keeps_of_a_report_is_counted() {
    let mut sender = Sender::new(1);
    sender.read();
    let mut bytes = |report| {
        sender.report(1, report);
        sender.session.state_bytes()
    };
    let run = size_of::<Deficit>();
    let before = bytes(report());
    assert_eq!(bytes(needs(0, 1)), before + run);
    let spoiled = |block| Spoiled {
        block: BlockNumber(block),
        remedy: Remedy::OwnSymbols(1),
    };
    let spoiled = Report {
        spoiled: (0..BLOCKS).map(spoiled).collect(),
        ..needs(0, 1)
    };
    let expected = before + run + BLOCKS as usize * size_of::<Spoiled>();
    assert_eq!(bytes(spoiled), expected);
}
