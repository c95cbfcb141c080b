//! What an operator is told about what is left out of an image, before it is sent.

use std::thread;

use mimeo_image::image_file::ImageFile;
use mimeo_image::source::{DiskSource, Source, SourceOptions, UsedMode};
use mimeo_image::used::Layout;
use mimeo_image::{ByteSize, SourceError};
use tokio::sync::mpsc::UnboundedSender;

use crate::status::{Severity, Update};

/// From this share on, in percent, it is worth a word that unused bytes are sent.
const NOTABLE: u64 = 10;

/// Leaves out the content of files that no clone needs, and tells of each.
pub(crate) fn scrub(source: &mut Source, updates: &UnboundedSender<Update>) {
    let Source::Disk(disk) = source else {
        return;
    };
    for file in disk.scrub() {
        let severity = match file.outcome {
            Ok(_) => Severity::Info,
            Err(_) => Severity::Warn,
        };
        let _ = updates.send(Update::Line(severity, file.to_string()));
    }
}

/// Tells what is left out, and why what is not.
pub(crate) fn tell(source: &Source, options: &SourceOptions, updates: &UnboundedSender<Update>) {
    let lines = match source {
        Source::Disk(disk) if let Some(container) = disk.container() => {
            vec![(Severity::Warn, format!("the image is {container}"))]
        }
        Source::Disk(disk) => match (disk.layout(), disk.used_bytes()) {
            (Some(layout), Some(used)) => lines(layout, used),
            _ => {
                if options.used == UsedMode::ByKind {
                    advise(disk, updates.clone());
                }
                return;
            }
        },
        Source::Captured(captured) => captured_lines(captured.image()),
        Source::Stream(_) => return,
    };
    for (severity, line) in lines {
        // Nobody listening is no reason to stop.
        let _ = updates.send(Update::Line(severity, line));
    }
}

/// What an image file says of itself.
fn captured_lines(image: &ImageFile) -> Vec<(Severity, String)> {
    let description = image.description();
    let mut lines = vec![(
        Severity::Info,
        format!(
            "captured {} from {}",
            description.created, description.source
        ),
    )];
    if let Some(used) = description.used.filter(|_| description.blocks.unused > 0) {
        let (used, len) = (ByteSize(used), ByteSize(image.disk_len()));
        lines.push((
            Severity::Info,
            format!("{used} of {len} are used; what is unused was not captured"),
        ));
    }
    // Whoever made the file must not steer the terminal.
    for (_, line) in &mut lines {
        *line = line.replace(char::is_control, "?");
    }
    lines
}

/// `used` bytes are sent.
fn lines(layout: &Layout, used: u64) -> Vec<(Severity, String)> {
    let remarks = layout.remarks().into_iter().map(|remark| {
        let severity = match remark.is_warning {
            true => Severity::Warn,
            false => Severity::Info,
        };
        (severity, remark.text)
    });
    let len = layout.map().disk_len();
    let sum = format!(
        "{} of {} are used; what is unused is not sent (--used off sends all)",
        ByteSize(used),
        ByteSize(len)
    );
    remarks.chain([(Severity::Info, sum)]).collect()
}

/// Finds out what would be left out. The maps of a large image take a while to read, which nobody
/// has to wait for.
fn advise(disk: &DiskSource, updates: UnboundedSender<Update>) {
    let (whole, allocated) = (disk.whole(), disk.allocated());
    let look = move || match saving(&Layout::examine(&whole), allocated) {
        Ok(Some(line)) => {
            let _ = updates.send(Update::Line(Severity::Info, line));
        }
        Ok(None) => {}
        Err(error) => tracing::debug!(%error, "cannot tell what --used auto would save"),
    };
    // Advice only: without a thread there is none.
    if let Err(error) = thread::Builder::new().name("advise".into()).spawn(look) {
        tracing::debug!(%error, "no thread for advice");
    }
}

/// What leaving out unused bytes would save; holes are not sent anyway.
fn saving(
    layout: &Layout,
    allocated: Result<u64, SourceError>,
) -> Result<Option<String>, SourceError> {
    let (used, len) = (layout.used(), layout.map().disk_len());
    let saved = allocated?.saturating_sub(used).min(len - used);
    let notable = u128::from(saved) * 100 >= u128::from(len) * u128::from(NOTABLE);
    Ok(notable.then(|| {
        format!(
            "up to {} of {} are not used by any filesystem and sent all the same: \
             --used auto leaves them out",
            ByteSize(saved),
            ByteSize(len)
        )
    }))
}
