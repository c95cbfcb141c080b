//! `mimeo-image info`: partitions, filesystems, and how much of them is used.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::sync::Arc;

use mimeo_image::used::{Area, Layout, ReadAt, Scheme, Verdict};
use mimeo_image::{ByteSize, Source};
use serde_json::{Value, json};

use crate::cli::{Done, Error};

/// Say what is on a disk: partitions, filesystems, and how much of them is used
///
/// Reads the partition table and the filesystems' own allocation maps; nothing is mounted or
/// written. Where a map is not trusted, it says why, and the bytes that the partition costs because
/// of it: all of them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON, with sizes in bytes
    #[arg(long)]
    json: bool,

    /// A block device that nobody writes to, or the raw image of a disk or partition
    #[arg(value_name = "DEVICE|IMAGE")]
    disk: OsString,
}

/// Looks at a disk and describes it.
pub(crate) fn run(args: &Args) -> Result<Done, Error> {
    let source = Source::open(&args.disk).map_err(|error| Error::Refused(error.to_string()))?;
    let name = source.describe();
    let Source::Disk(disk) = source else {
        return Err(Error::Usage(format!(
            "{name}: a stream cannot be looked at; name a block device or an image file"
        )));
    };
    let disk: Arc<dyn ReadAt> = Arc::new(disk);
    let layout = Layout::examine(&disk);
    let output = if args.json {
        serde_json::to_string_pretty(&to_json(&layout))
            .map_err(|error| Error::Failure(format!("no JSON can be made of it: {error}")))?
    } else {
        to_text(&name, &layout)
    };
    Ok(Done {
        output: Some(output),
        note: None,
    })
}

fn to_text(name: &str, layout: &Layout) -> String {
    let mut text = format!("{name}: {}\n", scheme(layout.scheme));
    for area in &layout.areas {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line(area));
    }
    let (used, len) = (layout.used(), layout.map().disk_len());
    let _ = write!(text, "used: {} of {}", ByteSize(used), ByteSize(len));
    text
}

/// `  2  12.0 GB  ext2/3/4 "root"  1.3 GB used`
fn line(area: &Area) -> String {
    let number = area.partition.as_ref().map(|it| it.number.to_string());
    let name = area.partition.as_ref().map_or("", |it| &it.name);
    let name = match name {
        "" => String::new(),
        name => format!(" \"{name}\""),
    };
    let verdict = match &area.volume.verdict {
        Verdict::Trusted { used } => format!("{} used", ByteSize(*used)),
        Verdict::Whole(why) => format!("copied whole: {why}"),
    };
    format!(
        "{:>4}  {:>9}  {}{name}  {verdict}",
        number.as_deref().unwrap_or("-"),
        ByteSize(area.place.end - area.place.start).to_string(),
        signatures(area),
    )
}

fn signatures(area: &Area) -> String {
    let names: Vec<_> = area
        .volume
        .signatures
        .iter()
        .map(ToString::to_string)
        .collect();
    match names.as_slice() {
        [] => "?".to_owned(),
        names => names.join("+"),
    }
}

fn scheme(scheme: Scheme) -> String {
    match scheme {
        Scheme::Gpt { sector, backup } => {
            let which = if backup {
                ", the backup: the first is damaged"
            } else {
                ""
            };
            format!("GPT with sectors of {sector} bytes{which}")
        }
        Scheme::Mbr => "MBR".to_owned(),
        Scheme::None => "no partition table".to_owned(),
        Scheme::Unclear => "no clear partition table".to_owned(),
    }
}

fn to_json(layout: &Layout) -> Value {
    let (kind, sector, backup) = match layout.scheme {
        Scheme::Gpt { sector, backup } => ("gpt", Some(sector), backup),
        Scheme::Mbr => ("mbr", Some(512), false),
        Scheme::None => ("none", None, false),
        Scheme::Unclear => ("unclear", None, false),
    };
    json!({
        "length": layout.map().disk_len(),
        "used": layout.used(),
        "table": { "kind": kind, "sector_size": sector, "backup": backup },
        "areas": layout.areas.iter().map(area_to_json).collect::<Vec<_>>(),
    })
}

fn area_to_json(area: &Area) -> Value {
    let names = area.volume.signatures.iter().map(ToString::to_string);
    let (distrust, refused) = match &area.volume.verdict {
        Verdict::Trusted { .. } => (None, false),
        Verdict::Whole(why) => (Some(why.to_string()), why.is_refusal()),
    };
    json!({
        "number": area.partition.as_ref().map(|it| it.number),
        "name": area.partition.as_ref().map(|it| it.name.as_str()),
        "type": area.partition.as_ref().map(|it| it.kind.as_str()),
        "start": area.place.start,
        "length": area.place.end - area.place.start,
        "holds": names.collect::<Vec<_>>(),
        "used": area.used(),
        "trusted": distrust.is_none(),
        "reason": distrust,
        "refused": refused,
    })
}
