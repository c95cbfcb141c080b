//! A disk in memory, for tests.

use std::io::{self, ErrorKind};

use super::ReadAt;

/// Bytes at offsets; zeros elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) len: u64,
    pub(crate) contents: Vec<(u64, Vec<u8>)>,
}

impl Memory {
    pub(crate) fn new(len: u64, contents: &[(u64, &[u8])]) -> Self {
        let contents = contents.iter().map(|(at, bytes)| (*at, bytes.to_vec()));
        Self {
            len,
            contents: contents.collect(),
        }
    }
}

impl ReadAt for Memory {
    fn size(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if offset + buffer.len() as u64 > self.len {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        buffer.fill(0);
        for (at, bytes) in &self.contents {
            for (index, byte) in bytes.iter().enumerate() {
                let place = (at + index as u64).checked_sub(offset);
                if let Some(slot) = place.and_then(|place| buffer.get_mut(place as usize)) {
                    *slot = *byte;
                }
            }
        }
        Ok(())
    }
}
