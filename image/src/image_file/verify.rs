//! Checks every byte of an image file.

use super::entry::Content;
use super::part::{self, Part};
use super::reader::HEAD_LEN;
use super::seek_table::{RECORD, record};
use super::writer::HELLO;
use super::{
    BlockDigest, Damage, Decoder, DiskDigest, DiskHasher, FileError, ImageFile, Located, Place,
    Stored,
};
use crate::ordered;

/// Read of the seek table at once.
const RECORDS_AT_ONCE: usize = 8192;

/// Checks an image file: each block against its digest, on all processors, and everything else.
#[derive(Debug)]
pub struct Verifier<'a> {
    file: &'a ImageFile,
    hash_disk: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Each damaged place, up to the limit that was asked for.
    pub damaged: Vec<FileError>,
    /// All of them, counted.
    pub damages: u64,
    /// The hash of the disk, if it was computed.
    pub disk_digest: Option<DiskDigest>,
    /// Whether it was stopped before the end.
    pub stopped: bool,
}

/// The most damaged places that are described.
const DESCRIBED: usize = 100;

/// Why a verification ends early.
enum Stop {
    Wanted,
    Failed(FileError),
}

/// What a worker found out about a frame.
struct Checked {
    located: Located,
    result: Result<(), FileError>,
    /// Of each block in the frame, if the disk is hashed.
    digests: Vec<BlockDigest>,
}

impl<'a> Verifier<'a> {
    /// Of this file. With `hash_disk` the hash of the whole disk is computed, for which its zeros
    /// have to be hashed too; it is compared with what the file states.
    #[must_use]
    pub fn new(file: &'a ImageFile, hash_disk: bool) -> Self {
        Self { file, hash_disk }
    }

    /// Reads the whole file. `progress` hears how many bytes of the disk are behind it,
    /// and says whether to go on.
    ///
    /// # Errors
    /// Those of the system: damage is in the result.
    pub fn run(&self, mut progress: impl FnMut(u64) -> bool) -> Result<Verified, FileError> {
        let mut verified = Verified::default();
        self.check_head(&mut verified)?;
        let mut table = SeekTableReader::new(self.file);
        table.expect(HEAD_LEN, 0, &mut verified)?;
        let mut hasher = DiskHasher::default();
        let mut pages = self.file.page_places().peekable();
        let result = ordered::for_each(
            self.file.entries(),
            || (Decoder::new(), Stored::default()),
            |(decoder, stored), located| {
                let located = located?;
                Ok(self.check(located, decoder, stored))
            },
            |checked: Result<Checked, FileError>| {
                let checked = match checked {
                    Ok(checked) => checked,
                    // A page: its frames are not known.
                    Err(error) => {
                        table.lost = true;
                        return verified.add(error).map_err(Stop::Failed);
                    }
                };
                let at = checked.located.at;
                while let Some((_, len)) = pages.next_if(|(page, _)| *page < at) {
                    table.expect(len, 0, &mut verified).map_err(Stop::Failed)?;
                }
                self.take(checked, &mut table, &mut hasher, &mut verified)
                    .map_err(Stop::Failed)
                    .and_then(|done| progress(done).then_some(()).ok_or(Stop::Wanted))
            },
        );
        match result {
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Wanted) => {
                verified.stopped = true;
                return Ok(verified);
            }
            Ok(()) => {}
        }
        for (_, len) in pages.chain(self.file.tail()) {
            table.expect(len, 0, &mut verified)?;
        }
        table.end(&mut verified)?;
        self.compare_disk(hasher, &mut verified)?;
        Ok(verified)
    }

    fn check_head(&self, verified: &mut Verified) -> Result<(), FileError> {
        let mut head = vec![0; HEAD_LEN as usize];
        self.file.read_raw(0, &mut head)?;
        match part::content(Part::Head, &head) {
            Ok(content) if content == HELLO => Ok(()),
            _ => {
                let damage = Damage::Part(Part::Head);
                verified.add(FileError::damaged(self.file.path(), 0, damage))
            }
        }
    }

    fn check(&self, located: Located, decoder: &mut Decoder, stored: &mut Stored) -> Checked {
        let disk_len = self.file.disk_len();
        let digests = match located.entry.content {
            _ if !self.hash_disk => Vec::new(),
            Content::Block(_, digest) => vec![digest],
            Content::Run(_, count) => {
                let first = located.entry.place.0;
                let places = (first..first + count).map(Place);
                places
                    .map(|place| BlockDigest::of_zeros(place, disk_len))
                    .collect()
            }
        };
        Checked {
            result: self.file.check(&located, decoder, stored),
            located,
            digests,
        }
    }

    /// Returns how many bytes of the disk are done.
    fn take(
        &self,
        checked: Checked,
        table: &mut SeekTableReader<'_>,
        hasher: &mut DiskHasher,
        verified: &mut Verified,
    ) -> Result<u64, FileError> {
        let entry = checked.located.entry;
        let raw_len = entry.raw_len(self.file.disk_len());
        table.expect(u64::from(entry.stored_len), raw_len, verified)?;
        checked
            .digests
            .into_iter()
            .for_each(|digest| hasher.push(digest));
        if let Err(error) = checked.result {
            verified.add(error)?;
        }
        Ok(entry.place.offset() + raw_len)
    }

    fn compare_disk(&self, hasher: DiskHasher, verified: &mut Verified) -> Result<(), FileError> {
        // Where a page is damaged not every digest is there.
        if !self.hash_disk || verified.damages > 0 {
            return Ok(());
        }
        let digest = hasher.finish();
        verified.disk_digest = Some(digest);
        match self.file.description().disk_digest() {
            Some(stated) if stated != digest => {
                let (at, _) = self.file.tail()[0];
                verified.add(FileError::damaged(self.file.path(), at, Damage::Disk))
            }
            _ => Ok(()),
        }
    }
}

impl Verified {
    /// Takes note of damage; any other error is returned.
    fn add(&mut self, error: FileError) -> Result<(), FileError> {
        if !error.is_damage() {
            return Err(error);
        }
        self.damages += 1;
        if self.damaged.len() < DESCRIBED {
            self.damaged.push(error);
        }
        Ok(())
    }
}

/// Reads the seek table beside the frames.
struct SeekTableReader<'a> {
    file: &'a ImageFile,
    records: Vec<u8>,
    /// Records that were compared.
    done: u32,
    /// Not to be compared any more: what follows a wrong record need not be right, and the frames
    /// of a damaged page are not known.
    lost: bool,
}

impl<'a> SeekTableReader<'a> {
    fn new(file: &'a ImageFile) -> Self {
        Self {
            file,
            records: Vec::new(),
            done: 0,
            lost: false,
        }
    }

    /// The next frame has `stored` bytes and holds `raw` of the disk.
    fn expect(&mut self, stored: u64, raw: u64, verified: &mut Verified) -> Result<(), FileError> {
        let table = self.file.seek_table;
        let index = self.done as usize % RECORDS_AT_ONCE;
        if index == 0 && self.done < table.frames {
            let left = (table.frames - self.done) as usize;
            self.records.resize(left.min(RECORDS_AT_ONCE) * RECORD, 0);
            let at = table.records_at() + u64::from(self.done) * RECORD as u64;
            self.file.read_raw(at, &mut self.records)?;
        }
        let found = self.records.get(index * RECORD..(index + 1) * RECORD);
        let expected = record(stored as u32, raw as u32);
        let right = self.done < table.frames && found == Some(&expected);
        self.done = self.done.saturating_add(1);
        if right || self.lost {
            return Ok(());
        }
        self.wrong(self.done - 1, verified)
    }

    fn end(&mut self, verified: &mut Verified) -> Result<(), FileError> {
        if self.done == self.file.seek_table.frames || self.lost {
            return Ok(());
        }
        self.wrong(self.done, verified)
    }

    fn wrong(&mut self, frame: u32, verified: &mut Verified) -> Result<(), FileError> {
        self.lost = true;
        let at = self.file.seek_table.records_at() + u64::from(frame) * RECORD as u64;
        let damage = Damage::SeekTable(frame);
        verified.add(FileError::damaged(self.file.path(), at, damage))
    }
}
