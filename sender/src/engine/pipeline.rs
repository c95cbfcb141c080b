//! The threads that read, digest and compress, and the order of what they make.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use mimeo_image::image_file::Located;
use mimeo_image::source::SourceError;
use mimeo_net::Waker;
use mimeo_protocol::block::{BlockDigest, Coding, Encoder, Level, ZerosDigest, is_zero};
use mimeo_protocol::manifest::StoredBlock;
use mimeo_protocol::sender::Fetch;
use mimeo_protocol::units::{BLOCK_SIZE, Place};

use super::effort::Effort;
use super::origin::{Loader, Origin};
use super::pool::{Buffer, Pool};
use super::queue::{Allowance, Encoded, Order, Work, WorkQueue};
use super::reader::{Output, SharedSource, read_source};
use super::results::{Produced, Results, results};

/// Blocks that are read, encoded or wait for the session, at most: 12 MiB of raw blocks keep
/// the encoders of a small machine busy.
const AHEAD: usize = 48;

/// Encoders beyond this many wait for the reader.
const MAX_ENCODERS: usize = 16;

/// The running threads.
#[derive(Debug)]
pub(super) struct Pipeline {
    queue: Arc<WorkQueue>,
    allowance: Arc<Allowance>,
    effort: Effort,
    results: mpsc::Receiver<Produced>,
    threads: Vec<JoinHandle<()>>,
}

impl Pipeline {
    /// Starts to read ahead. With `digests_runs` runs are digested when there is time for it.
    pub(super) fn start(
        source: SharedSource,
        level: Level,
        digests_runs: bool,
        waker: Waker,
    ) -> std::io::Result<Self> {
        let effort = Effort::new(level);
        let (results_in, results) = results(waker);
        let queue = Arc::new(WorkQueue::default());
        let allowance = Arc::new(Allowance::new(AHEAD));
        let pool = Pool::default();
        let mut source = source;
        let encoders = thread::available_parallelism()
            .map_or(1, usize::from)
            .min(MAX_ENCODERS);
        let mut threads = Vec::new();
        for i in 0..encoders {
            let (queue, results) = (Arc::clone(&queue), results_in.clone());
            let origin = source.origin();
            let (pool, effort) = (pool.clone(), effort.clone());
            let body = move || Worker::new(effort, origin, pool, results).run(&queue);
            threads.push(
                thread::Builder::new()
                    .name(format!("encode-{i}"))
                    .spawn(body)?,
            );
        }
        let reader = {
            let (queue, allowance) = (Arc::clone(&queue), Arc::clone(&allowance));
            move || {
                let output = Output {
                    queue: &queue,
                    allowance: &allowance,
                    results: &results_in,
                    pool: &pool,
                    digests_runs,
                };
                read_source(&mut source, &output);
            }
        };
        // Not among the threads that are joined: it may wait for standard input for ever.
        thread::Builder::new().name("read".into()).spawn(reader)?;
        Ok(Self {
            queue,
            allowance,
            effort,
            results,
            threads,
        })
    }

    /// The next result, if there is one.
    pub(super) fn poll(&self) -> Option<Produced> {
        self.results.try_recv().ok()
    }

    /// An item was taken by the session: another may be read.
    pub(super) fn release(&self) {
        self.allowance.give();
    }

    /// Tells the encoders how far they are ahead of what is sent.
    pub(super) fn set_ahead(&self, blocks: Option<u32>) {
        self.effort.set_ahead(blocks);
    }

    /// Asks for the symbols of a share.
    pub(super) fn fetch(&self, fetch: Fetch, level: Level) {
        self.queue.push(Work::Fetch { fetch, level });
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.allowance.withdraw();
        self.queue.close();
        for thread in self.threads.drain(..) {
            // A panic was printed by the thread itself.
            let _ = thread.join();
        }
    }
}

/// Puts items back into the order of places.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    next: Order,
    early: BTreeMap<Order, Encoded>,
    end: Option<(Order, u64)>,
}

impl Reorder {
    pub(super) fn push(&mut self, order: Order, encoded: Encoded) {
        self.early.insert(order, encoded);
    }

    /// Items that wait for their turn.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.early.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn set_end(&mut self, order: Order, image_len: u64) {
        self.end = Some((order, image_len));
    }

    pub(super) fn pop(&mut self) -> Option<Encoded> {
        let encoded = self.early.remove(&self.next)?;
        self.next += 1;
        Some(encoded)
    }

    /// The length of the image once its last item was popped.
    pub(super) fn take_end(&mut self) -> Option<u64> {
        let (order, image_len) = self.end?;
        (order == self.next).then(|| {
            self.end = None;
            image_len
        })
    }
}

/// An encoder for each level that was used: the memory of one is larger than a block.
#[derive(Default)]
struct Encoders(Vec<(Level, Encoder)>);

impl Encoders {
    fn of(&mut self, level: Level) -> &mut Encoder {
        let at = self.0.iter().position(|&(of, _)| of == level);
        let at = at.unwrap_or_else(|| {
            self.0.push((level, Encoder::new(level)));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }
}

/// One encoder thread.
struct Worker {
    effort: Effort,
    encoders: Encoders,
    origin: Option<Origin>,
    loader: Loader,
    results: Results,
    pool: Pool,
    /// What the encoder compresses into.
    compressed: Vec<u8>,
}

impl Worker {
    fn new(effort: Effort, origin: Option<Origin>, pool: Pool, results: Results) -> Self {
        Self {
            effort,
            encoders: Encoders::default(),
            origin,
            loader: Loader::default(),
            results,
            pool,
            compressed: Vec::new(),
        }
    }

    fn run(mut self, queue: &WorkQueue) {
        while let Some(work) = queue.pop() {
            let produced = self.work(work);
            self.results.send(produced.unwrap_or_else(Produced::Failed));
        }
    }

    fn work(&mut self, work: Work) -> Result<Produced, SourceError> {
        Ok(match work {
            Work::Read {
                order,
                place,
                len,
                only,
            } => {
                let raw = self.read(place, len)?;
                let encoded = self.encode(place, raw, only);
                Produced::Item { order, encoded }
            }
            Work::Load { order, located } => Produced::Item {
                order,
                encoded: self.load(&located)?,
            },
            Work::Encode {
                order,
                place,
                raw,
                only,
            } => Produced::Item {
                order,
                encoded: self.encode(place, raw, only),
            },
            Work::Zeros { place, count } => {
                let origin = self.origin.as_ref().expect("streams have no runs");
                let digest = ZerosDigest::of(place, count, origin.len());
                Produced::Zeros { place, digest }
            }
            Work::Fetch { fetch, level } => self.fetch(fetch, level)?,
        })
    }

    fn read(&mut self, place: Place, len: usize) -> Result<Buffer, SourceError> {
        let Some(Origin::Disk(disk)) = &self.origin else {
            unreachable!("only disks are read here");
        };
        let mut raw = self.pool.take(len);
        disk.read_exact_at(place.offset(), raw.bytes_mut())?;
        Ok(raw)
    }

    fn encode(&mut self, place: Place, block: Buffer, only: bool) -> Encoded {
        let raw = block.as_ref();
        let digest = BlockDigest::of(place, raw, only);
        if raw.len() == BLOCK_SIZE && is_zero(raw) {
            return Encoded::Zero { place, digest };
        }
        let level = self.effort.level();
        let encoder = self.encoders.of(level);
        let coding = encoder.encode(raw, &mut self.compressed);
        let body = self.body(coding, block);
        let stored_len = u32::try_from(body.len()).expect("bodies are below 264 KiB");
        let stored = StoredBlock {
            place,
            stored_len,
            coding,
            digest,
        };
        Encoded::Body {
            stored,
            level,
            body,
        }
    }

    /// A block that was encoded when the disk was captured.
    fn load(&mut self, located: &Located) -> Result<Encoded, SourceError> {
        let Some(Origin::Captured(captured)) = &self.origin else {
            unreachable!("only image files have blocks that are encoded");
        };
        let (stored, body) = self.loader.load(captured.image(), located)?;
        Ok(Encoded::Body {
            stored,
            // Nothing is compressed again for a repair.
            level: Level::NONE,
            body: copy(&self.pool, body),
        })
    }

    /// The body of a block that was encoded just now.
    fn body(&self, coding: Coding, block: Buffer) -> Bytes {
        match coding {
            Coding::Raw => block.into_body(),
            Coding::Zstd => copy(&self.pool, &self.compressed),
        }
    }

    /// Has the symbols of a share at hand; a block that is not is read again.
    fn fetch(&mut self, fetch: Fetch, level: Level) -> Result<Produced, SourceError> {
        let body = match &fetch.body {
            Some(body) => body.clone(),
            None => match self.again(&fetch.block, level)? {
                Some(body) => body,
                None => {
                    let place = fetch.block.place;
                    return Ok(Produced::Changed { place });
                }
            },
        };
        let rows = fetch.rows(&body);
        Ok(Produced::Fetched { fetch, body, rows })
    }

    /// The body of a block that was sent before, the same; `None` if the source is not.
    fn again(&mut self, block: &StoredBlock, level: Level) -> Result<Option<Bytes>, SourceError> {
        let place = block.place;
        let len = match self.origin.as_ref().expect("bodies of streams are kept") {
            Origin::Captured(captured) => {
                let (found, body) = self.loader.find(captured.image(), place)?;
                let same = found.digest == block.digest;
                return Ok(same.then(|| copy(&self.pool, body)));
            }
            Origin::Disk(disk) => disk.len(),
        };
        let raw = self.read(place, place.raw_len(len))?;
        if BlockDigest::of(place, raw.as_ref(), len <= BLOCK_SIZE as u64) != block.digest {
            return Ok(None);
        }
        if block.coding == Coding::Zstd {
            let encoder = self.encoders.of(level);
            let shorter = encoder.compress(raw.as_ref(), &mut self.compressed);
            assert!(
                shorter,
                "the same bytes were shorter when they were sent first"
            );
        }
        Ok(Some(self.body(block.coding, raw)))
    }
}

/// Bytes in a buffer of the pool.
fn copy(pool: &Pool, bytes: &[u8]) -> Bytes {
    let mut body = pool.take(bytes.len());
    body.bytes_mut().copy_from_slice(bytes);
    body.into_body()
}
