use super::*;
use crate::cli::parse_args;
use mimeo_console::keyfile;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

fn noon() -> Zoned {
    "2026-11-20T12:00:00Z[UTC]".parse().unwrap()
}

fn config(args: &[&str]) -> Result<(Config, Presentation), ConfigError> {
    let args = ["mimeo-sender"].iter().chain(args).map(OsString::from);
    resolve(parse_args(args).unwrap(), &noon())
}

fn refusal(args: &[&str]) -> String {
    config(args).unwrap_err().to_string()
}

#[test]
fn arguments_become_the_config() {
    let (config, presentation) = config(&[
        "--open",
        "--interface",
        "eth1",
        "--port",
        "7000",
        "--ttl",
        "4",
        "--min-receivers",
        "30",
        "--min-wait",
        "5s",
        "--max-wait",
        "5m",
        "--linger",
        "1m",
        "--rate",
        "900M",
        "--parity",
        "8",
        "--compress",
        "none",
        "--progress",
        "plain",
        "images/win11.img",
    ])
    .unwrap();
    assert_eq!(config.source, "images/win11.img");
    assert_eq!(config.interface.as_deref(), Some("eth1"));
    assert_eq!(config.session_name, "win11.img");
    assert_eq!((config.port, config.ttl), (7000, 4));
    assert_eq!(config.admission, Admission::Open);
    assert_eq!(
        config.start,
        StartRules {
            min_receivers: 30,
            min_wait: Duration::from_secs(5),
            max_wait: Some(Duration::from_secs(300)),
            start_at: None,
            start_timeout: Duration::from_secs(600),
        }
    );
    assert_eq!(config.linger, Duration::from_secs(60));
    assert_eq!(config.rate_cap, Some(Rate(900_000_000)));
    assert_eq!(
        (config.parity, config.level),
        (Parity::Fixed(8), Some(Level::NONE))
    );
    assert_eq!(
        (presentation.report, presentation.progress),
        (None, Mode::Plain)
    );
}

#[test]
fn a_name_comes_from_the_option_the_image_or_the_machine() {
    let name = |args: &[&str]| config(args).unwrap().0.session_name;
    assert_eq!(name(&["--open", "--session", "lab 3", "x.img"]), "lab 3");
    assert_eq!(name(&["--open", "/dev/nvme0n1"]), "nvme0n1");
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    assert_eq!(name(&["--open", "-"]), host);
    assert_eq!(name(&["--open", "dir/.."]), host);
    assert_eq!(name(&["--open", "a\tb"]), "a?b");
    assert_eq!(name(&["--open", &"ü".repeat(200)]), "ü".repeat(127));
    let broken: OsString = std::os::unix::ffi::OsStringExt::from_vec(b"x\xff".to_vec());
    assert_eq!(default_name(&broken), "x\u{fffd}");
}

#[test]
fn a_name_that_cannot_be_announced_is_refused() {
    for name in ["", "a\nb", "a\u{85}", &"x".repeat(256)] {
        let error = refusal(&["--open", "--session", name, "x.img"]);
        assert!(
            error.starts_with("--session ") && error.contains("choose another"),
            "{error}"
        );
    }
    assert!(config(&["--open", "--session", &"x".repeat(255), "x.img"]).is_ok());
}

#[test]
fn where_nothing_is_said_a_code_is_made() {
    let code = || match config(&["x.img"]).unwrap().0.admission {
        Admission::Code(code) => code,
        other => panic!("{other:?}"),
    };
    assert!(code() != code(), "another one each time");
}

#[test]
fn a_code_is_read_or_refused_by_name() {
    let (config, _) = config(&["--code", "7 amat trumpet", "x"]).unwrap();
    let code = JoinCode::parse("7-amateur-trumpet").unwrap();
    assert_eq!(config.admission, Admission::Code(code));
    assert!(refusal(&["--code", "secret", "x"]).contains("--code: a join code is a number"));
    let error = refusal(&["--code", "7-amateur-trompet", "x"]);
    assert!(error.contains("trumpet is one"), "{error}");
}

#[test]
fn a_key_file_is_read_or_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("room.key");
    let text = path.to_str().unwrap();
    assert!(refusal(&["--key-file", text, "x"]).contains("no such file"));
    fs::write(&path, [9; 32]).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let (config, _) = config(&["--key-file", text, "x"]).unwrap();
    assert_eq!(config.admission, Admission::Key(keyfile::Key::new([9; 32])));
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let error = refusal(&["--key-file", text, "x"]);
    assert!(
        error.starts_with(&format!("--key-file {text}: its mode is 644")),
        "{error}"
    );
}

#[test]
fn waits_that_contradict_each_other_are_refused() {
    let wrong = [
        (
            ["--min-wait", "10m", "--max-wait", "20m"],
            "--min-wait 10m: --start-timeout 10m",
        ),
        (
            ["--min-wait", "1s", "--max-wait", "10m"],
            "--max-wait 10m: --start-timeout 10m",
        ),
        (
            ["--min-wait", "6s", "--max-wait", "5s"],
            "--max-wait 5s is below --min-wait 6s",
        ),
    ];
    for (args, told) in wrong {
        let error = refusal(&[&["--open"][..], &args, &["x"]].concat());
        assert!(error.starts_with(told), "{error}");
    }
    let long = ["--open", "--max-wait", "1h", "--start-timeout", "2h", "x"];
    assert_eq!(
        config(&long).unwrap().0.start.max_wait,
        Some(Duration::from_secs(3600))
    );
}

#[test]
fn a_start_time_is_the_next_one_by_the_clock() {
    let at = |text| config(&["--open", "--start-at", text, "x"]);
    let expected = noon().timestamp() + Duration::from_secs(9000);
    let found = at("14:30").unwrap().0.start.start_at;
    assert_eq!(found, Some(SystemTime::from(expected)));
    let error = at("soon").unwrap_err().to_string();
    assert!(
        error.starts_with("--start-at \"soon\": expected"),
        "{error}"
    );
}

#[test]
fn a_report_is_checked_before_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (_, presentation) = config(&["--open", "--report", &path("r.json"), "x"]).unwrap();
    assert!(presentation.report.unwrap().path().ends_with("r.json"));
    let error = refusal(&["--open", "--report", &path("none/r.json"), "x"]);
    assert!(
        error.starts_with("--report /") && error.contains("create it first"),
        "{error}"
    );
    fs::write(path("x.img"), "x").unwrap();
    let error = refusal(&["--open", "--report", &path("x.img"), &path("x.img")]);
    assert!(error.contains("it is the image itself"), "{error}");
}

#[test]
fn scrubbing_goes_with_leaving_out_what_is_unused() {
    let of = |args: &[&str]| {
        let (config, _) = config(args).unwrap();
        (config.source_options.used, config.scrub)
    };
    assert_eq!(of(&["x"]), (UsedMode::ByKind, false));
    assert_eq!(of(&["--scrub", "x"]), (UsedMode::Auto, true));
    let both = ["--used", "auto", "--scrub", "x"];
    assert_eq!(of(&both), (UsedMode::Auto, true));
    let refused = refusal(&["--used", "off", "--scrub", "x"]);
    assert!(refused.contains("--scrub"), "{refused}");
}

#[test]
fn a_code_that_nobody_would_see_is_none() {
    let text = refusal(&["--progress", "none", "x"]);
    assert!(
        text.contains("--progress none") && text.contains("--code"),
        "{text}"
    );
    for admission in [&["--open"][..], &["--code", "7-amateur-trumpet"]] {
        let args = [&["--progress", "none", "x"][..], admission].concat();
        assert!(config(&args).is_ok(), "{args:?}");
    }
}

#[test]
fn receivers_are_told_all_that_they_need() {
    let options = |args: &[&str]| {
        let (config, _) = config(&[&["--open", "x"], args].concat()).unwrap();
        config.join_options()
    };
    assert_eq!(options(&[]), "");
    assert_eq!(options(&["--port", "7000"]), " --port 7000");
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("lab.key");
    fs::write(&key, [7; keyfile::KEY_LEN]).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let public = SigningKey::from_seed(&[7; 32]).verifying_key();
    let signed = options(&["--sign-key", key.to_str().unwrap()]);
    assert_eq!(signed, format!(" --sender-key {public}"));
}
