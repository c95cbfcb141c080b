//! What the operator is left with: verified or not, and the run in figures.

use mimeo_console::{human, report};
use mimeo_image::ByteSize;
use mimeo_protocol::receiver::Unused;
use mimeo_protocol::wire::ReadBack;

use crate::exit::Exit;
use crate::status::Outcome;
use crate::status::Status;

/// The lines, without the error.
pub(crate) fn lines(outcome: &Outcome) -> Vec<String> {
    let status = &outcome.status;
    let target = human::clean(&status.target);
    let result = match outcome.exit {
        Exit::Verified => "verified",
        _ => "FAILED",
    };
    // Without a target there was no run: the error says why.
    let told = !target.is_empty();
    let mut lines: Vec<String> = told
        .then(|| format!("{result}: {target}"))
        .into_iter()
        .collect();
    lines.extend(figures(status));
    lines.extend(read_back(status));
    lines.extend(unreadable(outcome));
    lines.extend(unused(outcome));
    if let Some(digest) = &status.digest {
        lines.push(format!("b3sum of the image: {digest}"));
    }
    lines
}

/// Size, time, rate and loss, of a run that received something.
fn figures(status: &Status) -> Option<String> {
    let done = status.bytes_done();
    // Blocks that were not written to their end do not count.
    if status.transfer_time.is_zero() || done == 0 {
        return None;
    }
    let rate = report::telling_rate(status.bytes_held(), status.transfer_time);
    let rate = rate.map_or(String::new(), |rate| format!(" at {}", human::rate(rate)));
    let lost = status.expected.saturating_sub(status.received);
    let loss = lost as f64 / status.expected.max(1) as f64;
    let kept = kept(status).map_or(String::new(), |kept| format!(", {kept}"));
    Some(format!(
        "{} in {}{rate}{kept}, loss {}",
        ByteSize(done),
        human::clock(status.transfer_time),
        human::share(loss)
    ))
}

/// `kept 80.0 %` of the image, where the target held a part of it.
pub(crate) fn kept(status: &Status) -> Option<String> {
    let share = human::percent(status.bytes_kept, status.image_len?);
    (status.bytes_kept > 0).then(|| format!("kept {share}"))
}

/// What was proved of the target, where that was wanted.
fn read_back(status: &Status) -> Option<String> {
    let from = match status.read_back {
        ReadBack::No => return None,
        ReadBack::Direct => "from the disk, past the page cache",
        ReadBack::CacheDropped => {
            "through the page cache, which was told to forget it first: direct reads were refused"
        }
        ReadBack::Memory => "from memory: its file system has no disk behind the page cache",
    };
    // What the disk has in unused areas matters only where it was to be zeros.
    let proved = match status.unused {
        Unused::Keep | Unused::Discard => status.bytes_verified.saturating_sub(status.bytes_unused),
        Unused::Zero => status.bytes_verified,
    };
    Some(format!(
        "{} read back in {} {from}",
        ByteSize(proved),
        human::clock(status.times.verifying),
    ))
}

/// Why the digest of a disk is not that of the image.
fn unused(outcome: &Outcome) -> Option<String> {
    let status = &outcome.status;
    let what = match status.unused {
        Unused::Keep => "keeps what it had before",
        Unused::Discard => "was told to forget what it had (discard)",
        Unused::Zero => return None,
    };
    let told = outcome.exit == Exit::Verified && status.bytes_unused > 0;
    told.then(|| {
        format!(
            "in {} that no filesystem uses the disk {what}: its own b3sum differs from the image's",
            ByteSize(status.bytes_unused)
        )
    })
}

/// What to think of a target that holds the image and could not be read in part before.
fn unreadable(outcome: &Outcome) -> Option<String> {
    let status = &outcome.status;
    let blocks = match status.unreadable_blocks {
        0 => return None,
        1 => "1 block that the target held".to_owned(),
        all => format!("{all} blocks that the target held"),
    };
    let now = match (outcome.exit, status.read_back) {
        (Exit::Verified, ReadBack::No) => {
            ", and --verify to prove that what was written can be read"
        }
        _ => "",
    };
    Some(format!(
        "{blocks} could not be read, so the sender's was taken: look for disk errors in the \
         kernel's log (dmesg){now}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::example::{receiving, verifying};

    fn outcome(exit: Exit, status: Status, error: Option<&str>) -> Outcome {
        Outcome {
            exit,
            status,
            error: error.map(str::to_owned),
        }
    }

    #[test]
    fn success_is_told_with_its_figures_and_digest() {
        assert_eq!(
            lines(&outcome(Exit::Verified, receiving(), None)),
            [
                "verified: /dev/sda, Disk?[2J 1.0 GB",
                "500.0 MB in 0:50 at 80.0 Mbit/s, loss 1.0 %",
                &format!("b3sum of the image: {}", "ab".repeat(32)),
            ]
        );
    }

    #[test]
    fn a_run_of_a_moment_has_no_rate() {
        let mut status = receiving();
        status.transfer_time = std::time::Duration::from_millis(30);
        let told = lines(&outcome(Exit::Verified, status.clone(), None));
        assert_eq!(told[1], "500.0 MB in 0:00, loss 1.0 %");
        status.bytes_written = 0;
        let told = lines(&outcome(Exit::Failure, status, None));
        assert!(!told[1].contains("0:00"), "{told:?}");
    }

    #[test]
    fn it_is_told_where_the_proof_comes_from() {
        for (read_back, words) in [
            (ReadBack::Direct, "from the disk"),
            (ReadBack::CacheDropped, "direct reads were refused"),
            (ReadBack::Memory, "no disk behind"),
        ] {
            let status = Status {
                read_back,
                ..verifying()
            };
            let lines = lines(&outcome(Exit::Verified, status, None));
            let line = &lines[2];
            assert!(line.starts_with("800.0 MB read back in 0:01 "), "{line}");
            assert!(line.contains(words), "{line}");
        }
    }

    #[test]
    fn a_disk_whose_digest_is_not_that_of_the_image_says_why() {
        for (unused, words) in [
            (Unused::Keep, Some("keeps what it had before")),
            (Unused::Discard, Some("told to forget")),
            (Unused::Zero, None),
        ] {
            let mut status = Status {
                unused,
                bytes_unused: 400_000_000,
                bytes_verified: 1_000_000_000,
                read_back: ReadBack::Direct,
                ..receiving()
            };
            let all = lines(&outcome(Exit::Verified, status.clone(), None));
            let found = all
                .iter()
                .find(|line| line.contains("its own b3sum differs"));
            match words {
                Some(words) => {
                    let line = found.unwrap();
                    assert!(
                        line.starts_with("in 400.0 MB that") && line.contains(words),
                        "{line}"
                    );
                    assert!(all[2].starts_with("600.0 MB read back"), "{all:?}");
                }
                None => {
                    assert_eq!(found, None);
                    assert!(all[2].starts_with("1.0 GB read back"), "{all:?}");
                }
            }
            status.bytes_unused = 0;
            let all = lines(&outcome(Exit::Verified, status, None));
            assert!(
                all.iter().all(|line| !line.contains("its own b3sum")),
                "{all:?}"
            );
        }
    }

    #[test]
    fn blocks_that_could_not_be_read_are_told_with_what_to_do() {
        let line = |unreadable_blocks, read_back| {
            let status = Status {
                unreadable_blocks,
                read_back,
                ..verifying()
            };
            let lines = lines(&outcome(Exit::Verified, status, None));
            lines.into_iter().find(|line| line.contains("could not be"))
        };
        assert_eq!(line(0, ReadBack::No), None);
        let not_proved = line(1, ReadBack::No).unwrap();
        assert!(not_proved.starts_with("1 block that"), "{not_proved}");
        assert!(not_proved.contains("dmesg"), "{not_proved}");
        assert!(not_proved.contains("--verify"), "{not_proved}");
        let proved = line(3, ReadBack::Direct).unwrap();
        assert!(proved.starts_with("3 blocks that"), "{proved}");
        assert!(!proved.contains("--verify"), "{proved}");
    }

    #[test]
    fn failure_is_told_unless_there_was_no_run() {
        let nobody = outcome(Exit::NobodyInTime, Status::default(), Some("no sender"));
        assert!(lines(&nobody).is_empty(), "the error says it all");
        let full = outcome(Exit::Failure, receiving(), Some("disk full"));
        assert_eq!(lines(&full)[0], "FAILED: /dev/sda, Disk?[2J 1.0 GB");
    }
}
