//! Everybody who was admitted holds the group's key, and may forge what is sealed under it. That
//! must not keep the others' blocks out for good, nor make a receiver count to billions.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mimeo_protocol::block::{BlockDigest, Coding};
use mimeo_protocol::ids::{Cycle, Seq, SessionId, Slot};
use mimeo_protocol::keys::{Secret, Signer, SigningKey};
use mimeo_protocol::manifest::{Entry, IdentityHasher, Page, StoredBlock};
use mimeo_protocol::receiver::{Event, Placement, Resume, Session, SessionConfig, Unused};
use mimeo_protocol::units::{BLOCK_SIZE, BlockNumber, Esi, PageNumber, Place, SYMBOL_SIZE};
use mimeo_protocol::wire::{
    EndRecord, GroupControl, Position, Report, SymbolHeader, SymbolKind, ToSender, WelcomeBody,
};

const BLOCKS: u32 = 2;

struct Receiver {
    session: Session,
    now: Instant,
    seq: u64,
}

impl Receiver {
    fn new(buffers: u32) -> Self {
        #[allow(
            clippy::disallowed_methods,
            reason = "a test needs some instant to start from"
        )]
        let now = Instant::now();
        let config = SessionConfig {
            buffers,
            window: 64,
            in_order: false,
            target_len: None,
            resume: Resume::Off,
            idle_timeout: Duration::from_secs(60),
            seed: 1,
            image_len: Some(u64::from(BLOCKS) * BLOCK_SIZE as u64),
            verify: false,
            unused: Unused::Keep,
        };
        let welcome = WelcomeBody {
            group: SocketAddr::from(([239, 255, 1, 2], 50_000)),
            group_key: Secret::new([1; 32]),
            sender_key: signer().key.verifying_key(),
            image_len: config.image_len,
            cycle: Cycle(1),
            slot: Slot(0),
            begun: BlockNumber(0),
            receivers: 1,
            needs: None,
        };
        let session = Session::new(now, config, signer().session, &welcome);
        Self {
            session,
            now,
            seq: 0,
        }
    }

    fn header(&mut self, kind: SymbolKind, number: u32, esi: u8, k: u8) -> SymbolHeader {
        self.seq += 1;
        SymbolHeader {
            kind,
            session_tag: 0,
            seq: Seq(self.seq),
            slot: Slot(0),
            horizon: BlockNumber(0),
            number,
            esi: Esi(esi),
            k,
        }
    }

    /// A symbol of a block, as the endpoint hands it on; whether it was kept.
    fn symbol(&mut self, number: u32, k: u8) -> bool {
        let header = self.header(SymbolKind::Block, number, 0, k);
        let placement = match self.session.place(&header) {
            Placement::First => self.session.begin(&header),
            other => other,
        };
        let slot = match placement {
            Placement::Slot(_, slot) => Some(slot),
            _ => None,
        };
        self.session.handle_symbol(self.now, &header, slot);
        slot.is_some()
    }

    /// The only page, as the sender has signed it.
    fn page(&mut self) {
        let page = Page::new(PageNumber(0), BlockNumber(0), entries());
        let mut page = page.expect("entries are in order");
        page.sign(&signer());
        let mut symbol = Vec::new();
        page.encode(&mut symbol);
        symbol.resize(SYMBOL_SIZE, 0);
        let header = self.header(SymbolKind::Page, 0, 0, 1);
        self.session.handle_page_symbol(self.now, &header, &symbol);
    }

    fn control(&mut self, horizon: u32, pages: u32, end: Option<EndRecord>) {
        self.seq += 1;
        let position = Position {
            cycle: Cycle(1),
            slot: Slot(0),
            horizon: BlockNumber(horizon),
            pages: PageNumber(pages),
            receivers: 1,
        };
        let control = GroupControl { position, end };
        self.session
            .handle_control(self.now, Seq(self.seq), &control);
    }

    fn report(&mut self) -> Report {
        self.now += Duration::from_secs(1);
        self.session.handle_timeout(self.now);
        match self.session.poll_transmit(self.now) {
            Some(ToSender::Report(report)) => report,
            other => panic!("{other:?}"),
        }
    }

    /// Blocks that are handed out to be written.
    fn whole(&mut self) -> Vec<u32> {
        let mut whole = Vec::new();
        while let Some(event) = self.session.poll_event() {
            if let Event::Block { block, .. } = event {
                whole.push(block.0);
            }
        }
        whole
    }
}

fn signer() -> Signer {
    Signer {
        key: SigningKey::from_seed(&[3; 32]),
        session: SessionId([4; 16]),
    }
}

/// Blocks of one symbol each.
fn entries() -> Vec<Entry> {
    let block = |place| {
        Entry::Block(StoredBlock {
            place: Place(place),
            stored_len: 100,
            coding: Coding::Zstd,
            digest: BlockDigest([7; 32]),
        })
    };
    (0..BLOCKS).map(block).collect()
}

fn end() -> EndRecord {
    let image_len = u64::from(BLOCKS) * BLOCK_SIZE as u64;
    let mut identity = IdentityHasher::default();
    for entry in entries() {
        identity.push(&entry).expect("there are no gaps");
    }
    let mut end = EndRecord {
        image_len,
        blocks: BlockNumber(BLOCKS),
        pages: PageNumber(1),
        identity: identity.finish(image_len).expect("all places are covered"),
        image_digest: None,
        signature: [0; 64],
    };
    end.sign(&signer());
    end
}

#[test]
fn a_block_that_contradicts_its_page_is_not_begun() {
    let mut receiver = Receiver::new(4);
    receiver.page();
    assert!(!receiver.symbol(0, 187));
    assert!(receiver.symbol(0, 1));
    assert_eq!(receiver.whole(), [0]);
}

#[test]
fn a_block_that_was_begun_is_given_up_when_its_page_contradicts_it() {
    let mut receiver = Receiver::new(4);
    assert!(receiver.symbol(0, 187));
    assert!(!receiver.symbol(0, 1), "one of the two is forged");
    receiver.page();
    assert!(receiver.symbol(0, 1));
    assert_eq!(receiver.whole(), [0]);
}

#[test]
fn blocks_behind_the_end_do_not_hold_buffers_for_good() {
    let mut receiver = Receiver::new(1);
    assert!(receiver.symbol(u32::MAX - 1, 187));
    assert!(!receiver.symbol(0, 1), "no buffer is free");
    receiver.control(BLOCKS, 1, Some(end()));
    assert!(!receiver.symbol(BLOCKS, 1), "there is no such block");
    assert!(receiver.symbol(0, 1));
    receiver.page();
    assert_eq!(receiver.whole(), [0]);
}

#[test]
fn a_forged_position_is_answered_by_a_short_report() {
    let mut receiver = Receiver::new(4);
    receiver.control(u32::MAX, u32::MAX, None);
    receiver.now += Duration::from_millis(2);
    receiver.session.handle_timeout(receiver.now);
    let report = receiver.report();
    assert_eq!((report.deficits.len(), report.missing_pages.len()), (1, 1));
    assert!(receiver.symbol(1, 1));
    receiver.page();
    assert_eq!(receiver.whole(), [1]);
    let report = receiver.report();
    let runs: Vec<_> = report.deficits.iter().map(|run| run.first.0).collect();
    assert_eq!(runs, [0, 2]);
}
