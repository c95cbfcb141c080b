//! `mimeo-image mount`: a disk and its partitions as files, without a restore.
//!
//! ```text
//! Disk -> ReadAhead -> Slices -> Tree -> Served, by threads of fuser
//! ```

mod background;
mod events;
mod point;
mod read_ahead;
mod served;
mod tree;
mod warnings;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fuser::{Config, MountOption, Session, SessionACL};
use mimeo_image::image_file::ImageFile;
use mimeo_image::slices::Slices;
use mimeo_image::used::ReadAt;

use self::events::{Event, Events};
use self::point::MountPoint;
use self::read_ahead::ReadAhead;
use self::served::Served;
use self::tree::Tree;
use self::warnings::Warnings;
use crate::disk::Disk;
use crate::keys::Unlock;
use crate::outcome::{Done, Error};

/// Threads that answer the kernel: most of them wait for a block, or copy one.
const SERVERS: std::ops::RangeInclusive<usize> = 4..=16;

/// How long an unmounted directory that nobody uses takes to end.
const SOON: Duration = Duration::from_secs(1);

/// Show an image's disk and partitions as files, to fetch one file without a restore
///
/// disk.img is the whole disk, p1.img, p2.img, .. its partitions, p3-group-volume.img a linear
/// logical volume of LVM. All are read-only: `mount -o ro,loop MOUNTPOINT/p2.img DIRECTORY`, with
/// noload besides for an ext4 that was not unmounted. What is damaged fails to be read, and is told;
/// everything else is there.
///
/// The names of the files are printed once they can be read. It ends with Ctrl-C, SIGTERM, or when
/// somebody unmounts MOUNTPOINT. Only who mounts may read the files, unless --allow says more.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Return once the files can be read, and serve them in the background until MOUNTPOINT is unmounted;
    /// warnings go to the system's log
    #[arg(long)]
    background: bool,

    /// What --background starts
    #[arg(long, hide = true, conflicts_with = "background")]
    detached: bool,

    /// Who else may read the files; of another user than root it needs user_allow_other in
    /// /etc/fuse.conf
    #[arg(long, value_name = "WHO", value_enum)]
    allow: Option<Who>,

    #[command(flatten)]
    unlock: Unlock,

    /// An image file, the raw image of a disk or partition, a qcow2 or vmdk file, or a block device
    /// that nobody writes to
    #[arg(value_name = "IMAGE|DEVICE")]
    disk: PathBuf,

    /// A directory
    #[arg(value_name = "MOUNTPOINT")]
    mount_point: PathBuf,
}

/// Who may read the files besides whoever mounts them.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Who {
    /// root, who alone can make a loop device of a file
    Root,
    /// Every user of this machine
    All,
}

/// Mounts a disk until it is unmounted.
pub(crate) fn run(args: &Args) -> Result<Done, Error> {
    if args.background {
        return background::start();
    }
    let warnings = if args.detached {
        background::leave_session();
        Warnings::System
    } else {
        Warnings::Shown
    };
    let point = MountPoint::find(&args.mount_point)?;
    let disk = Disk::open(&args.disk, &args.unlock)?;
    let slices = Slices::of(&readable(&disk)?);
    for remark in &slices.remarks {
        // Nobody reading it is no reason to stop.
        let _ = writeln!(io::stderr(), "warning: {remark}");
    }
    let tree = Tree::new(&disk, &args.disk, slices);
    let names = tree.names().map(|name| point.path().join(name));
    let names: Vec<_> = names.map(|path| path.display().to_string()).collect();
    let events = Events::start()?;
    let session = Session::new(Served::new(tree, warnings), point.path(), &config(args))
        .map_err(|error| point.failed(&error))?;
    let serving = Serving::start(session, events, point)?;
    // A script waits for this.
    writeln!(io::stdout(), "{}", names.join("\n"))
        .map_err(|error| Error::Failure(format!("standard output cannot be written: {error}")))?;
    if args.detached {
        background::let_go()?;
    } else {
        let name = serving.point.path().display();
        let _ = writeln!(
            io::stderr(),
            "{name}: mounted read-only; Ctrl-C or `{}` ends it",
            serving.point.unmounting()
        );
    }
    serving.wait()
}

/// All of the disk; of an image file, blocks are read ahead.
fn readable(disk: &Disk) -> Result<Arc<dyn ReadAt>, Error> {
    let Disk::Image(file) = disk else {
        return Ok(disk.whole());
    };
    let ahead = ReadAhead::start(Arc::<ImageFile>::clone(file))
        .map_err(|error| Error::Failure(format!("threads cannot be started: {error}")))?;
    Ok(Arc::new(ahead))
}

fn config(args: &Args) -> Config {
    // What separates options must not be in one, and what separates fields of the list of mounts.
    let is_plain = |c: char| !(c.is_control() || c.is_whitespace() || c == ',' || c == '\\');
    let name = args.disk.to_string_lossy();
    let name = name.replace(|c| !is_plain(c), "?");
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName(name),
        MountOption::RO,
        MountOption::NoDev,
        MountOption::NoSuid,
        MountOption::DefaultPermissions,
    ];
    config.acl = match args.allow {
        None => SessionACL::Owner,
        Some(Who::Root) => SessionACL::RootAndOwner,
        Some(Who::All) => SessionACL::All,
    };
    config.n_threads = Some((2 * processors).clamp(*SERVERS.start(), *SERVERS.end()));
    config.clone_fd = true;
    config
}

/// A directory that is mounted; not any more when this is dropped.
struct Serving {
    unmounter: fuser::SessionUnmounter,
    events: Events,
    point: MountPoint,
}

impl Serving {
    fn start(
        mut session: Session<Served>,
        events: Events,
        point: MountPoint,
    ) -> Result<Self, Error> {
        let unmounter = session.unmount_callable();
        let ended = events.teller();
        std::thread::Builder::new()
            .name("session".to_owned())
            .spawn(move || ended(Event::Ended(session.run())))
            .map_err(|error| Error::Failure(format!("threads cannot be started: {error}")))?;
        Ok(Self {
            unmounter,
            events,
            point,
        })
    }

    /// Waits until it is unmounted, by a signal or by somebody else.
    fn wait(mut self) -> Result<Done, Error> {
        match self.events.next() {
            Event::Ended(result) => return self.ended(result),
            Event::Signal => {}
        }
        // Of who is not root this lets go of it even if it is in use, as of root the second does.
        if let Err(error) = self.unmounter.unmount() {
            self.point.detach(&error)?;
        }
        if let Some(Event::Ended(result)) = self.events.next_within(SOON) {
            return self.ended(result);
        }
        let name = self.point.path().display();
        let _ = writeln!(
            io::stderr(),
            "{name}: unmounted, but something of it is still in use (a loop device, an open file); it \
             ends when that is closed, or at once with another Ctrl-C"
        );
        match self.events.next() {
            Event::Ended(result) => self.ended(result),
            Event::Signal => Err(Error::Interrupted(format!(
                "interrupted while something of {name} was in use: reading it fails from now on"
            ))),
        }
    }

    fn ended(&self, result: io::Result<()>) -> Result<Done, Error> {
        let name = self.point.path().display();
        match result {
            Ok(()) => Ok(Done {
                output: None,
                note: Some(format!("{name}: unmounted")),
            }),
            Err(error) => Err(Error::Failure(format!(
                "{name}: serving it failed: {error}; mount it again"
            ))),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It does nothing where that was done.
        let _ = self.unmounter.unmount();
    }
}
