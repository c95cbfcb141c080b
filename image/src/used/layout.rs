//! A whole disk: its partitions and what they hold.

use std::ops::Range;
use std::sync::Arc;

use super::map::Fill;
use super::partition::{self, Table};
use super::read::{Reader, Window};
use super::{Distrust, Partition, ReadAt, Scheme, UsedMap, Verdict, Volume};

/// What a disk holds, as far as it could be found out by reading.
#[derive(Debug)]
pub struct Layout {
    /// How the disk is divided.
    pub scheme: Scheme,
    /// Each partition, or the whole disk if it is not divided, in the order of their numbers.
    pub areas: Vec<Area>,
    map: UsedMap,
}

/// A partition, or a disk that is not divided.
#[derive(Debug)]
pub struct Area {
    /// Its entry in the partition table; `None` for the whole disk.
    pub partition: Option<Partition>,
    /// Byte offsets on the disk; cut off at the disk's end.
    pub place: Range<u64>,
    /// What it holds.
    pub volume: Volume,
}

impl Area {
    /// For people: `partition 3`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.partition {
            Some(partition) => format!("partition {}", partition.number),
            None => "the volume".to_owned(),
        }
    }

    /// Bytes of it that count as used.
    #[must_use]
    pub fn used(&self) -> u64 {
        match self.volume.verdict {
            Verdict::Trusted { used } => used,
            Verdict::Whole(_) => self.place.end - self.place.start,
        }
    }
}

impl Layout {
    /// Reads partition table and maps of a disk. What cannot be read or
    /// understood is no error here: it counts as used, with the reason.
    #[must_use]
    pub fn examine(disk: &Arc<dyn ReadAt>) -> Self {
        let len = disk.size();
        let (scheme, areas) = match partition::read_table(&**disk) {
            Ok(Table {
                scheme: Scheme::None,
                ..
            }) => (Scheme::None, vec![whole(len, Volume::examine(disk))]),
            Ok(table) => {
                let area = |partition| area(disk, partition);
                (
                    table.scheme,
                    table.partitions.into_iter().map(area).collect(),
                )
            }
            Err(why) => (Scheme::Unclear, vec![whole(len, Volume::unexamined(why))]),
        };
        let parts = areas.iter().filter_map(part).collect();
        let map = UsedMap::new(len, parts, &Fill::Used)
            .expect("maps are only believed of partitions that do not overlap and lie on the disk");
        Self { scheme, areas, map }
    }

    /// Which bytes of the disk are used. Between the partitions all are.
    #[must_use]
    pub fn map(&self) -> &UsedMap {
        &self.map
    }

    /// Bytes of the disk that are used.
    #[must_use]
    pub fn used(&self) -> u64 {
        let saved = |area: &Area| area.place.end - area.place.start - area.used();
        self.map.disk_len() - self.areas.iter().map(saved).sum::<u64>()
    }
}

fn whole(len: u64, volume: Volume) -> Area {
    Area {
        partition: None,
        place: 0..len,
        volume,
    }
}

fn area(disk: &Reader, partition: Partition) -> Area {
    let len = disk.size();
    let place = partition.place.start.min(len)..partition.place.end.min(len);
    let window = Window::new(Arc::clone(disk), place.start, place.end - place.start);
    let volume = match (&partition.problem, window) {
        (None, Some(window)) => Volume::examine(&(Arc::new(window) as Reader)),
        (Some(problem), _) => Volume::unexamined(Distrust::Place(problem.describe())),
        (None, None) => Volume::unexamined(Distrust::Unknown),
    };
    Area {
        partition: Some(partition),
        place,
        volume,
    }
}

/// The part of the disk that a believed map speaks for.
fn part(area: &Area) -> Option<(Range<u64>, Fill)> {
    let (len, fill) = area.volume.fill().filter(|(len, _)| *len > 0)?;
    Some((area.place.start..area.place.start + len, fill))
}
