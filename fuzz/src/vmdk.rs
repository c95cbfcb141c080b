//! Disks of VMware: descriptors of any text, and sparse extents with changes, compressed or not.

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use miniz_oxide::deflate::compress_to_vec_zlib;

use crate::disk::Edit;
use crate::virtual_disk::Folder;

const SECTOR: usize = 512;

/// Bytes of a grain, and how many a table tells of.
const GRAIN: usize = 8 * SECTOR;
const ENTRIES: usize = 16;

/// Grains of an extent.
const GRAINS: usize = 40;

/// Sectors of the directory, the first table, and the first grain.
const DIRECTORY: usize = 4;
const TABLES: usize = 5;
const DATA: usize = 9;

/// What a descriptor of its own says as a rule.
const DESCRIPTOR: &str = "# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\n\
    RW 320 SPARSE \"extent\"\nRW 8 FLAT \"extent\" 3\nRW 16 ZERO\n";

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    is_packed: bool,
    /// Whether the extent is the disk, or one of those of a descriptor.
    is_alone: bool,
    #[arbitrary(with = crate::value::at_most::<12, _>)]
    edits: Vec<Edit>,
    #[arbitrary(with = crate::value::at_most::<8, _>)]
    of_descriptor: Vec<Edit>,
    text: Option<&'a [u8]>,
}

static EXTENTS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| [extent(false), extent(true)]);

thread_local! {
    static FOLDER: Folder = Folder::new(["disk", "extent"]);
}

/// See the module's page.
pub fn run(data: &[u8]) {
    let Some(input) = crate::input::<Input<'_>>(data) else {
        return;
    };
    let mut extent = EXTENTS[usize::from(input.is_packed)].clone();
    for edit in &input.edits {
        edit.apply_flat(&mut extent);
    }
    let mut descriptor = DESCRIPTOR.as_bytes().to_vec();
    for edit in &input.of_descriptor {
        edit.apply_flat(&mut descriptor);
    }
    if let Some(text) = input.text {
        descriptor.extend_from_slice(text);
    }
    FOLDER.with(|folder| {
        folder.write(0, if input.is_alone { &extent } else { &descriptor });
        folder.write(1, &extent);
        folder.read();
    });
}

/// A sparse extent with a descriptor in it, every third grain of which is there.
fn extent(is_packed: bool) -> Vec<u8> {
    let tables = GRAINS.div_ceil(ENTRIES);
    let mut bytes = vec![0; DATA * SECTOR];
    bytes[..4].copy_from_slice(b"KDMV");
    bytes[4..8].copy_from_slice(&1_u32.to_le_bytes());
    bytes[8..12].copy_from_slice(&(3 | u32::from(is_packed) << 16).to_le_bytes());
    let fields = [
        (12, GRAINS * GRAIN / SECTOR),
        (20, GRAIN / SECTOR),
        (28, 1),
        (36, 2),
        (48, 0),
        (56, DIRECTORY),
        (64, DATA),
    ];
    for (at, value) in fields {
        bytes[at..at + 8].copy_from_slice(&(value as u64).to_le_bytes());
    }
    bytes[44..48].copy_from_slice(&(ENTRIES as u32).to_le_bytes());
    bytes[77] = is_packed.into();
    let text = b"# Disk DescriptorFile\nparentCID=ffffffff\nRW 320 SPARSE \"disk\"\n";
    bytes[SECTOR..SECTOR + text.len()].copy_from_slice(text);
    for table in 0..tables {
        let (at, sector) = (DIRECTORY * SECTOR + table * 4, TABLES + table);
        bytes[at..at + 4].copy_from_slice(&(sector as u32).to_le_bytes());
    }
    for grain in (0..GRAINS).step_by(3) {
        let sector = (bytes.len() / SECTOR) as u32;
        let content = vec![grain as u8 + 1; GRAIN];
        if is_packed {
            let packed = compress_to_vec_zlib(&content, 6);
            bytes.extend((grain * GRAIN / SECTOR).to_le_bytes());
            bytes.extend((packed.len() as u32).to_le_bytes());
            bytes.extend(packed);
            bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
        } else {
            bytes.extend(content);
        }
        let at = TABLES * SECTOR + grain / ENTRIES * SECTOR + grain % ENTRIES * 4;
        bytes[at..at + 4].copy_from_slice(&sector.to_le_bytes());
    }
    bytes
}
