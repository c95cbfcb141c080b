//! The program `netlab`, from its arguments to its files.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which the lint takes for other code"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use mimeo_benches::netlab::usable;
use serde_json::Value;

fn netlab(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netlab"));
    command.args(args).output().unwrap()
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn compare_writes_rows_runs_and_a_plot() {
    if !usable("netlab compare") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (json, plot) = (directory.path().join("json"), directory.path().join("svg"));
    let output = netlab(&[
        "compare",
        "--receivers=1,2",
        "--tools=mimeo,limit",
        "--size=3000001",
        "--repeat=2",
        "--targets=disk",
        "--segmented",
        "--mimeo-arg=--compress",
        "--mimeo-arg=none",
        "--target-directory",
        env!("CARGO_TARGET_TMPDIR"),
        "--json",
        json.to_str().unwrap(),
        "--plot",
        plot.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{output:?}");
    let json = read_json(&json);
    assert_eq!(json["runs"].as_array().unwrap().len(), 8);
    let rows = json["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    for row in rows {
        assert_eq!(
            (&row["good"], &row["bytes"]),
            (&2.into(), &3_000_001.into())
        );
        let rate = &row["gigabits_per_second"];
        assert!(rate["min"].as_f64().unwrap() <= rate["max"].as_f64().unwrap());
        assert!(row["sender_cpu_per_gigabyte"]["system"].as_f64().unwrap() > 0.0);
        assert!(row["ratio_to_limit"].as_f64().unwrap() > 0.0);
        assert!(row["ratio_to_faster_peer"].is_null());
    }
    let plot = fs::read_to_string(plot).unwrap();
    assert!(
        plot.starts_with("<svg") && plot.contains(">limit "),
        "{plot}"
    );
    assert!(
        text(&output.stdout).contains("| 2 | limit | 2 of 2 |"),
        "{output:?}"
    );
    // What was made for the runs is gone.
    let left = fs::read_dir(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("netlab-")).count(), 0);
}

#[test]
fn slow_ports_are_slow() {
    if !usable("netlab compare with slow ports") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("json");
    // 4 MB at 20 Mbit/s take 1.6 s, or more: a limit that is not there would show.
    for limit in ["--port-rate=20M", "--slow-port=2:20M"] {
        let mut args = vec![
            "compare",
            "--receivers=2",
            "--tools=mimeo",
            "--size=4MB",
            limit,
        ];
        args.extend(["--targets=null", "--json", json.to_str().unwrap()]);
        let output = netlab(&args);
        assert!(output.status.success(), "{output:?}");
        let rate = &read_json(&json)["rows"][0]["gigabits_per_second"]["median"];
        assert!(rate.as_f64().unwrap() < 0.02, "{limit}: {rate}");
    }
    let output = netlab(&[
        "compare",
        "--receivers=1",
        "--slow-port=2:20M",
        "--size=1MB",
    ]);
    assert!(!output.status.success());
    assert!(
        text(&output.stderr).contains("has no such port"),
        "{output:?}"
    );
}

#[test]
fn what_cannot_be_measured_is_refused() {
    for (args, reason) in [
        (
            &["compare", "--tools=limit", "--loss=10"][..],
            "mends no losses",
        ),
        (
            &["compare", "--tools=limit", "--port-rate=1G"],
            "mends no losses",
        ),
        (
            &["compare", "--base=/nowhere"],
            "there is no mimeo-sender in /nowhere",
        ),
        (&["scale", "--size=1MB,1MB"], "given twice"),
        (&["compare", "--repeat=0"], "0 is not in 1.."),
    ] {
        let output = netlab(args);
        assert!(!output.status.success(), "{args:?}");
        let said = text(&output.stderr);
        assert!(said.contains(reason), "{args:?}: {said}");
    }
}

#[test]
fn scale_shows_sizes_and_rooms() {
    if !usable("netlab scale") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("json");
    let output = netlab(&[
        "scale",
        "--size=1MiB,3MB",
        "--receivers=1,3",
        "--json",
        json.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{output:?}");
    let json = read_json(&json);
    let lengths = json["by_size"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["bytes"]);
    assert!(lengths.eq([1 << 20, 3_000_000]));
    let rooms = json["by_receivers"].as_array().unwrap();
    assert_eq!((rooms.len(), &rooms[0]["receivers"]), (1, &3.into()));
    let table = text(&output.stdout);
    assert!(table.contains("| 1 MiB | 1 | 1 of 1 |"), "{table}");
    assert!(table.contains("| 3 | 1 MiB | 1 of 1 |"), "{table}");
}
