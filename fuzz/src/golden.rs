//! What is read of files: configuration of systems, lists of swap, the state of a Windows.

use std::sync::{Arc, LazyLock};

use arbitrary::Arbitrary;

use crate::disk::{self, Disk, Look, Plain};

/// Bytes of a file that is read: as much as one of these disks gives it.
const FILE: usize = 1024;

/// What files to be replaced begin with.
pub const MARK: &[u8] = b"to be replaced";

static DISKS: LazyLock<Vec<Plain>> =
    LazyLock::new(|| disk::load(&["golden-linux", "golden-windows"]));

/// Where the files are.
static PLACES: LazyLock<Vec<Vec<u64>>> = LazyLock::new(|| {
    let of = |plain: &Plain| plain.sectors.find(MARK).collect();
    DISKS.iter().map(of).collect()
});

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    disk: bool,
    #[arbitrary(with = crate::value::at_most::<4, _>)]
    files: Vec<(u8, &'a [u8])>,
    last: u8,
    text: &'a [u8],
}

/// See the module's page.
pub fn run(data: &[u8]) {
    let Some(input) = crate::input::<Input<'_>>(data) else {
        return;
    };
    let index = usize::from(input.disk);
    let mut disk = Disk::new(&DISKS[index].sectors);
    let places = &PLACES[index];
    // What is left as it is says nothing: it is one comment.
    for place in places {
        disk.write(*place, &[b'#'; FILE]);
    }
    let last = std::iter::once((input.last, input.text));
    for (file, text) in input.files.into_iter().chain(last) {
        let place = places[usize::from(file) % places.len()];
        let text = &text[..text.len().min(FILE - 1)];
        disk.write(place, text);
        disk.write(place + text.len() as u64, b"\n");
    }
    let disk = Arc::new(disk);
    let layout = disk::examine(&disk);
    disk::files(&disk, &layout, &[Look::Golden, Look::Scrub]);
}
