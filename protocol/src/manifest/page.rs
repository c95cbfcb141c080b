//! Pages of the manifest: valid by construction, and their bytes.

use super::entry::{ENTRY_LEN, Entry, EntryError, StoredBlock};
use crate::keys::{Context, SIGNATURE_LEN, Signer, Verifier};
use crate::units::{BlockNumber, ENTRIES_PER_PAGE, PageNumber, Place, SYMBOL_SIZE, Symbol};

/// Bytes before the entries.
const HEADER: usize = 9;

/// Largest page in bytes.
pub const MAX_PAGE: usize = page_len(ENTRIES_PER_PAGE);

// A page of two symbols could be spoiled by a forged one.
const _: () = assert!(MAX_PAGE == 1385 && MAX_PAGE <= SYMBOL_SIZE);

/// A page of the manifest. A value of this type satisfies every rule of the wire format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    number: PageNumber,
    first_block: BlockNumber,
    entries: Vec<Entry>,
    signature: [u8; SIGNATURE_LEN],
}

/// Why bytes or entries are no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Fewer or more bytes than the page has.
    #[error("expected a page of {expected} bytes, found {found}")]
    Length {
        /// Bytes of a page of so many entries, or of the header where that is incomplete.
        expected: usize,
        /// Bytes that were found.
        found: usize,
    },
    /// A padding byte behind the page is not zero.
    #[error("expected only zeros behind the page, found {found:#04x} at byte {at}")]
    Padding {
        /// Offset of the byte.
        at: usize,
        /// The byte.
        found: u8,
    },
    /// An empty or overfull page.
    #[error("expected 1 to {ENTRIES_PER_PAGE} entries, found {found}")]
    EntryCount {
        /// Number of entries.
        found: usize,
    },
    /// An entry is wrong by itself.
    #[error("entry {index}: {error}")]
    Entry {
        /// Index of the entry in the page.
        index: usize,
        /// What is wrong with it.
        error: EntryError,
    },
    /// An entry begins before its predecessor ends.
    #[error("entry {index}: expected place {expected} or a later one, found {found}")]
    Order {
        /// Index of the entry in the page.
        index: usize,
        /// The place behind its predecessor.
        expected: Place,
        /// Its place.
        found: Place,
    },
    /// The number of the page's last block exceeds 32 bits.
    #[error("expected {blocks} block numbers from {first} to fit 32 bits")]
    BlockNumbers {
        /// Number of the first block.
        first: BlockNumber,
        /// Number of blocks.
        blocks: u32,
    },
}

impl Page {
    /// A page with a signature of zeros.
    ///
    /// # Errors
    ///
    /// [`PageError`] for a wrong number of entries, wrong entries, places out of order or too
    /// large block numbers.
    pub fn new(
        number: PageNumber,
        first_block: BlockNumber,
        entries: Vec<Entry>,
    ) -> Result<Page, PageError> {
        check_count(entries.len())?;
        for (index, entry) in entries.iter().enumerate() {
            entry
                .validate()
                .map_err(|error| PageError::Entry { index, error })?;
        }
        let page = Page {
            number,
            first_block,
            entries,
            signature: [0; SIGNATURE_LEN],
        };
        page.check_order()?;
        Ok(page)
    }

    /// Its number in the manifest.
    #[must_use]
    pub fn number(&self) -> PageNumber {
        self.number
    }

    /// Number of its first block; that of the next page's first block if it has no blocks.
    #[must_use]
    pub fn first_block(&self) -> BlockNumber {
        self.first_block
    }

    /// Its 1 to [`ENTRIES_PER_PAGE`] entries, in the order of their places.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Its signature; zeros before it was signed.
    #[must_use]
    pub fn signature(&self) -> &[u8; SIGNATURE_LEN] {
        &self.signature
    }

    /// Signs it.
    pub fn sign(&mut self, signer: &Signer) {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes.truncate(bytes.len() - SIGNATURE_LEN);
        self.signature = signer.sign(Context::Page, &bytes);
    }

    /// Whether `bytes`, all of a page, are signed by the sender.
    #[must_use]
    pub fn is_signed(bytes: &[u8], verifier: &Verifier) -> bool {
        bytes
            .split_last_chunk()
            .is_some_and(|(signed, signature)| verifier.accepts(Context::Page, signed, signature))
    }

    /// Its blocks that are sent, with their numbers.
    pub fn blocks(&self) -> impl Iterator<Item = (BlockNumber, &StoredBlock)> {
        let blocks = self.entries.iter().filter_map(Entry::as_block);
        // No number exceeds 32 bits: `check_order` has seen to it.
        (0..)
            .zip(blocks)
            .map(|(n, block)| (BlockNumber(self.first_block.0 + n), block))
    }

    /// Number of its bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        page_len(self.entries.len())
    }

    /// Appends its bytes to `out`; the last [`SIGNATURE_LEN`] of them are the signature.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        out.extend_from_slice(&self.number.0.to_be_bytes());
        out.extend_from_slice(&self.first_block.0.to_be_bytes());
        out.push(self.entries.len() as u8);
        for entry in &self.entries {
            entry.encode(out);
        }
        out.extend_from_slice(&self.signature);
    }

    /// The bytes of the page that the source symbols of a page hold, without their padding.
    ///
    /// # Errors
    ///
    /// [`PageError`] unless `symbols` begins with the header of a page and holds all of it, then
    /// only zeros.
    pub fn trim(symbols: &[u8]) -> Result<&[u8], PageError> {
        let found = symbols.len();
        let Some(&count) = symbols.get(HEADER - 1) else {
            return Err(PageError::Length {
                expected: HEADER,
                found,
            });
        };
        check_count(usize::from(count))?;
        let expected = page_len(usize::from(count));
        let Some((page, padding)) = symbols.split_at_checked(expected) else {
            return Err(PageError::Length { expected, found });
        };
        match padding.iter().zip(expected..).find(|(byte, _)| **byte != 0) {
            Some((&found, at)) => Err(PageError::Padding { at, found }),
            None => Ok(page),
        }
    }

    /// The page of which `bytes` are the bytes, all of them. The signature is for [`Self::is_signed`].
    ///
    /// # Errors
    ///
    /// [`PageError`] for whatever breaks a rule of the wire format.
    pub fn decode(bytes: &[u8]) -> Result<Page, PageError> {
        let found = bytes.len();
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(PageError::Length {
                expected: HEADER,
                found,
            });
        };
        let [n0, n1, n2, n3, b0, b1, b2, b3, count] = *header;
        let count = usize::from(count);
        check_count(count)?;
        let expected = page_len(count);
        let Some((entries, &signature)) = rest
            .split_last_chunk()
            .filter(|(entries, _)| entries.len() == count * ENTRY_LEN)
        else {
            return Err(PageError::Length { expected, found });
        };
        let (entries, _) = entries.as_chunks::<ENTRY_LEN>();
        let decode = |(index, bytes)| {
            Entry::decode(bytes).map_err(|error| PageError::Entry { index, error })
        };
        let page = Page {
            number: PageNumber(u32::from_be_bytes([n0, n1, n2, n3])),
            first_block: BlockNumber(u32::from_be_bytes([b0, b1, b2, b3])),
            entries: entries
                .iter()
                .enumerate()
                .map(decode)
                .collect::<Result<_, _>>()?,
            signature,
        };
        page.check_order()?;
        Ok(page)
    }

    /// The block with this index among those of the page that a symbol holds, without looking at the
    /// other entries. `None` if there is none, or its entry is wrong by itself.
    #[must_use]
    pub fn nth_block(symbol: &Symbol, nth: usize) -> Option<StoredBlock> {
        let count = usize::from(symbol[HEADER - 1]);
        let entries = symbol.get(HEADER..HEADER + count * ENTRY_LEN)?;
        let (entries, _) = entries.as_chunks::<ENTRY_LEN>();
        let mut blocks = entries.iter().filter(|bytes| Entry::is_block(bytes));
        match Entry::decode(blocks.nth(nth)?) {
            Ok(Entry::Block(block)) => Some(block),
            _ => None,
        }
    }

    /// Checks what entries can get wrong together; each by itself is valid.
    fn check_order(&self) -> Result<(), PageError> {
        let mut expected = Place(0);
        let mut blocks = 0_u32;
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.place() < expected {
                return Err(PageError::Order {
                    index,
                    expected,
                    found: entry.place(),
                });
            }
            expected = entry.end().expect("a valid entry ends at a place");
            blocks += u32::from(matches!(entry, Entry::Block(_)));
        }
        // The number behind the last block must exist, too: it is the next page's first.
        match self.first_block.0.checked_add(blocks) {
            Some(_) => Ok(()),
            None => Err(PageError::BlockNumbers {
                first: self.first_block,
                blocks,
            }),
        }
    }
}

fn check_count(found: usize) -> Result<(), PageError> {
    if (1..=ENTRIES_PER_PAGE).contains(&found) {
        Ok(())
    } else {
        Err(PageError::EntryCount { found })
    }
}

const fn page_len(entries: usize) -> usize {
    HEADER + entries * ENTRY_LEN + SIGNATURE_LEN
}

#[cfg(test)]
mod tests;
