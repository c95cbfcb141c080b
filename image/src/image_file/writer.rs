//! Writes an image file in one pass, from the first block of the disk to the last.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use ed25519_dalek::SigningKey;

use super::atomic::NewFile;
use super::crypt::Sink;
use super::directory::{self, PageAt};
use super::entry::{Content, Entry, PAGE_ENTRIES, encode_page};
use super::footer::{Footer, Pointer, Root, encode_signature};
use super::frame::run_frame;
use super::part::{self, Part};
use super::seek_table::Recorder;
use super::{
    BLOCK_SIZE, BlockDigest, Blocks, Coding, Description, Encoder, Encryption, FileError,
    MAX_DISK_LEN, MAX_RUN, Place, RunKind, blocks_of,
};
use crate::zeros::is_zero;

/// In the head, for who looks at the file and knows neither it nor us.
pub(super) const HELLO: &[u8] =
    b"Image of a disk, made by mimeo. It is a zstd file: `zstd -d` makes the raw disk of it.\n";

/// Pages and small frames are gathered into writes of this size.
const WRITTEN_AT_ONCE: usize = 1 << 20;

/// A block that is ready to be written.
pub struct NewBlock {
    coding: Coding,
    digest: BlockDigest,
    frame: Vec<u8>,
}

impl NewBlock {
    /// Compresses the block at `place` of a disk of `disk_len` bytes; `None` where it is a whole
    /// block of zeros, which is not stored. The digest is made in either case.
    #[must_use]
    pub fn encode(
        encoder: &mut Encoder,
        place: Place,
        raw: &[u8],
        disk_len: u64,
    ) -> (BlockDigest, Option<Self>) {
        let digest = BlockDigest::of(place, raw, disk_len);
        if raw.len() == BLOCK_SIZE && is_zero(raw) {
            return (digest, None);
        }
        let mut frame = Vec::new();
        let coding = encoder.encode(raw, &mut frame);
        let block = Self {
            coding,
            digest,
            frame,
        };
        (digest, Some(block))
    }
}

/// An image file that is being written. It is not there before [`Self::finish`].
pub struct ImageWriter {
    file: NewFile,
    sink: Sink<BufWriter<File>>,
    /// Bytes written; inside the encryption, if there is one.
    at: u64,
    disk_len: u64,
    /// The next block of the disk.
    next: u32,
    /// Blocks that were given and are not written yet.
    run: Option<(RunKind, u32)>,
    page: Vec<Entry>,
    page_first: u64,
    pages: Vec<PageAt>,
    frames: Recorder,
    blocks: Blocks,
}

/// What became of a finished file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The digest over all of it.
    pub root: Root,
    /// Bytes of the image file; inside the encryption, if there is one.
    pub len: u64,
    /// What is in it.
    pub blocks: Blocks,
}

impl ImageWriter {
    /// Begins the image file of a disk of `disk_len` bytes, at least 1. With `force` it takes
    /// the place of a file that is there.
    ///
    /// # Errors
    /// If the file is there, or cannot be created, or the disk is too large.
    pub fn create(
        path: &Path,
        force: bool,
        encryption: Encryption,
        disk_len: u64,
    ) -> Result<Self, FileError> {
        if !(1..=MAX_DISK_LEN).contains(&disk_len) {
            return Err(too_large(path, "disks of more than 2^50 bytes"));
        }
        let file = NewFile::create(path, force)?;
        let failed = |source| FileError::io(path, "create it", 0, source);
        let out = BufWriter::with_capacity(WRITTEN_AT_ONCE, file.file().map_err(failed)?);
        let mut writer = Self {
            sink: Sink::new(out, encryption).map_err(failed)?,
            frames: Recorder::new(file.folder()),
            file,
            at: 0,
            disk_len,
            next: 0,
            run: None,
            page: Vec::with_capacity(PAGE_ENTRIES as usize),
            page_first: 0,
            pages: Vec::new(),
            blocks: Blocks::default(),
        };
        let mut head = part::begin(Part::Head, HELLO.len());
        head.extend(HELLO);
        writer.put(&head, 0)?;
        writer.page_first = writer.at;
        Ok(writer)
    }

    /// Writes the next block of the disk.
    ///
    /// # Errors
    /// Those of writing.
    pub fn push_block(&mut self, block: &NewBlock) -> Result<(), FileError> {
        self.close_run()?;
        self.blocks.data += 1;
        self.put_frame(Content::Block(block.coding, block.digest), &block.frame)
    }

    /// Takes the next `count` blocks of the disk, whole ones, to be zeros or unused.
    ///
    /// # Errors
    /// Those of writing.
    pub fn push_run(&mut self, kind: RunKind, count: u32) -> Result<(), FileError> {
        match kind {
            RunKind::Zero => self.blocks.zero += u64::from(count),
            RunKind::Unused => self.blocks.unused += u64::from(count),
        }
        let mut count = count;
        while count > 0 {
            let (open, len) = self.run.unwrap_or((kind, 0));
            if open != kind || len == MAX_RUN {
                self.close_run()?;
                continue;
            }
            let more = count.min(MAX_RUN - len);
            self.run = Some((kind, len + more));
            count -= more;
        }
        Ok(())
    }

    /// Writes what follows the disk, and puts the file in its place once it is on the storage
    /// medium. The numbers of blocks in the description are filled in.
    ///
    /// # Errors
    /// Those of writing; [`FileError::Exists`] if something has come to be there meanwhile.
    ///
    /// # Panics
    /// Unless all blocks of the disk were pushed.
    pub fn finish(
        mut self,
        description: &Description,
        key: Option<&SigningKey>,
    ) -> Result<Finished, FileError> {
        self.close_run()?;
        self.close_page()?;
        assert_eq!(
            u64::from(self.next),
            blocks_of(self.disk_len),
            "all blocks of the disk were pushed"
        );
        let description = Description {
            blocks: self.blocks,
            ..description.clone()
        };
        let description = description
            .encode()
            .ok_or_else(|| too_large(self.file.path(), "4 MB of labels and partitions"))?;
        let directory = directory::encode(&self.pages);
        let footer = Footer {
            disk_len: self.disk_len,
            description: self.put(&description, 0)?,
            directory: self.put(&directory, 0)?,
        };
        let (footer, root) = footer.encode();
        self.put(&encode_signature(&root, key), 0)?;
        self.put(&footer, 0)?;
        self.finish_file(root)
    }

    fn finish_file(mut self, root: Root) -> Result<Finished, FileError> {
        let path = self.file.path().to_owned();
        let at = self.at;
        let failed = |source| FileError::io(&path, "write", at, source);
        let mut table = SinkWriter(&mut self.sink, at);
        self.frames.write(&mut table).map_err(failed)?;
        let len = table.1;
        let mut out = self.sink.finish().map_err(failed)?;
        out.flush().map_err(failed)?;
        drop(out);
        self.file.finish()?;
        Ok(Finished {
            root,
            len,
            blocks: self.blocks,
        })
    }

    fn close_run(&mut self) -> Result<(), FileError> {
        match self.run.take() {
            Some((kind, count)) => self.put_frame(Content::Run(kind, count), &run_frame(count)),
            None => Ok(()),
        }
    }

    /// Writes a frame of the disk.
    fn put_frame(&mut self, content: Content, frame: &[u8]) -> Result<(), FileError> {
        let entry = Entry::of(Place(self.next), content, frame);
        let raw = entry.raw_len(self.disk_len);
        debug_assert!(raw > 0, "the disk has no more blocks");
        self.put(frame, raw as u32)?;
        self.next += entry.blocks();
        self.page.push(entry);
        if self.page.len() == PAGE_ENTRIES as usize {
            self.close_page()?;
        }
        Ok(())
    }

    fn close_page(&mut self) -> Result<(), FileError> {
        let Some(first) = self.page.first() else {
            return Ok(());
        };
        let (place, entries) = (first.place, self.page.len() as u32);
        let page = encode_page(self.page_first, &self.page);
        self.page.clear();
        let Pointer { at, hash, .. } = self.put(&page, 0)?;
        self.pages.push(PageAt {
            place,
            entries,
            first: self.page_first,
            at,
            hash,
        });
        self.page_first = self.at;
        Ok(())
    }

    /// Writes a frame that holds `raw` bytes of the disk. Only that of a part is pointed to.
    fn put(&mut self, frame: &[u8], raw: u32) -> Result<Pointer, FileError> {
        let at = self.at;
        let failed = |source| FileError::io(self.file.path(), "write", at, source);
        self.sink.write_all(frame).map_err(failed)?;
        let fits = self.frames.push(frame.len() as u32, raw).map_err(failed)?;
        if !fits {
            return Err(too_large(self.file.path(), "32 TiB of stored blocks"));
        }
        self.at += frame.len() as u64;
        Ok(if raw == 0 {
            Pointer::to(at, frame)
        } else {
            Pointer {
                at,
                len: frame.len() as u64,
                hash: [0; 32],
            }
        })
    }
}

/// Counts what is written.
struct SinkWriter<'a>(&'a mut Sink<BufWriter<File>>, u64);

impl std::io::Write for SinkWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write_all(bytes)?;
        self.1 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn too_large(path: &Path, what: &'static str) -> FileError {
    FileError::TooLarge {
        path: path.to_owned(),
        what,
    }
}
