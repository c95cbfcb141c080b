use super::example::{receiving, searching, verifying};
use super::*;
use crate::exit::Exit;
use crate::status::{Severity, Update};
use jiff::Timestamp;
use mimeo_console::{Mode, Progress, Report, Screen};

fn picture(status: &Status, columns: usize, rows: usize) -> Vec<String> {
    let mut trend = Trend::default();
    trend.observe(status);
    bar::block(status, &trend, Size { columns, rows })
}

fn line(status: &Status) -> String {
    let mut trend = Trend::default();
    trend.observe(status);
    plain::status(status, &trend)
}

#[test]
fn the_picture_says_what_goes_where_and_how_far_it_is() {
    assert_eq!(
        picture(&receiving(), 120, 24),
        [
            "target: /dev/sda, Disk?[2J 1.0 GB",
            "receiving, cycle 1: lab from 10.77.0.1:64636",
            "[===================>                  ]  50.0 %  80.0 Mbit/s  0:50  0:50 left  loss \
             1.2 %",
            "this machine was too slow for 2 datagrams",
        ]
    );
    assert_eq!(
        picture(&searching(), 80, 24),
        [
            "target: null: (everything is discarded)",
            "looking for a sender"
        ]
    );
}

#[test]
fn the_picture_fits_every_terminal() {
    let mut status = receiving();
    status.session_name = "教".repeat(85);
    for columns in [1, 2, 9, 20, 40, 80, 500] {
        for rows in [1, 2, 3, 24] {
            let lines = picture(&status, columns, rows);
            assert!(
                lines.len() <= rows.saturating_sub(1).max(1),
                "{columns} x {rows}"
            );
            let widest = lines.iter().map(|line| human::width(line)).max();
            assert!(widest < Some(columns), "{columns} x {rows}: {lines:?}");
        }
    }
}

#[test]
fn a_stream_shows_bytes_where_there_is_no_whole() {
    let mut status = receiving();
    status.image_len = None;
    let lines = picture(&status, 120, 24);
    assert_eq!(lines[2], "500.0 MB  80.0 Mbit/s  0:50  loss 1.2 %");
}

#[test]
fn plain_lines_tell_every_phase() {
    let at = |phase| {
        line(&Status {
            phase,
            ..receiving()
        })
    };
    assert_eq!(line(&searching()), "looking for a sender");
    assert_eq!(
        at(Phase::Receiving),
        "receiving, cycle 1: lab from 10.77.0.1:64636: 50.0 %, 80.0 Mbit/s, 0:50, 0:50 left, \
         loss 1.2 %"
    );
    assert_eq!(
        at(Phase::Flushing),
        "flushing the target: lab from 10.77.0.1:64636: 50.0 %, 0:50"
    );
    assert_eq!(
        line(&verifying()),
        "verifying the target: lab from 10.77.0.1:64636: 80.0 %, 1.60 Gbit/s, 0:01, 0:01 left"
    );
    let waiting = Status {
        transfer_time: Duration::ZERO,
        phase: Phase::Waiting,
        ..receiving()
    };
    assert_eq!(
        line(&waiting),
        "joined, waiting for the start: lab from 10.77.0.1:64636"
    );
}

fn outcome() -> Outcome {
    Outcome {
        exit: Exit::DigestMismatch,
        status: receiving(),
        error: Some("not the image".to_owned()),
    }
}

/// Everything that a mode writes for a status, two events and the end.
fn shown(mode: Mode) -> String {
    let (screen, told) = Screen::captured();
    let mut progress = Progress::new(mode, screen, Receiver::default());
    progress.handle_update(Update::Status(receiving()));
    progress.handle_update(Update::Line(Severity::Info, "joined\u{1b}c".to_owned()));
    progress.handle_update(Update::Line(Severity::Error, "bad block".to_owned()));
    progress.handle_update(Update::Status(receiving()));
    let outcome = outcome();
    let report = Report::new::<Receiver>(&outcome, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    progress.finish(&outcome, &report);
    told.take()
}

#[test]
fn each_mode_writes_what_it_promises() {
    let plain = shown(Mode::Plain);
    assert!(!plain.contains('\u{1b}'));
    assert_eq!(
        plain.matches("receiving, cycle 1").count(),
        1,
        "the second comes too soon"
    );
    assert!(
        plain.contains("\njoined?c\nerror: bad block\nFAILED: /dev/sda"),
        "{plain}"
    );
    assert!(plain.ends_with("mimeo-receiver: error: not the image\n"));

    let none = shown(Mode::None);
    assert_eq!(
        none,
        "error: bad block\nmimeo-receiver: error: not the image\n"
    );

    let json = shown(Mode::Json);
    let lines: Vec<serde_json::Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let types: Vec<_> = lines.iter().map(|line| line["type"].clone()).collect();
    assert_eq!(types, ["status", "event", "event", "result"]);
    assert_eq!(lines[0]["bytes_written"], 500_000_000);
    assert_eq!(lines[1]["message"], "joined\u{1b}c");
    assert_eq!(lines[3]["exit_code"], 6);

    let bar = shown(Mode::Bar);
    let (_, end) = bar.rsplit_once("\u{1b}[J").unwrap();
    assert!(
        end.starts_with("FAILED: "),
        "the picture is gone before the summary: {end}"
    );
}

#[test]
fn a_new_phase_is_told_at_once() {
    let (screen, told) = Screen::captured();
    let mut progress = Progress::new(Mode::Plain, screen, Receiver::default());
    progress.handle_update(Update::Status(searching()));
    progress.handle_update(Update::Status(searching()));
    progress.handle_update(Update::Status(receiving()));
    let told = told.take();
    let starts: Vec<&str> = told.lines().map(|line| &line[..7]).collect();
    assert_eq!(starts, ["looking", "receivi"]);
}
