//! `mimeo-demo`: one sender and some receivers on this machine, and a look at what
//! the receivers wrote. Needs neither root nor a network.

mod image;
mod session;
mod stop;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use mimeo_benches::files;
use mimeo_benches::fixture::MIN_DISK;
use mimeo_benches::programs::play_role;
use mimeo_benches::report::SenderReport;
use mimeo_benches::units::parse_size;
use mimeo_image::ByteSize;
use rustix::fs::statvfs;

use session::Session;
use stop::Stop;

/// Sends a disk image to several receivers on this machine and compares what they wrote.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// What to send [default: a disk that is made for the purpose, with real files in a FAT32
    /// filesystem]
    image: Option<PathBuf>,
    /// How many receivers take part
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u16).range(1..=100))]
    receivers: u16,
    /// Size of the disk that is made
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_size,
          conflicts_with = "image")]
    size: u64,
    /// Where the disk and the targets are kept while the demo runs
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    directory: PathBuf,
}

fn main() -> ExitCode {
    if let Some(exit) = play_role() {
        return exit;
    }
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is::<stop::Interrupted>() => {
            eprintln!("mimeo-demo: {error}; everything it made is removed");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("mimeo-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True when every target is the image.
fn run(cli: &Cli) -> Result<bool> {
    let stop = Stop::watch()?;
    let made = if cli.image.is_none() { 1 } else { 0 };
    let size = match &cli.image {
        Some(path) => image::length(path)?,
        None => cli.size.next_multiple_of(512).max(MIN_DISK),
    };
    check_space(&cli.directory, size, u64::from(cli.receivers) + made)?;
    let directory = tempfile::Builder::new()
        .prefix("mimeo-demo-")
        .tempdir_in(&cli.directory);
    let directory =
        directory.with_context(|| format!("cannot work in {}", cli.directory.display()))?;
    let image = match &cli.image {
        Some(path) => path.clone(),
        None => image::make(directory.path(), size)?,
    };
    stop.check()?;

    println!(
        "sending {} to {} receivers on lo",
        image.display(),
        cli.receivers
    );
    let session = Session::start(&image, directory.path(), cli.receivers)?;
    let (report, mut ok) = session.finish(&stop)?;
    let Some(report) = report else {
        return Ok(false);
    };
    for number in 1..=cli.receivers {
        stop.check()?;
        let target = session::target(directory.path(), number);
        let same = files::is_same(&image, &target)
            .with_context(|| format!("cannot compare {}", target.display()))?;
        let verdict = if same {
            "identical to the image"
        } else {
            "NOT THE IMAGE"
        };
        println!("receiver {number}: {verdict}");
        ok &= same;
    }
    ok &= print(&report, &image, size, cli.receivers)?;
    println!(
        "{}",
        if ok {
            "all is well"
        } else {
            "something is wrong, see above"
        }
    );
    Ok(ok)
}

/// Prints what it took. True when the digest is that of the image.
#[allow(clippy::cast_precision_loss, reason = "only for display")]
fn print(report: &SenderReport, image: &Path, size: u64, receivers: u16) -> Result<bool> {
    let seconds = report.transfer_seconds;
    println!(
        "{} in {seconds:.2} s: {:.2} Gbit/s to each of {receivers} receivers",
        ByteSize(size),
        size as f64 * 8.0 / seconds / 1e9,
    );
    if let Some(ratio) = report.counters.sent_per_needed() {
        println!("repair overhead {:.2} %", (ratio - 1.0) * 100.0);
    }
    let own = files::digest(image).with_context(|| format!("cannot read {}", image.display()))?;
    let told = report.digest.as_deref().unwrap_or("none");
    println!("BLAKE3 {told}");
    let same = told == own;
    if !same {
        println!("but the image's is {own}");
    }
    Ok(same)
}

/// Refuses to begin what would fill the disk.
fn check_space(directory: &Path, size: u64, copies: u64) -> Result<()> {
    let space =
        statvfs(directory).with_context(|| format!("cannot look at {}", directory.display()))?;
    let (free, needed) = (space.f_bavail * space.f_frsize, size * copies);
    ensure!(
        free >= needed,
        "{} has {} free, {} are needed; choose another --directory, fewer --receivers or a \
         smaller --size",
        directory.display(),
        ByteSize(free),
        ByteSize(needed),
    );
    Ok(())
}
