use super::example::{noon, plan, receiver, room, waiting};
use super::*;
use crate::exit::Exit;
use crate::status::ReceiverState;
use crate::status::{Severity, Update};
use jiff::Timestamp;
use mimeo_console::{Mode, Progress, Report, Screen, json};

fn size(columns: usize, rows: usize) -> Size {
    Size { columns, rows }
}

fn picture(status: &Status, size: Size) -> Vec<String> {
    let mut trend = Trend::default();
    trend.observe(status);
    bar::block(status, &trend, &plan(), &noon(), size)
}

fn line(status: &Status) -> String {
    let mut trend = Trend::default();
    trend.observe(status);
    plain::status(status, &trend, &plan(), &noon()).unwrap_or_default()
}

/// A room of which the 40th machine is slow, the 50th failed and the 60th is done.
fn crowd(count: u16) -> Status {
    let mut status = room();
    status.bytes_passed = 600_000_000;
    status.cycle = 1;
    let one = |n| receiver(n, &format!("pc-{n:03}"), ReceiverState::Receiving);
    status.receivers = (1..=count).map(one).collect();
    status.receivers[39].bytes_written = 100_000_000;
    status.receivers[49].state = ReceiverState::Failed("bad disk".to_owned());
    status.receivers[59].state = ReceiverState::Confirmed;
    status
}

#[test]
fn a_running_room_has_a_line_for_every_receiver() {
    assert_eq!(
        picture(&room(), size(120, 24)),
        [
            "lab: file win11.img, 1.0 GB",
            "[======================================]  100.0 %  sending, cycle 2  80.0 Mbit/s  1:40  0:50 left",
            "1 failed, 1 lost, 1 receiving, 1 verified; worst loss 1.2 %; sent 84.5 Mbit/s of 960.0 Mbit/s allowed",
            "   1  pc-01         verified    100.0 %  after 1:01",
            "   2  pc-02         receiving    50.0 %   80.0 Mbit/s  loss   1.2 %  network",
            "   3  教室-3        failed       50.0 %  disk full?[2J",
            "   4  pc-04?[31mxx  lost         50.0 %",
        ]
    );
}

#[test]
fn a_waiting_room_says_who_is_there_and_what_it_waits_for() {
    assert_eq!(
        picture(&waiting(2), size(80, 24)),
        [
            "lab: file win11.img, 1.0 GB",
            "waiting: 2 receivers here; starts with 30",
            "press Enter to start now",
            "   1  pc-01  waiting       0.0 %  10.77.0.1:40000",
            "   2  pc-02  waiting       0.0 %  10.77.0.2:40000",
        ]
    );
    let unattended = Plan {
        keys: false,
        ..plan()
    };
    let lines = bar::block(
        &waiting(0),
        &Trend::default(),
        &unattended,
        &noon(),
        Size::USUAL,
    );
    assert_eq!(lines[1..], ["waiting: no receiver yet; starts with 30"]);
}

#[test]
fn who_failed_before_the_start_is_not_counted_as_present() {
    let mut status = waiting(3);
    status.receivers[1].state = ReceiverState::Failed("bad disk".to_owned());
    let said = picture(&status, size(80, 24));
    assert_eq!(said[1], "waiting: 2 receivers here; starts with 30");
    status.receivers[2].state = ReceiverState::Silent;
    assert!(
        line(&status).contains("1 receiver here"),
        "{}",
        line(&status)
    );
}

#[test]
fn a_crowd_shows_the_troubled_and_the_slowest_and_counts_the_rest() {
    let lines = picture(&crowd(300), size(100, 8));
    assert_eq!(lines.len(), 7);
    let numbers: Vec<&str> = lines[3..6].iter().map(|line| line[..4].trim()).collect();
    assert_eq!(numbers, ["1", "40", "50"]);
    assert_eq!(lines[6], "      and 297 more: 296 receiving, 1 verified");
}

#[test]
fn a_crowd_that_just_fits_is_shown_whole() {
    let lines = picture(&crowd(60), size(100, 64));
    assert_eq!(lines.len(), 63);
    assert!(lines[62].starts_with("  60  pc-060"), "{}", lines[62]);
    let lines = picture(&crowd(61), size(100, 64));
    assert_eq!(lines.len(), 63);
    assert_eq!(lines[62], "      and 2 more: 1 receiving, 1 verified");
}

#[test]
fn disks_that_are_read_back_are_shown_with_how_far_that_is() {
    let mut status = room();
    for (at, bytes_verified) in [(1, 455_500_000), (3, 900_000_000)] {
        status.receivers[at].state = ReceiverState::Verifying;
        status.receivers[at].bytes_written = 1_000_000_000;
        status.receivers[at].bytes_verified = bytes_verified;
    }
    let lines = picture(&status, size(100, 24));
    assert!(
        lines[2].starts_with("1 failed, 2 verifying, 1 verified; verifying 45.5 %; sent "),
        "{}",
        lines[2]
    );
    assert_eq!(lines[4], "   2  pc-02         verifying    45.5 %");
    let line = plain::status(&status, &Trend::default(), &plan(), &noon()).unwrap();
    assert!(
        line.ends_with(", verifying 45.5 %; 1 failed, 2 verifying, 1 verified"),
        "{line}"
    );
}

#[test]
fn the_picture_fits_every_terminal() {
    let mut status = crowd(100);
    status.session_name = "s".repeat(255);
    status.receivers[0].host_name = "教".repeat(85);
    status.receivers[1].state = ReceiverState::Failed("r".repeat(255));
    for columns in [1, 2, 9, 20, 40, 80, 132, 500] {
        for rows in [1, 2, 3, 4, 5, 24, 200] {
            for status in [&status, &waiting(50)] {
                let lines = picture(status, size(columns, rows));
                assert!(
                    lines.len() <= rows.saturating_sub(1).max(1),
                    "{columns} x {rows}"
                );
                let widest = lines.iter().map(|line| human::width(line)).max();
                assert!(widest < Some(columns), "{columns} x {rows}: {lines:?}");
            }
        }
    }
}

#[test]
fn a_stream_shows_bytes_where_there_is_no_whole() {
    let mut status = room();
    status.image_len = None;
    let lines = picture(&status, size(120, 24));
    assert_eq!(lines[1], "1.0 GB  sending, cycle 2  80.0 Mbit/s  1:40");
    assert!(lines[4].contains("500.0 MB"), "{}", lines[4]);
}

#[test]
fn a_session_that_ends_without_receivers_counts_none() {
    let mut status = room();
    status.phase = Phase::Aborting;
    status.receivers.clear();
    let lines = picture(&status, size(120, 24));
    assert_eq!(lines[2..], ["sent 84.5 Mbit/s of 960.0 Mbit/s allowed"]);
}

#[test]
fn plain_lines_tell_the_session_in_one_line() {
    assert_eq!(
        line(&room()),
        "sending, cycle 2: 100.0 %, 80.0 Mbit/s, 0:50 left, worst loss 1.2 %; 1 failed, 1 lost, \
         1 receiving, 1 verified"
    );
    assert_eq!(
        line(&waiting(3)),
        "waiting to send lab: file win11.img, 1.0 GB: 3 receivers here; starts with 30; press \
         Enter to start now"
    );
    let mut late = room();
    late.phase = Phase::Lingering;
    assert_eq!(
        line(&late),
        "waiting for late receivers; 1 failed, 1 lost, 1 receiving, 1 verified"
    );
    late.phase = Phase::Aborting;
    late.receivers.clear();
    assert_eq!(line(&late), "telling the receivers that the session failed");
    late.phase = Phase::Over;
    assert_eq!(line(&late), "", "the summary follows");
}

#[test]
fn json_lines_are_objects_with_a_type() {
    let parse = |line: String| -> serde_json::Value {
        assert!(!line.contains('\n'), "{line}");
        serde_json::from_str(&line).unwrap()
    };
    let status = parse(json::status_line(&Sender::doc(&room())));
    assert_eq!(status["type"], "status");
    assert_eq!(status["receivers"][3]["host_name"], "pc-04\u{1b}[31mxx");
    let event = parse(json::event_line(Severity::Warn, "two\nlines"));
    assert_eq!(
        event,
        serde_json::json!({"type": "event", "severity": "warning", "message": "two\nlines"})
    );
    let outcome = outcome(Exit::ReceiversFailed, Some("why"));
    let report = Report::new::<Sender>(&outcome, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    let result = parse(json::result_line(&report));
    assert_eq!(
        (&result["type"], &result["exit_code"]),
        (&"result".into(), &5.into())
    );
}

fn outcome(exit: Exit, error: Option<&str>) -> Outcome {
    Outcome {
        exit,
        status: room(),
        error: error.map(str::to_owned),
    }
}

/// Everything that a mode writes for a status, two events and the end.
fn shown(mode: Mode) -> String {
    let (screen, told) = Screen::captured();
    let mut progress = Progress::new(mode, screen, Sender::new(plan()));
    progress.handle_update(Update::Status(room()));
    progress.handle_update(Update::Line(Severity::Info, "pc-01 verified".to_owned()));
    progress.handle_update(Update::Line(Severity::Error, "pc-03 failed".to_owned()));
    progress.handle_update(Update::Status(room()));
    let outcome = outcome(Exit::ReceiversFailed, Some("2 receivers failed"));
    let report = Report::new::<Sender>(&outcome, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    progress.finish(&outcome, &report);
    told.take()
}

#[test]
fn each_mode_writes_what_it_promises() {
    let plain = shown(Mode::Plain);
    assert!(!plain.contains('\u{1b}'));
    assert!(plain.starts_with("sending, cycle 2"), "{plain}");
    assert_eq!(
        plain.matches("sending, cycle 2").count(),
        1,
        "the second comes too soon"
    );
    assert!(plain.contains("\npc-01 verified\nerror: pc-03 failed\n"));
    assert!(plain.contains("\n1 of 4 receivers verified\n"));
    assert!(plain.ends_with("mimeo-sender: error: 2 receivers failed\n"));

    let none = shown(Mode::None);
    assert_eq!(
        none,
        "error: pc-03 failed\nmimeo-sender: error: 2 receivers failed\n"
    );

    let json = shown(Mode::Json);
    let types: Vec<String> = json
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].to_string())
        .collect();
    assert_eq!(
        types,
        ["\"status\"", "\"event\"", "\"event\"", "\"result\""]
    );

    let bar = shown(Mode::Bar);
    let (_, end) = bar.rsplit_once("\u{1b}[J").unwrap();
    assert!(
        end.starts_with("   1  pc-01"),
        "the picture is gone before the summary: {end}"
    );
    assert!(end.ends_with("mimeo-sender: error: 2 receivers failed\n"));
}

#[test]
fn a_new_phase_is_told_at_once() {
    let (screen, told) = Screen::captured();
    let mut progress = Progress::new(Mode::Plain, screen, Sender::new(plan()));
    progress.handle_update(Update::Status(waiting(1)));
    progress.handle_update(Update::Status(waiting(2)));
    progress.handle_update(Update::Status(room()));
    let told = told.take();
    let starts: Vec<&str> = told.lines().map(|line| &line[..7]).collect();
    assert_eq!(starts, ["waiting", "sending"]);
}
