//! Simulates the rooms of docs/scale.md.
//!
//! ```text
//! mimeo-scale [--check | --write] [PART ...]
//! ```
//!
//! Without a name all rooms are simulated, else those whose names begin with one of the parts, as
//! `1g-8` or `50g`. The table goes to standard output; a line to standard error says how long each
//! room took and how long of that for the sender. `--check` compares the lines with those of the
//! page, `--write` puts the tables into the page and wants all rooms.

use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use mimeo_tests::scale::{Row, committed, replaced, rows, run, tables};

/// The page, from the top of the workspace.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/scale.md");

#[derive(Default)]
struct Options {
    check: bool,
    write: bool,
    parts: Vec<String>,
}

fn main() -> ExitCode {
    match options().and_then(|options| simulate(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mimeo-scale: {error}");
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options::default();
    for arg in std::env::args().skip(1) {
        match arg.as_str() {
            "--check" => options.check = true,
            "--write" => options.write = true,
            part if !part.starts_with('-') => options.parts.push(arg),
            other => {
                return Err(format!(
                    "unknown option {other}; there are --check and --write"
                ));
            }
        }
    }
    if options.write && (options.check || !options.parts.is_empty()) {
        return Err("--write stands alone: it writes the figures of all rooms".to_owned());
    }
    Ok(options)
}

/// Simulates the chosen rooms; whether they are as the page says, if that was asked.
fn simulate(options: &Options) -> Result<bool, String> {
    let page = fs::read_to_string(PAGE).map_err(|error| format!("{PAGE}: {error}"))?;
    let is_chosen = |row: &Row| {
        options.parts.is_empty() || options.parts.iter().any(|part| row.name.starts_with(part))
    };
    let chosen: Vec<Row> = rows().into_iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        return Err("no room is called that".to_owned());
    }
    let (mut lines, mut same) = (Vec::new(), true);
    for row in &chosen {
        let started = Instant::now();
        let (figures, work) =
            run(&row.setting).map_err(|error| format!("{}: {error}", row.name))?;
        let (took, work) = (started.elapsed().as_secs_f64(), work.as_secs_f64());
        eprintln!(
            "{}: {took:.1} s, of that {work:.2} s for the sender",
            row.name
        );
        let line = row.line(&figures);
        if options.check && committed(&page, row) != Some(&line) {
            same = false;
            let before = committed(&page, row).unwrap_or("nothing");
            eprintln!("{PAGE} has {before}");
        }
        println!("{line}");
        lines.push(line);
    }
    if options.write {
        let page = replaced(&page, &tables(&lines)).ok_or("the page has no place for tables")?;
        fs::write(PAGE, page).map_err(|error| format!("{PAGE}: {error}"))?;
    }
    Ok(same)
}
