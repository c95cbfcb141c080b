//! Large rooms: some of the rooms of docs/scale.md are simulated again, and all figures of the page
//! are held against the goals.

use mimeo_tests::host::allowed_overhead;
use mimeo_tests::scale::{Figures, Row, Setting, committed, rows, run};

const PAGE: &str = include_str!("../../docs/scale.md");

/// Figures of a line of the page.
#[derive(Debug)]
struct Line {
    seconds: f64,
    others: f64,
    overhead: f64,
    feedback: f64,
}

fn row(name: &str) -> Row {
    let row = rows().into_iter().find(|row| row.name == name);
    row.unwrap_or_else(|| panic!("no room is called {name}"))
}

fn line(row: &Row) -> Line {
    let line = committed(PAGE, row).unwrap_or_else(|| panic!("the page has no {}", row.name));
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let number = |cell: usize, unit: &str| -> f64 {
        let text = cells[cell].trim_end_matches(unit);
        text.parse().unwrap_or_else(|_| panic!("{line}: {text}"))
    };
    Line {
        seconds: number(2, " s"),
        others: number(3, " s"),
        overhead: number(5, " %") / 100.0,
        feedback: number(8, ""),
    }
}

fn named(name: &str) -> Line {
    line(&row(name))
}

/// Simulates a room; the page says the same of it, to the last digit.
fn again(name: &str) -> Figures {
    let row = row(name);
    let (figures, _) = run(&row.setting).expect("the room comes to its end");
    assert_eq!(
        committed(PAGE, &row),
        Some(row.line(&figures).as_str()),
        "cargo scale --write"
    );
    figures
}

#[test]
fn small_rooms_are_as_the_page_says() {
    for name in [
        "1g-1-0",
        "1g-8-0",
        "1g-8-1",
        "1g-8-5",
        "1g-32-0.1",
        "disks-8-0",
        "slow-8-0",
    ] {
        again(name);
    }
}

#[test]
fn eighty_receivers_are_as_the_page_says() {
    for name in ["100m-80-0", "1g-80-0"] {
        let figures = again(name);
        assert!(figures.feedback_rate() <= 500.0, "{name}: {figures:?}");
    }
}

#[test]
fn a_hundred_receivers_are_as_the_page_says() {
    again("1g-100-0");
}

#[test]
fn overhead_is_within_the_goal_in_every_room() {
    for row in rows() {
        if row.is_one_cycle() {
            let allowed = allowed_overhead(row.setting.receivers, row.setting.loss);
            assert!(
                line(&row).overhead <= allowed,
                "{}: {:?}",
                row.name,
                line(&row)
            );
        }
    }
}

#[test]
fn fifty_gigabytes_reach_32_receivers_in_450_seconds() {
    for name in ["50g-32-0", "50g-32-0.1", "50g-32-1"] {
        assert!(named(name).seconds <= 450.0, "{name}");
    }
}

#[test]
fn three_slow_disks_cost_the_others_little() {
    for room in ["8-0", "8-1", "32-0", "100-0", "100-0.1"] {
        let (slow, without) = (named(&format!("slow-{room}")), named(&format!("1g-{room}")));
        // Half a second decides that somebody is slow.
        let limit = match room {
            "8-0" | "8-1" => 1.03 * without.seconds,
            _ => without.seconds + 0.5,
        };
        assert!(slow.others <= limit, "{room}: {slow:?}");
        assert!(slow.seconds > slow.others, "{room}: they are served later");
    }
}

#[test]
fn a_thousand_receivers_take_hardly_longer_than_one() {
    assert!(named("1g-1000-0.1").seconds <= 1.05 * named("1g-1-0.1").seconds);
}

#[test]
fn eighty_receivers_take_hardly_longer_than_one() {
    assert!(named("100m-80-0").seconds <= 1.01 * named("100m-1-0").seconds);
}

#[test]
fn feedback_stays_bounded() {
    for (name, most) in [
        ("1g-80-0", 500.0),
        ("100m-80-0", 500.0),
        ("1g-1000-0", 4000.0),
    ] {
        assert!(named(name).feedback <= most, "{name}");
    }
    for row in rows() {
        assert!(line(&row).feedback <= 4000.0, "{}", row.name);
    }
}

#[test]
fn who_comes_late_needs_one_more_cycle_in_which_nothing_is_sent_in_vain() {
    for name in ["spread-8-0", "spread-32-0", "spread-32-0.1"] {
        let figures = again(name);
        let Setting {
            receivers,
            loss,
            image,
            ..
        } = row(name).setting;
        // What a room takes that starts together is what a cycle takes.
        let together = Setting::gigabit(receivers, loss, image);
        let (cycle, _) = run(&together).expect("the room comes to its end");
        let limit = cycle.time + cycle.time.mul_f64(1.1);
        assert!(figures.time <= limit, "{name}: {figures:?}");
        assert_eq!(figures.needless_blocks, 0, "{name}: {figures:?}");
    }
}
