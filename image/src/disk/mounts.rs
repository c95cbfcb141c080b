//! `/proc/self/mountinfo` and `/proc/swaps` (proc(5)).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::device::DeviceNumber;

/// One mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Device number of the file system; made up for some (btrfs, overlay).
    pub number: DeviceNumber,
    /// Where it is mounted.
    pub at: PathBuf,
    /// What was mounted, usually a path below `/dev`.
    pub source: PathBuf,
    /// Whether the file system as a whole is read-only. A read-only bind mount
    /// of a writable file system is not.
    pub read_only: bool,
}

/// Parses mountinfo; lines that make no sense are skipped.
pub(super) fn parse_mountinfo(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse_mount).collect()
}

/// `36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse_mount(line: &str) -> Option<Mount> {
    let (place, system) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(2);
    let number = DeviceNumber::parse(place.next()?)?;
    let at = unescape(place.nth(1)?);
    let mut system = system.split(' ').skip(1);
    let source = unescape(system.next()?);
    let read_only = system.next()?.split(',').any(|option| option == "ro");
    Some(Mount {
        number,
        at,
        source,
        read_only,
    })
}

/// Parses swaps: a heading, then lines that begin with a path.
pub(super) fn parse_swaps(text: &str) -> Vec<PathBuf> {
    text.lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .map(unescape)
        .collect()
}

/// The kernel writes blanks and backslashes as three octal digits: `\040`.
fn unescape(field: &str) -> PathBuf {
    let bytes = field.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        let octal = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        plain.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &rest[4..] } else { tail };
    }
    PathBuf::from(OsString::from_vec(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_lines_with_and_without_optional_fields() {
        let text = "22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw\n\
                    30 22 0:40 /sub /mnt/a\\040b\\134 ro - btrfs /dev/sdb1 rw,space_cache\n\
                    31 22 7:0 / /media ro - squashfs /dev/loop0 ro,errors=continue\n\
                    nonsense\n";
        let mounts = parse_mountinfo(text);
        assert_eq!(mounts.len(), 3);
        assert_eq!(mounts[0].number, DeviceNumber { major: 8, minor: 2 });
        assert_eq!(mounts[0].at, PathBuf::from("/"));
        assert_eq!(mounts[1].at, PathBuf::from("/mnt/a b\\"));
        assert_eq!(mounts[1].source, PathBuf::from("/dev/sdb1"));
        assert!(
            !mounts[1].read_only,
            "a read-only mount of a writable file system"
        );
        assert!(mounts[2].read_only);
    }

    #[test]
    fn swaps_skip_the_heading() {
        let text = "Filename\tType\tSize\n/dev/sda3   partition 1 0 -2\n/a\\040b file 1 0 -3\n";
        assert_eq!(
            parse_swaps(text),
            [PathBuf::from("/dev/sda3"), PathBuf::from("/a b")]
        );
        assert!(parse_swaps("").is_empty());
    }

    #[test]
    fn half_an_escape_stays_as_it_is() {
        assert_eq!(unescape("a\\04"), PathBuf::from("a\\04"));
        assert_eq!(unescape("\\"), PathBuf::from("\\"));
    }
}
