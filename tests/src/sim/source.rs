//! Images in memory, and what the sender's reader thread makes of them.

use std::ops::Range;
use std::rc::Rc;

use bytes::Bytes;
use mimeo_protocol::block::{
    BlockDigest, Coding, Encoder, ImageDigest, ImageHasher, Level, ZerosDigest, is_zero,
};
use mimeo_protocol::manifest::{Entry, Run, StoredBlock};
use mimeo_protocol::sender::{Body, Fetch, Rows};
use mimeo_protocol::units::{BLOCK_SIZE, Place};

use super::Dice;

/// What the blocks of an image are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filling {
    /// Bytes that do not compress: 187 symbols to a block.
    Random,
    /// Bytes that compress to a few symbols, of a number that differs from block to block.
    Text,
    /// Zeros.
    Zeros,
    /// Each block one of these, mostly text.
    Mixed,
}

/// An image: its bytes, and the runs of it that are unused, in which they are zeros.
#[derive(Debug, Clone)]
pub struct Image(pub Rc<[u8]>, pub Rc<[Run]>);

impl Image {
    /// An image of `len` bytes.
    #[must_use]
    pub fn new(filling: Filling, len: usize, mut dice: Dice) -> Self {
        let mut bytes = vec![0; len];
        for block in bytes.chunks_mut(BLOCK_SIZE) {
            let filling = match filling {
                Filling::Mixed => {
                    let (text, random) = (Filling::Text, Filling::Random);
                    dice.pick(&[
                        text,
                        text,
                        text,
                        text,
                        text,
                        Filling::Zeros,
                        Filling::Zeros,
                        random,
                    ])
                }
                pure => pure,
            };
            match filling {
                Filling::Random => dice.fill(block),
                Filling::Zeros => {}
                Filling::Text | Filling::Mixed => {
                    // Noise at the start, one letter behind it: compresses to the noise.
                    let noise = dice.between(1, 20_000) as usize;
                    let (noise, rest) = block.split_at_mut(noise.min(block.len()));
                    dice.fill(noise);
                    rest.fill(b'a' + dice.below(26) as u8);
                }
            }
        }
        Self(bytes.into(), Rc::default())
    }

    /// The same image, of which the blocks of some ranges are unused.
    #[must_use]
    pub fn unused(&self, ranges: &[Range<u32>]) -> Self {
        let mut bytes = self.0.to_vec();
        let run = |range: &Range<u32>| Run {
            place: Place(range.start),
            count: range.end - range.start,
        };
        let runs: Rc<[Run]> = ranges.iter().map(run).collect();
        for run in runs.iter() {
            bytes[bytes_of(*run)].fill(0);
        }
        Self(bytes.into(), runs)
    }

    /// Bytes that are used.
    #[must_use]
    pub fn used_len(&self) -> usize {
        let unused = self.1.iter().map(|run| run.count as usize);
        self.len() - unused.sum::<usize>() * BLOCK_SIZE
    }

    /// The ranges of bytes between unused runs.
    pub fn used(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut at = 0;
        let end = self.len()..self.len();
        let gaps = self.1.iter().map(|run| bytes_of(*run));
        gaps.chain([end]).map(move |gap| {
            let used = at..gap.start;
            at = gap.end;
            used
        })
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Reads an image block by block.
pub struct Source {
    image: Image,
    seekable: bool,
    encoder: Encoder,
    hasher: ImageHasher,
    next: Place,
}

impl Source {
    /// A source at its start. One that is not `seekable` refuses to read anything twice.
    #[must_use]
    pub fn new(image: Image, seekable: bool) -> Self {
        Self {
            image,
            seekable,
            // Quick: compression is not what is tested.
            encoder: Encoder::new(Level::FAST),
            hasher: ImageHasher::default(),
            next: Place(0),
        }
    }

    /// What is read.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The next entry, and for a block its body; `None` at the end.
    ///
    /// A short last block has a body even where it is zeros, so that the end of a stream of
    /// unknown length is like any other.
    pub fn read(&mut self) -> Option<(Entry, Option<Body>)> {
        let place = self.next;
        if place.offset() >= self.image.len() as u64 {
            return None;
        }
        let image = self.image.clone();
        if let Some(run) = image.1.iter().find(|run| run.place == place) {
            self.next.0 += run.count;
            let zeros = ZerosDigest::of(place, run.count, image.len() as u64);
            self.hasher.push_zeros(&zeros);
            return Some((Entry::Unused(*run), None));
        }
        self.next.0 += 1;
        let raw = &image.0[place.offset() as usize..];
        let raw = &raw[..raw.len().min(BLOCK_SIZE)];
        let digest = BlockDigest::of(place, raw, image.len() <= BLOCK_SIZE);
        self.hasher.push(digest);
        if raw.len() == BLOCK_SIZE && is_zero(raw) {
            return Some((Entry::Zero(Run { place, count: 1 }), None));
        }
        let (body, coding) = self.encode(place);
        let entry = StoredBlock {
            place,
            stored_len: u32::try_from(body.len()).expect("a body is far shorter"),
            coding,
            digest,
        };
        Some((Entry::Block(entry), Some(body)))
    }

    fn encode(&mut self, place: Place) -> (Body, Coding) {
        let mut body = Vec::new();
        let image = self.image.clone();
        let from = place.offset() as usize;
        let raw = &image.0[from..(from + BLOCK_SIZE).min(image.len())];
        match self.encoder.encode(raw, &mut body) {
            Coding::Zstd => (Bytes::from(body), Coding::Zstd),
            Coding::Raw => (Bytes::copy_from_slice(raw), Coding::Raw),
        }
    }

    /// Length and BLAKE3 hash of the whole image, all of which was read.
    #[must_use]
    pub fn finish(&self) -> (u64, Option<ImageDigest>) {
        let digest = self.hasher.clone().finish();
        (self.image.len() as u64, Some(digest))
    }

    /// The symbols that the sender asks for.
    ///
    /// # Panics
    ///
    /// If a stream is asked to go back.
    pub fn fetch(&mut self, fetch: &Fetch) -> (Body, Rows) {
        let body = match &fetch.body {
            Some(body) => body.clone(),
            None => {
                assert!(
                    self.seekable,
                    "a stream is asked for {:?} again",
                    fetch.share.block
                );
                self.encode(fetch.block.place).0
            }
        };
        let rows = fetch.rows(&body);
        (body, rows)
    }
}

impl From<&[u8]> for Image {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into(), Rc::default())
    }
}

fn bytes_of(run: Run) -> Range<usize> {
    let from = run.place.offset() as usize;
    from..from + run.count as usize * BLOCK_SIZE
}
