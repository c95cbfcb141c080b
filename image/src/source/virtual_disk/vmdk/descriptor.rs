//! The text that says what a vmdk consists of (Virtual Disk Format 1.1, "The Descriptor File").

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::super::damaged;

/// What a descriptor begins with.
const FIRST_LINE: &[u8] = b"# Disk DescriptorFile";

/// Bytes of a descriptor at most. A disk of 8 TB in extents of 2 GB has 4000 lines of some 50 bytes.
const MAX_LEN: usize = 1 << 20;

/// The `parentCID` of a disk that stands for itself.
const NO_PARENT: &str = "ffffffff";

/// What of a descriptor matters for reading.
#[derive(Debug)]
pub(super) struct Descriptor {
    /// Whether what is missing stands in another disk.
    has_parent: bool,
    /// In the order of their places.
    pub(super) extents: Vec<Line>,
}

/// A line that describes an extent: `RW 4192256 SPARSE "disk-s001.vmdk"`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Length in sectors.
    pub(super) sectors: u64,
    pub(super) kind: Kind,
}

/// How an extent is stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not at all: zeros.
    Zero,
    /// As it is, from this sector of the file on.
    Flat { file: String, start: u64 },
    /// In grains that a table tells of.
    Sparse { file: String },
}

/// Whether a file that begins like this is a descriptor.
pub(super) fn is_one(head: &[u8]) -> bool {
    head.starts_with(FIRST_LINE)
}

/// The text of a descriptor that is a file of its own.
pub(super) fn read(file: &File) -> io::Result<String> {
    let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if len > MAX_LEN {
        return Err(damaged("its descriptor is longer than any"));
    }
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(text(&bytes))
}

/// Descriptors within a file are padded with zeros; names may have any encoding.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

impl Descriptor {
    pub(super) fn parse(text: &str) -> io::Result<Self> {
        let mut descriptor = Self {
            has_parent: false,
            extents: Vec::new(),
        };
        for line in text.lines().map(str::trim) {
            if let Some((name, value)) = line.split_once('=') {
                let is_parent = name.trim().eq_ignore_ascii_case("parentCID");
                descriptor.has_parent |= is_parent && !value.trim().eq_ignore_ascii_case(NO_PARENT);
            } else if ["RW ", "RDONLY ", "NOACCESS "]
                .iter()
                .any(|access| line.starts_with(access))
            {
                let extent = extent(line);
                let extent = extent
                    .ok_or_else(|| damaged(format!("its extent {line:?} is of no known kind")));
                descriptor.extents.push(extent?);
            }
        }
        Ok(descriptor)
    }

    /// Refuses what is only the difference to another disk.
    pub(super) fn check_whole(&self) -> io::Result<()> {
        if self.has_parent {
            return Err(damaged(
                "it is only the difference to a parent disk; consolidate its snapshots",
            ));
        }
        Ok(())
    }
}

fn extent(line: &str) -> Option<Line> {
    // The name may hold spaces, so what stands before it is split off first.
    let (before, rest) = line.split_once('"').unwrap_or((line, ""));
    let mut words = before.split_ascii_whitespace().skip(1);
    let sectors = words.next()?.parse().ok()?;
    let kind = words.next()?;
    let (name, after) = rest.rsplit_once('"').unwrap_or((rest, ""));
    let file = || (!name.is_empty()).then(|| name.to_owned());
    let kind = match kind {
        "ZERO" => Kind::Zero,
        "FLAT" | "VMFS" => Kind::Flat {
            file: file()?,
            start: match after.trim() {
                "" => 0,
                start => start.parse().ok()?,
            },
        },
        "SPARSE" => Kind::Sparse { file: file()? },
        _ => return None,
    };
    Some(Line { sectors, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_extents_are_read() {
        let text = "# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\n\
                    RW 10 SPARSE \"a b-s001.vmdk\"\nRW 20 FLAT \"x.vmdk\" 63\nRDONLY 5 ZERO\n\
                    # The disk Data Base\nddb.adapterType = \"ide\"\n";
        let descriptor = Descriptor::parse(text).unwrap();
        descriptor.check_whole().unwrap();
        let line = |sectors, kind| Line { sectors, kind };
        let sparse = Kind::Sparse {
            file: "a b-s001.vmdk".to_owned(),
        };
        let flat = Kind::Flat {
            file: "x.vmdk".to_owned(),
            start: 63,
        };
        let all = [line(10, sparse), line(20, flat), line(5, Kind::Zero)];
        assert_eq!(descriptor.extents, all);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "RW 10 SESPARSE \"a\"",
            "RW x FLAT \"a\"",
            "RW 10 FLAT",
            "RW 1 FLAT \"a\" x",
        ] {
            let error = Descriptor::parse(text).unwrap_err();
            assert!(error.to_string().contains(&text[..4]), "{error}");
        }
        let child = Descriptor::parse("parentCID=12345678\n").unwrap();
        assert!(child.check_whole().is_err());
    }
}
