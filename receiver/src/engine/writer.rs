//! The thread that decodes blocks, checks them against their entries, writes them, and reads them
//! back in the end if that is wanted.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use mimeo_image::target::{TargetError, TargetWriter};
use mimeo_net::Waker;
use mimeo_protocol::block::Decoder;
use mimeo_protocol::manifest::Run;
use mimeo_protocol::receiver::{
    Assembled, BufferId, Difference, ReadBackPlan, SymbolBuffer, Zeroed,
};
use mimeo_protocol::units::{BLOCK_SIZE, BlockNumber, Place};
use mimeo_protocol::wire::ReadBack;

use super::verify::{Finding, prove};

/// Zeros are written in pieces of this size, so that progress is seen.
const ZEROS_AT_ONCE: u64 = 64 << 20;

/// What the writer is to do.
#[derive(Debug)]
pub(super) enum Work {
    /// Decode, check and write a block.
    Block(Assembled),
    /// Write zeros.
    Zero(Run),
    /// Set the target's length and flush it.
    Flush {
        /// Bytes of the image.
        image_len: u64,
    },
    /// Read the target back, after the flush.
    Verify(ReadBackPlan),
}

/// What the writer did.
#[derive(Debug)]
pub(super) enum Done {
    /// A block is written; its buffer comes back.
    Written {
        block: BlockNumber,
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
        buffer: BufferId,
        symbols: SymbolBuffer,
    },
    /// Zeros are written, or were there.
    Zeroed(Zeroed),
    /// The target is flushed.
    Flushed,
    /// So many bytes of the image were read back and are right.
    Verifying { bytes: u64 },
    /// All of the image was read back and is right.
    Verified(ReadBack),
    /// The target holds something else than was written to it.
    Different(Difference),
    /// The target failed. Nothing more is written.
    Failed(TargetError),
}

/// The way to the writer and back.
#[derive(Debug)]
pub(super) struct Writer {
    work: mpsc::Sender<Work>,
    done: mpsc::Receiver<Done>,
}

impl Writer {
    /// Starts the thread. The image's length is known unless it comes from a stream; with `resume`
    /// zeros that are there already are not written.
    pub(super) fn start(
        target: TargetWriter,
        image_len: Option<u64>,
        resume: bool,
        waker: Waker,
    ) -> std::io::Result<Self> {
        let (work, to_do) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        let worker = Worker {
            target,
            image_len,
            resume,
            decoder: Decoder::new(),
            done: finished,
            waker,
        };
        thread::Builder::new()
            .name("write".into())
            .spawn(move || worker.run(&to_do))?;
        Ok(Self { work, done })
    }

    /// Hands work over.
    pub(super) fn push(&self, work: Work) {
        // A writer that failed has said so; what comes after that does not matter.
        let _ = self.work.send(work);
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
    decoder: Decoder,
    done: mpsc::Sender<Done>,
    waker: Waker,
}

impl Worker {
    fn run(mut self, work: &mpsc::Receiver<Work>) {
        let result = if self.target.is_sequential() {
            self.run_in_order(work)
        } else {
            work.iter().try_for_each(|work| self.work(work))
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
                Work::Flush { .. } | Work::Verify(_) => {
                    self.work(work)?;
                    continue;
                }
            };
            early.insert(place, work);
            while let Some(work) = early.remove(&next) {
                let blocks = if let Work::Zero(run) = &work {
                    run.count
                } else {
                    1
                };
                if self.work_was_good(work)? {
                    next = Place(next.0 + blocks);
                }
            }
        }
        Ok(())
    }

    fn work(&mut self, work: Work) -> Result<(), TargetError> {
        self.work_was_good(work).map(|_| ())
    }

    /// Does a piece of work; false if a block was bad and is to come again.
    fn work_was_good(&mut self, work: Work) -> Result<bool, TargetError> {
        match work {
            Work::Block(assembled) => return self.block(assembled),
            Work::Zero(run) => self.zero(run)?,
            Work::Flush { image_len } => {
                self.target.finish(image_len)?;
                self.target.flush()?;
                self.tell(Done::Flushed);
            }
            Work::Verify(plan) => self.verify(plan)?,
        }
        Ok(true)
    }

    fn block(&mut self, mut assembled: Assembled) -> Result<bool, TargetError> {
        let offset = assembled.entry.place.offset();
        let begun = Instant::now();
        let raw = assembled.decode(self.image_len, &mut self.decoder);
        let decoding = begun.elapsed();
        let written = match raw {
            Some(raw) => {
                let from = Instant::now();
                self.target.write_at(offset, raw)?;
                Some((raw.len() as u64, from.elapsed()))
            }
            None => None,
        };
        let Assembled {
            block,
            symbols,
            buffer,
            ..
        } = assembled;
        self.tell(match written {
            Some((bytes, busy)) => Done::Written {
                block,
                buffer,
                symbols,
                bytes,
                busy,
                decoding,
            },
            None => {
                tracing::warn!(%block, "a block failed its digest and is asked for again");
                Done::Bad {
                    block,
                    buffer,
                    symbols,
                }
            }
        });
        Ok(written.is_some())
    }

    fn zero(&mut self, run: Run) -> Result<(), TargetError> {
        let mut offset = run.place.offset();
        let end = offset + u64::from(run.count) * BLOCK_SIZE as u64;
        while offset < end {
            let bytes = (end - offset).min(ZEROS_AT_ONCE);
            let from = Instant::now();
            let kept = if self.resume {
                self.target.clear_at(offset, bytes)?
            } else {
                self.target.zero_at(offset, bytes)?;
                0
            };
            offset += bytes;
            self.tell(Done::Zeroed(Zeroed {
                written: bytes - kept,
                kept,
                busy: from.elapsed(),
                done: offset == end,
            }));
        }
        Ok(())
    }

    fn verify(&self, plan: ReadBackPlan) -> Result<(), TargetError> {
        let tell = |bytes| self.tell(Done::Verifying { bytes });
        if let Some(finding) = prove(&self.target, plan, tell)? {
            self.tell(match finding {
                Finding::Right(read_back) => Done::Verified(read_back),
                Finding::Different(difference) => Done::Different(difference),
            });
        }
        Ok(())
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
