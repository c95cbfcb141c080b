//! How a receiver puts pages together, compared with a model that has all of them at hand.
//!
//! The receiver takes pages in any order, repaired or not, and flushes its target only when the
//! pages cover the image without a gap and their identity is that of the end record; where they
//! contradict each other it fails. What the sender has not signed counts for nothing: damaged pages
//! and forged symbols may keep pages from it for a while, but do nothing else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use mimeo_protocol::fec::Code;
use mimeo_protocol::ids::{Cycle, Seq, Slot};
use mimeo_protocol::manifest::{Entry, Identity, IdentityHasher, Page};
use mimeo_protocol::receiver::{Event, Session, Zeroed};
use mimeo_protocol::units::{
    BLOCK_SIZE, BlockNumber, Esi, PageNumber, SYMBOL_SIZE, source_symbols,
};
use mimeo_protocol::wire::{
    EndRecord, FailCode, GroupControl, PageRun, Position, Report, SymbolHeader, SymbolKind,
    ToSender,
};

use super::Made;
use crate::setup;
use crate::value::Near;

#[derive(Debug, Arbitrary)]
pub(super) struct Input<'a> {
    /// Whether somebody forges or damages symbols: then some pages may not arrive.
    forged: bool,
    #[arbitrary(with = crate::value::at_most::<16, _>)]
    actions: Vec<Action<'a>>,
}

#[derive(Debug, Arbitrary)]
enum Action<'a> {
    /// A page, or the one before again, as these symbols.
    Page {
        made: Made,
        symbols: [u8; 2],
        signed: u8,
    },
    Again(u8, [u8; 2]),
    Symbol {
        number: Near,
        coded: (u8, u8),
        bytes: &'a [u8],
    },
    /// The sender tells that it has made so many pages.
    Known(Near),
    End {
        right: bool,
        signed: u8,
        image_len: Near,
        blocks: Near,
        pages: Near,
    },
    /// Everything that is known is written.
    Write,
    Pass(u16),
}

/// No more pages than this are kept that wait for an earlier one.
const MAX_AHEAD: u32 = 4096;

/// What a receiver should have.
#[derive(Default)]
struct Model {
    pages: BTreeMap<u32, Page>,
    up_to: u32,
    known: u32,
    blocks: u32,
    place: u32,
    contradicts: bool,
    identity: IdentityHasher,
}

impl Model {
    fn wants(&self, number: u32) -> bool {
        let is_near = number >= self.up_to && number - self.up_to < MAX_AHEAD;
        is_near && !self.pages.contains_key(&number)
    }

    /// A page that arrived, unless it is of no use. One that is signed tells of those before it.
    fn take(&mut self, page: &Page, signed: bool) {
        let number = page.number().0;
        if !self.wants(number) {
            return;
        }
        if !signed {
            return;
        }
        self.known = self.known.max(number);
        self.pages.insert(number, page.clone());
        while let Some(page) = self.pages.get(&self.up_to) {
            self.up_to += 1;
            self.contradicts |= page.first_block().0 != self.blocks;
            for entry in page.entries() {
                self.contradicts |= self.identity.push(entry).is_err();
                self.blocks += u32::from(matches!(entry, Entry::Block(_)));
                self.place = entry.end().expect("a valid entry ends at a place").0;
            }
        }
    }

    fn identity(&self, image_len: u64) -> Option<Identity> {
        self.identity.clone().finish(image_len).ok()
    }

    fn missing(&self) -> Vec<PageRun> {
        let mut runs: Vec<PageRun> = Vec::new();
        let end = self.known.min(self.up_to.saturating_add(MAX_AHEAD));
        for page in (self.up_to..end).filter(|page| !self.pages.contains_key(page)) {
            let full = runs.len() == 16;
            match runs.last_mut() {
                Some(run) if run.first.0 + run.count == page => run.count += 1,
                _ if full => break,
                _ => runs.push(PageRun {
                    first: PageNumber(page),
                    count: 1,
                }),
            }
        }
        runs
    }
}

/// Mostly.
fn is_signed(any: u8) -> bool {
    any >= 16
}

struct Log {
    session: Session,
    model: Model,
    now: Instant,
    seq: u64,
    forged: bool,
    last: Option<(Page, bool)>,
    end: Option<EndRecord>,
    failed: bool,
    flushes: u32,
}

pub(super) fn run(input: &Input<'_>) {
    let body = setup::welcome_body(setup::session_id(0), None);
    let config = setup::receiver_config(0, None);
    let mut log = Log {
        session: Session::new(setup::epoch(), config, setup::session_id(0), &body),
        model: Model::default(),
        now: setup::epoch(),
        seq: 0,
        forged: input.forged,
        last: None,
        end: None,
        failed: false,
        flushes: 0,
    };
    for action in &input.actions {
        log.act(action);
        log.drain();
    }
    log.finish();
}

impl Log {
    fn act(&mut self, action: &Action<'_>) {
        match action {
            Action::Page {
                made,
                symbols,
                signed,
            } => {
                let next = (self.model.up_to, self.model.blocks, self.model.place);
                if let Ok(mut page) = made.page(next) {
                    // No sender signs a page behind the end that it has signed.
                    let is_one = self.end.is_none_or(|end| page.number() < end.pages);
                    let signed = is_one && is_signed(*signed);
                    if signed {
                        page.sign(&setup::signer(setup::session_id(0)));
                    }
                    self.hear(&page, *symbols, signed);
                    self.last = Some((page, signed));
                }
            }
            Action::Again(number, symbols) => {
                let page = self.model.pages.get(&u32::from(*number)).cloned();
                let page = page.map(|page| (page, true));
                if let Some((page, signed)) = page.or_else(|| self.last.clone()) {
                    self.hear(&page, *symbols, signed);
                }
            }
            Action::Symbol {
                number,
                coded: (esi, k),
                bytes,
            } if self.forged => {
                let mut symbol = bytes.to_vec();
                symbol.resize(SYMBOL_SIZE, 0);
                let number = number.to_u32(self.model.up_to);
                self.symbol(number, (*esi % 255, 1 + *k % 187), &symbol);
            }
            Action::Symbol { .. } => {}
            Action::Known(pages) => {
                let pages = pages.to_u32(self.model.up_to);
                self.model.known = self.model.known.max(pages);
                self.control(pages, None);
            }
            Action::End {
                right,
                signed,
                image_len,
                blocks,
                pages,
            } => self.end((*right, is_signed(*signed)), *image_len, *blocks, *pages),
            Action::Write => self.write(),
            Action::Pass(ms) => self.now += Duration::from_millis((*ms).into()),
        }
    }

    /// All symbols of a page, of which each is one of those that the code has.
    fn hear(&mut self, page: &Page, symbols: [u8; 2], signed: bool) {
        let mut object = Vec::new();
        page.encode(&mut object);
        object.resize(source_symbols(object.len()) * SYMBOL_SIZE, 0);
        let k = (object.len() / SYMBOL_SIZE) as u8;
        let code = Code::new(k).expect("a page has one or two symbols");
        let first = symbols[0] % 255;
        let second = if symbols[1] % 255 == first {
            (first + 1) % 255
        } else {
            symbols[1] % 255
        };
        for esi in [first, second].into_iter().take(k.into()) {
            let mut symbol = [0; SYMBOL_SIZE];
            if esi < k {
                let from = usize::from(esi) * SYMBOL_SIZE;
                symbol.copy_from_slice(&object[from..from + SYMBOL_SIZE]);
            } else {
                code.repair(esi - k, &object, &mut symbol)
                    .expect("the row is the code's");
            }
            self.symbol(page.number().0, (esi, k), &symbol);
        }
        self.model.take(page, signed);
    }

    fn symbol(&mut self, number: u32, (esi, k): (u8, u8), symbol: &[u8]) {
        let header = SymbolHeader {
            kind: SymbolKind::Page,
            session_tag: 0,
            seq: self.next_seq(),
            slot: Slot(0),
            horizon: BlockNumber(0),
            number,
            esi: Esi(esi),
            k,
        };
        self.session.handle_page_symbol(self.now, &header, symbol);
    }

    fn next_seq(&mut self) -> Seq {
        self.seq += 1;
        Seq(self.seq)
    }

    fn control(&mut self, pages: u32, end: Option<EndRecord>) {
        let seq = self.next_seq();
        let position = Position {
            cycle: Cycle(1),
            slot: Slot(0),
            horizon: BlockNumber(0),
            pages: PageNumber(pages),
            receivers: 1,
        };
        self.session
            .handle_control(self.now, seq, &GroupControl { position, end });
    }

    fn end(&mut self, (right, signed): (bool, bool), image_len: Near, blocks: Near, pages: Near) {
        let model = &self.model;
        let whole = u64::from(model.place) * BLOCK_SIZE as u64;
        let (len, blocks, pages) = if right {
            (whole, model.blocks, model.up_to)
        } else {
            let blocks = blocks.to_u32(model.blocks);
            (image_len.to_u64(whole), blocks, pages.to_u32(model.up_to))
        };
        let mut end = EndRecord {
            image_len: len,
            blocks: BlockNumber(blocks),
            pages: PageNumber(pages),
            identity: model.identity(whole).unwrap_or(Identity([0; 32])),
            image_digest: None,
            signature: [0; 64],
        };
        if signed {
            end.sign(&setup::signer(setup::session_id(0)));
            self.end.get_or_insert(end);
        }
        self.control(0, Some(end));
    }

    /// The receiver numbers blocks itself, whatever pages say.
    fn write(&mut self) {
        for block in (0..self.model.blocks).map(BlockNumber) {
            self.session
                .handle_written(self.now, block, 1, Duration::ZERO);
        }
    }

    fn drain(&mut self) {
        self.session.handle_timeout(self.now);
        while let Some(event) = self.session.poll_event() {
            self.on_event(event);
        }
        let mut sent = 0;
        while let Some(message) = self.session.poll_transmit(self.now) {
            sent += 1;
            assert!(sent < 8);
            if let ToSender::Report(report) = message {
                crate::report::check(&report);
                self.on_report(&report);
            }
        }
        let next = self.session.poll_timeout(self.now);
        assert!(next.is_none_or(|next| next > self.now), "it would spin");
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Zero(run) => self.session.handle_zeroed(
                self.now,
                Zeroed {
                    run,
                    written: 0,
                    kept: 0,
                    busy: Duration::ZERO,
                    done: true,
                },
            ),
            Event::Flush { image_len } => {
                self.flushes += 1;
                assert!(!self.failed && self.flushes == 1);
                let end = self
                    .end
                    .expect("nothing is flushed before the end is known");
                assert_eq!(image_len, end.image_len);
                if !self.forged {
                    let model = &self.model;
                    assert!(!model.contradicts);
                    assert_eq!(model.identity(image_len), Some(end.identity));
                    assert_eq!((model.up_to, model.blocks), (end.pages.0, end.blocks.0));
                }
            }
            Event::Failed(failure) => {
                assert_eq!(self.flushes, 0);
                self.failed = true;
                let codes = [FailCode::IdentityMismatch, FailCode::Silence];
                assert!(codes.contains(&failure.code), "{failure:?}");
            }
            Event::Block { .. } | Event::Check { .. } | Event::Verify(_) => panic!("{event:?}"),
            _ => {}
        }
    }

    fn on_report(&self, report: &Report) {
        if self.forged {
            return;
        }
        assert_eq!(report.pages_up_to.0, self.model.up_to);
        assert_eq!(report.missing_pages, self.model.missing());
    }

    /// What contradicts itself has failed, and what is whole was flushed.
    fn finish(mut self) {
        self.write();
        self.drain();
        if self.forged {
            return;
        }
        assert!(self.failed || !self.model.contradicts);
        let Some(end) = self.end else { return };
        let model = &self.model;
        let whole = (end.pages.0, end.blocks.0) == (model.up_to, model.blocks)
            && model.identity(end.image_len) == Some(end.identity);
        if whole && !self.failed {
            assert_eq!(self.flushes, 1);
        }
    }
}
