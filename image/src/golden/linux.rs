//! What makes a Linux one certain machine.

use super::{MAX_NAME, Problem, legible};
use crate::files::{Files, Kind, Node};
use crate::used::Distrust;
use crate::used::signature::SUSPENDED;

/// An identity is a line; a file that is read for one is not longer.
const MAX_ID: usize = 4096;

/// Names of host keys that are told.
const MAX_KEYS: usize = 16;

/// Bytes of `/etc/fstab`.
const MAX_FSTAB: usize = 256 << 10;

/// Swap files that are looked at.
const MAX_SWAP_FILES: usize = 16;

/// Where distributions put a swap file.
const SWAP_FILES: [&str; 2] = ["/swapfile", "/swap.img"];

/// Whether the identity of the machine is filled in (machine-id(5)): that of systemd, and that of
/// D-Bus, which systemd takes over where its own is empty.
pub(super) fn machine_id(files: &Files) -> Result<Option<Problem>, Distrust> {
    let mut filled = Vec::new();
    if let Some(node) = files.find("etc/machine-id")?
        && is_filled(files, &node)?
    {
        filled.push("etc/machine-id");
    }
    // Mostly a link to the other, which is told already.
    if let Some(directory) = files.find("var/lib/dbus")?
        && let Some(node) = files.child(&directory, "machine-id")?
        && is_filled(files, &node)?
    {
        filled.push("var/lib/dbus/machine-id");
    }
    Ok((!filled.is_empty()).then_some(Problem::MachineId { files: filled }))
}

fn is_filled(files: &Files, node: &Node) -> Result<bool, Distrust> {
    if node.kind != Kind::File {
        return Ok(false);
    }
    let text = files.read(node, MAX_ID)?;
    let text = text.trim_ascii();
    Ok(!text.is_empty() && text != b"uninitialized")
}

/// The private keys of the SSH server.
pub(super) fn host_keys(files: &Files) -> Result<Option<Problem>, Distrust> {
    let Some(directory) = files.find("etc/ssh")?.filter(is_directory) else {
        return Ok(None);
    };
    let mut keys = Vec::new();
    for entry in files.list(&directory)? {
        let is_key = entry.name.starts_with("ssh_host_") && entry.name.ends_with("_key");
        if is_key && files.node(&entry)?.len > 0 {
            keys.push(legible(&entry.name, MAX_NAME));
        }
    }
    keys.sort();
    keys.truncate(MAX_KEYS);
    Ok((!keys.is_empty()).then_some(Problem::HostKeys { files: keys }))
}

pub(super) fn is_directory(node: &Node) -> bool {
    node.kind == Kind::Directory
}

/// Swap files in which a system sleeps.
pub(super) fn suspended_swap(files: &Files) -> Vec<Result<Problem, Distrust>> {
    let is_suspended = |path: &String| -> Result<bool, Distrust> {
        let Some(node) = files.find(path)?.filter(|it| it.kind == Kind::File) else {
            return Ok(false);
        };
        let header = files.read(&node, 4096)?;
        let magic = header.get(4086..).unwrap_or_default();
        Ok(SUSPENDED.iter().any(|it| magic.starts_with(it)))
    };
    let paths = match swap_files(files) {
        Ok(paths) => paths,
        Err(why) => return vec![Err(why)],
    };
    let mut found = Vec::new();
    for path in paths {
        match is_suspended(&path) {
            Ok(false) => {}
            Ok(true) => found.push(Ok(Problem::Hibernated {
                what: "a swap file has a suspend signature",
                remedy: "start it again and shut it down properly",
            })),
            Err(why) => found.push(Err(why)),
        }
    }
    found
}

/// Paths at which swap files are to be expected: usual ones, and those of `/etc/fstab`.
pub(crate) fn swap_files(files: &Files) -> Result<Vec<String>, Distrust> {
    let mut paths: Vec<_> = SWAP_FILES.map(str::to_owned).into();
    if let Some(node) = files.find("etc/fstab")? {
        let text = files.read(&node, MAX_FSTAB)?;
        for path in swap_lines(&String::from_utf8_lossy(&text)) {
            if paths.len() < MAX_SWAP_FILES && !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    Ok(paths)
}

/// The files among the swap of an fstab(5).
fn swap_lines(text: &str) -> Vec<String> {
    let path = |line: &str| {
        let mut fields = line.split_whitespace();
        let (what, _, kind) = (fields.next()?, fields.next()?, fields.next()?);
        let is_file = what.starts_with('/') && !what.starts_with("/dev/");
        // The way that fstab writes what would end a field.
        (kind == "swap" && is_file).then(|| what.replace("\\040", " ").replace("\\011", "\t"))
    };
    text.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_files_are_told_from_partitions_and_comments() {
        let text = "# /old none swap sw 0 0\n\
                    UUID=1 / ext4 defaults 0 1\n\
                    /dev/sda2 none swap sw\n\
                    /var/my\\040swap\tnone\tswap\tsw 0 0\n\
                    /data /mnt none bind\n";
        assert_eq!(swap_lines(text), ["/var/my swap"]);
    }
}
