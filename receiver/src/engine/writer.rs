//! The thread that decodes blocks, checks them against their entries, writes them, and reads them
//! back in the end if that is wanted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use mimeo_image::fit::Note;
use mimeo_image::target::{TargetError, TargetWriter};
use mimeo_net::Waker;
use mimeo_protocol::block::Decoder;
use mimeo_protocol::manifest::{Run, StoredBlock};
use mimeo_protocol::receiver::{
    Assembled, BufferId, Difference, ReadBackPlan, SymbolBuffer, Zeroed,
};
use mimeo_protocol::units::{BLOCK_SIZE, BlockNumber, Esi, Place};
use mimeo_protocol::wire::ReadBack;

use super::fitting::{Edge, Fitting, fit};
use super::spent::WriteClock;
use super::verify::{Finding, prove};

/// Zeros are written in pieces of so many blocks, 64 MiB, so that progress is seen.
const ZEROS_AT_ONCE: u32 = 256;

/// What the writer is to do.
#[derive(Debug)]
pub(super) enum Work {
    /// Decode, check and write a block.
    Block(Assembled),
    /// Write zeros.
    Zero(Run),
    /// Tell the target that nobody needs what it holds there.
    Discard(Run),
    /// Set the target's length and flush it.
    Flush {
        /// Bytes of the image.
        image_len: u64,
    },
    /// Read the target back, after the flush.
    Verify(ReadBackPlan),
    /// What came before was forgotten; see [`Writer::forget`].
    Forget,
}

/// What the writer did.
#[derive(Debug)]
pub(super) enum Done {
    /// A block is written; its buffer comes back.
    Written {
        block: BlockNumber,
        entry: StoredBlock,
        buffer: BufferId,
        symbols: SymbolBuffer,
        bytes: u64,
        busy: Duration,
        /// Time spent in recovering, decompressing and checking it.
        decoding: Duration,
    },
    /// A block is not what its entry says; its buffer comes back.
    Bad {
        block: BlockNumber,
        /// The symbols that it was put together from.
        esis: Vec<Esi>,
        buffer: BufferId,
        symbols: SymbolBuffer,
    },
    /// Zeros are written, or were there.
    Zeroed(Zeroed),
    /// The target cannot be told what nobody needs, and keeps it.
    CannotDiscard,
    /// The target is flushed.
    Flushed,
    /// The partition table was fitted to the disk, which is flushed again.
    Fitted(Vec<Note>),
    /// So many bytes of the image were read back and are right.
    Verifying { bytes: u64 },
    /// All of the image was read back and is right.
    Verified(ReadBack),
    /// The target holds something else than was written to it.
    Different(Difference),
    /// Nothing is left to do.
    Forgotten,
    /// The target failed. Nothing more is written.
    Failed(TargetError),
}

/// The way to the writer and back.
#[derive(Debug)]
pub(super) struct Writer {
    work: mpsc::Sender<Work>,
    done: mpsc::Receiver<Done>,
    forgets: Arc<AtomicBool>,
    clock: WriteClock,
}

impl Writer {
    /// Starts the thread. The image's length is known unless it comes from a stream; with `resume`
    /// zeros that are there already are not written; with `verify` the partition table is fitted
    /// once all was read back, and otherwise after the flush.
    pub(super) fn start(
        target: TargetWriter,
        image_len: Option<u64>,
        resume: bool,
        verify: bool,
        waker: Waker,
    ) -> std::io::Result<Self> {
        let (work, to_do) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        let forgets = Arc::new(AtomicBool::new(false));
        let clock = WriteClock::default();
        let worker = Worker {
            edge: Edge::new(&target, image_len),
            target,
            image_len,
            resume,
            verify,
            flushed_len: 0,
            can_discard: true,
            decoder: Decoder::new(),
            done: finished,
            waker,
            forgets: Arc::clone(&forgets),
            clock: clock.clone(),
        };
        thread::Builder::new()
            .name("write".into())
            .spawn(move || worker.run(&to_do))?;
        Ok(Self {
            work,
            done,
            forgets,
            clock,
        })
    }

    /// How long the write under way has lasted, zero if there is none.
    pub(super) fn writing(&self, now: Instant) -> Duration {
        self.clock.writing(now)
    }

    /// Hands work over.
    pub(super) fn push(&self, work: Work) {
        // A writer that failed has said so; what comes after that does not matter.
        let _ = self.work.send(work);
    }

    /// Drops the work that was handed over and not begun, with its buffers, and ends a run of
    /// zeros early. [`Done::Forgotten`] says that nothing is under way any more.
    pub(super) fn forget(&self) {
        self.forgets.store(true, Ordering::Relaxed);
        self.push(Work::Forget);
    }

    /// What was done, if anything.
    pub(super) fn poll(&self) -> Option<Done> {
        self.done.try_recv().ok()
    }
}

struct Worker {
    target: TargetWriter,
    image_len: Option<u64>,
    /// What is there already is not written again.
    resume: bool,
    /// All is read back in the end.
    verify: bool,
    edge: Edge,
    /// Bytes of the image that was flushed.
    flushed_len: u64,
    can_discard: bool,
    decoder: Decoder,
    done: mpsc::Sender<Done>,
    waker: Waker,
    forgets: Arc<AtomicBool>,
    clock: WriteClock,
}

impl Worker {
    fn run(mut self, work: &mpsc::Receiver<Work>) {
        let result = if self.target.is_sequential() {
            self.run_in_order(work)
        } else {
            work.iter().try_for_each(|work| self.work(work).map(|_| ()))
        };
        if let Err(error) = result {
            self.tell(Done::Failed(error));
        }
    }

    /// Keeps what is early until its turn. Blocks wait with their symbols in their buffers, which
    /// the credit bounds.
    fn run_in_order(&mut self, work: &mpsc::Receiver<Work>) -> Result<(), TargetError> {
        let mut next = Place(0);
        let mut early = BTreeMap::new();
        for work in work {
            let place = match &work {
                Work::Block(assembled) => assembled.entry.place,
                Work::Zero(run) => run.place,
                Work::Discard(_) | Work::Flush { .. } | Work::Verify(_) => {
                    self.work(work)?;
                    continue;
                }
                Work::Forget => {
                    early.clear();
                    self.work(work)?;
                    continue;
                }
            };
            early.insert(place, work);
            while let Some(work) = early.remove(&next) {
                next.0 += self.work(work)?;
            }
        }
        Ok(())
    }

    /// Does a piece of work. Returns how many blocks are on the target by it: none if a block was
    /// bad and is to come again, or if work is forgotten.
    fn work(&mut self, work: Work) -> Result<u32, TargetError> {
        if let Work::Forget = work {
            self.forgets.store(false, Ordering::Relaxed);
            self.tell(Done::Forgotten);
            return Ok(0);
        }
        if self.forgets.load(Ordering::Relaxed) {
            return Ok(0);
        }
        match work {
            Work::Block(assembled) => return self.block(assembled).map(u32::from),
            Work::Zero(run) => return self.zero(run),
            Work::Discard(run) => self.discard(run)?,
            Work::Forget => {}
            Work::Flush { image_len } => {
                self.target.finish(image_len)?;
                self.target.flush()?;
                self.flushed_len = image_len;
                // What is read back has to be the image as yet.
                if self.verify || self.fit()? {
                    self.tell(Done::Flushed);
                }
            }
            Work::Verify(plan) => self.verify(plan)?,
        }
        Ok(0)
    }

    fn block(&mut self, mut assembled: Assembled) -> Result<bool, TargetError> {
        let place = assembled.entry.place;
        let begun = Instant::now();
        let raw = assembled.decode(self.image_len, &mut self.decoder);
        let decoding = begun.elapsed();
        let written = match raw {
            Some(raw) => {
                let (written, busy) = self
                    .clock
                    .time(|| self.target.write_at(place.offset(), raw));
                written?;
                self.edge.on_written(place, 1, Some(raw));
                Some((raw.len() as u64, busy))
            }
            None => None,
        };
        if written.is_none() {
            tracing::debug!(block = %assembled.block, "a block failed its digest and is mended");
            assembled.restore();
        }
        let Assembled {
            block,
            entry,
            esis,
            symbols,
            buffer,
        } = assembled;
        self.tell(match written {
            Some((bytes, busy)) => Done::Written {
                block,
                entry,
                buffer,
                symbols,
                bytes,
                busy,
                decoding,
            },
            None => Done::Bad {
                block,
                esis,
                buffer,
                symbols,
            },
        });
        Ok(written.is_some())
    }

    /// Writes zeros, all of them unless work is forgotten. Returns how many blocks.
    fn zero(&mut self, run: Run) -> Result<u32, TargetError> {
        let mut zeroed = 0;
        while zeroed < run.count && !self.forgets.load(Ordering::Relaxed) {
            let part = Run {
                place: Place(run.place.0 + zeroed),
                count: (run.count - zeroed).min(ZEROS_AT_ONCE),
            };
            let (offset, bytes) = (
                part.place.offset(),
                u64::from(part.count) * BLOCK_SIZE as u64,
            );
            let (kept, busy) = self.clock.time(|| match self.resume {
                true => self.target.clear_at(offset, bytes),
                false => self.target.zero_at(offset, bytes).map(|()| 0),
            });
            let kept = kept?;
            self.edge.on_written(part.place, part.count, None);
            zeroed += part.count;
            self.tell(Done::Zeroed(Zeroed {
                run: part,
                written: bytes - kept,
                kept,
                busy,
                done: zeroed == run.count,
            }));
        }
        Ok(zeroed)
    }

    /// Nothing waits for it, and it may come before blocks or after them: runs have none.
    fn discard(&mut self, run: Run) -> Result<(), TargetError> {
        let bytes = u64::from(run.count) * BLOCK_SIZE as u64;
        if self.can_discard && !self.target.discard_at(run.place.offset(), bytes)? {
            self.can_discard = false;
            self.tell(Done::CannotDiscard);
        }
        Ok(())
    }

    fn verify(&mut self, plan: ReadBackPlan) -> Result<(), TargetError> {
        let tell = |bytes| self.tell(Done::Verifying { bytes });
        let Some(finding) = prove(&self.target, plan, tell)? else {
            return Ok(());
        };
        match finding {
            Finding::Different(difference) => {
                self.tell(Done::Different(difference));
            }
            Finding::Right(read_back) => {
                if let Some(range) = self.edge.prove(&self.target)? {
                    self.tell(Done::Different(Difference::Bytes(range)));
                    return Ok(());
                }
                // What was read may have lost its name since the flush.
                self.target.confirm()?;
                if self.fit()? {
                    self.tell(Done::Verified(read_back));
                }
            }
        }
        Ok(())
    }

    /// Fits the partition table to the disk. False if that reads back differently, which is told.
    fn fit(&mut self) -> Result<bool, TargetError> {
        match fit(&mut self.target, self.flushed_len, self.verify)? {
            Fitting::Right(notes) => {
                self.tell(Done::Fitted(notes));
                Ok(true)
            }
            Fitting::Different(range) => {
                self.tell(Done::Different(Difference::Bytes(range)));
                Ok(false)
            }
        }
    }

    /// False if the session is over: it does not listen any more.
    fn tell(&self, done: Done) -> bool {
        let listens = self.done.send(done).is_ok();
        if listens {
            self.waker.wake();
        }
        listens
    }
}
