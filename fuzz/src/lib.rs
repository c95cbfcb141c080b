//! What the fuzz targets do with the bytes that libFuzzer comes up with.
//!
//! One module per target (filesystems share one), each with one function `run` that panics where
//! something is wrong: a panic or an overflow in the product, or a property stated here that does not
//! hold. The files in `fuzz_targets/` only call it, so that the corpora can be run without libFuzzer
//! too (`tests/corpus.rs`).

use std::fmt::Debug;
use std::sync::OnceLock;

use arbitrary::{Arbitrary, Unstructured};

pub mod body;
pub mod disk;
pub mod exchange;
pub mod filesystem;
pub mod golden;
pub mod image_file;
pub mod memory;
pub mod page;
pub mod partition;
pub mod qcow2;
pub mod receiver_session;
pub mod recover;
pub mod rendezvous;
pub mod report;
pub mod sender_session;
pub mod setup;
pub mod value;
mod virtual_disk;
pub mod vmdk;
pub mod wire;

/// A target: its name and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 20] = [
    ("wire", wire::run),
    ("page", page::run),
    ("report", report::run),
    ("body", body::run),
    ("recover", recover::run),
    ("rendezvous", rendezvous::run),
    ("exchange", exchange::run),
    ("sender_session", sender_session::run),
    ("receiver_session", receiver_session::run),
    ("partition", partition::run),
    ("ext", filesystem::ext),
    ("ntfs", filesystem::ntfs),
    ("fat", filesystem::fat),
    ("xfs", filesystem::xfs),
    ("btrfs", filesystem::btrfs),
    ("lvm", filesystem::lvm),
    ("golden", golden::run),
    ("image_file", image_file::run),
    ("vmdk", vmdk::run),
    ("qcow2", qcow2::run),
];

/// What bytes mean to a target; nothing if they are too few. With `MIMEO_FUZZ_SHOW` in the
/// environment it is printed, to see what an artifact does.
fn input<'a, T: Arbitrary<'a> + Debug>(data: &'a [u8]) -> Option<T> {
    static SHOW: OnceLock<bool> = OnceLock::new();
    let input = T::arbitrary_take_rest(Unstructured::new(data)).ok()?;
    if *SHOW.get_or_init(|| std::env::var_os("MIMEO_FUZZ_SHOW").is_some()) {
        eprintln!("{input:#?}");
    }
    Some(input)
}
