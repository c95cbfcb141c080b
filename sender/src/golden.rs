//! A look at the image before a room gets it: what would make clones clash or fail to start.

use std::sync::Arc;
use std::time::Duration;

use mimeo_image::golden::{self, Finding, Report};
use mimeo_image::source::Source;

/// What the session may wait for it. It takes milliseconds where the disk does not take longer.
const TIME: Duration = Duration::from_secs(1);

/// Lines to warn the operator with; none about what is no disk, or cannot be looked at.
pub(crate) fn warnings(source: &Source) -> Vec<String> {
    let disk = match source {
        Source::Disk(disk) => disk.whole(),
        Source::Captured(captured) => Arc::clone(captured.image()) as _,
        Source::Stream(_) => return Vec::new(),
    };
    lines(&golden::check_within(&disk, TIME))
}

fn lines(report: &Report) -> Vec<String> {
    let line = |Finding { place, problem }: &Finding| {
        format!(
            "in the image, {place}: {problem}; remedy: {}",
            problem.remedy()
        )
    };
    let mut lines: Vec<_> = report.findings.iter().map(line).collect();
    if report.timed_out {
        lines.push(
            "the disk is too slow to see in a second whether clones of it would clash: \
             run mimeo-image check on it"
                .to_owned(),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_disk_is_passed_over_and_what_is_one_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("image");
        let warnings = || warnings(&Source::open(file.as_os_str()).unwrap());
        std::fs::write(&file, vec![7; 1 << 20]).unwrap();
        assert_eq!(warnings(), [""; 0]);
        let mut luks = vec![0; 1 << 20];
        luks[..6].copy_from_slice(b"LUKS\xba\xbe");
        std::fs::write(&file, luks).unwrap();
        let lines = warnings();
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("in the image, the disk (LUKS): LUKS encrypts it"));
        assert!(lines[0].contains("; remedy: "));
    }

    #[test]
    fn time_that_was_too_short_is_told() {
        let report = Report {
            timed_out: true,
            ..Report::default()
        };
        assert!(lines(&report)[0].contains("mimeo-image check"));
    }
}
