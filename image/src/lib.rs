//! What a disk image is: where it is read from, where it is written to, and
//! what must hold before a disk is overwritten.
//!
//! * [`source`]: an image file, a block device or a stream, read without
//!   touching its holes.
//! * [`target`]: a block device, a file, a stream or nothing. A [`Target`] only
//!   looks; [`Target::prepare`] turns it into a [`TargetWriter`], which changes
//!   what it stands for.
//! * [`image_file`]: a disk in a file that is compressed, complete and can be read at any offset.
//! * [`used`]: which bytes of a disk its filesystems use.
//! * [`golden`]: what makes clones of an image clash, or fail to start.
//! * [`scrub`]: what of the used bytes no clone needs.
//! * [`files`]: a look at the files of a filesystem, without mounting it.
//! * [`fit`]: whether a disk fits a target that is larger or smaller, and what has to move then.
//! * [`slices`]: a disk, its partitions and logical volumes, each as bytes of its own.
//! * [`disk`]: which block devices exist, what they hold and who uses them.
//!
//! This crate knows neither the protocol nor the network. It is for Linux: the
//! inventory of disks comes from sysfs, holes from `SEEK_DATA`.

pub mod disk;
pub mod files;
pub mod fit;
pub mod golden;
pub mod image_file;
mod lock;
mod ordered;
mod retry;
pub mod scrub;
mod size;
pub mod slices;
pub mod source;
pub mod target;
pub mod used;
mod zeros;

pub use size::ByteSize;
pub use source::{Source, SourceError};
pub use target::{
    ReadMode, ReadPath, Target, TargetError, TargetOptions, TargetReader, TargetWriter,
};
