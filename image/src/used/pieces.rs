//! A map that is asked for any place, over and over: its latest pieces are kept.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::map::piece;
use super::{Distrust, UsedMap};

/// Pieces that are kept, each of at most some 64 Ki ranges, 1 MiB. Those who read a disk from its
/// start to its end with several threads stay within a few; who reads at random places asks anew.
const KEPT: usize = 8;

/// Unused bytes between two used ranges that are read along: one request costs a disk less than two.
const READ_ALONG: u64 = 64 << 10;

/// A stretch of a map.
#[derive(Debug)]
struct Piece {
    range: Range<u64>,
    /// In order, within the range.
    used: Vec<Range<u64>>,
}

/// A [`UsedMap`] for several threads at once.
#[derive(Debug)]
pub(crate) struct Pieces {
    map: UsedMap,
    /// The latest used one first.
    kept: Mutex<VecDeque<Arc<Piece>>>,
}

impl Pieces {
    pub(crate) fn new(map: UsedMap) -> Self {
        Self {
            map,
            kept: Mutex::default(),
        }
    }

    pub(crate) fn map(&self) -> &UsedMap {
        &self.map
    }

    /// The first used bytes of `range`, as far as they were told at once; `None` if there are none.
    pub(crate) fn first_used(&self, range: &Range<u64>) -> Result<Option<Range<u64>>, Distrust> {
        let mut at = range.start;
        while at < range.end {
            let piece = self.at(at)?;
            let index = piece.used.partition_point(|run| run.end <= at);
            if let Some(run) = piece.used.get(index) {
                let found = run.start.max(at)..run.end.min(range.end);
                return Ok((!found.is_empty()).then_some(found));
            }
            at = piece.range.end;
        }
        Ok(None)
    }

    /// Fills `buffer` with what lies at `offset`, unused bytes with zeros. `read` reads used ones; it
    /// may be asked for a few unused ones between them, and where that fails, for the used ones alone.
    pub(crate) fn read<E: From<Distrust>>(
        &self,
        offset: u64,
        buffer: &mut [u8],
        read: impl Fn(u64, &mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let range = offset..offset + buffer.len() as u64;
        let within = |part: &Range<u64>| {
            // Both lie within the buffer's range, whose length fits.
            (part.start - offset) as usize..(part.end - offset) as usize
        };
        let mut together: Option<Range<u64>> = None;
        let read_part = |buffer: &mut [u8], part: Range<u64>| {
            let whole = read(part.start, &mut buffer[within(&part)]);
            if whole.is_ok() {
                return Ok(());
            }
            // What cannot be read need not be used.
            self.each_used(&part, |run| read(run.start, &mut buffer[within(&run)]))
        };
        self.each_used(&range, |run| {
            match &mut together {
                Some(part) if run.start - part.end <= READ_ALONG => part.end = run.end,
                part => {
                    if let Some(done) = part.replace(run) {
                        read_part(buffer, done)?;
                    }
                }
            }
            Ok::<_, E>(())
        })?;
        if let Some(part) = together {
            read_part(buffer, part)?;
        }
        let mut at = range.start;
        self.each_used(&range, |run| {
            buffer[within(&(at..run.start))].fill(0);
            at = run.end;
            Ok::<_, E>(())
        })?;
        buffer[within(&(at..range.end))].fill(0);
        Ok(())
    }

    fn each_used<E: From<Distrust>>(
        &self,
        range: &Range<u64>,
        mut act: impl FnMut(Range<u64>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = range.clone();
        while let Some(run) = self.first_used(&rest)? {
            rest.start = run.end;
            act(run)?;
        }
        Ok(())
    }

    /// The piece that `offset` lies in.
    fn at(&self, offset: u64) -> Result<Arc<Piece>, Distrust> {
        let find = |kept: &VecDeque<Arc<Piece>>| {
            kept.iter().position(|piece| piece.range.contains(&offset))
        };
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(index) = find(&kept) {
                let piece = Arc::clone(&kept[index]);
                if index > 0 {
                    kept.remove(index);
                    kept.push_front(Arc::clone(&piece));
                }
                return Ok(piece);
            }
        }
        // Not under the lock: reading may take a disk a while.
        let mut used = Vec::new();
        let end = piece(&self.map, offset, &mut used)?;
        let piece = Arc::new(Piece {
            range: offset..end,
            used,
        });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been quicker; what it keeps may also begin earlier.
        if find(&kept).is_none() {
            kept.push_front(Arc::clone(&piece));
            kept.truncate(KEPT);
        }
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::used::Fill;
    use proptest::prelude::*;
    use std::cell::RefCell;

    /// Bytes of the disk that the tests read: never zero.
    fn byte(at: u64) -> u8 {
        (at % 251) as u8 + 1
    }

    fn pieces(used: &[Range<u64>], len: u64) -> Pieces {
        let parts = used.iter().map(|run| (run.clone(), Fill::Used)).collect();
        Pieces::new(UsedMap::new(len, parts, &Fill::Unused).unwrap())
    }

    #[derive(Debug, PartialEq)]
    enum Failed {
        Disk(u64),
        Map,
    }

    impl From<Distrust> for Failed {
        fn from(_: Distrust) -> Self {
            Self::Map
        }
    }

    /// Reads a range; the byte at `bad` cannot be read. Tells what was asked for.
    fn read(
        pieces: &Pieces,
        range: Range<u64>,
        bad: Option<u64>,
    ) -> (Result<Vec<u8>, Failed>, Vec<Range<u64>>) {
        let asked = RefCell::new(Vec::new());
        let mut buffer = vec![0xee; (range.end - range.start) as usize];
        let done = pieces.read(range.start, &mut buffer, |at, part| {
            let end = at + part.len() as u64;
            asked.borrow_mut().push(at..end);
            if let Some(bad) = bad.filter(|bad| (at..end).contains(bad)) {
                return Err(Failed::Disk(bad));
            }
            for (index, slot) in part.iter_mut().enumerate() {
                *slot = byte(at + index as u64);
            }
            Ok(())
        });
        (done.map(|()| buffer), asked.into_inner())
    }

    #[test]
    fn near_runs_are_read_at_once_and_far_ones_are_not() {
        let far = READ_ALONG + 200;
        let pieces = pieces(&[10..20, 30..40, far..far + 5], 1 << 20);
        let (bytes, asked) = read(&pieces, 0..1 << 20, None);
        assert_eq!(asked, [10..40, far..far + 5]);
        assert_eq!(bytes.unwrap()[15..25], [16, 17, 18, 19, 20, 0, 0, 0, 0, 0]);
        assert!(read(&pieces, 50..far, None).1.is_empty());
    }

    #[test]
    fn what_cannot_be_read_matters_only_if_it_is_used() {
        let pieces = pieces(&[10..20, 30..40], 100);
        let (bytes, asked) = read(&pieces, 0..100, Some(25));
        assert_eq!(asked, [10..40, 10..20, 30..40]);
        assert_eq!(bytes.unwrap()[29..32], [0, 31, 32]);
        assert_eq!(read(&pieces, 0..100, Some(35)).0, Err(Failed::Disk(35)));
    }

    proptest! {
        #[test]
        fn used_bytes_are_read_and_all_others_are_zero(
            bits in proptest::collection::vec(any::<bool>(), 200),
            start in 0_u64..200,
            len in 0_u64..200,
            bad in proptest::option::of(0_u64..200),
        ) {
            let used: Vec<_> = (0..200).filter(|at| bits[*at as usize]).map(|at| at..at + 1).collect();
            let pieces = pieces(&used, 200);
            let range = start..(start + len).min(200);
            let (found, _) = read(&pieces, range.clone(), bad);
            let is_bad = bad.is_some_and(|bad| range.contains(&bad) && bits[bad as usize]);
            prop_assert_eq!(found.is_err(), is_bad);
            if let Ok(found) = found {
                let expected: Vec<u8> = range
                    .map(|at| if bits[at as usize] { byte(at) } else { 0 })
                    .collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
