//! Partition tables, and how they fit disks of another length (`disk`).

use std::sync::{Arc, LazyLock};

use arbitrary::Arbitrary;

use crate::disk::{self, Input, Plain};
use crate::value::Near;

static DISKS: LazyLock<Vec<Plain>> =
    LazyLock::new(|| disk::load(&["gpt", "gpt-4096", "mbr", "hybrid"]));

#[derive(Debug, Arbitrary)]
struct Fitted {
    /// Bytes of another disk.
    len: Near,
    input: Input,
}

/// See the module's page.
pub fn run(data: &[u8]) {
    let Some(fitted) = crate::input::<Fitted>(data) else {
        return;
    };
    let disk = Arc::new(fitted.input.make(&DISKS));
    let layout = disk::examine(&disk);
    disk::files(&disk, &layout, &[fitted.input.look()]);
    let image_len = layout.map().disk_len();
    // In sectors; mostly as long as it is.
    let len = fitted.len.to_u64(image_len / 512).min(1 << 33) * 512;
    let other = fitted.input.make(&DISKS).with_len(len);
    disk::fit(other, image_len, &layout);
}
