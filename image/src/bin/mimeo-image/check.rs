//! `mimeo-image check`: what makes clones of a golden image clash, or fail to start.

use std::path::PathBuf;

use mimeo_image::golden::{self, Finding, Place, Report};
use serde_json::{Value, json};

use crate::disk::Disk;
use crate::keys::Unlock;
use crate::outcome::{Done, Error};

/// Say what makes clones of a golden image clash, or fail to start, and what to do about it
///
/// Looks into ext2/3/4, NTFS and FAT without mounting them, also on linear volumes of LVM. Linux: a
/// filled machine-id, SSH host keys, a fixed host name that is sent by DHCP. Windows: no
/// sysprep, hibernation or fast start-up, a dirty volume, BitLocker. Any: LUKS, an EFI system
/// partition without EFI\BOOT\BOOTX64.EFI. Of what it cannot look into it says so.
///
/// Exit code 0: nothing was found; 1: there is something to be mended, or it failed; 3: the image
/// or device was refused.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    unlock: Unlock,

    /// A block device that nobody writes to, an image file, or the raw image of a disk or partition
    #[arg(value_name = "DEVICE|IMAGE")]
    disk: PathBuf,
}

/// Looks at a disk and tells what it found.
pub(crate) fn run(args: &Args) -> Result<Done, Error> {
    let disk = Disk::open(&args.disk, &args.unlock)?;
    let name = disk.describe();
    let report = golden::check(&disk.whole());
    let output = if args.json {
        serde_json::to_string_pretty(&to_json(&report))
            .map_err(|error| Error::Failure(format!("no JSON can be made of it: {error}")))?
    } else {
        to_text(&name, &report)
    };
    if report.findings.is_empty() {
        Ok(Done {
            output: Some(output),
            note: None,
        })
    } else {
        Err(Error::Findings(output))
    }
}

fn to_text(name: &str, report: &Report) -> String {
    let mut text = format!("{name}\n");
    for Finding { place, problem } in &report.findings {
        text += &format!("{place}: {problem}\n    remedy: {}\n", problem.remedy());
    }
    for it in &report.unexamined {
        text += &format!("{}: not examined: {}\n", it.place, it.why);
    }
    text + &match report.findings.len() {
        0 => "nothing was found that makes clones clash".to_owned(),
        1 => "1 finding".to_owned(),
        count => format!("{count} findings"),
    }
}

fn to_json(report: &Report) -> Value {
    let finding = |it: &Finding| {
        let mut value = place_to_json(&it.place);
        value["kind"] = json!(it.problem.kind());
        value["text"] = json!(it.problem.to_string());
        value["remedy"] = json!(it.problem.remedy());
        value
    };
    let findings: Vec<_> = report.findings.iter().map(finding).collect();
    let unexamined: Vec<_> = report
        .unexamined
        .iter()
        .map(|it| {
            let mut value = place_to_json(&it.place);
            value["reason"] = json!(it.why);
            value
        })
        .collect();
    json!({ "findings": findings, "not_examined": unexamined })
}

fn place_to_json(place: &Place) -> Value {
    let holds: Vec<_> = place.holds.iter().map(ToString::to_string).collect();
    json!({
        "partition": place.partition,
        "logical_volume": place.volume,
        "holds": holds,
    })
}
