//! What holds of every disk, whatever is on it.
//!
//! * Nothing panics, and what is read and kept has bounds that have nothing to do with what the disk
//!   says of itself.
//! * What is used lies on the disk, in order; all of an area is where its map is not believed, and
//!   then it is said why.
//! * A map that was believed can be read again.
//! * Nothing that is shown to people holds what a terminal takes for a command.

use std::ops::Range;
use std::sync::Arc;

use mimeo_image::files::{Files, Kind, Node};
use mimeo_image::fit::{Division, Geometry, Moves};
use mimeo_image::golden;
use mimeo_image::scrub::Scrub;
use mimeo_image::used::{Layout, ReadAt, Scheme, Summary, Verdict};

use super::{Disk, SECTOR};

/// Bytes of memory for all of it.
pub(super) const MEMORY: usize = 64 << 20;

/// Names that are looked at, and bytes of each file.
const MAX_NAMES: usize = 64;
const MAX_FILE: usize = 4096;

/// Asserts that a text can be shown.
pub fn shown(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

/// Reads partition table and maps.
pub fn examine(disk: &Arc<Disk>) -> Layout {
    let reader = Arc::clone(disk) as Arc<dyn ReadAt>;
    let len = disk.size();
    disk.allow((16 << 20) + len / 2, 100_000);
    let layout = Layout::examine(&reader);
    assert_eq!(layout.map().disk_len(), len);
    for area in &layout.areas {
        let Range { start, end } = area.place;
        assert!(start <= end && end <= len, "{:?}", area.place);
        assert!(area.used() <= end - start);
        if let Verdict::Whole(why) = &area.volume.verdict {
            assert_eq!(area.used(), end - start);
            shown(&why.to_string());
        }
        for inner in &area.volume.logical {
            shown(&inner.name);
            assert!(inner.len <= len);
        }
        if let Some(partition) = &area.partition {
            shown(&partition.name);
        }
    }
    runs(&layout, len);
    let remarks = layout.remarks();
    assert_eq!(remarks.len(), layout.areas.len());
    for (remark, area) in remarks.iter().zip(&layout.areas) {
        shown(&remark.text);
        let is_whole = matches!(area.volume.verdict, Verdict::Whole(_));
        assert!(!is_whole || remark.text.contains("copied whole"));
    }
    assert_eq!(Summary::of(&layout).used, layout.used());
    layout
}

/// Used ranges are in order and apart, and as many bytes as is said.
fn runs(layout: &Layout, len: u64) {
    let (mut at, mut used) = (0, 0);
    for run in layout.map().runs() {
        let run = run.unwrap_or_else(|why| panic!("a map that was believed: {why}"));
        assert!(run.start < run.end && run.end <= len, "{run:?}");
        assert!(at == 0 || run.start > at, "{run:?} after {at}");
        at = run.end;
        used += run.end - run.start;
    }
    assert_eq!(used, layout.used());
    let mut unused = 0;
    for gap in layout.map().unused() {
        let gap = gap.unwrap_or_else(|why| panic!("a map that was believed: {why}"));
        unused += gap.end - gap.start;
    }
    assert_eq!(used + unused, len);
}

/// A way of looking at files.
#[derive(Clone, Copy, Debug)]
pub enum Look {
    /// The golden image check.
    Golden,
    /// What can be left out.
    Scrub,
    /// Some of all files.
    Walk,
}

/// All ways. An input goes one of them, as a rule: so more is tried than if each went all.
pub const LOOKS: [Look; 3] = [Look::Golden, Look::Scrub, Look::Walk];

/// Looks at files in some ways.
pub fn files(disk: &Arc<Disk>, layout: &Layout, looks: &[Look]) {
    disk.allow((64 << 20) + 2 * disk.size(), 500_000);
    look_at_files(&(Arc::clone(disk) as Arc<dyn ReadAt>), layout, looks);
}

/// The same of any disk.
pub fn look_at_files(reader: &Arc<dyn ReadAt>, layout: &Layout, looks: &[Look]) {
    for look in looks {
        match look {
            Look::Golden => check_golden(reader),
            Look::Scrub => scrub(reader, layout),
            Look::Walk => walk_all(reader, layout),
        }
    }
}

fn check_golden(reader: &Arc<dyn ReadAt>) {
    let report = golden::check(reader);
    for finding in &report.findings {
        shown(&finding.place.to_string());
        shown(&finding.problem.to_string());
        shown(&finding.problem.remedy());
    }
    for left in &report.unexamined {
        shown(&left.place.to_string());
        shown(&left.why);
    }
}

fn scrub(reader: &Arc<dyn ReadAt>, layout: &Layout) {
    let scrub = Scrub::find(reader, layout);
    let mut at = 0;
    for range in &scrub.ranges {
        assert!(range.start >= at && range.start < range.end && range.end <= reader.size());
        at = range.end;
    }
    for file in &scrub.files {
        shown(&file.to_string());
    }
    if !scrub.ranges.is_empty() {
        let map = layout.map().without(scrub.ranges.iter().cloned());
        assert!(map.runs().all(|run| run.is_ok()));
    }
}

fn walk_all(reader: &Arc<dyn ReadAt>, layout: &Layout) {
    // What a disk without partitions holds is known by now.
    let known = match (layout.scheme, layout.areas.as_slice()) {
        (Scheme::None, [area]) => area.volume.signatures.as_slice(),
        _ => &[],
    };
    let opened = match known {
        [one] => Files::open_as(reader, *one),
        _ => Files::open(reader),
    };
    if let Ok(files) = opened {
        let _ = files.check_clean();
        if let Ok(Some(root)) = files.find("/") {
            walk(&files, root, reader.size());
        }
    }
}

/// Goes through directories, which may lead in circles.
fn walk(files: &Files, root: Node, len: u64) {
    let (mut open, mut names) = (vec![root], 0);
    while let Some(directory) = open.pop() {
        for entry in files.list(&directory).unwrap_or_default() {
            names += 1;
            if names > MAX_NAMES {
                return;
            }
            let Ok(node) = files.node(&entry) else {
                continue;
            };
            let mut at = 0;
            for piece in node.pieces().unwrap_or_default() {
                assert!(piece.from >= at && piece.len > 0);
                at = piece.from + piece.len;
                assert!(piece.place + piece.len <= len);
            }
            if let Ok(bytes) = files.read(&node, MAX_FILE) {
                assert_eq!(bytes.len() as u64, node.len.min(MAX_FILE as u64));
            }
            if node.kind == Kind::Directory {
                open.push(node);
            }
        }
    }
}

/// Fits a disk to another length: whatever is on it, only the partition table changes, and doing
/// it twice is doing it once.
pub fn fit(mut disk: Disk, image_len: u64, layout: &Layout) {
    disk.allow(64 << 20, 100_000);
    let geometry = Geometry::of(&disk, None);
    assert!(geometry.least <= geometry.len && geometry.len == disk.size());
    let sector = geometry.sector.unwrap_or(SECTOR as u32);
    let _ = geometry.needs().check(disk.size(), sector);
    let Ok(moves) = Moves::of(&disk, image_len, sector) else {
        return;
    };
    for note in &moves.notes {
        shown(&note.to_string());
    }
    for step in &moves.steps {
        for write in &step.writes {
            let place = write.place();
            assert!(place.end <= disk.size(), "{place:?}");
            assert!(place.start % u64::from(sector) == 0 && !place.is_empty());
            let apart = |it: &Range<u64>| it.end <= place.start || place.end <= it.start;
            for area in layout.areas.iter().filter(|it| it.partition.is_some()) {
                let partition = area
                    .partition
                    .as_ref()
                    .is_some_and(|it| it.problem.is_none());
                let is_gpt = matches!(layout.scheme, Scheme::Gpt { backup: false, .. });
                assert!(!partition || !is_gpt || apart(&area.place), "{place:?}");
            }
            disk.write(place.start, &write.bytes);
        }
    }
    if moves.steps.is_empty() {
        return;
    }
    let moved = Geometry::of(&disk, Some(sector));
    assert!(
        matches!(moved.division, Division::Gpt { backup: true, .. }),
        "{moved:?}"
    );
    // A backup alone is found only at the end of its own disk.
    let was_found = matches!(geometry.division, Division::Gpt { .. });
    assert!(!was_found || moved.last == geometry.last, "{moved:?}");
    let again = Moves::of(&disk, image_len, sector).map(|again| again.steps);
    for write in again.unwrap_or_default().iter().flat_map(|it| &it.writes) {
        let mut is = vec![0; write.bytes.len()];
        disk.peek(write.at, &mut is);
        assert!(is == write.bytes, "it is changed again at {}", write.at);
    }
}
