//! `mimeo-image info`: partitions, filesystems, and how much of them is used.

use std::ffi::OsString;
use std::sync::Arc;

use mimeo_image::used::{Area, Layout, LogicalVolume, ReadAt, Scheme, Verdict, Volume};
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
        text += &lines(area);
    }
    let (used, len) = (layout.used(), layout.map().disk_len());
    text + &format!("used: {} of {}", ByteSize(used), ByteSize(len))
}

/// `   2    12.0 GB  ext2/3/4 "root"  1.3 GB used`, and a line for each logical volume.
fn lines(area: &Area) -> String {
    let number = area.partition.as_ref().map(|it| it.number.to_string());
    let name = area.partition.as_ref().map_or("", |it| &it.name);
    let len = area.place.end - area.place.start;
    let mut lines = line(number.as_deref().unwrap_or("-"), len, name, &area.volume);
    for inner in &area.volume.logical {
        lines += &line("", inner.len, &inner.name, &inner.volume);
    }
    lines
}

fn line(number: &str, len: u64, name: &str, volume: &Volume) -> String {
    let name = match name {
        "" => String::new(),
        name => format!(" \"{name}\""),
    };
    let verdict = match &volume.verdict {
        Verdict::Trusted { used } => format!("{} used", ByteSize(*used)),
        Verdict::Whole(why) => format!("copied whole: {why}"),
    };
    let len = ByteSize(len).to_string();
    format!(
        "{number:>4}  {len:>9}  {}{name}  {verdict}\n",
        signatures(volume)
    )
}

fn signatures(volume: &Volume) -> String {
    let names: Vec<_> = volume.signatures.iter().map(ToString::to_string).collect();
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
    let logical = |inner: &LogicalVolume| {
        let mut value = volume_to_json(&inner.volume, inner.len);
        value["name"] = json!(inner.name);
        value
    };
    let mut value = volume_to_json(&area.volume, area.place.end - area.place.start);
    value["number"] = json!(area.partition.as_ref().map(|it| it.number));
    value["name"] = json!(area.partition.as_ref().map(|it| it.name.as_str()));
    value["type"] = json!(area.partition.as_ref().map(|it| it.kind.as_str()));
    value["start"] = json!(area.place.start);
    value["logical"] = area.volume.logical.iter().map(logical).collect();
    value
}

fn volume_to_json(volume: &Volume, len: u64) -> Value {
    let names = volume.signatures.iter().map(ToString::to_string);
    let (used, reason) = match &volume.verdict {
        Verdict::Trusted { used } => (*used, None),
        Verdict::Whole(why) => (len, Some(why.to_string())),
    };
    json!({
        "length": len,
        "holds": names.collect::<Vec<_>>(),
        "used": used,
        "trusted": reason.is_none(),
        "reason": reason,
        "hibernated": volume.refusal().is_some(),
    })
}
