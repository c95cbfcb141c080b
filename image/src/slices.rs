//! A disk and its parts, each as bytes of its own: what a tool wants that looks into a filesystem.

use std::sync::Arc;

use crate::used::partition;
use crate::used::read::{Reader, Window};
use crate::used::{Distrust, Partition, ReadAt, Scheme, Signature, lvm, signature};

/// Which part of a disk it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of it.
    Disk,
    /// A partition, by its number; logical ones from 5, as Linux has them.
    Partition(u32),
    /// A linear logical volume of LVM.
    Logical {
        /// The partition that it is on; `None` on a disk without any.
        partition: Option<u32>,
        /// `group/volume`.
        name: String,
    },
}

/// A part of a disk.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Which one.
    pub which: Which,
    /// Its bytes.
    pub bytes: Arc<dyn ReadAt>,
}

/// All parts of a disk that can be found.
#[derive(Debug)]
pub struct Slices {
    /// The disk itself first; never empty.
    pub all: Vec<Slice>,
    /// What is missing, or not all there, and why.
    pub remarks: Vec<String>,
}

impl Slices {
    /// Of this disk. A partition table that cannot be read is no error: then there is the disk.
    #[must_use]
    pub fn of(disk: &Arc<dyn ReadAt>) -> Self {
        let mut slices = Self {
            all: vec![Slice {
                which: Which::Disk,
                bytes: Arc::clone(disk),
            }],
            remarks: Vec::new(),
        };
        match partition::read_table(&**disk) {
            Ok(table) if table.scheme == Scheme::None => slices.add_logical(disk, None),
            Ok(table) => {
                for partition in &table.partitions {
                    slices.add_partition(disk, partition);
                }
            }
            Err(why) => slices.remarks.push(format!(
                "no partitions: the partition table is not clear: {why}"
            )),
        }
        slices
    }

    /// What the table gives it, but for what lies beyond the disk.
    fn add_partition(&mut self, disk: &Reader, partition: &Partition) {
        let (number, len) = (partition.number, disk.size());
        let (start, end) = (partition.place.start, partition.place.end.min(len));
        if partition.place.end > len {
            self.remarks.push(format!(
                "partition {number} ends beyond the disk and is cut off there"
            ));
        }
        let bytes = end.checked_sub(start).filter(|bytes| *bytes > 0);
        let window = bytes.and_then(|bytes| Window::new(Arc::clone(disk), start, bytes));
        let Some(window) = window else {
            return;
        };
        let bytes: Reader = Arc::new(window);
        self.all.push(Slice {
            which: Which::Partition(number),
            bytes: Arc::clone(&bytes),
        });
        self.add_logical(&bytes, Some(number));
    }

    fn add_logical(&mut self, bytes: &Reader, partition: Option<u32>) {
        match logical(bytes) {
            Ok(volumes) => {
                let slice = |(name, bytes)| Slice {
                    which: Which::Logical { partition, name },
                    bytes,
                };
                self.all.extend(volumes.into_iter().map(slice));
            }
            Err(why) => {
                let on = match partition {
                    Some(number) => format!("partition {number}"),
                    None => "the disk".to_owned(),
                };
                self.remarks
                    .push(format!("no logical volumes of {on}: {why}"));
            }
        }
    }
}

/// The logical volumes on it; none if it is something else.
fn logical(bytes: &Reader) -> Result<Vec<(String, Reader)>, Distrust> {
    if !signature::find(&**bytes)?.contains(&Signature::Lvm) {
        return Ok(Vec::new());
    }
    let volumes = lvm::volumes(bytes)?;
    let reader = |(name, linear)| (name, linear as Reader);
    Ok(volumes.into_iter().map(reader).collect())
}
