use super::*;
use crate::cli::parse_args;
use mimeo_console::keyfile;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

fn config(args: &[&str]) -> Result<(Config, Presentation), ConfigError> {
    let args = ["mimeo-receiver"].iter().chain(args).map(OsString::from);
    resolve(parse_args(args).unwrap())
}

fn refusal(args: &[&str]) -> String {
    let error = config(args).unwrap_err();
    assert_eq!(error.exit(), Exit::Usage, "{error}");
    error.to_string()
}

#[test]
fn arguments_become_the_config() {
    let (config, presentation) = config(&[
        "--open",
        "--interface",
        "eth1",
        "--session",
        "lab 3",
        "--sender",
        "10.77.0.1",
        "--port",
        "7000",
        "--yes",
        "--verify",
        "--serial",
        "S1",
        "--memory",
        "128MiB",
        "--start-timeout",
        "1h",
        "--idle-timeout",
        "30s",
        "--then",
        "reboot",
        "--progress",
        "plain",
        "/dev/sda",
    ])
    .unwrap();
    assert_eq!(config.target, "/dev/sda");
    assert!(config.target_options.yes && config.verify);
    assert_eq!(config.target_options.serial.as_deref(), Some("S1"));
    assert_eq!(config.interface.as_deref(), Some("eth1"));
    assert_eq!(config.session_name.as_deref(), Some("lab 3"));
    assert_eq!(
        config.sender,
        Some(SocketAddr::from(([10, 77, 0, 1], 7000)))
    );
    assert_eq!((config.port, config.memory), (7000, 128 << 20));
    assert_eq!(config.admission, Admission::Open);
    assert_eq!(config.start_timeout, Duration::from_secs(3600));
    assert_eq!(config.idle_timeout, Duration::from_secs(30));
    assert_eq!(presentation.then, Then::Reboot);
    assert_eq!(
        (presentation.report, presentation.progress),
        (None, Mode::Plain)
    );
}

#[test]
fn nothing_is_overwritten_by_default() {
    let (config, presentation) = config(&["--open", "auto"]).unwrap();
    assert!(!config.target_options.yes && !config.verify);
    assert_eq!(config.target_options.serial, None);
    assert_eq!((config.session_name, config.sender), (None, None));
    assert_eq!(presentation.then, Then::None);
}

#[test]
fn what_cannot_be_read_back_cannot_be_verified() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    let pipe = pipe.to_str().unwrap();
    for (target, named) in [("-", "standard output"), ("null:", "null:"), (pipe, pipe)] {
        let error = refusal(&["--open", "--verify", target]);
        assert!(
            error.starts_with("--verify: ") && error.contains(named),
            "{error}"
        );
        assert!(config(&["--open", target]).is_ok());
    }
    let (config, _) = config(&["--open", "--verify", "new.img"]).unwrap();
    assert!(config.verify);
}

#[test]
fn a_port_of_the_sender_outweighs_the_general_one() {
    let (config, _) = config(&["--open", "--sender", "10.77.0.1:5", "--port", "7", "x"]).unwrap();
    assert_eq!(config.sender, Some(SocketAddr::from(([10, 77, 0, 1], 5))));
    assert_eq!(config.port, 7);
}

#[test]
fn a_name_without_an_address_is_a_failure_that_names_the_way_out() {
    // The top-level domain "invalid" never resolves (RFC 2606).
    let error = config(&["--open", "--sender", "host.invalid", "x"]).unwrap_err();
    assert_eq!(error.exit(), Exit::Failure);
    let error = error.to_string();
    assert!(error.starts_with("--sender host.invalid: "), "{error}");
    assert!(error.contains("give the sender's address"), "{error}");
}

#[test]
fn a_name_that_no_session_has_is_refused() {
    for name in ["", "a\nb", "a\u{85}", &"x".repeat(256)] {
        let error = refusal(&["--open", "--session", name, "x"]);
        assert!(error.starts_with("--session "), "{error}");
    }
    assert!(config(&["--open", "--session", &"x".repeat(255), "x"]).is_ok());
}

#[test]
fn whom_to_trust_must_be_said_and_each_way_is_explained() {
    let error = refusal(&["/dev/sda"]);
    for part in [
        "--code CODE",
        "--key-file FILE",
        "--open",
        "head -c 32 /dev/urandom > room.key",
    ] {
        assert!(error.contains(part), "{error}");
    }
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
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let error = refusal(&["--key-file", text, "x"]);
    assert!(
        error.starts_with(&format!("--key-file {text}: its mode is 640")),
        "{error}"
    );
}

#[test]
fn a_report_is_checked_before_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (_, presentation) = config(&["--open", "--report", &path("r.json"), "null:"]).unwrap();
    assert!(presentation.report.unwrap().path().ends_with("r.json"));
    let error = refusal(&["--open", "--report", &path("none/r.json"), "null:"]);
    assert!(
        error.starts_with("--report /") && error.contains("create it first"),
        "{error}"
    );
    let error = refusal(&["--open", "--report", &path("x.img"), &path("x.img")]);
    assert!(error.contains("it is the target itself"), "{error}");
}
