//! Used ranges in order, and what lies between them.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::Distrust;

/// Knows which bytes of something are used, and tells it piece by piece.
///
/// A piece is what comes with one read: a group of ext4, a leaf of a tree, a
/// stretch of a bitmap. It is told anew from any offset, so nothing is kept
/// between two pieces, and whoever asks decides how often.
pub(crate) trait Allocation: std::fmt::Debug + Send + Sync {
    /// Length in bytes of what it speaks for.
    fn extent(&self) -> u64;

    /// Appends the used ranges from `from` on, in order and not overlapping,
    /// and returns how far they go: everything between them up to there is
    /// unused. That is more than `from` and at most [`Allocation::extent`].
    ///
    /// `from` is less than the extent. A range may begin before `from` and
    /// reach beyond the end; only what lies between the two counts.
    fn piece(&self, from: u64, used: &mut Vec<Range<u64>>) -> Result<u64, Distrust>;

    /// Bytes that all pieces together must tell, if the filesystem has a count of its own.
    fn expected(&self) -> Option<u64> {
        None
    }
}

/// A piece of a map with its range: what is told lies within it, and is checked to go on.
pub(crate) fn piece(
    map: &dyn Allocation,
    from: u64,
    used: &mut Vec<Range<u64>>,
) -> Result<u64, Distrust> {
    used.clear();
    let told = map.piece(from, used)?;
    if told <= from || told > map.extent() {
        return Err(Distrust::Damaged {
            what: "a map that does not go on",
        });
    }
    let mut at = from;
    for run in used.iter_mut() {
        *run = run.start.clamp(at, told)..run.end.clamp(at, told);
        at = run.end;
    }
    used.retain(|run| !run.is_empty());
    Ok(told)
}

/// Bytes that a checked map calls used; the map is walked through once.
pub(crate) fn check(allocation: &dyn Allocation) -> Result<u64, Distrust> {
    let mut total = 0;
    for run in Runs::new(allocation) {
        let run = run?;
        total += run.end - run.start;
    }
    match allocation.expected() {
        Some(expected) if expected != total => Err(Distrust::Count {
            what: "the number of used bytes",
            expected,
            found: total,
        }),
        _ => Ok(total),
    }
}

/// What is known about a range of a disk.
#[derive(Clone, Debug)]
pub(crate) enum Fill {
    /// All of it counts as used.
    Used,
    /// None of it does.
    Unused,
    /// A map tells; the range begins at this offset of what it speaks for.
    Mapped(Arc<dyn Allocation>, u64),
}

/// Which bytes of a disk are used.
#[derive(Clone, Debug)]
pub struct UsedMap {
    /// In order, without gaps, up to the disk's end.
    parts: Vec<(Range<u64>, Fill)>,
    len: u64,
    /// Ranges that count as unused whatever the parts say: in order, apart from each other.
    left_out: Arc<[Range<u64>]>,
}

impl UsedMap {
    /// A map of `len` bytes of which `parts` are known; what they leave out is `rest`.
    /// `None` if they overlap, are empty, or do not lie within it.
    pub(crate) fn new(len: u64, mut parts: Vec<(Range<u64>, Fill)>, rest: &Fill) -> Option<Self> {
        parts.sort_by_key(|(range, _)| range.start);
        let mut all = Vec::with_capacity(parts.len() * 2 + 1);
        let mut at = 0;
        for (range, fill) in parts {
            if range.start < at || range.end <= range.start || range.end > len {
                return None;
            }
            if at < range.start {
                all.push((at..range.start, rest.clone()));
            }
            at = range.end;
            all.push((range, fill));
        }
        if at < len {
            all.push((at..len, rest.clone()));
        }
        Some(Self {
            parts: all,
            len,
            left_out: Arc::default(),
        })
    }

    /// The same map, in which these byte ranges of the disk, too, count as unused. They may come in
    /// any order, overlap, and reach beyond the end.
    #[must_use]
    pub fn without(&self, ranges: impl IntoIterator<Item = Range<u64>>) -> Self {
        let mut all: Vec<_> = ranges.into_iter().collect();
        all.extend_from_slice(&self.left_out);
        all.retain(|range| !range.is_empty());
        all.sort_by_key(|range| range.start);
        all.dedup_by(|next, last| {
            let joined = next.start <= last.end;
            if joined {
                last.end = last.end.max(next.end);
            }
            joined
        });
        Self {
            left_out: all.into(),
            ..self.clone()
        }
    }

    /// Takes what is left out from ranges that were told from `first` on.
    fn leave_out(&self, used: &mut Vec<Range<u64>>, first: usize) {
        if self.left_out.is_empty() {
            return;
        }
        let told = used.split_off(first);
        for mut run in told {
            let index = self.left_out.partition_point(|gap| gap.end <= run.start);
            for gap in &self.left_out[index..] {
                if gap.start >= run.end {
                    break;
                }
                if run.start < gap.start {
                    used.push(run.start..gap.start);
                }
                run.start = run.end.min(gap.end);
            }
            if !run.is_empty() {
                used.push(run);
            }
        }
    }

    /// Length in bytes of the disk.
    #[must_use]
    pub fn disk_len(&self) -> u64 {
        self.len
    }

    /// The used byte ranges in order; neighbouring ones are told as one.
    #[must_use]
    pub fn runs(&self) -> Runs<'_> {
        Runs::new(self)
    }

    /// The unused byte ranges in order: what [`Self::runs`] leaves out.
    pub fn unused(&self) -> impl Iterator<Item = Result<Range<u64>, Distrust>> + '_ {
        let mut at = 0;
        // The end of the disk closes the last gap.
        let end = std::iter::once(Ok(self.len..self.len));
        self.runs().chain(end).filter_map(move |run| match run {
            Ok(run) => {
                let gap = at..run.start;
                at = run.end;
                (!gap.is_empty()).then_some(Ok(gap))
            }
            Err(error) => Some(Err(error)),
        })
    }
}

impl Allocation for UsedMap {
    fn extent(&self) -> u64 {
        self.len
    }

    fn piece(&self, from: u64, used: &mut Vec<Range<u64>>) -> Result<u64, Distrust> {
        let index = self.parts.partition_point(|(range, _)| range.end <= from);
        let Some((range, fill)) = self.parts.get(index) else {
            return Ok(self.len);
        };
        let first = used.len();
        let told = match fill {
            Fill::Unused => range.end,
            Fill::Used => {
                used.push(range.clone());
                range.end
            }
            Fill::Mapped(map, at) => {
                let inner = at + (from - range.start);
                let limit = at + (range.end - range.start);
                let told = map.piece(inner, used)?.min(limit);
                // From offsets of the map to those of the disk.
                for run in &mut used[first..] {
                    let clamp = |offset: u64| offset.clamp(inner, told) - at + range.start;
                    *run = clamp(run.start)..clamp(run.end);
                }
                told - at + range.start
            }
        };
        self.leave_out(used, first);
        Ok(told)
    }
}

/// Iterates over used ranges in order. After an error, which means that the
/// disk cannot be read or was changed, it ends.
#[derive(Debug)]
pub struct Runs<'a> {
    map: &'a dyn Allocation,
    /// How far the pieces were told.
    at: u64,
    piece: Vec<Range<u64>>,
    queue: VecDeque<Range<u64>>,
    /// The run that may still go on.
    open: Option<Range<u64>>,
}

impl<'a> Runs<'a> {
    pub(crate) fn new(map: &'a dyn Allocation) -> Self {
        Self {
            map,
            at: 0,
            piece: Vec::new(),
            queue: VecDeque::new(),
            open: None,
        }
    }

    /// Takes the next piece into the queue.
    fn advance(&mut self) -> Result<(), Distrust> {
        let told = piece(self.map, self.at, &mut self.piece)?;
        self.queue.extend(self.piece.drain(..));
        self.at = told;
        Ok(())
    }
}

impl Iterator for Runs<'_> {
    type Item = Result<Range<u64>, Distrust>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(run) = self.queue.pop_front() else {
                if self.at >= self.map.extent() {
                    return self.open.take().map(Ok);
                }
                if let Err(error) = self.advance() {
                    self.at = self.map.extent();
                    self.open = None;
                    return Some(Err(error));
                }
                continue;
            };
            match &mut self.open {
                Some(open) if open.end == run.start => open.end = run.end,
                open => {
                    if let Some(done) = open.replace(run) {
                        return Some(Ok(done));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Tells `used` in pieces of `step` bytes.
    #[derive(Debug)]
    struct Steps {
        used: Vec<Range<u64>>,
        step: u64,
        len: u64,
    }

    impl Allocation for Steps {
        fn extent(&self) -> u64 {
            self.len
        }

        fn piece(&self, from: u64, used: &mut Vec<Range<u64>>) -> Result<u64, Distrust> {
            let end = (from + self.step).min(self.len);
            let reaches = |run: &&Range<u64>| run.start < end && run.end > from;
            used.extend(self.used.iter().filter(reaches).cloned());
            Ok(end)
        }
    }

    fn map(used: &[Range<u64>], step: u64) -> UsedMap {
        let steps: Arc<dyn Allocation> = Arc::new(Steps {
            used: used.to_vec(),
            step,
            len: 100,
        });
        let nothing: Arc<dyn Allocation> = Arc::new(Steps {
            used: Vec::new(),
            step: 3,
            len: 10,
        });
        let parts = vec![
            // The second half of the map lies in front of the first.
            (10..60, Fill::Mapped(Arc::clone(&steps), 50)),
            (70..120, Fill::Mapped(steps, 0)),
            (130..140, Fill::Mapped(nothing, 0)),
        ];
        UsedMap::new(150, parts, &Fill::Used).unwrap()
    }

    fn collect(runs: impl Iterator<Item = Result<Range<u64>, Distrust>>) -> Vec<Range<u64>> {
        runs.map(Result::unwrap).collect()
    }

    #[test]
    fn parts_are_told_at_their_places() {
        let map = map(&[5..20, 45..55, 99..100], 7);
        let used = [0..15, 59..70, 75..90, 115..130, 140..150];
        assert_eq!(collect(map.runs()), used);
        assert_eq!(collect(map.unused()), [15..59, 70..75, 90..115, 130..140]);
    }

    #[test]
    fn what_is_left_out_is_unused_wherever_it_lies() {
        let map = map(&[5..20, 45..55, 99..100], 7);
        let without = map.without([76..80, 60..62, 61..65, 0..3, 148..900, 20..30, 9..9]);
        let used = [3..15, 59..60, 65..70, 75..76, 80..90, 115..130, 140..148];
        assert_eq!(collect(without.runs()), used);
        let again = without.without(std::iter::once(3..15));
        assert_eq!(collect(again.runs()), used[1..]);
    }

    #[test]
    fn parts_that_overlap_or_reach_too_far_make_no_map() {
        let parts = |ranges: &[Range<u64>]| {
            let parts = ranges.iter().map(|range| (range.clone(), Fill::Used));
            UsedMap::new(10, parts.collect(), &Fill::Used)
        };
        assert!(parts(&[0..5, 5..10]).is_some());
        assert!(parts(&[0..6, 5..10]).is_none());
        assert!(parts(&[0..5, 5..11]).is_none());
        assert!(parts(&[0..5, 5..5]).is_none());
    }

    #[test]
    fn a_map_that_stands_still_is_an_error_and_ends() {
        let map = map(&[], 0);
        let mut runs = map.runs();
        assert!(runs.any(|run| run.is_err()));
        assert!(runs.next().is_none());
    }

    proptest! {
        #[test]
        fn used_and_unused_make_the_whole_whatever_the_pieces(
            bits in proptest::collection::vec(any::<bool>(), 100),
            step in 1_u64..120,
        ) {
            let used: Vec<_> = (0..100).filter(|at| bits[*at as usize]).map(|at| at..at + 1).collect();
            let map = map(&used, step);
            let mut seen = vec![0; 150];
            for byte in collect(map.runs()).into_iter().flatten() {
                seen[byte as usize] += 1;
            }
            for byte in collect(map.unused()).into_iter().flatten() {
                seen[byte as usize] += 10;
            }
            for (byte, seen) in seen.iter().enumerate() {
                let used = match byte {
                    10..60 => bits[byte + 40],
                    70..120 => bits[byte - 70],
                    130..140 => false,
                    _ => true,
                };
                prop_assert_eq!(*seen, if used { 1 } else { 10 }, "at {}", byte);
            }
            let runs = collect(map.runs());
            prop_assert!(runs.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}
