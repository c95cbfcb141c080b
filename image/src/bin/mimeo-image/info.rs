//! `mimeo-image info`: partitions, filesystems, and how much of them is used.

use std::path::PathBuf;

use mimeo_image::ByteSize;
use mimeo_image::image_file::{Form, ImageFile};
use mimeo_image::used::{Layout, Summary, TableSummary, VolumeSummary};
use serde::Serialize;
use serde_json::{Value, json};

use crate::disk::Disk;
use crate::keys::Unlock;
use crate::outcome::{Done, Error};

/// Say what is on a disk or in an image: partitions, filesystems, and how much of them is used
///
/// Reads the partition table and the filesystems' own allocation maps; nothing is mounted or
/// written. Where a map is not trusted, it says why, and the bytes that the partition costs because
/// of it: all of them. Of an image file it tells what was found when it was captured, its labels,
/// and who signed it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON, with sizes in bytes
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    unlock: Unlock,

    /// A block device that nobody writes to, an image file, or the raw image of a disk or partition
    #[arg(value_name = "DEVICE|IMAGE")]
    disk: PathBuf,
}

/// Looks at a disk and describes it.
pub(crate) fn run(args: &Args) -> Result<Done, Error> {
    let disk = Disk::open(&args.disk, &args.unlock)?;
    let output = match &disk {
        Disk::Image(file) => of_image(file, args.json)?,
        Disk::Source(_) => of_disk(&disk, args.json)?,
    };
    Ok(Done {
        output: Some(output),
        note: None,
    })
}

fn of_disk(disk: &Disk, json: bool) -> Result<String, Error> {
    let summary = Summary::of(&Layout::examine(&disk.whole()));
    if json {
        return print(&summary);
    }
    Ok(format!("{}: {}", disk.describe(), to_text(&summary)))
}

fn print(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string_pretty(value)
        .map_err(|error| Error::Failure(format!("no JSON can be made of it: {error}")))
}

fn of_image(file: &ImageFile, json: bool) -> Result<String, Error> {
    if json {
        return print(&image_to_json(file)?);
    }
    let about = file.description();
    let mut lines = vec![format!(
        "{}: image of {}, {} stored{}",
        file.path().display(),
        about.source,
        ByteSize(file.stored_len()),
        match file.form() {
            Form::Plain => "",
            Form::Encrypted => ", encrypted",
        },
    )];
    let mut tell = |what: &str, value: &str| lines.push(format!("{what:>9}: {value}"));
    tell(
        "captured",
        &format!("{} by {}, level {}", about.created, about.tool, about.level),
    );
    for (key, value) in &about.labels {
        tell("label", &format!("{key}={value}"));
    }
    let bytes = |blocks: u64| ByteSize(blocks.saturating_mul(BLOCK).min(file.disk_len()));
    let blocks = &about.blocks;
    tell(
        "blocks",
        &format!(
            "{} of data, {} of zeros, {} unused",
            bytes(blocks.data),
            bytes(blocks.zero),
            bytes(blocks.unused)
        ),
    );
    tell(
        "BLAKE3",
        about
            .blake3
            .as_deref()
            .unwrap_or("not computed (--no-b3sum)"),
    );
    tell("signed", &signer(file).unwrap_or_else(|| "no".to_owned()));
    if let Some(layout) = &about.layout {
        lines.push(to_text(layout));
    }
    // Whoever made the file must not steer the terminal.
    let lines = lines
        .iter()
        .map(|line| line.replace(|c: char| c.is_control() && c != '\n', "?"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// Bytes of a block.
const BLOCK: u64 = mimeo_image::image_file::BLOCK_SIZE as u64;

/// The public key, as `keygen` prints it.
pub(crate) fn signer(file: &ImageFile) -> Option<String> {
    let key = file.signer()?;
    Some(
        key.as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}

fn image_to_json(file: &ImageFile) -> Result<Value, Error> {
    let mut value = serde_json::to_value(file.description())
        .map_err(|error| Error::Failure(format!("no JSON can be made of it: {error}")))?;
    value["length"] = json!(file.disk_len());
    value["stored"] = json!(file.stored_len());
    value["encrypted"] = json!(file.form() == Form::Encrypted);
    value["signed_by"] = json!(signer(file));
    value["root"] = json!(file.root().to_string());
    Ok(value)
}

fn to_text(summary: &Summary) -> String {
    let mut text = format!("{}\n", scheme(&summary.table));
    for area in &summary.areas {
        let number = area.number.map_or("-".to_owned(), |it| it.to_string());
        let name = area.name.as_deref().unwrap_or("");
        text += &line(&number, name, &area.volume);
        for inner in &area.logical {
            text += &line("", &inner.name, &inner.volume);
        }
    }
    let (used, len) = (ByteSize(summary.used), ByteSize(summary.length));
    text + &format!("used: {used} of {len}")
}

/// `   2    12.0 GB  ext2/3/4 "root"  1.3 GB used`
fn line(number: &str, name: &str, volume: &VolumeSummary) -> String {
    let name = match name {
        "" => String::new(),
        name => format!(" \"{name}\""),
    };
    let verdict = match &volume.reason {
        None => format!("{} used", ByteSize(volume.used)),
        Some(why) => format!("copied whole: {why}"),
    };
    let len = ByteSize(volume.length).to_string();
    let holds = match volume.holds.as_slice() {
        [] => "?".to_owned(),
        names => names.join("+"),
    };
    format!("{number:>4}  {len:>9}  {holds}{name}  {verdict}\n")
}

fn scheme(table: &TableSummary) -> String {
    match (table.kind.as_str(), table.sector_size) {
        ("gpt", Some(sector)) => {
            let which = if table.backup {
                ", the backup: the first is damaged"
            } else {
                ""
            };
            format!("GPT with sectors of {sector} bytes{which}")
        }
        ("mbr", _) => "MBR".to_owned(),
        ("none", _) => "no partition table".to_owned(),
        _ => "no clear partition table".to_owned(),
    }
}
