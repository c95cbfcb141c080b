//! What makes clones of a golden image clash, or fail to start: found in the image itself, before
//! a room has it.
//!
//! Looked into are ext2/3/4, NTFS and FAT, on partitions, on a disk without any, and on linear
//! volumes of LVM; of everything else it is said that it was not examined. Only what can be known
//! from files is told: nothing is started, and no registry is read.

mod host_name;
mod linux;
mod problem;
mod windows;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::files::{Files, Kind};
use crate::used::partition;
use crate::used::read::{Reader, Window};
use crate::used::{Distrust, Partition, ReadAt, Scheme, Signature, lvm, signature, swap};

pub(crate) use linux::swap_files;
pub use problem::Problem;

/// The type of an EFI system partition in a GPT and in an MBR.
const ESP: [&str; 2] = ["C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "0xef"];

/// Types of partitions that hold no filesystem: Microsoft's reserved one, the BIOS boot partition.
const EMPTY: [&str; 2] = [
    "E3C9E316-0B5C-4DB8-817D-F92DF00215AE",
    "21686148-6449-6E6F-744E-656564454649",
];

/// What firmware starts where nothing else was set up: on a clone nothing is.
const LOADER: &str = "EFI/BOOT/BOOTX64.EFI";

/// Characters of a file's name that are shown.
const MAX_NAME: usize = 255;

/// What was found, and where nothing was looked for.
#[derive(Debug, Default)]
pub struct Report {
    /// What is to be mended on the reference machine.
    pub findings: Vec<Finding>,
    /// What was not looked at, or not all of it.
    pub unexamined: Vec<Unexamined>,
    /// There was not enough time for all of it.
    pub timed_out: bool,
}

/// Something to be mended.
#[derive(Debug)]
pub struct Finding {
    /// Where it is.
    pub place: Place,
    /// What it is.
    pub problem: Problem,
}

/// Something that could not be looked at.
#[derive(Debug)]
pub struct Unexamined {
    /// Where it is.
    pub place: Place,
    /// Why not.
    pub why: String,
}

/// A partition, the whole disk, or a logical volume on either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Number of the partition; `None` for a disk without any.
    pub partition: Option<u32>,
    /// `group/volume` of LVM.
    pub volume: Option<String>,
    /// What it shows signs of.
    pub holds: Vec<Signature>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.partition {
            Some(number) => write!(f, "partition {number}")?,
            None => f.write_str("the disk")?,
        }
        if let Some(volume) = &self.volume {
            write!(f, ", {volume}")?;
        }
        let names: Vec<_> = self.holds.iter().map(ToString::to_string).collect();
        if names.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", names.join(", "))
    }
}

/// Looks for everything on a disk.
#[must_use]
pub fn check(disk: &Arc<dyn ReadAt>) -> Report {
    let mut report = Report::default();
    let table = match partition::read_table(&**disk) {
        Ok(table) => table,
        Err(why) => {
            Examination::new(&mut report, None).leave_out(&why);
            return report;
        }
    };
    if table.scheme == Scheme::None {
        Examination::new(&mut report, None).volume(disk);
    }
    for partition in &table.partitions {
        let mut examination = Examination::new(&mut report, Some(partition));
        match window(disk, partition) {
            Ok(reader) => examination.volume(&reader),
            Err(why) => examination.leave_out(&why),
        }
    }
    report
}

/// A disk on which nothing can be read any more once a time is over.
#[derive(Debug)]
struct Limited {
    disk: Reader,
    until: Instant,
}

impl ReadAt for Limited {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if Instant::now() > self.until {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "no more time is given to it",
            ));
        }
        self.disk.read_exact_at(offset, buffer)
    }
}

/// As [`check`], but where the disk is slow it stops when the time is over: after that nothing can be
/// read from it, so the rest is told as not examined.
#[must_use]
pub fn check_within(disk: &Arc<dyn ReadAt>, time: Duration) -> Report {
    let until = Instant::now() + time;
    let limited: Reader = Arc::new(Limited {
        disk: Arc::clone(disk),
        until,
    });
    let mut report = check(&limited);
    report.timed_out = Instant::now() > until;
    report
}

fn window(disk: &Reader, partition: &Partition) -> Result<Reader, Distrust> {
    if let Some(problem) = &partition.problem {
        return Err(Distrust::Place(problem.describe()));
    }
    let place = &partition.place;
    let len = place.end.saturating_sub(place.start);
    let window = Window::new(Arc::clone(disk), place.start, len);
    Ok(Arc::new(window.ok_or(Distrust::Unknown)?))
}

/// Looks at one place, and writes down what it finds.
struct Examination<'a> {
    report: &'a mut Report,
    place: Place,
    /// The type of the partition.
    kind: &'a str,
}

impl<'a> Examination<'a> {
    fn new(report: &'a mut Report, partition: Option<&'a Partition>) -> Self {
        Self {
            report,
            place: Place {
                partition: partition.map(|it| it.number),
                ..Place::default()
            },
            kind: partition.map_or("", |it| it.kind.as_str()),
        }
    }

    fn find(&mut self, problem: Problem) {
        self.report.findings.push(Finding {
            place: self.place.clone(),
            problem,
        });
    }

    fn leave_out(&mut self, why: &Distrust) {
        self.leave_out_as(why.to_string());
    }

    fn leave_out_as(&mut self, why: String) {
        self.report.unexamined.push(Unexamined {
            place: self.place.clone(),
            why,
        });
    }

    /// Writes down what a part of the examination found, or why it could not.
    fn take(&mut self, what: &str, found: Result<Option<Problem>, Distrust>) {
        match found {
            Ok(Some(problem)) => self.find(problem),
            Ok(None) => {}
            Err(why) => self.leave_out_as(format!("{what}: {why}")),
        }
    }

    fn is_esp(&self) -> bool {
        ESP.iter().any(|esp| self.kind.eq_ignore_ascii_case(esp))
    }

    /// A partition or a disk.
    fn volume(&mut self, reader: &Reader) {
        if !self.signatures(reader) {
            return;
        }
        if self.place.holds == [Signature::Lvm] {
            self.logical_volumes(reader);
        } else {
            self.content(reader);
        }
    }

    fn logical_volumes(&mut self, reader: &Reader) {
        let volumes = match lvm::volumes(reader) {
            Ok(volumes) => volumes,
            Err(why) => return self.leave_out(&why),
        };
        for (name, linear) in volumes {
            let mut inner = Examination {
                report: self.report,
                place: Place {
                    partition: self.place.partition,
                    volume: Some(name),
                    holds: Vec::new(),
                },
                kind: "",
            };
            let linear: Reader = linear;
            if inner.signatures(&linear) {
                inner.content(&linear);
            }
        }
    }

    /// Finds out what there is; `false` if it is nothing to look into.
    fn signatures(&mut self, reader: &Reader) -> bool {
        match signature::find(&**reader) {
            Ok(signatures) => self.place.holds = signatures,
            Err(why) => {
                self.leave_out(&why);
                return false;
            }
        }
        let mut is_closed = false;
        for (signature, problem) in [
            (Signature::Luks, Problem::Luks),
            (Signature::BitLocker, Problem::BitLocker),
        ] {
            if self.place.holds.contains(&signature) {
                self.find(problem);
                is_closed = true;
            }
        }
        !is_closed
    }

    /// A filesystem, swap, or nothing.
    fn content(&mut self, reader: &Reader) {
        match self.place.holds.as_slice() {
            [one @ (Signature::Ext | Signature::Ntfs | Signature::Fat)] => {
                self.filesystem(reader, *one);
            }
            [Signature::Swap] => {
                let state = swap::open(reader).map(|_| ());
                self.state(state);
            }
            [other] => self.leave_out_as(format!("{other} is not looked into")),
            [] if self.is_esp() => self.find(Problem::NoLoader { others: Vec::new() }),
            [] if EMPTY.iter().any(|it| self.kind.eq_ignore_ascii_case(it)) => {}
            [] => self.leave_out(&Distrust::Unknown),
            several => {
                let why = Distrust::Ambiguous(several.to_vec());
                self.leave_out(&why);
            }
        }
    }

    /// Whether somebody sleeps in it, or left it in a hurry.
    fn state(&mut self, state: Result<(), Distrust>) {
        match state {
            Ok(()) => {}
            Err(Distrust::Unclean { what, remedy }) => self.find(Problem::Unclean { what, remedy }),
            Err(Distrust::Hibernated { what, remedy }) => {
                self.find(Problem::Hibernated { what, remedy });
            }
            Err(why) => self.leave_out(&why),
        }
    }

    fn filesystem(&mut self, reader: &Reader, signature: Signature) {
        let files = match Files::open_as(reader, signature) {
            Ok(files) => files,
            Err(why) => return self.leave_out(&why),
        };
        self.state(files.check_clean());
        match signature {
            Signature::Ext => {
                self.take("/etc/machine-id", linux::machine_id(&files));
                self.take("/etc/ssh", linux::host_keys(&files));
                self.take("the host name", host_name::find(&files));
                for swap in linux::suspended_swap(&files) {
                    self.take("swap files", swap.map(Some));
                }
            }
            Signature::Ntfs => self.take("State.ini", windows::state(&files)),
            _ if self.is_esp() => self.take(LOADER, loader(&files)),
            _ => {}
        }
    }
}

/// At most `max` characters of a text from a disk, without what a terminal could take for a command.
pub(crate) fn legible(text: &str, max: usize) -> String {
    let all = text.chars().filter(|character| !character.is_control());
    all.take(max).collect()
}

/// Whether there is a boot loader for whoever knows no other.
fn loader(files: &Files) -> Result<Option<Problem>, Distrust> {
    let found = files.find(LOADER)?;
    if found.is_some_and(|it| it.kind == Kind::File && it.len > 0) {
        return Ok(None);
    }
    let mut others = Vec::new();
    if let Some(directory) = files.find("EFI/BOOT")? {
        let is_loader = |name: &str| {
            let name = name.to_ascii_uppercase();
            name.starts_with("BOOT") && name.ends_with(".EFI") && name != "BOOTX64.EFI"
        };
        let all = files.list(&directory)?;
        others.extend(
            all.into_iter()
                .filter(|it| is_loader(&it.name))
                .map(|it| legible(&it.name, MAX_NAME)),
        );
        others.sort();
        others.truncate(8);
    }
    Ok(Some(Problem::NoLoader { others }))
}
